/* The core of a lane, fed with real frames: what it counts, and that neither lanes nor batches change the records. */
#include <stdio.h>

#include "core_rig.h"

#define MS ((uint64_t)1000000)

static const struct core_run_options plain = { .lanes = 1, .batch = FLOWLANE_BATCH, .max_flows = 1000, .timeout_ns = 60 * SEC };

/* Sizes of batches and numbers of lanes that must all give the same. */
static void runs_check(const struct trace *trace, const struct core_run_options *options)
{
	static const struct {
		unsigned lanes, batch;
	} runs[] = { { 1, 1 }, { 1, 5 }, { 1, 0 }, { 2, 64 }, { 2, 1 }, { 3, 64 }, { 3, 7 }, { 3, 0 } };
	struct core_result want;
	unsigned wrong = 0;

	core_result_get(&want, trace, options);
	for (unsigned i = 0; i < ROWS(runs); i++) {
		struct core_run_options run = *options;
		struct core_result got;
		char what[64];
		run.lanes = runs[i].lanes;
		run.batch = runs[i].batch;
		snprintf(what, sizeof(what), "%u lanes, batches of %u", run.lanes, run.batch);
		core_result_get(&got, trace, &run);
		wrong += !core_result_same(what, &want, &got);
		core_result_free(&got);
	}
	core_result_free(&want);
	if (wrong)
		fail_msg("%u runs came to something else than one lane with batches of %u", wrong, options->batch);
}

/* --- one connection -------------------------------------------------------------------------------------------------- */

static void trace_connection(struct trace *trace, uint64_t ts_ns, uint32_t isn)
{
	trace_tcp(trace, ts_ns, 1, 2, TCP_SYN, isn, 0, 0);
	trace_tcp(trace, ts_ns + 15 * MS, 2, 1, SYNACK, 5000, isn + 1, 0);
	trace_tcp(trace, ts_ns + 20 * MS, 1, 2, ACK, isn + 1, 5001, 0);
	trace_tcp(trace, ts_ns + 30 * MS, 1, 2, PSH, isn + 1, 5001, 100);
	trace_tcp(trace, ts_ns + 45 * MS, 2, 1, PSH, 5001, isn + 101, 1000);
	trace_tcp(trace, ts_ns + 50 * MS, 1, 2, FIN, isn + 101, 6001, 0);
	trace_tcp(trace, ts_ns + 65 * MS, 2, 1, FIN, 6001, isn + 102, 0);
	trace_tcp(trace, ts_ns + 70 * MS, 1, 2, ACK, isn + 102, 6002, 0);
}

static void connection__when_whole__then_its_record(void **context)
{
	(void)context;
	struct trace trace = { 0 };
	struct core_result result;

	trace_connection(&trace, T0, 1000);
	core_result_get(&result, &trace, &plain);
	assert_int_equal(result.kept.count, 1);
	const struct flow_record *record = &result.kept.records[0];
	assert_int_equal(record->tcp_state, TCP_STATE_CLOSED);
	assert_int_equal(record->client, CLIENT_A_TO_B);
	assert_int_equal(record->end, FLOW_ALIVE);
	assert_int_equal(record->first_ns, T0);
	assert_int_equal(record->last_ns, T0 + 70 * MS);
	assert_int_equal(record->packets[0], 5);
	assert_int_equal(record->packets[1], 3);
	assert_int_equal(record->bytes[0], 5 * 54 + 100);
	assert_int_equal(record->l3_bytes[1], 3 * 40 + 1000);
	assert_int_equal(record->tos, 0x10);
	assert_int_equal(record->retransmissions, 0);
	assert_int_equal(record->out_of_order, 0);
	assert_int_equal(record->rtt.samples, 6);
	assert_int_equal(record->rtt.last, TICKS_US(5000));
	assert_int_equal(result.ledger.rtt_samples[RTT_HANDSHAKE], 2);
	assert_int_equal(result.ledger.rtt_samples[RTT_SEQ_ACK], 4);
	assert_int_equal(result.ledger.bytes_read, record->bytes[0] + record->bytes[1]);
	assert_int_equal(result.ledger.first_packet_ns, T0);
	assert_int_equal(result.ledger.last_packet_ns, T0 + 70 * MS);
	core_result_free(&result);
	runs_check(&trace, &plain);
	trace_free(&trace);
}

