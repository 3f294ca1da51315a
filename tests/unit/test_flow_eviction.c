/* When the flow table is full: who leaves, and that neither a flow nor a packet is lost without a record. */
#include "flow_bucket.h"
#include "flow_table_rig.h"

#define PAIR (2 * BUCKET_SLOTS) /* what the two buckets of a hash hold */

static struct flow_key key_of(uint8_t proto, uint32_t n)
{
	return key_v4(proto, n, 1000, 0x0b000000, 2000);
}

static void set_state(struct flow *flow, enum tcp_state state)
{
	((struct tcp_flow *)flow)->state = (uint8_t)state;
}

static void table__when_full__then_the_least_recently_used_leaves(void **context)
{
	(void)context;
	/* All in one pair of buckets. Either the pair is full, or the table. */
	static const uint32_t sizes[] = { PAIR, PAIR - 5, 3, 1000 };

	for (unsigned i = 0; i < ROWS(sizes); i++) {
		uint32_t fit = sizes[i] < PAIR ? sizes[i] : PAIR;
		struct flow_key key = key_of(PROTO_UDP, 0);
		struct table_rig rig;
		table_rig_open_seeded(&rig, sizes[i], 3600 * SEC, seed_that_collides(&key));
		for (uint32_t n = 0; n < fit; n++) {
			key = key_of(PROTO_UDP, n);
			table_rig_touch(&rig, &key, 0, T0 + n * SEC);
		}
		/* All but number 1 are used again. */
		for (uint32_t n = 0; n < fit; n++) {
			key = key_of(PROTO_UDP, n);
			if (n != 1)
				table_rig_touch(&rig, &key, 1, T0 + (100 + n) * SEC);
		}
		assert_int_equal(rig.ledger.flows_created, fit);
		key = key_of(PROTO_UDP, 500);
		table_rig_touch(&rig, &key, 0, T0 + 200 * SEC);
		assert_int_equal(rig.ledger.flows_alive, fit);
		assert_int_equal(rig.ledger.flows_ended[FLOW_END_EVICTION], 1);
		key = key_of(PROTO_UDP, 501);
		table_rig_touch(&rig, &key, 0, T0 + 201 * SEC);
		table_rig_drain(&rig);
		/* The first two that left: 1, then 0. */
		for (uint32_t n = 0; n < 2; n++) {
			key = key_of(PROTO_UDP, n);
			const struct flow_record *record = table_rig_record(&rig, &key);
			assert_int_equal(record->end, FLOW_END_EVICTION);
			assert_int_equal(record->end_ns, T0 + (n == 1 ? 200 : 201) * SEC);
			assert_int_equal(record->last_ns, n == 1 ? T0 + SEC : T0 + 100 * SEC);
		}
		assert_int_equal(table_rig_packets(&rig), 2 * fit - 1 + 2);
		table_rig_close(&rig);
	}
}

/* Whichever buckets a hash leads to, they are two: so many flows of one hash fit, also in a table of few buckets. */
static void pair__whatever_the_hash__then_two_buckets(void **context)
{
	(void)context;
	for (uint64_t i = 1; i <= 300; i++) {
		struct flow_key key = key_of(PROTO_UDP, 0);
		struct hash_seed seed = seed_that_collides(&key);
		struct table_rig rig;
		seed.s[2] += i * 0x9e3779b97f4a7c15;
		table_rig_open_seeded(&rig, PAIR + i % 5, 3600 * SEC, seed);
		for (uint32_t n = 0; n < PAIR; n++) {
			key = key_of(PROTO_UDP, n);
			table_rig_touch(&rig, &key, 0, T0 + n);
		}
		assert_int_equal(rig.ledger.flows_alive, PAIR);
		table_rig_close(&rig);
	}
}

