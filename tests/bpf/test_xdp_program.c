/*
 * Verdict, counters, metadata and share of the XDP program, frame by frame through BPF_PROG_TEST_RUN. That one does not deliver
 * what is redirected, so a socket of any queue does for each slot of the XSKMAP; delivery is test_xdp_live.c's matter.
 */
#include <setjmp.h>
#include <time.h>

#include "bpf_rig.h"

#include <cmocka.h>

#include "parse_cases.h"
#include "receiver.h"

#define QUEUES    4
#define FRAME_MIN 14 /* BPF_PROG_TEST_RUN takes no shorter ones */
#define OUT_MAX   16384

/* What came of one frame. meta: what is in front of it now. */
struct run {
	uint32_t verdict;
	uint32_t meta_bytes;
	uint32_t frame_bytes;
	uint8_t out[OUT_MAX]; /* metadata and frame */
};

static struct xdp_config config_of(uint32_t fanout)
{
	return (struct xdp_config){ .fanout = fanout, .hash_seed = 0x5eed };
}

static void load(struct rig *rig, enum rig_variant variant, const struct xdp_config *config)
{
	assert_int_equal(rig_load(rig, variant, config, QUEUES, false), 0);
}

/* data: meta_bytes of metadata, then the frame. */
static int try_frame(
	const struct rig *rig, const uint8_t *data, uint32_t bytes, uint32_t meta_bytes, uint32_t queue, struct run *run)
{
	struct xdp_md in = { .data = meta_bytes, .data_end = bytes, .ingress_ifindex = rig->ifindex, .rx_queue_index = queue },
		      out = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = bytes, .data_out = run->out, .data_size_out = OUT_MAX,
		.ctx_in = &in, .ctx_size_in = sizeof(in), .ctx_out = &out, .ctx_size_out = sizeof(out), .repeat = 1);

	if (bpf_prog_test_run_opts(rig->program_fd, &opts))
		return -errno;
	run->verdict = opts.retval;
	run->meta_bytes = out.data;
	run->frame_bytes = opts.data_size_out - out.data;
	return 0;
}

static void run_frame(const struct rig *rig, const uint8_t *frame, uint32_t bytes, uint32_t queue, struct run *run)
{
	assert_int_equal(try_frame(rig, frame, bytes, 0, queue, run), 0);
}

static struct receiver receiver; /* one socket, bound to queue 0, for all slots */

static void place_fd(const struct rig *rig, uint32_t slot, int fd)
{
	assert_int_equal(bpf_map_update_elem(rig->xsks_fd, &slot, &fd, BPF_ANY), 0);
}

static void place_socket(const struct rig *rig, uint32_t slot)
{
	place_fd(rig, slot, xsk_socket__fd(receiver.socket[0]));
}

