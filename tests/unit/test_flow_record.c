/* Counting a packet into a flow, and the record that a flow becomes. */
#include "flow_builder.h"
#include "flow_record.h"
#include "rtt.h"

static const uint64_t START_NS = 1706123400 * NS_PER_SEC + 5;

/* In the n-th place, where something else was. */
static struct flow *flow_start_at(unsigned n, uint8_t old_flags, const struct flow_key *key, unsigned dir)
{
	bool is_tcp = key->proto == PROTO_TCP;
	struct flow *flow = flow_at_for(key->proto, n);
	struct made made;

	memset(flow, 0xa5, is_tcp ? sizeof(struct tcp_flow) : sizeof(*flow));
	memset(flow_cold_of(flow, is_tcp), 0xa5, is_tcp ? sizeof(struct tcp_cold) : sizeof(struct flow_cold));
	flow->flags = old_flags;
	made_set(&made, key, dir, START_NS);
	made.packet.tos = 0xb8;
	flow_init(flow, &made.packet);
	return flow;
}

static struct flow *flow_start(const struct flow_key *key, unsigned dir)
{
	return flow_start_at(0, 0, key, dir);
}

static void flow_count(struct flow *flow, const struct flow_key *key, unsigned dir, uint64_t ts_ns, uint32_t wire, uint32_t l3)
{
	struct made made;

	made_set(&made, key, dir, ts_ns);
	made.frame.wire_len = wire;
	made.packet.l3_len = l3;
	flow_update(flow, &made.packet);
}

static struct flow_record flow_result(const struct flow *flow)
{
	struct flow_record record;

	memset(&record, 0xa5, sizeof(record));
	flow_record_fill(&record, flow, FLOW_ALIVE, 99);
	return record;
}

static void key__when_a_flow_is_made_of_it__then_comes_out_the_same(void **context)
{
	(void)context;
	struct flow_key keys[] = {
		key_v4(PROTO_TCP, 0x01020304, 5, 0xfffefdfc, 65535),
		key_v4(PROTO_UDP, 0, 0, 0xffffffff, 0),
		key_v4(PROTO_ICMP, 0x0a000001, 77, 0x0a000001, 77),
		key_v4(255, 1, 2, 3, 4),
		key_v4(0, 1, 0, 3, 0),
		key_v6(PROTO_TCP, 1, 0xabcd, 2, 0x1234),
		key_v6(PROTO_ICMP6, 3, 128 << 8, 4, 128 << 8),
		key_v6(PROTO_UDP, 3, 1, 4, 2),
		key_v4(PROTO_UDP, 3, 1, 4, 2),
		key_v6(PROTO_UDP, 3, 1, 4, 2),
	};

	memset(keys[7].a_ip, 0xff, 16);
	memset(keys[7].b_ip, 0xff, 16);
	keys[8].vlan = 4095;
	keys[8].tunnel = 0xfffffffe;
	keys[9].vlan = 0;
	keys[9].tunnel = 1;
	for (unsigned i = 0; i < ROWS(keys); i++) {
		struct flow_key key;
		struct flow *flow = flow_start(&keys[i], 0);
		memset(&key, 0xa5, sizeof(key));
		flow_live_key(flow, &key);
		assert_memory_equal(&key, &keys[i], sizeof(key));
		struct flow_record record = flow_result(flow);
		assert_memory_equal(&record.key, &keys[i], sizeof(key));
		assert_int_equal(flow_proto(flow), keys[i].proto);
		assert_int_equal(flow_ip_version(flow), keys[i].ip_version);
	}
}

static void flow__when_just_made__then_all_else_is_zero(void **context)
{
	(void)context;
	for (unsigned tcp = 0; tcp < 2; tcp++) {
		struct flow_key key = key_v6(tcp ? PROTO_TCP : PROTO_UDP, 1, 2, 3, 4);
		struct flow_record want = {
			.key = key,
			.tcp_state = tcp ? TCP_STATE_UNKNOWN : TCP_STATE_NONE,
			.end = FLOW_ALIVE,
			.tos = 0xb8,
			.first_ns = START_NS,
			.last_ns = START_NS,
			.end_ns = 99,
			.first_dir = 1,
		};
		struct flow_record record = flow_result(flow_start(&key, 1));
		/* Padding, too: the spool writes records as they are. */
		assert_memory_equal(&record, &want, sizeof(record));
	}
}

