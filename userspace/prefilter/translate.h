/*
 * From classic BPF, which libpcap compiles expressions to, to a function in the kernel's eBPF that the XDP program calls:
 *
 *   int matches(struct xdp_md *ctx, void *data, void *data_end)      r1, r2, r3 -> r0: 0 if the frame does not match
 *
 * Pure: neither reads nor loads anything. Control thread.
 */
#ifndef FLOWLANE_TRANSLATE_H
#define FLOWLANE_TRANSLATE_H

#include <linux/bpf.h>
#include <stdbool.h>

#include "flowlane/classic.h"

#define TRANSLATE_MAX 65536 /* eBPF instructions of a function */

/*
 * Same verdict as libpcap's bpf_filter() on a frame that was not cut, so that the length on the wire is that of the frame. `frags`:
 * the frame may go on behind data_end, in further buffers (a program for multi-buffer frames, Linux 5.18); else what is behind
 * data_end is behind the frame, and a load from there does not match. Frames of more than 65,520 bytes match only by what is below.
 *
 * The number of instructions in *function, which the caller frees; or -ENOMEM; or -ENOTSUP with *why: what it is that cannot be
 * translated, for people.
 */
int translate_filter(const struct classic_insn *code, unsigned count, bool frags, struct bpf_insn **function, const char **why);

/*
 * `program` either calls one function of its own, and that one lies at its end: a copy of the program with `function` in its place, which
 * may not be shorter, as the program's debugging information is about what was there. Or it calls none, and has the marker of abi.h: a
 * copy with the instructions of `function` (not for frags) where that is; of the stack they take what is below TRANSLATE_STACK.
 *
 * 1: a function was replaced; 0: the instructions are in the program, and the numbers of lines are not those of the debugging information
 * any more; -ENOMEM; -EINVAL: it is no such program, or too long.
 */
#define TRANSLATE_STACK 448 /* of the 512 bytes of a program's stack: the program's own */

int translate_link(const struct bpf_insn *program, unsigned count, const struct bpf_insn *function, unsigned function_count,
	struct bpf_insn **linked, unsigned *linked_count);

#endif
