/*
 * The cutoff for files: which packets are counted instead of passed, and what the flow table is told of them. A flow has 1,000 bytes
 * here, and is another one after 10 s. Frames of less than 54 bytes are captured always: none is so short on a wire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cutoff_table.h"
#include "packet_builder.h"

#define S            ((uint64_t)1000000000)
#define CUTOFF_BYTES 1000
#define IDLE_NS      (10 * S)
#define CLIENT       "10.0.0.1"
#define SERVER       "10.0.0.2"

static struct cutoff_table *table_new(bool key_vlan)
{
	struct cutoff_table *table = NULL;

	assert_int_equal(cutoff_table_create(CUTOFF_BYTES, IDLE_NS, key_vlan, &table), 0);
	return table;
}

/* What a packet of this flow is: 0 sent by the client, 1 by the server. */
struct sent {
	uint8_t flags; /* TCP; 0: a datagram */
	bool back;
	uint64_t ts_ns;
	uint32_t bytes; /* of payload */
};

static enum cutoff_verdict look_at(struct cutoff_table *table, struct packet_builder *b, uint16_t link, uint64_t ts_ns)
{
	pb_finish(b);
	struct frame frame = pb_frame(b, link);
	frame.ts_ns = ts_ns;
	enum cutoff_verdict verdict = cutoff_table_look(table, &frame);
	pb_frame_free(&frame);
	return verdict;
}

static enum cutoff_verdict look(struct cutoff_table *table, struct sent sent)
{
	struct packet_builder b = pb_new();
	uint16_t from = sent.back ? 443 : 40000, to = sent.back ? 40000 : 443;

	pb_ethernet(&b, 0x0800);
	pb_ipv4(&b, sent.back ? SERVER : CLIENT, sent.back ? CLIENT : SERVER, sent.flags ? 6 : 17);
	if (sent.flags)
		pb_tcp(&b, from, to, 1, 1, sent.flags);
	else
		pb_udp(&b, from, to);
	pb_fill(&b, sent.bytes);
	return look_at(table, &b, LINK_ETHERNET, sent.ts_ns);
}

static struct flow_key key_of(uint8_t proto)
{
	struct flow_key key = { .a_port = 40000, .b_port = 443, .proto = proto, .ip_version = 4, .vlan = FLOW_VLAN_NONE };

	memcpy(key.a_ip + 12, "\x0a\0\0\x01", 4);
	memcpy(key.b_ip + 12, "\x0a\0\0\x02", 4);
	return key;
}

static struct cutoff_counts get(struct cutoff_table *table, uint8_t proto, bool take)
{
	struct flow_key key = key_of(proto);
	struct cutoff_counts counts = { 0 };

	if (!cutoff_table_get(table, &key, take, &counts))
		assert_memory_equal(&counts, &(struct cutoff_counts){ 0 }, sizeof(counts)); /* untouched */
	return counts;
}

/* The flow has its bytes: 1,014 with the headers. */
static void use_up(struct cutoff_table *table, uint8_t flags, uint64_t ts_ns)
{
	assert_int_equal(look(table, (struct sent){ flags, false, ts_ns, 960 }), CUTOFF_PASS);
	cutoff_table_round(table);
}

static void packets__when_flow_has_had_its_bytes__then_counted_by_direction(void **context)
{
	(void)context;
	struct cutoff_table *table = table_new(false);

	/* 42 of headers: 542, and the packet that reaches the cutoff still passes. */
	assert_int_equal(look(table, (struct sent){ 0, false, S, 500 }), CUTOFF_PASS);
	assert_int_equal(look(table, (struct sent){ 0, true, S, 458 }), CUTOFF_PASS);
	cutoff_table_round(table);
	assert_int_equal(look(table, (struct sent){ 0, true, 2 * S, 100 }), CUTOFF_COUNTED);
	assert_int_equal(look(table, (struct sent){ 0, false, 3 * S, 30 }), CUTOFF_COUNTED);
	assert_int_equal(look(table, (struct sent){ 0, false, 4 * S, 40 }), CUTOFF_COUNTED);
	struct cutoff_counts counts = get(table, 17, false);
	assert_int_equal(counts.packets[0], 2);
	assert_int_equal(counts.packets[1], 1);
	assert_int_equal(counts.bytes[0], 72 + 82);
	assert_int_equal(counts.bytes[1], 142);
	assert_int_equal(counts.l3_bytes[0], 58 + 68);
	assert_int_equal(counts.l3_bytes[1], 128);
	assert_int_equal(counts.last_ns[0], 4 * S);
	assert_int_equal(counts.last_ns[1], 2 * S);
	cutoff_table_destroy(table);
}

