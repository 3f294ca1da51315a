/*
 * Loads the XDP program with a function of ours in it: libbpf has relocated all by the time it asks what else there is to prepare,
 * and that is when the function takes its place. Control thread.
 */
#ifndef FLOWLANE_XDP_LINK_H
#define FLOWLANE_XDP_LINK_H

#include <linux/bpf.h>

/* Once, before the first program is opened: libbpf then asks us about programs of sections "xdp" and "xdp.frags". 0 or a negative errno. */
int xdp_link_register(void);

/* What the programs that are loaded from now on get in place of the one function that they call; NULL: nothing. Borrowed. */
void xdp_link_function(const struct bpf_insn *function, unsigned count);

#endif
