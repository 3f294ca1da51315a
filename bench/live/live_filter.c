/*
 * What a filter expression costs by itself: programs run by the kernel over one frame (BPF_PROG_TEST_RUN), many times, in turns. The
 * sensor's own program, and the three ways to put the translated expression in front of something that passes the frame:
 *
 *   called     a function of the program: what the sensor does
 *   inlined    its instructions in the program's own
 *   tail call  a program of its own, which goes on to the next one when the frame matches
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "flowlane/abi.h"

#include "filter.h"
#include "live.h"
#include "translate.h"
#include "xdp_private.h"

#define EXPRESSION  "udp and host 10.0.0.7"
#define FRAME_BYTES 64
#define FRAME_HOST  29 /* last byte of its source address */
#define REPEAT      1000000
#define ROUNDS      9
#define PROGRAM_MAX 4096

enum how { HOW_CALLED, HOW_INLINED, HOW_TAIL };

struct writer {
	struct bpf_insn insns[PROGRAM_MAX];
	unsigned used;
};

#define PUT(writer, ...) ((writer)->insns[(writer)->used++] = (struct bpf_insn){ __VA_ARGS__ })

static void put_move(struct writer *writer, unsigned to, unsigned from)
{
	PUT(writer, .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = to & 0xf, .src_reg = from & 0xf);
}

static void put_return(struct writer *writer, int action)
{
	PUT(writer, .code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = action);
	PUT(writer, .code = BPF_JMP | BPF_EXIT);
}

/* The function's instructions; its returns go to what follows. */
static void put_inlined(struct writer *writer, const struct bpf_insn *function, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (function[i].code == (BPF_JMP | BPF_EXIT))
			PUT(writer, .code = BPF_JMP | BPF_JA, .off = (int16_t)(count - i - 1));
		else
			writer->insns[writer->used++] = function[i];
	}
}

static int program_load(const struct writer *writer)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_XDP);
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "filter_bench", "GPL", writer->insns, writer->used, &options);

	if (fd < 0)
		live_die("cannot load a program: %s; it takes root (CAP_BPF, CAP_NET_ADMIN)", strerror(-fd));
	return fd;
}

static int program_constant(int action)
{
	struct writer writer = { .used = 0 };

	put_return(&writer, action);
	return program_load(&writer);
}

/* Drops what does not match; what matches is passed, by the program in next[0] if `how` says so. */
static int program_filter(const struct bpf_insn *function, unsigned count, enum how how, int next)
{
	struct writer writer = { .used = 0 };
	unsigned call = 0;

	put_move(&writer, BPF_REG_6, BPF_REG_1);
	PUT(&writer, .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1, .off = offsetof(struct xdp_md, data));
	PUT(&writer, .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 3, .src_reg = 1, .off = offsetof(struct xdp_md, data_end));
	if (how == HOW_CALLED) {
		call = writer.used;
		PUT(&writer, .code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_CALL);
	} else {
		put_inlined(&writer, function, count);
	}
	PUT(&writer, .code = BPF_JMP32 | BPF_JNE | BPF_K, .dst_reg = 0, .off = 2);
	put_return(&writer, XDP_DROP);
	if (how == HOW_TAIL) {
		put_move(&writer, BPF_REG_1, BPF_REG_6);
		PUT(&writer, .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 2, .src_reg = BPF_PSEUDO_MAP_FD, .imm = next);
		PUT(&writer, .code = 0);
		PUT(&writer, .code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 3);
		PUT(&writer, .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_tail_call);
	}
	put_return(&writer, how == HOW_TAIL ? XDP_ABORTED : XDP_PASS);
	if (how == HOW_CALLED) {
		writer.insns[call].imm = (int32_t)(writer.used - call - 1);
		memcpy(writer.insns + writer.used, function, count * sizeof(*function));
		writer.used += count;
	}
	return program_load(&writer);
}

