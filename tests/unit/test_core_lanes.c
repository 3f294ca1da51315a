/* Neither the number of lanes, nor where a batch begins, changes a record: random traffic, also with time that goes backwards. */
#include "core_rig.h"

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
		if (result.kept.count < TALKS)
			fail_msg("%s: only %zu records", rows[i].name, result.kept.count);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records__whatever_lanes_and_batches__then_the_same),
		cmocka_unit_test(records__when_time_goes_far_back__then_still_the_same),
		cmocka_unit_test(records__when_time_goes_back_in_the_first_batch__then_still_the_same),
		cmocka_unit_test(records__when_a_lane_begins_with_an_old_packet__then_still_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