/* Both connections, and the SYN between them, lie in one batch. */
static void port__when_reused_within_a_batch__then_two_records(void **context)
{
	(void)context;
	struct trace trace = { 0 };
	struct core_result result;

	trace_connection(&trace, T0, 1000);
	trace_tcp(&trace, T0 + 80 * MS, 1, 2, TCP_SYN, 1000, 0, 0); /* the old SYN again is no reuse */
	trace_connection(&trace, T0 + 90 * MS, 700);
	core_result_get(&result, &trace, &plain);
	assert_int_equal(result.kept.count, 2);
	assert_int_equal(result.kept.records[0].end, FLOW_END_REUSE);
	assert_int_equal(result.kept.records[0].end_ns, T0 + 90 * MS);
	assert_int_equal(result.kept.records[0].tcp_state, TCP_STATE_CLOSED);
	assert_int_equal(result.kept.records[0].retransmissions, 1);
	assert_int_equal(record_packets(&result.kept.records[0]), 9);
	assert_int_equal(result.kept.records[1].end, FLOW_ALIVE);
	assert_int_equal(result.kept.records[1].tcp_state, TCP_STATE_CLOSED);
	assert_int_equal(result.kept.records[1].retransmissions, 0);
	assert_int_equal(result.kept.records[1].rtt.samples, 6);
	assert_int_equal(record_packets(&result.kept.records[1]), 8);
	core_result_free(&result);
	runs_check(&trace, &plain);
	trace_free(&trace);
}

static void timeout__when_within_a_batch__then_two_records(void **context)
{
	(void)context;
	static const struct {
		uint64_t silence_ns;
		unsigned records;
	} rows[] = { { 60 * SEC, 1 }, { 60 * SEC + 1, 2 }, { 3600 * SEC, 2 } };

	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct trace trace = { 0 };
		struct core_result result;
		trace_tcp(&trace, T0, 1, 2, PSH, 1000, 5000, 100);
		trace_tcp(&trace, T0 + rows[i].silence_ns, 1, 2, PSH, 1100, 5000, 100);
		core_result_get(&result, &trace, &plain);
		assert_int_equal(result.kept.count, rows[i].records);
		if (rows[i].records == 2) {
			assert_int_equal(result.kept.records[0].end, FLOW_END_TIMEOUT);
			assert_int_equal(result.kept.records[0].end_ns, T0 + 60 * SEC);
		}
		core_result_free(&result);
		runs_check(&trace, &plain);
		trace_free(&trace);
	}
}

/* Evicted flows take what was counted but not yet analysed with them; the analysis must come first. */
static void eviction__when_within_a_batch__then_the_same_records_as_one_by_one(void **context)
{
	(void)context;
	for (uint32_t max_flows = 1; max_flows < 6; max_flows++) {
		struct trace trace = { 0 };
		struct core_run_options one_by_one = plain, batches = plain;
		struct core_result want, got;
		uint64_t random = max_flows;
		for (unsigned i = 0; i < 1000; i++) {
			static const uint8_t flags[] = { SYN, SYNACK, ACK, PSH, PSH, FIN, RST };
			unsigned server = 2 + random_below(&random, 6);
			bool back = random_u64(&random) & 1;
			trace_tcp(&trace, T0 + i * MS, back ? server : 1, back ? 1 : server,
				flags[random_below(&random, ROWS(flags))], 1000 + 10 * random_below(&random, 10),
				1000 + 10 * random_below(&random, 10), 10 * random_below(&random, 3));
		}
		one_by_one.max_flows = batches.max_flows = max_flows;
		one_by_one.batch = 1;
		core_result_get(&want, &trace, &one_by_one);
		core_result_get(&got, &trace, &batches);
		assert_true(want.ledger.flows_ended[FLOW_END_EVICTION] > 0);
		assert_true(core_result_same("batches", &want, &got));
		core_result_free(&want);
		core_result_free(&got);
		trace_free(&trace);
	}
}

/* --- random traffic -------------------------------------------------------------------------------------------------- */

enum { TALKS = 150, PACKETS = 12000 };

struct talk {
	uint32_t next[2];
	uint8_t kind;
};