static void packets__when_one_byte_is_missing_to_the_cutoff__then_one_more_passes(void **context)
{
	(void)context;
	struct cutoff_table *table = table_new(false);

	assert_int_equal(
		look(table, (struct sent){ TCP_ACK, false, S, 1000 - 54 }), CUTOFF_PASS); /* another flow: none is missing */
	assert_int_equal(look(table, (struct sent){ 0, false, S, 999 - 42 }), CUTOFF_PASS);
	cutoff_table_round(table);
	assert_int_equal(look(table, (struct sent){ TCP_ACK, false, S, 0 }), CUTOFF_COUNTED);
	assert_int_equal(look(table, (struct sent){ 0, false, S, 20 }), CUTOFF_PASS);
	cutoff_table_round(table);
	assert_int_equal(look(table, (struct sent){ 0, false, S, 20 }), CUTOFF_COUNTED);
	cutoff_table_destroy(table);
}

static void packets__when_syn_fin_or_rst__then_never_counted(void **context)
{
	(void)context;
	static const uint8_t flags[] = { TCP_SYN, TCP_SYN | TCP_ACK, TCP_FIN | TCP_ACK, TCP_RST };
	struct cutoff_table *table = table_new(false);

	use_up(table, TCP_ACK, S);
	assert_int_equal(look(table, (struct sent){ TCP_ACK, true, S, 0 }), CUTOFF_COUNTED);
	for (unsigned i = 0; i < sizeof(flags); i++) {
		assert_int_equal(look(table, (struct sent){ flags[i], true, S, 0 }), CUTOFF_PASS);
		cutoff_table_round(table);
	}
	assert_int_equal(look(table, (struct sent){ TCP_ACK, true, S, 0 }), CUTOFF_COUNTED);
	assert_int_equal(get(table, 6, false).packets[1], 2);
	cutoff_table_destroy(table);
}

static void flow__when_nothing_was_counted_or_nothing_is_known_of_it__then_no_counts(void **context)
{
	(void)context;
	struct cutoff_table *table = table_new(false);
	struct flow_key key = key_of(6), in_tunnel = key_of(17);
	struct cutoff_counts counts;

	assert_false(cutoff_table_get(table, &key, false, &counts)); /* it has no place */
	assert_false(cutoff_table_get(table, &key, true, &counts));
	use_up(table, 0, S);
	in_tunnel.tunnel = 1;
	assert_false(cutoff_table_get(table, &in_tunnel, false, &counts));
	assert_int_equal(get(table, 17, false).packets[0], 0); /* it has one, and nothing was counted */
	assert_int_equal(look(table, (struct sent){ 0, false, S, 20 }), CUTOFF_COUNTED);
	assert_false(cutoff_table_get(table, &in_tunnel, false, &counts));
	assert_int_equal(get(table, 17, false).packets[0], 1);
	cutoff_table_destroy(table);
}

static void counts__when_taken__then_gone_and_when_looked_at_then_not(void **context)
{
	(void)context;
	struct cutoff_table *table = table_new(false);

	use_up(table, 0, S);
	assert_int_equal(look(table, (struct sent){ 0, false, S, 20 }), CUTOFF_COUNTED);
	assert_int_equal(get(table, 17, false).packets[0], 1);
	assert_int_equal(get(table, 17, true).packets[0], 1);
	assert_int_equal(get(table, 17, true).packets[0], 0);
	assert_int_equal(look(table, (struct sent){ 0, false, 2 * S, 20 }), CUTOFF_COUNTED);
	assert_int_equal(get(table, 17, true).packets[0], 1);
	cutoff_table_destroy(table);
}

static void flow__when_silent_for_longer_than_its_timeout__then_has_its_bytes_again(void **context)
{
	(void)context;
	struct cutoff_table *table = table_new(false);

	use_up(table, 0, S);
	assert_int_equal(look(table, (struct sent){ 0, false, S + IDLE_NS, 100 }), CUTOFF_COUNTED); /* to the nanosecond: not yet */
	assert_int_equal(look(table, (struct sent){ 0, false, S + 2 * IDLE_NS + 1, 100 }), CUTOFF_PASS);
	cutoff_table_round(table);
	assert_int_equal(look(table, (struct sent){ 0, false, S + 2 * IDLE_NS + 1, 857 }), CUTOFF_PASS);
	cutoff_table_round(table);
	/* What was counted before is there until the flow table has asked for it. */
	assert_int_equal(get(table, 17, true).packets[0], 1);
	assert_int_equal(look(table, (struct sent){ 0, false, S + 2 * IDLE_NS + 1, 100 }), CUTOFF_COUNTED);
	cutoff_table_destroy(table);
}

