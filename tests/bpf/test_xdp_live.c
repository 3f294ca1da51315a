/*
 * The XDP program on a veth pair: frames go in at flt0, and must come out of the right socket of flt1's one queue, whole, in order
 * and with metadata in front. Native and generic mode; loaded for the device, with the driver's kfuncs.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <setjmp.h>
#include <time.h>

#include "bpf_rig.h"

#include <cmocka.h>

#include "parse_cases.h"
#include "receiver.h"

#define QUEUES    1
#define FANOUT    4
#define TAG_TCI   0x2064
#define TAG_PROTO 0x88a8

struct live {
	struct rig rig;
	struct receiver receiver;
	int link, sender;
	uint64_t sent_packets, sent_bytes;
};

struct received {
	struct frame_meta meta;
	uint32_t share, bytes;
	uint8_t data[RECEIVER_CHUNK];
};

static int sender_open(void)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("flt0") };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static struct xdp_config live_config(void)
{
	return (struct xdp_config){ .fanout = FANOUT, .hash_seed = 0x5eed };
}

static void live_open(struct live *live, enum rig_variant variant, const struct xdp_config *config, bool bound, uint32_t mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode);

	memset(live, 0, sizeof(*live));
	assert_int_equal(rig_load(&live->rig, variant, config, QUEUES, bound), 0);
	receiver_open(&live->receiver, 0, FANOUT);
	for (uint32_t share = 0; share < FANOUT; share++) {
		int fd = xsk_socket__fd(live->receiver.socket[share]);
		assert_int_equal(bpf_map_update_elem(live->rig.xsks_fd, &share, &fd, BPF_ANY), 0);
	}
	live->link = bpf_link_create(live->rig.program_fd, (int)live->rig.ifindex, BPF_XDP, &opts);
	assert_true(live->link >= 0);
	live->sender = sender_open();
}

static void live_close(struct live *live)
{
	close(live->sender);
	close(live->link);
	receiver_close(&live->receiver);
	rig_unload(&live->rig);
}

static void live_send(struct live *live, const struct packet_builder *b)
{
	assert_int_equal(send(live->sender, b->bytes, b->len, 0), b->len);
	live->sent_packets++;
	live->sent_bytes += b->len;
}

/* The next frame of any socket. */
static void live_receive(struct live *live, struct received *received)
{
	struct receiver *receiver = &live->receiver;
	struct pollfd fds[FANOUT];
	uint32_t at;

	for (unsigned share = 0; share < FANOUT; share++)
		fds[share] = (struct pollfd){ .fd = xsk_socket__fd(receiver->socket[share]), .events = POLLIN };
	assert_int_equal(poll(fds, FANOUT, RECEIVER_WAIT_MS), 1);
	for (unsigned share = 0; share < FANOUT; share++) {
		if (!xsk_ring_cons__peek(&receiver->rx[share], 1, &at))
			continue;
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&receiver->rx[share], at);
		const uint8_t *data = xsk_umem__get_data(receiver->area, desc->addr);

		assert_true(desc->len <= RECEIVER_CHUNK);
		memcpy(&received->meta, data - sizeof(received->meta), sizeof(received->meta));
		memcpy(received->data, data, desc->len);
		received->bytes = desc->len;
		received->share = share;
		xsk_ring_cons__release(&receiver->rx[share], 1);
		return;
	}
	fail_msg("poll() says there is a frame, and no ring has one");
}

/* All that was sent was captured, and no socket lost any. */
static void check_ledger(const struct live *live)
{
	struct xdp_counters counters = rig_counters(&live->rig, 0);

	assert_int_equal(counters.packets[XDP_VERDICT_CAPTURED], live->sent_packets);
	assert_int_equal(counters.bytes[XDP_VERDICT_CAPTURED], live->sent_bytes);
	assert_int_equal(counters.packets[XDP_VERDICT_FILTERED], 0);
	assert_int_equal(counters.packets[XDP_VERDICT_NO_SOCKET], 0);
	assert_int_equal(counters.meta_failed, 0);
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Each case's frame, both directions: into the share that the parser says, unchanged, stamped between sending and receiving. */
static void live_frames(struct live *live, const struct xdp_config *config)
{
	struct received received;

	for (size_t i = 0; i < 2 * CASES_COUNT; i++) {
		struct packet_builder b = case_build(&CASES[i / 2], i % 2 ? &BACK : &THERE);
		uint64_t from_ns = monotonic_ns();
		struct parse parse;

		live_send(live, &b);
		live_receive(live, &received);
		parse_frame(&parse, b.bytes, b.bytes + b.len);
		assert_int_equal(
			received.share, parse_share(parse_hash(&parse, config->share_by, config->hash_seed), config->fanout));
		assert_int_equal(received.bytes, b.len);
		assert_memory_equal(received.data, b.bytes, b.len);
		assert_int_equal(received.meta.ts_kind, FRAME_TS_KTIME);
		assert_in_range(received.meta.ts_ns, from_ns, monotonic_ns());
		assert_int_equal(received.meta.wire_len, 0);
		assert_int_equal(received.meta.vlan_tpid, 0);
	}
	check_ledger(live);
}

static void frame__when_sent_over_a_veth__then_in_its_socket_with_metadata(void **context)
{
	static const struct {
		const char *name;
		enum rig_variant variant;
		bool bound, hardware;
		uint32_t mode;
	} rows[] = {
		{ "plain, native", RIG_PLAIN, false, false, XDP_FLAGS_DRV_MODE },
		{ "plain, generic", RIG_PLAIN, false, false, XDP_FLAGS_SKB_MODE },
		{ "frags, native", RIG_FRAGS, false, false, XDP_FLAGS_DRV_MODE },
		{ "frags, generic", RIG_FRAGS, false, false, XDP_FLAGS_SKB_MODE },
		{ "loaded for the device, kfuncs not asked for", RIG_HW, true, false, XDP_FLAGS_DRV_MODE },
		/* veth says "success" and 0 for frames that no NIC stamped */
		{ "loaded for the device, kfuncs asked for", RIG_HW, true, true, XDP_FLAGS_DRV_MODE },
		{ "the same with frags", RIG_HW_FRAGS, true, true, XDP_FLAGS_DRV_MODE },
	};
	struct live live;

	(void)context;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xdp_config config = live_config();

		if (rows[i].bound && !rig_kernel_has("bpf_xdp_metadata_rx_timestamp")) {
			print_message("%s: SKIPPED, the kernel is older than 6.3\n", rows[i].name);
			continue;
		}
		print_message("%s\n", rows[i].name);
		config.hw_timestamp = config.hw_vlan = rows[i].hardware;
		live_open(&live, rows[i].variant, &config, rows[i].bound, rows[i].mode);
		live_frames(&live, &config);
		live_close(&live);
	}
}

