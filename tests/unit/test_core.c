/* The core of a lane, fed with real frames: what it makes of them. Lanes and batches at large: test_core_lanes.c. */
#include "core_rig.h"

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

struct heard {
	struct rtt_sample samples[8];
	unsigned samples_count;
	unsigned records;
};

static void hear_samples(void *context, const struct rtt_sample *samples, unsigned n)
{
	struct heard *heard = context;

	assert_in_range(n, 1, ROWS(heard->samples) - heard->samples_count);
	memcpy(heard->samples + heard->samples_count, samples, n * sizeof(*samples));
	heard->samples_count += n;
}

static void hear_records(void *context, const struct flow_record *records, unsigned n)
{
	struct heard *heard = context;

	(void)records;
	heard->records += n;
}

static struct core *heard_core(struct heard *heard)
{
	struct core_options options = { .seed = HASH_SEED_FIXED,
		.max_flows = 10,
		.flow_timeout_ns = 60 * SEC,
		.lanes = 1,
		.on_records = hear_records,
		.on_rtt_samples = hear_samples,
		.context = heard };
	struct core *core;

	*heard = (struct heard){ 0 };
	assert_int_equal(core_create(&options, &core), 0);
	return core;
}

static void samples__when_wanted__then_each_says_when_what_and_who(void **context)
{
	(void)context;
	static const struct {
		uint64_t at_ms;
		uint32_t us;
		uint8_t source, dir;
	} want[] = { { 15, 15000, RTT_HANDSHAKE, 1 }, { 20, 5000, RTT_HANDSHAKE, 0 }, { 45, 15000, RTT_SEQ_ACK, 1 },
		{ 50, 5000, RTT_SEQ_ACK, 0 }, { 65, 15000, RTT_SEQ_ACK, 1 }, { 70, 5000, RTT_SEQ_ACK, 0 } };
	struct flow_key key = key_v4(PROTO_TCP, 0x0a000001, 40000, 0x0a000002, 443);
	struct trace trace = { 0 };
	struct heard heard;
	struct core *core = heard_core(&heard);

	trace_connection(&trace, T0, 1000);
	core_run(core, trace.frames, trace.count);
	assert_int_equal(heard.samples_count, ROWS(want));
	for (unsigned i = 0; i < ROWS(want); i++) {
		struct rtt_sample sample = { .ts_ns = T0 + want[i].at_ms * MS,
			.ticks = TICKS_US(want[i].us),
			.source = want[i].source,
			.dir = want[i].dir,
			.key = key };
		assert_memory_equal(&heard.samples[i], &sample, sizeof(sample));
	}
	core_destroy(core);
	trace_free(&trace);
}