static void remove_socket(const struct rig *rig, uint32_t slot)
{
	assert_int_equal(bpf_map_delete_elem(rig->xsks_fd, &slot), 0);
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Of all verdicts only this one counted, and once for each packet. */
static void check_counted(const struct rig *rig, uint32_t queue, enum xdp_verdict verdict, uint64_t packets, uint64_t bytes)
{
	for (uint32_t q = 0; q < QUEUES; q++) {
		struct xdp_counters counters = rig_counters(rig, q);

		for (int v = 0; v < XDP_VERDICT_COUNT; v++) {
			bool here = q == queue && v == (int)verdict;
			assert_int_equal(counters.packets[v], here ? packets : 0);
			assert_int_equal(counters.bytes[v], here ? bytes : 0);
		}
		assert_int_equal(counters.meta_failed, 0);
	}
}

static void check_stamped(const struct run *run, const uint8_t *frame, uint32_t bytes, uint64_t from_ns, uint64_t to_ns)
{
	struct frame_meta meta;

	assert_int_equal(run->meta_bytes, sizeof(meta));
	assert_int_equal(run->frame_bytes, bytes);
	memcpy(&meta, run->out, sizeof(meta));
	assert_in_range(meta.ts_ns, from_ns, to_ns);
	assert_int_equal(meta.ts_kind, FRAME_TS_KTIME);
	assert_int_equal(meta.wire_len, 0);
	assert_int_equal(meta.vlan_tci, 0);
	assert_int_equal(meta.vlan_tpid, 0);
	assert_memory_equal(run->out + sizeof(meta), frame, bytes);
}

static void check_untouched(const struct run *run, const uint8_t *frame, uint32_t bytes)
{
	assert_int_equal(run->meta_bytes, 0);
	assert_int_equal(run->frame_bytes, bytes);
	assert_memory_equal(run->out, frame, bytes);
}

static const enum rig_variant UNBOUND[] = { RIG_PLAIN, RIG_FRAGS };

static void frame__when_queue_has_a_socket__then_captured_and_stamped(void **context)
{
	struct xdp_config config = config_of(1);
	struct run run;
	struct rig rig;

	(void)context;
	for (unsigned variant = 0; variant < 2; variant++) {
		for (uint32_t queue = 0; queue < QUEUES; queue++) {
			uint64_t bytes = 0;

			load(&rig, UNBOUND[variant], &config);
			place_socket(&rig, queue);
			for (size_t i = 0; i < CASES_COUNT; i++) {
				struct packet_builder b = case_build(&CASES[i], &THERE);
				uint64_t from_ns = monotonic_ns();

				run_frame(&rig, b.bytes, b.len, queue, &run);
				assert_int_equal(run.verdict, XDP_REDIRECT);
				check_stamped(&run, b.bytes, b.len, from_ns, monotonic_ns());
				bytes += b.len;
			}
			check_counted(&rig, queue, XDP_VERDICT_CAPTURED, CASES_COUNT, bytes);
			rig_unload(&rig);
		}
	}
}

static void frame__when_stamps_are_off__then_room_for_metadata_and_no_time(void **context)
{
	struct xdp_config config = config_of(1);
	struct packet_builder b = case_build(&CASES[0], &THERE);
	struct frame_meta meta;
	struct run run;
	struct rig rig;

	(void)context;
	config.unstamped = 1;
	load(&rig, RIG_PLAIN, &config);
	place_socket(&rig, 0);
	run_frame(&rig, b.bytes, b.len, 0, &run);
	assert_int_equal(run.verdict, XDP_REDIRECT);
	assert_int_equal(run.meta_bytes, sizeof(meta));
	memcpy(&meta, run.out, sizeof(meta));
	assert_int_equal(meta.ts_kind, FRAME_TS_BATCH);
	assert_int_equal(meta.ts_ns, 0);
	rig_unload(&rig);
}

static void frame__when_queue_has_no_socket__then_passed_untouched(void **context)
{
	struct xdp_config config = config_of(1);
	struct run run;
	struct rig rig;

	(void)context;
	for (unsigned variant = 0; variant < 2; variant++) {
		uint64_t bytes = 0;

		load(&rig, UNBOUND[variant], &config);
		place_socket(&rig, 0); /* of another queue */
		for (size_t i = 0; i < CASES_COUNT; i++) {
			struct packet_builder b = case_build(&CASES[i], &THERE);

			run_frame(&rig, b.bytes, b.len, 2, &run);
			assert_int_equal(run.verdict, XDP_PASS);
			check_untouched(&run, b.bytes, b.len);
			bytes += b.len;
		}
		check_counted(&rig, 2, XDP_VERDICT_NO_SOCKET, CASES_COUNT, bytes);
		rig_unload(&rig);
	}
}

static void frame__when_socket_closed__then_passed(void **context)
{
	struct xdp_config config = config_of(1);
	struct packet_builder b = case_build(&CASES[0], &THERE);
	struct receiver closing;
	struct run run;
	struct rig rig;

	(void)context;
	load(&rig, RIG_PLAIN, &config);
	receiver_open(&closing, 1, 1);
	place_fd(&rig, 1, xsk_socket__fd(closing.socket[0]));
	run_frame(&rig, b.bytes, b.len, 1, &run);
	assert_int_equal(run.verdict, XDP_REDIRECT);
	receiver_close(&closing);
	run_frame(&rig, b.bytes, b.len, 1, &run);
	assert_int_equal(run.verdict, XDP_PASS);
	struct xdp_counters counters = rig_counters(&rig, 1);
	assert_int_equal(counters.packets[XDP_VERDICT_CAPTURED], 1);
	assert_int_equal(counters.packets[XDP_VERDICT_NO_SOCKET], 1);
	rig_unload(&rig);
}

static void frame__when_queue_is_beyond_the_counters__then_passed_and_not_counted(void **context)
{
	struct xdp_config config = config_of(1);
	struct packet_builder b = case_build(&CASES[0], &THERE);
	struct run run;
	struct rig rig;

	(void)context;
	assert_int_equal(rig_load(&rig, RIG_PLAIN, &config, 2, false), 0);
	run_frame(&rig, b.bytes, b.len, 3, &run);
	assert_int_equal(run.verdict, XDP_PASS);
	check_untouched(&run, b.bytes, b.len);
	for (uint32_t queue = 0; queue < 2; queue++)
		assert_int_equal(rig_counters(&rig, queue).packets[XDP_VERDICT_NO_SOCKET], 0);
	rig_unload(&rig);
}

/* As much metadata in front of the frame as the kernel takes: 216 bytes on Linux 6.18, 32 on 6.1. */
static uint32_t fill_room(const struct rig *rig, const struct packet_builder *b, struct run *run)
{
	for (uint32_t room = 252; room; room -= 4) {
		uint8_t data[512] = { 0 };

		memcpy(data + room, b->bytes, b->len);
		if (try_frame(rig, data, room + b->len, room, 0, run) == 0)
			return room;
	}
	return 0;
}

static void frame__when_no_room_for_metadata__then_captured_without_and_counted(void **context)
{
	struct xdp_config config = config_of(1);
	struct packet_builder b = case_build(&CASES[0], &THERE);
	struct run run;
	struct rig rig;

	(void)context;
	load(&rig, RIG_PLAIN, &config);
	place_socket(&rig, 0);
	uint32_t room = fill_room(&rig, &b, &run);
	assert_true(room);
	assert_int_equal(run.verdict, XDP_REDIRECT);
	assert_int_equal(run.meta_bytes, room);
	struct xdp_counters counters = rig_counters(&rig, 0);
	assert_int_equal(counters.meta_failed, 1);
	assert_int_equal(counters.packets[XDP_VERDICT_CAPTURED], 1);
	assert_int_equal(counters.bytes[XDP_VERDICT_CAPTURED], b.len);
	rig_unload(&rig);
}

static void frame__when_longer_than_a_page__then_all_of_it_counted(void **context)
{
	struct xdp_config config = config_of(2);
	struct packet_builder b = pb_new();
	struct run run;
	struct rig rig;

	(void)context;
	build_tcp(&b, &THERE);
	pb_fill(&b, 9014 - b.len);
	pb_finish(&b);
	load(&rig, RIG_FRAGS, &config);
	place_socket(&rig, 0);
	place_socket(&rig, 1);
	uint64_t from_ns = monotonic_ns();
	run_frame(&rig, b.bytes, b.len, 0, &run);
	assert_int_equal(run.verdict, XDP_REDIRECT);
	check_stamped(&run, b.bytes, b.len, from_ns, monotonic_ns());
	check_counted(&rig, 0, XDP_VERDICT_CAPTURED, 1, 9014);
	rig_unload(&rig);
}

/* The slot of the host's opinion alone is filled: captured. All others are: not captured. */
static void check_share(const struct rig *rig, const struct packet_builder *b, uint32_t n, const struct xdp_config *config)
{
	uint32_t queue = n % QUEUES;
	struct parse parse;
	struct run run;

	parse_frame(&parse, b->bytes, b->bytes + n);
	uint32_t slot =
		queue * config->fanout + parse_share(parse_hash(&parse, config->share_by, config->hash_seed), config->fanout);
	place_socket(rig, slot);
	run_frame(rig, b->bytes, n, queue, &run);
	assert_int_equal(run.verdict, XDP_REDIRECT);
	remove_socket(rig, slot);
	for (uint32_t other = 0; other < QUEUES * config->fanout; other++) {
		if (other != slot)
			place_socket(rig, other);
	}
	run_frame(rig, b->bytes, n, queue, &run);
	assert_int_equal(run.verdict, XDP_PASS);
	for (uint32_t other = 0; other < QUEUES * config->fanout; other++) {
		if (other != slot)
			remove_socket(rig, other);
	}
}

static void share__when_frame_is_whole_or_cut__then_what_the_parser_says_on_the_host(void **context)
{
	struct rig rig;

	(void)context;
	for (uint32_t by = XDP_SHARE_TCP_PORTS; by <= XDP_SHARE_ADDRESSES; by++) {
		struct xdp_config config = { .fanout = 3 + by, .share_by = (uint8_t)by, .hash_seed = 0x123456789abcdef0 + by };

		load(&rig, UNBOUND[by % 2], &config);
		for (size_t i = 0; i < CASES_COUNT; i++) {
			struct packet_builder b = case_build(&CASES[i], &THERE);

			for (uint32_t n = FRAME_MIN; n <= b.len; n++)
				check_share(&rig, &b, n, &config);
		}
		rig_unload(&rig);
	}
}

/* Captured by one socket of four: the share of it, counted in the kernel. */
static void share__when_many_flows__then_even_and_the_same_in_both_directions(void **context)
{
	enum { FLOWS = 1000, FANOUT = 4 };
	struct xdp_config config = config_of(FANOUT);
	unsigned total = 0;
	struct run run;
	struct rig rig;

	(void)context;
	load(&rig, RIG_PLAIN, &config);
	for (uint32_t share = 0; share < FANOUT; share++) {
		unsigned caught = 0;

		place_socket(&rig, share);
		for (uint16_t i = 0; i < FLOWS; i++) {
			struct ends there = THERE, back = BACK;
			uint32_t verdict[2];

			there.src_port = back.dst_port = (uint16_t)(1024 + i);
			for (unsigned dir = 0; dir < 2; dir++) {
				struct packet_builder b = case_build(&CASES[0], dir ? &back : &there);
				run_frame(&rig, b.bytes, b.len, 0, &run);
				verdict[dir] = run.verdict;
			}
			assert_int_equal(verdict[0], verdict[1]);
			caught += verdict[0] == XDP_REDIRECT;
		}
		remove_socket(&rig, share);
		assert_in_range(caught, FLOWS / FANOUT * 8 / 10, FLOWS / FANOUT * 12 / 10);
		total += caught;
	}
	assert_int_equal(total, FLOWS);
	rig_unload(&rig);
}

/* What having four programs rests on, see the head of flowlane.bpf.c; what this kernel says of the other two is printed. */
static void kfuncs__when_not_bound_to_a_device__then_other_programs_load_all_the_same(void **context)
{
	struct xdp_config config = config_of(4);
	struct rig rig;

	(void)context;
	for (unsigned variant = RIG_PLAIN; variant <= RIG_HW_FRAGS; variant++) {
		int error = rig_load(&rig, variant, &config, QUEUES, false);

		print_message("variant %u, not bound: %d\n", variant, error);
		if (variant == RIG_PLAIN || variant == RIG_FRAGS)
			assert_int_equal(error, 0);
		rig_unload(&rig);
	}
}

static int open_receiver(void **context)
{
	(void)context;
	receiver_open(&receiver, 0, 1);
	return 0;
}

static int close_receiver(void **context)
{
	(void)context;
	receiver_close(&receiver);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame__when_queue_has_a_socket__then_captured_and_stamped),
		cmocka_unit_test(frame__when_stamps_are_off__then_room_for_metadata_and_no_time),
		cmocka_unit_test(frame__when_queue_has_no_socket__then_passed_untouched),
		cmocka_unit_test(frame__when_socket_closed__then_passed),
		cmocka_unit_test(frame__when_queue_is_beyond_the_counters__then_passed_and_not_counted),
		cmocka_unit_test(frame__when_no_room_for_metadata__then_captured_without_and_counted),
		cmocka_unit_test(frame__when_longer_than_a_page__then_all_of_it_counted),
		cmocka_unit_test(share__when_frame_is_whole_or_cut__then_what_the_parser_says_on_the_host),
		cmocka_unit_test(share__when_many_flows__then_even_and_the_same_in_both_directions),
		cmocka_unit_test(kfuncs__when_not_bound_to_a_device__then_other_programs_load_all_the_same),
	};
	struct xdp_config config = config_of(4);

	rig_namespace(QUEUES);
	rig_probe(&config);
	return cmocka_run_group_tests(tests, open_receiver, close_receiver);
}