/* A pair of buckets full of established flows, and the youngest of them in another state. */
static void table__when_full__then_half_open_and_closed_flows_leave_first(void **context)
{
	(void)context;
	static const struct {
		enum tcp_state state;
		bool leaves;
	} rows[] = { { TCP_STATE_UNKNOWN, false }, { TCP_STATE_SYN_SENT, true }, { TCP_STATE_SYN_ACK, true },
		{ TCP_STATE_ESTABLISHED, false }, { TCP_STATE_FIN_WAIT, false }, { TCP_STATE_CLOSED, true },
		{ TCP_STATE_RESET, true } };

	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct flow_key key = key_of(PROTO_TCP, 0);
		struct table_rig rig;
		table_rig_open_seeded(&rig, PAIR, 3600 * SEC, seed_that_collides(&key));
		for (uint32_t n = 0; n < PAIR; n++) {
			key = key_of(PROTO_TCP, n);
			struct flow *flow = table_rig_touch(&rig, &key, 0, T0 + n * SEC);
			set_state(flow, n == PAIR - 1 ? rows[i].state : TCP_STATE_ESTABLISHED);
		}
		key = key_of(PROTO_TCP, 500);
		table_rig_touch(&rig, &key, 0, T0 + 100 * SEC);
		table_rig_drain(&rig);
		key = key_of(PROTO_TCP, rows[i].leaves ? PAIR - 1 : 0);
		if (table_rig_record(&rig, &key)->end != FLOW_END_EVICTION)
			fail_msg("state %s: the wrong one left", tcp_state_name(rows[i].state));
		assert_int_equal(rig.ledger.flows_ended[FLOW_END_EVICTION], 1);
		table_rig_close(&rig);
	}
}

static void table__when_full_of_half_open_flows__then_the_oldest_of_them_leaves(void **context)
{
	(void)context;
	struct flow_key key = key_of(PROTO_TCP, 0);
	struct table_rig rig;

	table_rig_open_seeded(&rig, PAIR, 3600 * SEC, seed_that_collides(&key));
	for (uint32_t n = 0; n < PAIR; n++) {
		key = key_of(PROTO_TCP, n);
		set_state(table_rig_touch(&rig, &key, 0, T0 + (n == 5 ? 0 : n + 1) * SEC),
			n ? TCP_STATE_SYN_SENT : TCP_STATE_ESTABLISHED);
	}
	/* One after the other; established number 0 stays to the last. */
	for (uint32_t n = 0; n < PAIR - 1; n++) {
		key = key_of(PROTO_TCP, 500 + n);
		set_state(table_rig_touch(&rig, &key, 0, T0 + (100 + n) * SEC), TCP_STATE_ESTABLISHED);
	}
	table_rig_drain(&rig);
	assert_int_equal(rig.ledger.flows_ended[FLOW_END_EVICTION], PAIR - 1);
	key = key_of(PROTO_TCP, 0);
	assert_int_equal(table_rig_record(&rig, &key)->end, FLOW_ALIVE);
	key = key_of(PROTO_TCP, 5);
	assert_int_equal(table_rig_record(&rig, &key)->end_ns, T0 + 100 * SEC);
	table_rig_close(&rig);
}

/* 1,000 established flows, and 50 times as many SYNs as the table has room for: all that leave are half-open. */
static void table__when_flooded_with_half_open_flows__then_no_established_one_leaves(void **context)
{
	enum { ROOM = 4000, REAL = 1000 };
	struct table_rig rig;

	(void)context;
	table_rig_open(&rig, ROOM, 3600 * SEC);
	for (uint32_t n = 0; n < REAL; n++) {
		struct flow_key key = key_of(PROTO_TCP, n);
		set_state(table_rig_touch(&rig, &key, 0, T0 + n), TCP_STATE_ESTABLISHED);
	}
	for (uint32_t n = REAL; n < 50 * ROOM; n++) {
		struct flow_key key = key_of(PROTO_TCP, n);
		set_state(table_rig_touch(&rig, &key, 0, T0 + n), TCP_STATE_SYN_SENT);
	}
	assert_true(rig.ledger.flows_ended[FLOW_END_EVICTION] > 40 * ROOM);
	table_rig_drain(&rig);
	for (uint32_t n = 0; n < REAL; n++) {
		struct flow_key key = key_of(PROTO_TCP, n);
		if (table_rig_record(&rig, &key)->end != FLOW_ALIVE)
			fail_msg("established flow %u was pushed out", n);
	}
	table_rig_close(&rig);
}