static void push_talk(struct packet_builder *b, struct talk *talk, unsigned number, uint64_t *random)
{
	static const uint8_t flags[] = { SYN, SYN, SYNACK, ACK, ACK, PSH, PSH, PSH, PSH, PSH, FIN, RST, NOFLAG };
	unsigned dir = random_u64(random) & 1;
	char ip[2][40];
	bool v6 = talk->kind & 1;

	for (unsigned i = 0; i < 2; i++)
		snprintf(ip[i], sizeof(ip[i]), v6 ? "2001:db8::%u:%u" : "10.%u.0.%u", i + 1, number + 1);
	bool vlan = random_below(random, 4) == 0;
	pb_ethernet(b, vlan ? 0x8100 : v6 ? 0x86dd : 0x0800);
	if (vlan)
		pb_vlan(b, (uint16_t)(number & 3), v6 ? 0x86dd : 0x0800);
	uint8_t proto = talk->kind < 8 ? PROTO_TCP : talk->kind < 14 ? PROTO_UDP : v6 ? PROTO_ICMP6 : PROTO_ICMP;
	if (v6) {
		pb_ipv6(b, ip[dir], ip[!dir], proto);
	} else {
		/* Some are first, some are later fragments. */
		unsigned fragment = random_below(random, 20);
		uint16_t bits = fragment == 0 ? 0x2000 : fragment == 1 ? 100 : 0x4000;
		pb_ipv4_full(b, ip[dir], ip[!dir], proto, (uint16_t)random_below(random, 10), bits, NULL, 0);
	}
	if (proto == PROTO_TCP) {
		uint8_t flag = flags[random_below(random, ROWS(flags))];
		uint32_t len = flag == PSH ? 1 + random_below(random, 200) : 0;
		uint32_t seq = talk->next[dir] - (random_below(random, 4) ? 0 : 100 * random_below(random, 3));
		uint32_t ack = talk->next[!dir] - (random_below(random, 8) ? 0 : 100);
		if (random_below(random, 10) == 0)
			seq += 100;
		if (flag == SYN && random_u64(random) & 1)
			seq = (uint32_t)random_u64(random);
		pb_tcp(b, dir ? 443 : 40000, dir ? 40000 : 443, seq, ack, flag);
		pb_fill(b, len);
		uint32_t end = seq + len + (flag & TCP_SYN ? 1 : 0) + (flag & TCP_FIN ? 1 : 0);
		if (flag & TCP_SYN || (int32_t)(end - talk->next[dir]) > 0)
			talk->next[dir] = end;
	} else if (proto == PROTO_UDP) {
		static const uint16_t ports[] = { 53, 443, 5000 };
		uint16_t port = ports[number % ROWS(ports)];
		pb_udp(b, dir ? port : 40000, dir ? 40000 : port);
		pb_be16(b, (uint16_t)random_below(random, 3)); /* DNS id; QUIC short header */
		pb_be16(b, dir ? 0x8180 : 0x0100);
		pb_zero(b, 20);
	} else {
		pb_icmp(b, v6 ? 128 + dir : dir ? 0 : 8, 0, 7, (uint16_t)random_below(random, 3));
		pb_fill(b, 20);
	}
}

/* Frames of TCP, UDP, ICMP, IPv4 and IPv6, with VLANs, fragments, ARP and rubbish. Time moves on by up to step_ns; one in 50 comes
 * from up to back_ns before; one in 1000 after a silence of up to silence_ns. */
static void trace_random(struct trace *trace, uint64_t seed, uint64_t step_ns, uint64_t back_ns, uint64_t silence_ns)
{
	struct talk talks[TALKS] = { 0 };
	uint64_t random = seed, now_ns = T0;

	for (unsigned i = 0; i < TALKS; i++)
		talks[i].kind = (uint8_t)random_below(&random, 16);
	for (unsigned i = 0; i < PACKETS; i++) {
		struct packet_builder b = pb_new();
		unsigned number = random_below(&random, TALKS);
		uint64_t ts_ns = now_ns += random_u64(&random) % step_ns;
		if (back_ns && random_below(&random, 50) == 0)
			ts_ns -= random_u64(&random) % back_ns;
		if (silence_ns && random_below(&random, 1000) == 0)
			ts_ns = now_ns += random_u64(&random) % silence_ns;
		if (random_below(&random, 40) == 0) {
			pb_ethernet(&b, 0x0806);
			pb_zero(&b, 28);
		} else {
			push_talk(&b, &talks[number], number, &random);
		}
		if (random_below(&random, 60) == 0)
			b.len = random_below(&random, b.len);
		trace_add(trace, &b, ts_ns);
	}
}