/* The slot of another flow, and in the wheel: only that is kept. */
static void flow__when_made_in_a_used_slot__then_nothing_of_the_old_one_remains(void **context)
{
	(void)context;
	for (unsigned tcp = 0; tcp < 2; tcp++) {
		for (unsigned armed = 0; armed < 2; armed++) {
			struct flow_key key = key_v4(tcp ? PROTO_TCP : PROTO_UDP, 1, 2, 3, 4);
			struct flow *fresh = flow_start_at(0, 0, &key, 0);
			struct flow *used = flow_start_at(1, armed ? 0xff : 0xff & ~FLOW_ARMED, &key, 0);
			assert_int_equal(used->flags & FLOW_ARMED, armed ? FLOW_ARMED : 0);
			used->flags &= (uint8_t)~FLOW_ARMED;
			assert_memory_equal(used, fresh, tcp ? sizeof(struct tcp_flow) : sizeof(struct flow));
			/* Addresses are IPv6's; holes behind it are void by a flag, spilled samples by bits. */
			assert_memory_equal(&flow_cold(used)->first_ns, &flow_cold(fresh)->first_ns,
				(tcp ? offsetof(struct tcp_cold, spill) : sizeof(struct flow_cold)) -
					offsetof(struct flow_cold, first_ns));
		}
	}
}

static void counters__when_packets_come__then_by_direction(void **context)
{
	(void)context;
	struct flow_key key = key_v4(PROTO_UDP, 1, 2, 3, 4);
	struct flow *flow = flow_start(&key, 0);

	flow_count(flow, &key, 0, START_NS, 100, 86);
	flow_count(flow, &key, 0, START_NS + 10, 1514, 1500);
	flow_count(flow, &key, 1, START_NS + 20, 60, 28);   /* padded */
	flow_count(flow, &key, 1, START_NS + 30, 40, 40);   /* raw IP */
	flow_count(flow, &key, 1, START_NS + 40, 100, 200); /* says it was shorter than what is in it: no overhead */
	struct flow_record record = flow_result(flow);
	assert_int_equal(record.packets[0], 2);
	assert_int_equal(record.bytes[0], 1614);
	assert_int_equal(record.l3_bytes[0], 1586);
	assert_int_equal(record.packets[1], 3);
	assert_int_equal(record.bytes[1], 200);
	assert_int_equal(record.l3_bytes[1], 28 + 40 + 100);
	assert_int_equal(record.first_ns, START_NS);
	assert_int_equal(record.last_ns, START_NS + 40);
}

/* Up to a number, in one go or by packets, and on from there. */
static void counters__when_beyond_16_or_32_bits__then_carried(void **context)
{
	(void)context;
	static const struct {
		uint8_t proto;
		uint64_t packets;
		uint32_t wire, l3;
	} rows[] = {
		{ PROTO_TCP, UINT16_MAX - 2, 1018, 1000 },
		{ PROTO_UDP, UINT16_MAX - 2, 1018, 1000 },
		{ PROTO_TCP, UINT16_MAX + FLOW_PACKETS_CARRY - 2, 60, 28 },
		{ PROTO_TCP, UINT32_MAX - 1, 1018, 1000 },
		{ PROTO_UDP, UINT32_MAX - 1, 9018, 9000 },
		{ PROTO_UDP, ((uint64_t)1 << 39) + 77, 1514, 1400 },
		{ PROTO_TCP, ((uint64_t)1 << 39) + 77, 60000, 59500 },
		{ PROTO_TCP, 0, 9018, 9018 },
	};

	for (unsigned i = 0; i < 2 * ROWS(rows); i++) {
		unsigned dir = i & 1, r = i / 2;
		struct flow_key key = key_v4(rows[r].proto, 1, 2, 3, 4);
		struct flow *flow = flow_start(&key, 0);
		const uint64_t packets = rows[r].packets;
		const uint32_t overhead = rows[r].wire - rows[r].l3;
		flow_add(flow, dir, packets, packets * rows[r].wire, packets * overhead);
		for (unsigned k = 1; k <= 5; k++) {
			flow_count(flow, &key, dir, START_NS, rows[r].wire, rows[r].l3);
			struct flow_record record = flow_result(flow);
			assert_int_equal(record.packets[dir], packets + k);
			assert_int_equal(record.bytes[dir], (packets + k) * rows[r].wire);
			assert_int_equal(record.l3_bytes[dir], (packets + k) * rows[r].l3);
			assert_int_equal(record.packets[!dir], 0);
			assert_int_equal(record.bytes[!dir], 0);
			assert_int_equal(record.l3_bytes[!dir], 0);
		}
		flow_add(flow, dir, 0, 0, 0);
		assert_int_equal(flow_result(flow).packets[dir], packets + 5);
	}
}

