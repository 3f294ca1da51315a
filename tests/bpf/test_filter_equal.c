/*
 * Equality with libpcap: each expression on each Ethernet packet of other people's captures, once by libpcap's own interpreter, once
 * as the function that the XDP program calls, run by the kernel (BPF_PROG_TEST_RUN).
 *
 * A call of the kernel for each pair would take minutes, so a program has 32 of the functions, calls one after the other, and its
 * verdict has a bit for each. Where a frame goes on behind data_end is tested with programs for multi-buffer frames, of which all but
 * the first bytes are in another buffer. The sensor's own program, one expression in it at a time, sees a part of the packets.
 *
 * XDP sees frames as they were on the wire. So of a packet that a capture cut, both sides get what there is as the whole frame.
 *
 * FLOWLANE_CORPUS_EVERY=N: every Nth packet only.
 */
#include <ftw.h>
#include <setjmp.h>
#include <sys/stat.h>

#include "bpf_rig.h"

#include <cmocka.h>

#include "expressions.h"
#include "packets.h"
#include "translate.h"
#include "xdp_link.h"

#define BITS        32   /* expressions in a program */
#define LINEAR_MAX  3000 /* bytes that a frame of one buffer can have, at least, when the kernel runs it for a test */
#define FUNCTION    20000
#define SAMPLE      1000 /* packets for the sensor's own program */
#define FIRST_BYTES 14   /* of a frame of several buffers, before data_end */
#define PAIRS_ASKED 10000000

static unsigned long pairs, pairs_frags, pairs_sensor, matches, differences;
static bool splits; /* this kernel can run a test on a frame of several buffers of which the first is short (Linux 6.18) */

/* --- programs ---------------------------------------------------------------------------------------------------------- */

struct function {
	struct packets_filter classic;
	struct bpf_insn *insns;
	unsigned count;
};

static void function_make(struct function *function, const char *expression, bool frags)
{
	const char *why = NULL;

	packets_compile(expression, &function->classic);
	int count = translate_filter(function->classic.insns, function->classic.count, frags, &function->insns, &why);
	if (count < 0)
		fail_msg("%s: not translated: %s", expression, why);
	function->count = (unsigned)count;
}

static void function_free(struct function *function)
{
	packets_compile_free(&function->classic);
	free(function->insns);
}

/* ctx in r6, data in r7, data_end in r8, the bits so far in r9. */
static int program_load(const struct function *functions, unsigned n, bool frags)
{
	struct bpf_insn *program = calloc((size_t)n * FUNCTION, sizeof(*program));
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = frags ? 1U << 5 : 0, .expected_attach_type = BPF_XDP);
	unsigned used = 0, calls[BITS];

	assert_non_null(program);
#define PUT(...)       (program[used++] = (struct bpf_insn){ __VA_ARGS__ })
#define MOVE(to, from) PUT(.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = to, .src_reg = from)
	MOVE(6, 1);
	PUT(.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 7, .src_reg = 1, .off = offsetof(struct xdp_md, data));
	PUT(.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 8, .src_reg = 1, .off = offsetof(struct xdp_md, data_end));
	PUT(.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 9);
	for (unsigned i = 0; i < n; i++) {
		MOVE(1, 6);
		MOVE(2, 7);
		MOVE(3, 8);
		calls[i] = used;
		PUT(.code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_CALL);
		PUT(.code = BPF_JMP32 | BPF_JEQ | BPF_K, .dst_reg = 0, .off = 1);
		PUT(.code = BPF_ALU | BPF_OR | BPF_K, .dst_reg = 9, .imm = (int32_t)(1u << i));
	}
	MOVE(0, 9);
	PUT(.code = BPF_JMP | BPF_EXIT);
#undef MOVE
#undef PUT
	for (unsigned i = 0; i < n; i++) {
		program[calls[i]].imm = (int32_t)(used - calls[i] - 1);
		memcpy(program + used, functions[i].insns, functions[i].count * sizeof(*program));
		used += functions[i].count;
	}
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "filters", "GPL", program, used, &opts);
	free(program);
	return fd;
}

