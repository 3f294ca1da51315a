/*
 * An instruction of classic BPF, as libpcap's compiler makes them: struct bpf_insn of <pcap/bpf.h>, struct sock_filter of Linux. A
 * type of our own, because libpcap and Linux call different things struct bpf_insn, and no file can include both.
 */
#ifndef FLOWLANE_CLASSIC_H
#define FLOWLANE_CLASSIC_H

#include <stdint.h>

struct classic_insn {
	uint16_t code;
	uint8_t jt, jf; /* jumps over so many instructions, if true, if false */
	uint32_t k;
};
_Static_assert(sizeof(struct classic_insn) == 8, "the layout is that of both");

#endif