static void records__whatever_lanes_and_batches__then_the_same(void **context)
{
	(void)context;
	static const struct {
		const char *name;
		uint64_t step_ns, back_ns, silence_ns, timeout_ns;
	} rows[] = {
		{ "in order", 2 * MS, 0, 0, 60 * SEC },
		{ "in order, short timeout", 20 * MS, 0, 0, SEC },
		{ "in order, long silences", 20 * MS, 0, 1000 * SEC, 30 * SEC },
		{ "in order, never a timeout", 20 * MS, 0, 1000 * SEC, FLOW_NO_TIMEOUT },
		{ "a little disorder", 2 * MS, 50 * MS, 0, 60 * SEC },
		{ "a little disorder, short timeout", 20 * MS, 50 * MS, 100 * SEC, 3 * SEC },
	};

	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct trace trace = { 0 };
		struct core_run_options options = plain;
		struct core_result result;
		options.timeout_ns = rows[i].timeout_ns;
		trace_random(&trace, i + 1, rows[i].step_ns, rows[i].back_ns, rows[i].silence_ns);
		core_result_get(&result, &trace, &options);
		print_message("%s: %zu records\n", rows[i].name, result.kept.count);
		assert_true(result.kept.count >= TALKS);
		assert_true(result.ledger.rtt_samples[RTT_SEQ_ACK] > 0 && result.ledger.rtt_samples[RTT_DNS] > 0);
		assert_true(result.ledger.verdicts[VERDICT_NOFLOW_ARP] > 0 && result.ledger.flows_ended[FLOW_END_REUSE] > 0);
		core_result_free(&result);
		runs_check(&trace, &options);
		trace_free(&trace);
	}
}

/* Time goes back by more than the timeout: files one behind the other, a clock that was set. */
static void records__when_time_goes_far_back__then_still_the_same(void **context)
{
	(void)context;
	for (unsigned seed = 1; seed < 5; seed++) {
		struct trace trace = { 0 };
		struct core_run_options options = plain;
		options.timeout_ns = 2 * SEC;
		trace_random(&trace, seed, 20 * MS, 20 * SEC, 30 * SEC);
		runs_check(&trace, &options);
		trace_free(&trace);
	}
}

/* The same, as small as possible: the first flow ends by the second's packet, whether they are in one batch or not. */
static void records__when_time_goes_back_in_the_first_batch__then_still_the_same(void **context)
{
	(void)context;
	struct trace trace = { 0 };

	trace_tcp(&trace, T0, 1, 2, PSH, 1000, 5000, 10);
	trace_tcp(&trace, T0 + 100 * SEC, 3, 4, PSH, 1000, 5000, 10);
	trace_tcp(&trace, T0 + 50 * SEC, 1, 2, PSH, 1010, 5000, 10);
	runs_check(&trace, &plain);
	trace_free(&trace);
}

/* A lane whose first flow comes late, with an old time, ends it when the others do. */
static void records__when_a_lane_begins_with_an_old_packet__then_still_the_same(void **context)
{
	(void)context;
	const uint64_t tick_ns = (uint64_t)1 << 28, base_ns = T0 / tick_ns * tick_ns;

	/* Whichever pair of hosts is in another lane. */
	for (unsigned host = 10; host < 30; host++) {
		struct trace trace = { 0 };
		trace_tcp(&trace, base_ns + 100 * SEC, 1, 2, PSH, 1000, 5000, 10);
		trace_tcp(&trace, base_ns + 4000 * tick_ns, 1, 2, PSH, 1010, 5000, 10);
		trace_tcp(&trace, base_ns, host, host + 1, PSH, 1000, 5000, 10);
		trace_tcp(&trace, base_ns + 4000 * tick_ns + 10, 1, 2, PSH, 1020, 5000, 10);
		trace_tcp(&trace, base_ns + 50 * SEC, host, host + 1, PSH, 1010, 5000, 10);
		runs_check(&trace, &plain);
		trace_free(&trace);
	}
}

/* --- options, and what is not a flow --------------------------------------------------------------------------------- */

static void key__when_vlans_count__then_a_flow_each(void **context)
{
	(void)context;
	struct trace trace = { 0 };
	struct core_run_options options = plain;

	for (unsigned i = 0; i < 6; i++) {
		struct packet_builder b = pb_new();
		pb_ethernet(&b, 0x8100);
		pb_vlan(&b, (uint16_t)(10 + i % 3), 0x0800);
		pb_ipv4(&b, "10.0.0.1", "10.0.0.2", PROTO_UDP);
		pb_udp(&b, 1, 2);
		trace_add(&trace, &b, T0 + i);
	}
	for (unsigned key_vlan = 0; key_vlan < 2; key_vlan++) {
		struct core_result result;
		options.key_vlan = key_vlan;
		core_result_get(&result, &trace, &options);
		assert_int_equal(result.kept.count, key_vlan ? 3 : 1);
		core_result_free(&result);
		runs_check(&trace, &options);
	}
	trace_free(&trace);
}