/* first: bytes before data_end; 0: all. */
static int program_run(int fd, const struct packet_bytes *packet, unsigned first, uint32_t *verdict)
{
	struct xdp_md ctx = { .data_end = first };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet->data, .data_size_in = packet->bytes, .repeat = 1);

	if (first && first < packet->bytes) {
		opts.ctx_in = &ctx;
		opts.ctx_size_in = sizeof(ctx);
	}
	if (bpf_prog_test_run_opts(fd, &opts))
		return -errno;
	*verdict = opts.retval;
	return 0;
}

/* --- comparison -------------------------------------------------------------------------------------------------------- */

static void compare(const char *expression, const struct packet_bytes *packet, bool expected, bool got)
{
	matches += expected;
	if (expected == got || differences++ > 20)
		return;
	print_error("'%s', a packet of %u bytes (%s): libpcap says %s, XDP %s\n", expression, packet->bytes,
		packets_name(packet->file), expected ? "yes" : "no", got ? "yes" : "no");
}

static void compare_group(unsigned from, unsigned n, bool frags, unsigned first)
{
	struct function functions[BITS];

	for (unsigned i = 0; i < n; i++)
		function_make(&functions[i], EXPRESSIONS[from + i], frags);
	int fd = program_load(functions, n, frags);
	if (fd < 0)
		fail_msg("expressions %u to %u: the kernel does not load them: %s", from, from + n - 1, strerror(-fd));
	for (unsigned p = 0; p < packets_count; p++) {
		const struct packet_bytes *packet = &packets[p];
		uint32_t verdict;
		if (packet->bytes > LINEAR_MAX && !frags)
			continue; /* the other program's */
		if (frags && !splits && packet->bytes <= LINEAR_MAX)
			continue;
		int err = program_run(fd, packet, first, &verdict);
		if (err)
			fail_msg("running on %u bytes: %s", packet->bytes, strerror(-err));
		for (unsigned i = 0; i < n; i++)
			compare(EXPRESSIONS[from + i], packet, packets_match(&functions[i].classic, packet), verdict >> i & 1);
		*(frags ? &pairs_frags : &pairs) += n;
	}
	close(fd);
	for (unsigned i = 0; i < n; i++)
		function_free(&functions[i]);
}

static void compare_all(bool frags, unsigned first)
{
	for (unsigned from = 0; from < EXPRESSIONS_COUNT; from += BITS) {
		unsigned left = EXPRESSIONS_COUNT - from;
		compare_group(from, left < BITS ? left : BITS, frags, first);
	}
}

static void expression__when_translated__then_same_verdict_as_libpcap(void **context)
{
	(void)context;
	differences = 0;
	compare_all(false, 0);
	assert_int_equal(differences, 0);
}

static void expression__when_frame_goes_on_behind_data_end__then_same_verdict_as_libpcap(void **context)
{
	struct packet_bytes packet = { .data = (const uint8_t *)"a frame of more bytes than are in its first buffer", .bytes = 50 };
	struct function function;
	uint32_t verdict;

	(void)context;
	function_make(&function, "len = 50 and ether[49] = 0x72", true);
	int fd = program_load(&function, 1, true);
	if (fd < 0) {
		print_message("no programs for multi-buffer frames here: %s\n", strerror(-fd));
		skip();
	}
	splits = program_run(fd, &packet, FIRST_BYTES, &verdict) == 0;
	close(fd);
	function_free(&function);
	if (splits)
		assert_int_equal(verdict, 1);
	else
		print_message("this kernel splits no frames for a test: only those above %d bytes\n", LINEAR_MAX);
	differences = 0;
	compare_all(true, FIRST_BYTES);
	assert_int_equal(differences, 0);
}