/* At flt0's egress: a tag beside the frame, as a NIC that strips tags leaves it. */
static void push_tag_at_flt0(uint16_t proto, uint16_t tci)
{
	const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = htons(proto) },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = tci },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_push },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "push_tag", "GPL", program, sizeof(program) / sizeof(program[0]), NULL);
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex("flt0"), .attach_point = BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = fd);

	assert_true(fd >= 0);
	int error = bpf_tc_hook_create(&hook);
	if (error == -ENOENT || error == -EOPNOTSUPP) {
		print_message("SKIPPED, the kernel has no clsact qdisc\n");
		skip();
	}
	assert_true(error == 0 || error == -EEXIST);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
	close(fd);
}

static void pull_tag_at_flt0(void)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex("flt0"), .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	bpf_tc_hook_destroy(&hook);
}

static void tag__when_beside_the_frame__then_in_the_metadata(void **context)
{
	static const struct {
		uint16_t proto;
		uint8_t tpid;
	} rows[] = { { 0x8100, 1 }, { 0x88a8, 2 } };
	struct packet_builder b = case_build(&CASES[0], &THERE);
	struct xdp_config config = live_config();
	struct received received;
	struct live live;

	(void)context;
	if (!rig_kernel_has("bpf_xdp_metadata_rx_vlan_tag")) {
		print_message("SKIPPED, the kernel is older than 6.8\n");
		skip();
	}
	config.hw_vlan = 1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		push_tag_at_flt0(rows[i].proto, TAG_TCI);
		live_open(&live, RIG_HW, &config, true, XDP_FLAGS_DRV_MODE);
		live_send(&live, &b);
		live_receive(&live, &received);
		pull_tag_at_flt0();
		assert_int_equal(received.meta.vlan_tpid, rows[i].tpid);
		assert_int_equal(received.meta.vlan_tci, TAG_TCI);
		assert_int_equal(received.bytes, b.len);
		assert_memory_equal(received.data, b.bytes, b.len);
		check_ledger(&live);
		live_close(&live);
	}
}

/* Not captured: the host has the frame as it was sent. */
static void frame__when_there_is_no_socket__then_the_host_has_it(void **context)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex("flt1")
	};
	struct packet_builder b = case_build(&CASES[0], &THERE);
	struct xdp_config config = live_config();
	uint8_t data[RECEIVER_CHUNK];
	struct live live;

	(void)context;
	live_open(&live, RIG_PLAIN, &config, false, XDP_FLAGS_DRV_MODE);
	for (uint32_t share = 0; share < FANOUT; share++)
		assert_int_equal(bpf_map_delete_elem(live.rig.xsks_fd, &share), 0);
	int host = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	assert_int_equal(bind(host, (struct sockaddr *)&address, sizeof(address)), 0);
	live_send(&live, &b);
	struct pollfd fd = { .fd = host, .events = POLLIN };
	assert_int_equal(poll(&fd, 1, RECEIVER_WAIT_MS), 1);
	assert_int_equal(recv(host, data, sizeof(data), 0), b.len);
	assert_memory_equal(data, b.bytes, b.len);
	assert_int_equal(rig_counters(&live.rig, 0).packets[XDP_VERDICT_NO_SOCKET], 1);
	close(host);
	live_close(&live);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame__when_sent_over_a_veth__then_in_its_socket_with_metadata),
		cmocka_unit_test(tag__when_beside_the_frame__then_in_the_metadata),
		cmocka_unit_test(frame__when_there_is_no_socket__then_the_host_has_it),
	};
	struct xdp_config config = live_config();

	rig_namespace(QUEUES);
	rig_probe(&config);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