static void connection__when_opened_again_after_fin__then_has_its_bytes_again(void **context)
{
	(void)context;
	struct cutoff_table *table = table_new(false);

	use_up(table, TCP_ACK, S);
	assert_int_equal(look(table, (struct sent){ TCP_SYN, false, S, 0 }), CUTOFF_PASS); /* a SYN alone is none */
	cutoff_table_round(table);
	assert_int_equal(look(table, (struct sent){ TCP_ACK, false, S, 0 }), CUTOFF_COUNTED);
	assert_int_equal(look(table, (struct sent){ TCP_FIN | TCP_ACK, false, S, 0 }), CUTOFF_PASS);
	assert_int_equal(look(table, (struct sent){ TCP_SYN, false, S, 0 }), CUTOFF_PASS);
	cutoff_table_round(table);
	assert_int_equal(look(table, (struct sent){ TCP_ACK, false, S, 0 }), CUTOFF_PASS);
	cutoff_table_destroy(table);
}

/* What the flow table must see first: the packet before it in the same batch may begin another flow. */
static void packet__when_first_to_be_counted_behind_a_beginning__then_later(void **context)
{
	(void)context;
	struct cutoff_table *table = table_new(false);
	struct sent begin[] = {
		{ TCP_ACK, false, S, 960 },                   /* a new flow */
		{ TCP_SYN, false, S, 0 },                     /* a SYN, whatever it is to the flow table */
		{ TCP_ACK, false, S + IDLE_NS + 1 + S, 960 }, /* silence */
	};

	for (unsigned i = 0; i < sizeof(begin) / sizeof(begin[0]); i++) {
		struct sent next = { TCP_ACK, true, begin[i].ts_ns + 1, 7 };
		struct cutoff_counts before = get(table, 6, false);
		assert_int_equal(look(table, begin[i]), CUTOFF_PASS);
		assert_int_equal(look(table, next), CUTOFF_LATER);
		assert_int_equal(look(table, next), CUTOFF_LATER);
		struct cutoff_counts after = get(table, 6, false);
		assert_memory_equal(&after, &before, sizeof(after));
		cutoff_table_round(table);
		assert_int_equal(look(table, next), CUTOFF_COUNTED);
		assert_int_equal(look(table, next), CUTOFF_COUNTED);
	}
	cutoff_table_destroy(table);
}

/* Whoever is older than the flow's last packet passes: it may be the first by its time. */
static void flow__when_time_runs_back__then_passes_and_the_flow_goes_on(void **context)
{
	(void)context;
	struct cutoff_table *table = table_new(false);

	use_up(table, 0, 100 * S);
	assert_int_equal(look(table, (struct sent){ 0, false, 95 * S, 20 }), CUTOFF_PASS);
	assert_int_equal(look(table, (struct sent){ 0, false, 100 * S - 1, 20 }), CUTOFF_PASS);
	assert_int_equal(look(table, (struct sent){ 0, false, 100 * S, 20 }), CUTOFF_COUNTED);
	assert_int_equal(look(table, (struct sent){ 0, false, 105 * S, 20 }), CUTOFF_COUNTED); /* 5 s, not 10 */
	cutoff_table_destroy(table);
}

/* The lane's timers went by the other packet: they may have ended the flow, although its own packets follow each other closely. */
static void flow__when_others_have_moved_time_on_and_it_comes_back__then_has_its_bytes_again(void **context)
{
	(void)context;
	struct cutoff_table *table = table_new(false);

	use_up(table, 0, S);
	assert_int_equal(look(table, (struct sent){ 0, false, S, 20 }), CUTOFF_COUNTED);
	assert_int_equal(look(table, (struct sent){ TCP_ACK, false, S + IDLE_NS, 0 }), CUTOFF_PASS);
	assert_int_equal(look(table, (struct sent){ 0, false, S, 20 }), CUTOFF_COUNTED);
	struct packet_builder arp = pb_new();
	pb_ethernet(&arp, 0x0806);
	pb_zero(&arp, 28);
	assert_int_equal(look_at(table, &arp, LINK_ETHERNET, S + IDLE_NS + 1), CUTOFF_PASS);
	assert_int_equal(look(table, (struct sent){ 0, false, S, 20 }), CUTOFF_PASS);
	cutoff_table_destroy(table);
}