/* No socket, so what matches is passed, and what does not, with `exclusive`, dropped. */
static void sensor_program__when_expression_is_linked_in__then_drops_what_does_not_match(void **context)
{
	const struct xdp_config config = { .fanout = 1, .filter = 1, .exclusive = 1 };
	unsigned step = packets_count / SAMPLE + 1;

	(void)context;
	assert_int_equal(xdp_link_register(), 0);
	differences = 0;
	for (unsigned e = 0; e < EXPRESSIONS_COUNT; e++) {
		struct function function;
		struct rig rig;

		function_make(&function, EXPRESSIONS[e], false);
		xdp_link_function(function.insns, function.count);
		assert_int_equal(rig_load(&rig, RIG_PLAIN, &config, 1, false), 0);
		for (unsigned p = e % step; p < packets_count; p += step) {
			uint32_t verdict;
			if (packets[p].bytes > LINEAR_MAX)
				continue;
			assert_int_equal(program_run(rig.program_fd, &packets[p], 0, &verdict), 0);
			assert_true(verdict == XDP_PASS || verdict == XDP_DROP);
			compare(EXPRESSIONS[e], &packets[p], packets_match(&function.classic, &packets[p]), verdict == XDP_PASS);
			pairs_sensor++;
		}
		rig_unload(&rig);
		function_free(&function);
	}
	xdp_link_function(NULL, 0);
	assert_int_equal(differences, 0);
}

static void sensor_program__when_it_is_any_of_the_four__then_takes_an_expression(void **context)
{
	const struct xdp_config config = { .fanout = 1,
		.filter = 1,
		.exclusive = 1,
		.hw_timestamp = 1,
		.hw_vlan = 1,
		.rules = 1,
		.samples = 1,
		.cutoff_bytes = 10000,
		.snaplen = 256,
		.key_vlan = 1 };
	bool kfunc = rig_kernel_has("bpf_xdp_metadata_rx_timestamp");

	(void)context;
	for (enum rig_variant variant = RIG_PLAIN; variant <= (kfunc ? RIG_HW_FRAGS : RIG_FRAGS); variant++) {
		bool frags = variant == RIG_FRAGS || variant == RIG_HW_FRAGS, hw = variant == RIG_HW || variant == RIG_HW_FRAGS;
		struct function function;
		struct rig rig;

		function_make(&function, "tcp[tcpflags] & tcp-syn != 0 or vlan and udp port 53", frags);
		xdp_link_function(function.insns, function.count);
		assert_int_equal(rig_load(&rig, variant, &config, 1, hw), 0);
		xdp_link_function(NULL, 0);
		rig_unload(&rig);
		function_free(&function);
	}
}

static void pairs__when_counted__then_as_many_as_asked_for(void **context)
{
	(void)context;
	print_message(
		"%zu expressions, %u packets of %u Ethernet captures (%u of them shorter than 14 bytes left out): %lu pairs equal, "
		"besides %lu on frames of several buffers and %lu by the sensor's program; %lu matches in all\n",
		EXPRESSIONS_COUNT, packets_count, packets_files, packets_short, pairs, pairs_frags, pairs_sensor, matches);
	assert_true(EXPRESSIONS_COUNT >= 300);
	if (packets_every == 1)
		assert_true(pairs >= PAIRS_ASKED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(expression__when_translated__then_same_verdict_as_libpcap),
		cmocka_unit_test(expression__when_frame_goes_on_behind_data_end__then_same_verdict_as_libpcap),
		cmocka_unit_test(sensor_program__when_expression_is_linked_in__then_drops_what_does_not_match),
		cmocka_unit_test(sensor_program__when_it_is_any_of_the_four__then_takes_an_expression),
		cmocka_unit_test(pairs__when_counted__then_as_many_as_asked_for),
	};
	const struct xdp_config config = { .fanout = 1 };

	rig_namespace(1);
	rig_probe(&config);
	packets_load();
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	packets_unload();
	return failed;
}