/* The slot of a flow that left is still in the wheel when it becomes another flow's. */
static void slot__when_reused_while_in_the_wheel__then_the_new_flow_has_its_own_time(void **context)
{
	(void)context;
	for (unsigned tcp = 0; tcp < 2; tcp++) {
		uint8_t proto = tcp ? PROTO_TCP : PROTO_UDP;
		struct flow_key one = key_of(proto, 1), two = key_of(proto, 2);
		struct table_rig rig;
		table_rig_open(&rig, 1, 60 * SEC);
		struct flow *flow = table_rig_touch(&rig, &one, 0, T0);
		assert_ptr_equal(table_rig_touch(&rig, &two, 0, T0 + 30 * SEC), flow);
		table_rig_tick(&rig, T0 + 61 * SEC);
		assert_int_equal(rig.ledger.flows_alive, 1);
		table_rig_tick(&rig, T0 + 90 * SEC);
		assert_int_equal(rig.ledger.flows_alive, 1);
		table_rig_tick(&rig, T0 + 91 * SEC);
		assert_int_equal(rig.ledger.flows_alive, 0);
		assert_int_equal(table_rig_record(&rig, &one)->end, FLOW_END_EVICTION);
		assert_int_equal(table_rig_record(&rig, &two)->end_ns, T0 + 90 * SEC);
		table_rig_close(&rig);
	}
}

/* A slot that is in the wheel, free, and comes to its time; then used again. */
static void slot__when_it_comes_up_while_free__then_armed_again_with_the_next_flow(void **context)
{
	(void)context;
	struct flow_key udp = key_of(PROTO_UDP, 1), tcp = key_of(PROTO_TCP, 2), next = key_of(PROTO_UDP, 3);
	struct table_rig rig;

	table_rig_open(&rig, 1, 60 * SEC);
	table_rig_touch(&rig, &udp, 0, T0);
	table_rig_touch(&rig, &tcp, 0, T0 + 10 * SEC); /* takes a slot of the other slab: that of udp stays free, in the wheel */
	table_rig_tick(&rig, T0 + 65 * SEC);
	assert_int_equal(rig.ledger.flows_alive, 1);
	table_rig_touch(&rig, &next, 0, T0 + 66 * SEC);
	table_rig_tick(&rig, T0 + 126 * SEC);
	assert_int_equal(rig.ledger.flows_alive, 1);
	table_rig_tick(&rig, T0 + 127 * SEC);
	assert_int_equal(rig.ledger.flows_alive, 0);
	assert_int_equal(table_rig_record(&rig, &next)->end_ns, T0 + 126 * SEC);
	assert_int_equal(table_rig_record(&rig, &next)->end, FLOW_END_TIMEOUT);
	table_rig_close(&rig);
}