/* By the time of the packets of others, not at the end of the input. */
static void flow__when_timed_out__then_its_record_leaves_at_once(void **context)
{
	(void)context;
	for (unsigned batch = 1; batch < 4; batch++) {
		struct trace trace = { 0 };
		struct heard heard;
		struct core *core = heard_core(&heard);
		trace_tcp(&trace, T0, 1, 2, PSH, 1000, 5000, 10);
		trace_tcp(&trace, T0 + 50 * SEC, 3, 4, PSH, 1000, 5000, 10);
		trace_tcp(&trace, T0 + 61 * SEC, 3, 4, PSH, 1010, 5000, 10);
		for (unsigned done = 0; done < trace.count; done += batch)
			core_run(core, trace.frames + done, batch < trace.count - done ? batch : trace.count - done);
		assert_int_equal(heard.records, 1);
		assert_int_equal(core_ledger(core)->flows_alive, 1);
		assert_int_equal(core_ledger(core)->flows_ended[FLOW_END_TIMEOUT], 1);
		core_drain(core);
		assert_int_equal(heard.records, 2);
		core_destroy(core);
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

/* A later fragment has no TCP header: it counts as a packet of the flow, and says nothing else. */
static void fragment__when_not_the_first__then_counted_but_no_segment(void **context)
{
	(void)context;
	struct trace trace = { 0 };
	struct core_result want, got;

	for (unsigned fragments = 0; fragments < 2; fragments++) {
		struct trace *to = &trace;
		trace_tcp(to, T0, 1, 2, TCP_SYN, 1000, 0, 0);
		trace_tcp(to, T0 + 15 * MS, 2, 1, SYNACK, 5000, 1001, 0);
		trace_tcp(to, T0 + 20 * MS, 1, 2, ACK, 1001, 5001, 0);
		struct packet_builder first = pb_new();
		pb_ethernet(&first, 0x0800);
		pb_ipv4_fragment(&first, "10.0.0.1", "10.0.0.2", PROTO_TCP, 77, 0, true);
		pb_tcp(&first, 40000, 443, 1001, 5001, PSH);
		pb_fill(&first, 100);
		trace_add(to, &first, T0 + 30 * MS);
		for (unsigned i = 0; i < fragments * 3; i++) {
			struct packet_builder later = pb_new();
			pb_ethernet(&later, 0x0800);
			pb_ipv4_fragment(&later, "10.0.0.1", "10.0.0.2", PROTO_TCP, 77, (uint16_t)(120 + 80 * i), i < 2);
			pb_fill(&later, 80);
			trace_add(to, &later, T0 + 31 * MS + i);
		}
		trace_tcp(to, T0 + 40 * MS, 2, 1, ACK, 5001, 1101, 0);
		core_result_get(fragments ? &got : &want, to, &plain);
		if (fragments)
			runs_check(to, &plain);
		trace_free(to);
		trace = (struct trace){ 0 };
	}
	assert_int_equal(want.kept.count, 1);
	assert_int_equal(got.kept.count, 1);
	struct flow_record *a = want.kept.records, *b = got.kept.records;
	assert_int_equal(b->packets[0], a->packets[0] + 3);
	assert_int_equal(b->l3_bytes[0], a->l3_bytes[0] + 3 * 100);
	assert_int_equal(b->tcp_state, a->tcp_state);
	assert_int_equal(b->retransmissions, 0);
	assert_int_equal(b->out_of_order, 0);
	assert_memory_equal(&b->rtt, &a->rtt, sizeof(a->rtt));
	assert_int_equal(b->rtt.samples, 3);
	core_result_free(&want);
	core_result_free(&got);
}

/* Without the first fragment: the flow with ports 0, which stays in its first state. */
static void fragment__when_the_first_was_not_seen__then_a_flow_without_ports(void **context)
{
	(void)context;
	struct trace trace = { 0 };
	struct core_result result;

	for (unsigned i = 0; i < 3; i++) {
		struct packet_builder later = pb_new();
		pb_ethernet(&later, 0x0800);
		pb_ipv4_fragment(&later, "10.0.0.1", "10.0.0.2", PROTO_TCP, 77, (uint16_t)(120 + 80 * i), true);
		pb_fill(&later, 80);
		trace_add(&trace, &later, T0 + i);
	}
	core_result_get(&result, &trace, &plain);
	assert_int_equal(result.kept.count, 1);
	const struct flow_record *record = &result.kept.records[0];
	assert_int_equal(record->key.a_port, 0);
	assert_int_equal(record->packets[0], 3);
	assert_int_equal(record->tcp_state, TCP_STATE_UNKNOWN);
	assert_int_equal(record->retransmissions + record->out_of_order, 0);
	assert_int_equal(result.ledger.fragments_unmatched, 3);
	core_result_free(&result);
	runs_check(&trace, &plain);
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
		core_filtered(core, PREFILTER_EXPRESSION, trace.count, 8 * 54 + 1100);
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
		cmocka_unit_test(samples__when_wanted__then_each_says_when_what_and_who),
		cmocka_unit_test(flow__when_timed_out__then_its_record_leaves_at_once),
		cmocka_unit_test(eviction__when_within_a_batch__then_the_same_records_as_one_by_one),
		cmocka_unit_test(key__when_vlans_count__then_a_flow_each),
		cmocka_unit_test(flow__when_inside_a_tunnel__then_outer_decides),
		cmocka_unit_test(fragment__when_not_the_first__then_counted_but_no_segment),
		cmocka_unit_test(fragment__when_the_first_was_not_seen__then_a_flow_without_ports),
		cmocka_unit_test(lane__when_it_has_no_packets__then_its_flows_end_by_the_others_time),
		cmocka_unit_test(filtered__when_lanes_share_a_file__then_counted_by_the_first_only),
		cmocka_unit_test(core__when_nothing_comes__then_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
