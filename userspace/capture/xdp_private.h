/* The program of one interface, as xdp.c and xdp_select.c see it. */
#ifndef FLOWLANE_XDP_PRIVATE_H
#define FLOWLANE_XDP_PRIVATE_H

#include "flowlane.skel.h"
#include "xdp.h"

/* A set of rules in one of its slots. */
struct xdp_rules_slot {
	struct rules_prefix *prefixes; /* that are in its trie */
	unsigned count, room;
};

struct xdp {
	struct flowlane_bpf *skeleton;
	struct bpf_program *program; /* the one of the four that is loaded */
	unsigned ifindex;
	unsigned fanout;
	unsigned queues;
	int link;                     /* -1: not attached */
	unsigned cpus;                /* values of a per-CPU map */
	struct xdp_counters *per_cpu; /* [cpus]; where the kernel puts them */
	struct xdp_rules_slot slot[RULES_SLOTS];
	unsigned rules_changes; /* so far */
};

/* When this returns, no CPU is in the program any more that was in it when it was called. */
void xdp_wait_for_program(void);

/* Before loading: what the options want, and maps of the right size; none that nothing uses. 0 or a negative errno. */
int xdp_select_configure(struct xdp *xdp, const struct xdp_load_options *options);
/* After loading: the first rules, the first sample. */
int xdp_select_start(struct xdp *xdp, const struct xdp_load_options *options);
void xdp_select_free(struct xdp *xdp);

#endif