/* A flood of SYNs: with more than 7/8 of the table in use half-open flows leave after 5 s, the others do not. */
static void pressure__when_the_table_is_nearly_full__then_half_open_flows_leave_after_5_s(void **context)
{
	(void)context;
	enum { MAX = 800, REAL = 300 };
	static const uint32_t floods[] = { 300, 500 };

	for (unsigned i = 0; i < ROWS(floods); i++) {
		bool pressure = REAL + floods[i] > MAX / 8 * 7;
		struct table_rig rig;
		struct flow_key key;
		table_rig_open(&rig, MAX, 60 * SEC);
		for (uint32_t n = 0; n < REAL; n++) {
			/* They began with a SYN, so the wheel looks at them early as well. */
			struct made made;
			key = key_of(PROTO_TCP, n);
			table_rig_packet(&rig, &made, &key, 0, T0);
			made.packet.tcp_flags = TCP_SYN;
			set_state(table_rig_feed(&rig, &made), TCP_STATE_ESTABLISHED);
		}
		for (uint32_t n = 0; n < floods[i]; n++) {
			struct made made;
			key = key_of(PROTO_TCP, 10000 + n);
			table_rig_packet(&rig, &made, &key, 0, T0 + SEC);
			made.packet.tcp_flags = TCP_SYN;
			set_state(table_rig_feed(&rig, &made), TCP_STATE_SYN_SENT);
		}
		uint64_t evicted = rig.ledger.flows_ended[FLOW_END_EVICTION];
		assert_in_range(evicted, 0, 3);
		table_rig_tick(&rig, T0 + 6 * SEC);
		assert_int_equal(rig.ledger.flows_ended[FLOW_END_TIMEOUT], 0);
		table_rig_tick(&rig, T0 + 7 * SEC);
		if (pressure) {
			assert_true(rig.ledger.flows_ended[FLOW_END_TIMEOUT] > 0);
			assert_true(rig.ledger.flows_alive <= MAX / 8 * 7);
		} else {
			assert_int_equal(rig.ledger.flows_ended[FLOW_END_TIMEOUT], 0);
		}
		for (size_t k = evicted; k < rig.count; k++) {
			assert_int_equal(rig.records[k].end, FLOW_END_TIMEOUT);
			assert_int_equal(rig.records[k].tcp_state, TCP_STATE_SYN_SENT);
			assert_int_equal(rig.records[k].end_ns, T0 + 6 * SEC);
		}
		table_rig_close(&rig);
	}
}

static struct flow_key random_key(uint32_t n)
{
	static const uint8_t protos[] = { PROTO_TCP, PROTO_UDP, PROTO_TCP, PROTO_ICMP };

	return n & 4 ? key_v6(protos[n & 3], n, 1000, 0x0b000000, 2000) : key_of(protos[n & 3], n);
}

/* Any order of packets: never more than max_flows, each packet in one record, and what was just counted is found again. */
static void table__after_random_packets__then_bounded_and_nothing_lost(void **context)
{
	(void)context;
	static const struct {
		uint32_t max_flows, bound, keys, packets;
	} rows[] = { { 0, 1, 10, 5000 }, { 1, 1, 10, 5000 }, { 2, 2, 10, 10000 }, { 7, 7, 40, 20000 }, { 8, 8, 9, 20000 },
		{ 1000, 1000, 20000, 100000 }, { 1000, 1000, 1001, 100000 } };
	uint64_t random = 5;

	for (unsigned i = 0; i < ROWS(rows); i++) {
		uint64_t now_ns = T0;
		struct table_rig rig;
		table_rig_open(&rig, rows[i].max_flows, 20 * SEC);
		for (uint32_t n = 0; n < rows[i].packets; n++) {
			struct flow_key key = random_key(random_below(&random, rows[i].keys));
			struct made made;
			struct flow *match;
			const struct packet *packet = &made.packet;
			now_ns += random_below(&random, 1000) ? random_u64(&random) % (60 * SEC / rows[i].bound) : 300 * SEC;
			struct flow *flow = table_rig_touch(&rig, &key, n & 1, now_ns);
			if (key.proto == PROTO_TCP)
				set_state(flow, TCP_STATE_UNKNOWN + random_below(&random, 7));
			assert_in_range(rig.ledger.flows_alive, 1, rows[i].bound);
			/* Found again: by the match, or in its second bucket. */
			table_rig_packet(&rig, &made, &key, 0, now_ns);
			flow_table_match(rig.table, &packet, 1, &match);
			assert_ptr_equal(match == flow ? match : flow_table_get(rig.table, packet), flow);
		}
		table_rig_drain(&rig);
		assert_int_equal(table_rig_packets(&rig), rows[i].packets);
		table_rig_close(&rig);
	}
}