/* What detectors ask of the flow itself: is there one, is it the 64th, is it one of the first. */
static void packets__when_counted_one_by_one__then_what_the_flow_says_without_its_cold_part_is_right(void **context)
{
	(void)context;
	struct flow_key key = key_v4(PROTO_TCP, 1, 2, 3, 4);
	struct flow *flow = flow_start(&key, 0);
	uint64_t bytes = 0;

	for (uint32_t n = 1; n <= 3 * 65536 + 10; n++) {
		uint32_t wire = n % 3 ? 1514 : 70000 * (n % 2); /* some with more overhead than 16 bits hold */
		flow_count(flow, &key, 1, START_NS, wire, 40);
		bytes += wire;
		assert_int_equal(flow->packets[1] % 64, n % 64);
		assert_true(flow->packets[1] > 0);
		assert_true(n < FLOW_PACKETS_EXACT ? flow->packets[1] == n : flow->packets[1] >= FLOW_PACKETS_EXACT);
		assert_int_equal(flow_packets(flow, 1), n);
	}
	assert_int_equal(flow_bytes(flow, 1), bytes);
	assert_int_equal(flow_bytes(flow, 1) - flow_overhead(flow, 1), flow_result(flow).l3_bytes[1]);
}

static void times__when_out_of_order__then_first_is_the_least_and_last_the_greatest(void **context)
{
	(void)context;
	static const struct {
		const char *name;
		int64_t at[4];
		int64_t first, last;
	} rows[] = {
		{ "in order", { 0, 1, 2, 3 }, 0, 3 },
		{ "the same", { 0, 0, 0, 0 }, 0, 0 },
		{ "back, not before the first", { 0, 5, 3, 4 }, 0, 5 },
		{ "back before the first", { 0, 5, -3, 4 }, -3, 5 },
		{ "backwards", { 0, -1, -2, -3 }, -3, 0 },
	};

	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct flow_key key = key_v4(PROTO_UDP, 1, 2, 3, 4);
		struct flow *flow = flow_start(&key, 0);
		for (unsigned k = 0; k < 4; k++)
			flow_count(flow, &key, k & 1, START_NS + (uint64_t)rows[i].at[k], 100, 86);
		struct flow_record record = flow_result(flow);
		if (record.first_ns != START_NS + (uint64_t)rows[i].first || record.last_ns != START_NS + (uint64_t)rows[i].last)
			fail_msg("%s", rows[i].name);
	}
}