static int tail_map(void)
{
	int map = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "next", 4, 4, 1, NULL), pass = program_constant(XDP_PASS), key = 0;

	if (map < 0 || bpf_map_update_elem(map, &key, &pass, BPF_ANY))
		live_die("cannot make a map of programs: %s", strerror(errno));
	return map;
}

static int program_sensor(const struct classic_insn *filter, unsigned count)
{
	const struct xdp_load_options options = {
		.queues = 1, .fanout = 1, .exclusive = true, .shared_clock = true, .filter = filter, .filter_count = count
	};
	struct xdp *xdp = NULL;
	char why[256] = "";
	int err = xdp_load(&options, &xdp, why, sizeof(why));

	if (err)
		live_die("cannot load the sensor's program: %s %s", strerror(-err), why);
	return bpf_program__fd(xdp->program); /* as long as this process lives */
}

/* --- runs -------------------------------------------------------------------------------------------------------------- */

static double run_ns(int program, bool matches, uint32_t expected)
{
	unsigned char frame[FRAME_BYTES] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 50, 0, 0, 0x40, 0, 64, 17, 0, 0,
		10, 0, 0, 8, 198, 18, 0, 1, 4, 0, 1, 187, 0, 30 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame), .repeat = REPEAT);

	frame[FRAME_HOST] = matches ? 7 : 8;
	if (bpf_prog_test_run_opts(program, &run))
		live_die("the kernel does not run a program: %s", strerror(errno));
	if (run.retval != expected)
		live_die("a program says %u, not %u", run.retval, expected);
	return run.duration;
}

static int compare_doubles(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return (a > b) - (a < b);
}

int main(void)
{
	const struct source_info info = { .link = LINK_ETHERNET };
	struct bpf_insn *function = NULL;
	struct filter *filter = NULL;
	const char *why = "";
	unsigned classic_count = 0;

	live_quiet_libbpf();
	if (filter_create(EXPRESSION, &info, &filter))
		return 2;
	const struct classic_insn *classic = filter_code(filter, LINK_ETHERNET, &classic_count);
	int count = translate_filter(classic, classic_count, false, &function, &why);
	if (count < 0 || count > PROGRAM_MAX / 2)
		live_die("'%s' cannot be translated: %s", EXPRESSION, why);

	int called = program_filter(function, (unsigned)count, HOW_CALLED, 0);
	int inlined = program_filter(function, (unsigned)count, HOW_INLINED, 0);
	int tail = program_filter(function, (unsigned)count, HOW_TAIL, tail_map());
	int sensor = program_sensor(classic, classic_count), plain = program_sensor(NULL, 0);
	const struct {
		const char *name;
		int program;
		bool matches;
		uint32_t expected;
	} cases[] = {
		{ "XDP_DROP", program_constant(XDP_DROP), false, XDP_DROP },
		{ "called, rejects", called, false, XDP_DROP },
		{ "inlined, rejects", inlined, false, XDP_DROP },
		{ "tail call, rejects", tail, false, XDP_DROP },
		{ "called, accepts", called, true, XDP_PASS },
		{ "inlined, accepts", inlined, true, XDP_PASS },
		{ "tail call, accepts", tail, true, XDP_PASS },
		{ "sensor, rejects", sensor, false, XDP_DROP },
		{ "sensor, accepts", sensor, true, XDP_PASS },
		{ "sensor without expression", plain, true, XDP_PASS },
	};
#define CASES (sizeof(cases) / sizeof(cases[0]))
	double ns[CASES][ROUNDS];

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < CASES; i++)
			ns[i][round] = run_ns(cases[i].program, cases[i].matches, cases[i].expected);
	}
	for (unsigned i = 0; i < CASES; i++) {
		qsort(ns[i], ROUNDS, sizeof(ns[i][0]), compare_doubles);
		printf("{\"bench\":\"filter\",\"program\":\"%s\",\"ns\":%.0f,\"ns_min\":%.0f}\n", cases[i].name, ns[i][ROUNDS / 2],
			ns[i][0]);
	}
	free(function);
	filter_destroy(filter);
	return 0;
}