/* Frames that are captured whatever came before: none of them is like the decoder's plain packet. */
static void frame__when_not_plain__then_always_passes(void **context)
{
	(void)context;
	static const char *const names[] = { "IP options", "fragment", "tunnel's port", "two tags", "ICMP", "no Ethernet",
		"cut in TCP", "tag taken out" };
	struct cutoff_table *table = table_new(false);

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (unsigned times = 0; times < 5; times++) {
			struct packet_builder b = pb_new();
			if (i == 3) {
				pb_ethernet(&b, 0x88a8);
				pb_vlan(&b, 7, 0x8100);
				pb_vlan(&b, 8, 0x0800);
			} else {
				pb_ethernet(&b, 0x0800); /* no Ethernet: it only looks so */
			}
			if (i == 0)
				pb_ipv4_full(&b, CLIENT, SERVER, 17, 1, 0x4000, "\x01\x01\x01\x01", 4);
			else if (i == 1)
				pb_ipv4_fragment(&b, CLIENT, SERVER, 17, 1, 0, true);
			else
				pb_ipv4(&b, CLIENT, SERVER, i == 4 ? 1 : i == 6 ? 6 : 17);
			if (i == 4)
				pb_icmp(&b, 8, 0, 1, 1);
			else if (i == 6)
				pb_bytes(&b, "\x9c\x40\x01\xbb\0\0\0\1\0\0\0\1\x40\x10\0\0\0\0\0\0",
					20); /* 16 bytes long, it says */
			else
				pb_udp(&b, 40000, i == 2 ? 4789 : 443);
			pb_fill(&b, 700);
			pb_finish(&b);
			struct frame frame = pb_frame(&b, i == 5 ? LINK_RAW : LINK_ETHERNET);
			frame.vlan_tpid = i == 7 ? 0x8100 : 0;
			if (cutoff_table_look(table, &frame) != CUTOFF_PASS)
				fail_msg("%s: packet %u does not pass", names[i], times);
			pb_frame_free(&frame);
			cutoff_table_round(table);
		}
	}
	cutoff_table_destroy(table);
}

static void vlan__when_part_of_the_key__then_two_flows_else_one(void **context)
{
	(void)context;
	for (unsigned key_vlan = 0; key_vlan < 2; key_vlan++) {
		struct cutoff_table *table = table_new(key_vlan);
		enum cutoff_verdict verdict = CUTOFF_PASS;
		for (uint16_t vlan = 5; vlan < 7; vlan++) {
			struct packet_builder b = pb_new();
			pb_ethernet(&b, 0x8100);
			pb_vlan(&b, vlan, 0x86dd);
			pb_ipv6(&b, "2001:db8::1", "2001:db8::2", 17);
			pb_udp(&b, 1, 2);
			pb_fill(&b, 1000);
			verdict = look_at(table, &b, LINK_ETHERNET, S);
			cutoff_table_round(table);
		}
		assert_int_equal(verdict, key_vlan ? CUTOFF_PASS : CUTOFF_COUNTED);
		cutoff_table_destroy(table);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets__when_flow_has_had_its_bytes__then_counted_by_direction),
		cmocka_unit_test(packets__when_one_byte_is_missing_to_the_cutoff__then_one_more_passes),
		cmocka_unit_test(packets__when_syn_fin_or_rst__then_never_counted),
		cmocka_unit_test(flow__when_nothing_was_counted_or_nothing_is_known_of_it__then_no_counts),
		cmocka_unit_test(counts__when_taken__then_gone_and_when_looked_at_then_not),
		cmocka_unit_test(flow__when_silent_for_longer_than_its_timeout__then_has_its_bytes_again),
		cmocka_unit_test(connection__when_opened_again_after_fin__then_has_its_bytes_again),
		cmocka_unit_test(packet__when_first_to_be_counted_behind_a_beginning__then_later),
		cmocka_unit_test(flow__when_time_runs_back__then_passes_and_the_flow_goes_on),
		cmocka_unit_test(flow__when_others_have_moved_time_on_and_it_comes_back__then_has_its_bytes_again),
		cmocka_unit_test(frame__when_not_plain__then_always_passes),
		cmocka_unit_test(vlan__when_part_of_the_key__then_two_flows_else_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