static void record__of_a_tcp_flow__then_all_that_tcp_knows(void **context)
{
	(void)context;
	static const struct tcp_step steps[TCP_STEPS] = { HANDSHAKE, { A, PSH, 1001, 5001, 100, WIN, 30000 },
		{ A, PSH, 1201, 5001, 100, WIN, 30100 }, { A, PSH, 1101, 5001, 100, WIN, 30200 },
		{ A, PSH, 1001, 5001, 100, WIN, 330000 }, { B, FIN, 5001, 1301, 0, WIN, 340000 },
		{ A, FIN, 1301, 5002, 0, WIN, 350000 } };

	for (unsigned setting = 0; setting < 2; setting++) {
		struct tcp_rig rig;
		struct flow_record record;
		tcp_rig_start(&rig, &tcp_settings[setting]);
		tcp_play(&rig, steps);
		flow_record_fill(&record, &rig.tcp->flow, FLOW_END_REUSE, 12345);
		unsigned a = setting, b = !setting;
		assert_int_equal(record.tcp_state, TCP_STATE_CLOSED);
		assert_int_equal(record.client, setting ? CLIENT_B_TO_A : CLIENT_A_TO_B);
		assert_int_equal(record.end, FLOW_END_REUSE);
		assert_int_equal(record.end_ns, 12345);
		assert_int_equal(record.first_dir, a);
		assert_int_equal(record.packets[a], 7);
		assert_int_equal(record.packets[b], 2);
		assert_int_equal(record.l3_bytes[a], 7 * 40 + 4 * 100);
		assert_int_equal(record.bytes[b], 2 * 54);
		assert_int_equal(record.retransmissions, 1);
		assert_int_equal(record.out_of_order, 1);
		assert_int_equal(record.tcp_flags[a], TCP_SYN | TCP_ACK | TCP_PSH | TCP_FIN);
		assert_int_equal(record.tcp_flags[b], TCP_SYN | TCP_ACK | TCP_FIN);
		assert_int_equal(record.rtt.samples, 3);
		assert_int_equal(record.rtt.last, TICKS_US(10000));
		assert_int_equal(record.rtt.min, TICKS_US(5000));
		assert_int_equal(record.leg[RTT_TO_SERVER].samples, 1);
		assert_int_equal(record.leg[RTT_TO_CLIENT].samples, 2);
		assert_int_equal(record.leg[RTT_TO_CLIENT].ewma, rtt_ewma(TICKS_US(5000), TICKS_US(10000)));
		assert_int_equal(record.cut_off, 0);
		assert_int_equal(record.sample, 0);
	}
}

/* For them the members that are TCP's in a TCP flow hold something else. */
static void record__of_another_flow__then_nothing_of_tcp(void **context)
{
	(void)context;
	struct flow_key key = key_v4(PROTO_UDP, 1, 53, 3, 4000);
	struct flow *flow = flow_start(&key, 0);

	flow->pending_tick = 0xffffffff;
	flow->app_id = 0xffff;
	flow->flags |= FLOW_APP_PENDING | FLOW_QUIC | FLOW_SPIN;
	rtt_add(&flow->rtt, 1000);
	rtt_add(&flow->rtt, 200);
	struct flow_record record = flow_result(flow);
	assert_int_equal(record.tcp_state, TCP_STATE_NONE);
	assert_int_equal(record.client, CLIENT_UNKNOWN);
	assert_memory_equal(record.tcp_flags, "\0\0", 2);
	assert_int_equal(record.retransmissions, 0);
	assert_int_equal(record.first_dir, 0);
	assert_int_equal(record.rtt.samples, 2);
	assert_int_equal(record.rtt.last, 200);
	assert_int_equal(record.rtt.min, 200);
	assert_int_equal(record.rtt.ewma, 900);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key__when_a_flow_is_made_of_it__then_comes_out_the_same),
		cmocka_unit_test(flow__when_just_made__then_all_else_is_zero),
		cmocka_unit_test(flow__when_made_in_a_used_slot__then_nothing_of_the_old_one_remains),
		cmocka_unit_test(counters__when_packets_come__then_by_direction),
		cmocka_unit_test(counters__when_beyond_16_or_32_bits__then_carried),
		cmocka_unit_test(packets__when_counted_one_by_one__then_what_the_flow_says_without_its_cold_part_is_right),
		cmocka_unit_test(times__when_out_of_order__then_first_is_the_least_and_last_the_greatest),
		cmocka_unit_test(record__of_a_tcp_flow__then_all_that_tcp_knows),
		cmocka_unit_test(record__of_another_flow__then_nothing_of_tcp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