static void flow__when_inside_a_tunnel__then_outer_decides(void **context)
{
	(void)context;
	struct trace trace = { 0 };
	struct core_run_options options = plain;
	struct packet_builder b = pb_new();

	pb_ethernet(&b, 0x0800);
	pb_ipv4(&b, "192.0.2.1", "192.0.2.2", 4);
	pb_ipv4(&b, "10.0.0.1", "10.0.0.2", PROTO_UDP);
	pb_udp(&b, 1, 2);
	trace_add(&trace, &b, T0);
	for (unsigned outer = 0; outer < 2; outer++) {
		struct core_result result;
		options.outer = outer;
		core_result_get(&result, &trace, &options);
		assert_int_equal(result.kept.count, 1);
		assert_int_equal(result.kept.records[0].key.proto, outer ? 4 : PROTO_UDP);
		core_result_free(&result);
	}
	trace_free(&trace);
}

/* Timers are for packets of other lanes, too: a lane without packets for an hour ends its flows when the others' time says so. */
static void lane__when_it_has_no_packets__then_its_flows_end_by_the_others_time(void **context)
{
	(void)context;
	struct trace trace = { 0 };
	struct core_result result;

	for (unsigned host = 10; host < 30; host++)
		trace_tcp(&trace, T0 + host, host, host + 1, PSH, 1000, 5000, 10);
	for (unsigned i = 0; i < 100; i++)
		trace_tcp(&trace, T0 + i * 2 * SEC, 1, 2, PSH, 1000 + 10 * i, 5000, 10);
	core_result_get(&result, &trace, &plain);
	assert_int_equal(result.ledger.flows_ended[FLOW_END_TIMEOUT], 20);
	assert_int_equal(result.ledger.flows_alive, 1);
	core_result_free(&result);
	runs_check(&trace, &plain);
	trace_free(&trace);
}

static void filtered__when_lanes_share_a_file__then_counted_by_the_first_only(void **context)
{
	(void)context;
	struct trace trace = { 0 };

	trace_connection(&trace, T0, 1000);
	for (unsigned lane = 0; lane < 3; lane++) {
		struct core_result result = { 0 };
		struct core_options options = { .seed = HASH_SEED_FIXED,
			.max_flows = 10,
			.flow_timeout_ns = 60 * SEC,
			.lane = lane,
			.lanes = 3,
			.on_records = table_rig_keep,
			.context = &result.kept };
		struct core *core;
		assert_int_equal(core_create(&options, &core), 0);
		core_filtered(core, trace.frames, trace.count);
		core_drain(core);
		const struct ledger *ledger = core_ledger(core);
		assert_int_equal(ledger->dropped_filter, lane ? 0 : trace.count);
		assert_int_equal(ledger->packets_read, lane ? 0 : trace.count);
		assert_int_equal(ledger->bytes_read, lane ? 0 : 8 * 54 + 1100);
		assert_int_equal(ledger->flows_created, 0);
		assert_int_equal(result.kept.count, 0);
		core_destroy(core);
	}
	trace_free(&trace);
}

static void core__when_nothing_comes__then_nothing(void **context)
{
	(void)context;
	struct trace trace = { 0 };
	struct core_result result;

	core_result_get(&result, &trace, &plain);
	assert_int_equal(result.kept.count, 0);
	assert_int_equal(result.ledger.first_packet_ns, 0);
	core_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connection__when_whole__then_its_record),
		cmocka_unit_test(port__when_reused_within_a_batch__then_two_records),
		cmocka_unit_test(timeout__when_within_a_batch__then_two_records),
		cmocka_unit_test(eviction__when_within_a_batch__then_the_same_records_as_one_by_one),
		cmocka_unit_test(records__whatever_lanes_and_batches__then_the_same),
		cmocka_unit_test(records__when_time_goes_far_back__then_still_the_same),
		cmocka_unit_test(records__when_time_goes_back_in_the_first_batch__then_still_the_same),
		cmocka_unit_test(records__when_a_lane_begins_with_an_old_packet__then_still_the_same),
		cmocka_unit_test(key__when_vlans_count__then_a_flow_each),
		cmocka_unit_test(flow__when_inside_a_tunnel__then_outer_decides),
		cmocka_unit_test(lane__when_it_has_no_packets__then_its_flows_end_by_the_others_time),
		cmocka_unit_test(filtered__when_lanes_share_a_file__then_counted_by_the_first_only),
		cmocka_unit_test(core__when_nothing_comes__then_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