/* 20 times as many flows as there is room for, none comes back: the table stays full, and all but that many are evicted. */
static void table__when_flooded__then_stays_nearly_full(void **context)
{
	(void)context;
	enum { MAX = 5000 };
	struct table_rig rig;

	table_rig_open(&rig, MAX, 3600 * SEC);
	for (uint32_t n = 0; n < 20 * MAX; n++) {
		struct flow_key key = random_key(n);
		table_rig_touch(&rig, &key, 0, T0 + n);
		assert_in_range(rig.ledger.flows_alive, 1, MAX);
	}
	assert_int_equal(rig.ledger.flows_created, 20 * MAX);
	assert_true(rig.ledger.flows_alive > MAX - MAX / 50);
	/* Nobody leaves that has just come: the age at eviction is about the size of the table. */
	uint64_t age = 0;
	for (size_t i = 0; i < rig.count; i++)
		age += rig.records[i].end_ns - rig.records[i].last_ns;
	assert_true(age / rig.count > MAX / 2);
	table_rig_close(&rig);
}

static void sizes__for_a_million_flows__then_within_the_promise(void **context)
{
	(void)context;
	struct flow_table_sizes sizes;
	const uint32_t flows = 1000000;

	flow_table_sizes(flows, &sizes);
	uint64_t shared = (sizes.bucket_bytes + sizes.timer_bytes) / flows;
	assert_in_range(shared + sizeof(struct tcp_flow) + sizeof(struct tcp_cold), 1, 400);
	assert_in_range(shared + sizeof(struct flow) + sizeof(struct flow_cold), 1, 200);
	/* Whole blocks. */
	const uint64_t entries =
		flows * (uint64_t)(sizeof(struct tcp_block) / FLOW_BLOCK_TCP + sizeof(struct other_block) / FLOW_BLOCK_OTHERS);
	assert_in_range(sizes.slab_bytes, entries, entries + 3 * FLOW_BLOCK_BYTES);
}

/* 8 tags compared at once, and the values that such code gets wrong. */
static void tags__when_compared__then_one_bit_each(void **context)
{
	(void)context;
	static const uint16_t values[] = { 0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0x8001, 0xff00, 0xff80, 0xffff };
	uint64_t random = 9;

	for (unsigned round = 0; round < 20000; round++) {
		struct bucket bucket = { 0 };
		uint16_t tag = values[random_below(&random, ROWS(values))];
		unsigned want = 0;
		for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
			bucket.tags[i] = values[random_below(&random, ROWS(values))];
			bucket.slots[i] = (uint32_t)random_u64(&random);
			want |= (unsigned)(bucket.tags[i] == tag) << i;
		}
		assert_int_equal(bucket_tags(&bucket, tag), want);
	}
	assert_int_equal(hash_tag(0xffff0000ffffffff), 1); /* 0 means free */
	assert_int_equal(hash_tag(0x0000123400000000), 0x1235);
	assert_int_equal(hash_tag(0x0000123500000000), 0x1235);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table__when_full__then_the_least_recently_used_leaves),
		cmocka_unit_test(pair__whatever_the_hash__then_two_buckets),
		cmocka_unit_test(table__when_full__then_half_open_and_closed_flows_leave_first),
		cmocka_unit_test(table__when_full_of_half_open_flows__then_the_oldest_of_them_leaves),
		cmocka_unit_test(table__when_flooded_with_half_open_flows__then_no_established_one_leaves),
		cmocka_unit_test(slot__when_reused_while_in_the_wheel__then_the_new_flow_has_its_own_time),
		cmocka_unit_test(slot__when_it_comes_up_while_free__then_armed_again_with_the_next_flow),
		cmocka_unit_test(pressure__when_the_table_is_nearly_full__then_half_open_flows_leave_after_5_s),
		cmocka_unit_test(table__after_random_packets__then_bounded_and_nothing_lost),
		cmocka_unit_test(table__when_flooded__then_stays_nearly_full),
		cmocka_unit_test(sizes__for_a_million_flows__then_within_the_promise),
		cmocka_unit_test(tags__when_compared__then_one_bit_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
