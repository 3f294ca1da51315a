/* RTT from DNS, ICMP echo and the QUIC spin bit. */
#include "flow_builder.h"
#include "rtt.h"

#define SEC    1000000 /* us */
#define MAX_US ((int64_t)(RTT_MAX_NS / 1000))

struct app_step {
	uint8_t dir;
	int64_t t_us;
	uint8_t bytes[20]; /* the payload as captured */
	uint8_t captured;
	uint8_t len; /* of the payload on the wire; 0: as captured */
	uint8_t icmp_type;
	uint16_t echo_seq;
	uint8_t flags; /* enum packet_flag */
};

struct app_case {
	const char *name;
	struct {
		uint32_t samples;
		uint32_t last_us;
	} want;
	struct app_step steps[12];
};

/* Settings that must not matter: who is A, and where the 32-bit tick wraps. */
static const struct {
	bool mirror;
	uint64_t base_ns;
} settings[] = { { false, TCP_BASE_NS }, { true, TCP_BASE_NS }, { false, TCP_BASE_BEFORE_WRAP(5000) },
	{ true, TCP_BASE_BEFORE_WRAP(1500000) } };

#define STEP_IS_END(step) (!(step)->captured && !(step)->len && !(step)->echo_seq && !(step)->t_us)

static struct flow_record app_play(
	const struct flow_key *key, const struct app_step *steps, unsigned n, unsigned setting, struct ledger *ledger)
{
	struct flow *flow = flow_at_for(key->proto, 0);
	struct flow_record record;

	memset(ledger, 0, sizeof(*ledger));
	for (unsigned i = 0; i < n && !STEP_IS_END(&steps[i]); i++) {
		const struct app_step *step = &steps[i];
		struct made made;
		made_set(&made, key, step->dir ^ settings[setting].mirror,
			settings[setting].base_ns + (uint64_t)(step->t_us * 1000));
		/* 8 bytes of a UDP header, not looked at. */
		uint8_t bytes[8 + sizeof(step->bytes)] = { 0 };
		memcpy(bytes + 8, step->bytes, step->captured);
		uint8_t *data = made_bytes(&made, bytes, 8 + step->captured, 0, 8);
		made.packet.payload_len = step->len ? step->len : step->captured;
		made.packet.icmp_type = step->icmp_type;
		made.packet.echo_seq = step->echo_seq;
		made.packet.flags = step->flags;
		if (i == 0)
			flow_init(flow, &made.packet);
		rtt_app_update(flow, &made.packet, rtt_app(&made.packet), &(struct rtt_results){ .ledger = ledger });
		flow_update(flow, &made.packet);
		free(data);
	}
	flow_record_fill(&record, flow, FLOW_ALIVE, 0);
	return record;
}

static void cases_check(const struct flow_key *key, enum rtt_source source, const struct app_case *rows, size_t n)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < n; i++) {
		for (unsigned setting = 0; setting < ROWS(settings); setting++) {
			struct ledger ledger;
			struct flow_record record = app_play(key, rows[i].steps, ROWS(rows[i].steps), setting, &ledger);
			bool good = tcp_same(rows[i].name, setting, "samples", record.rtt.samples, rows[i].want.samples);
			good &= tcp_same(rows[i].name, setting, "ledger", ledger.rtt_samples[source], rows[i].want.samples);
			good &= tcp_same(rows[i].name, setting, "last RTT (8 ns)", record.rtt.last, TICKS_US(rows[i].want.last_us));
			wrong += !good;
			if (!good)
				break;
		}
	}
	if (wrong)
		fail_msg("%u of %zu scripts played wrong", wrong, n);
}

/* --- DNS ------------------------------------------------------------------------------------------------------------- */

/* clang-format off */
#define QUERY(id)  { (id) >> 8, (id) & 0xff, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0 }, 12, 40
#define ANSWER(id) { (id) >> 8, (id) & 0xff, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0 }, 12, 80
/* clang-format on */

static void dns__after_each_script__then_as_the_rules_say(void **context)
{
	(void)context;
	/* clang-format off */
	static const struct app_case rows[] = {
		{ "query and answer", { 1, 12345 }, { { .dir = A, 0, QUERY(7), 0, 0, 0 }, { B, 12345, ANSWER(7), 0, 0, 0 } } },
		{ "only the query", { 0, 0 }, { { A, 1, QUERY(7), 0, 0, 0 } } },
		{ "only the answer", { 0, 0 }, { { B, 1, ANSWER(7), 0, 0, 0 } } },
		{ "another identifier", { 0, 0 }, { { A, 1, QUERY(0x0107), 0, 0, 0 }, { B, 2, ANSWER(0x0207), 0, 0, 0 },
		    { B, 3, ANSWER(0x0108), 0, 0, 0 } } },
		{ "another, then the right one", { 1, 5000 }, { { A, 1, QUERY(7), 0, 0, 0 }, { B, 2, ANSWER(8), 0, 0, 0 },
		    { B, 5001, ANSWER(7), 0, 0, 0 } } },
		{ "two rounds", { 2, 30 }, { { A, 1, QUERY(7), 0, 0, 0 }, { B, 21, ANSWER(7), 0, 0, 0 }, { A, 100, QUERY(9), 0, 0, 0 },
		    { B, 130, ANSWER(9), 0, 0, 0 } } },
		{ "the answer again", { 1, 20 }, { { A, 1, QUERY(7), 0, 0, 0 }, { B, 21, ANSWER(7), 0, 0, 0 }, { B, 31, ANSWER(7), 0, 0, 0 } } },
		{ "two queries: the first is timed", { 1, 500 }, { { A, 1, QUERY(7), 0, 0, 0 }, { A, 2, QUERY(8), 0, 0, 0 },
		    { B, 400, ANSWER(8), 0, 0, 0 }, { B, 501, ANSWER(7), 0, 0, 0 } } },
		{ "unanswered for 2 s, then the next", { 1, 9 }, { { A, 1, QUERY(7), 0, 0, 0 }, { A, 2 * SEC + 1, QUERY(8), 0, 0, 0 },
		    { B, 2 * SEC + 10, ANSWER(8), 0, 0, 0 } } },
		{ "asked again within 2 s: since the first", { 1, 1500000 }, { { A, 1, QUERY(7), 0, 0, 0 }, { A, SEC + 1, QUERY(7), 0, 0, 0 },
		    { B, 1500001, ANSWER(7), 0, 0, 0 } } },
		{ "just not too old", { 1, MAX_US }, { { A, 1, QUERY(7), 0, 0, 0 }, { B, MAX_US + 1, ANSWER(7), 0, 0, 0 } } },
		{ "too old by 1 us", { 0, 0 }, { { A, 1, QUERY(7), 0, 0, 0 }, { B, MAX_US + 2, ANSWER(7), 0, 0, 0 } } },
		{ "answer 1 us before the query", { 0, 0 }, { { A, 10, QUERY(7), 0, 0, 0 }, { B, 9, ANSWER(7), 0, 0, 0 } } },
		{ "three bytes captured", { 1, 9 }, { { A, 1, { 0, 7, 1 }, 3, 40, 0, 0, 0 }, { B, 10, { 0, 7, 0x81 }, 3, 40, 0, 0, 0 } } },
		{ "two bytes captured", { 0, 0 }, { { A, 1, { 0, 7 }, 2, 40, 0, 0, 0 }, { B, 10, { 0, 7 }, 2, 40, 0, 0, 0 } } },
		{ "nothing captured", { 0, 0 }, { { A, 1, { 0 }, 0, 40, 0, 0, 0 }, { B, 10, { 0 }, 0, 40, 0, 0, 0 } } },
		{ "shorter than a DNS header", { 0, 0 }, { { A, 1, { 0, 7, 1, 0 }, 11, 11, 0, 0, 0 }, { B, 10, { 0, 7, 0x81 }, 11, 11, 0, 0, 0 } } },
		{ "later fragments", { 0, 0 }, { { A, 1, QUERY(7), 0, 0, 0 }, { B, 10, ANSWER(7), 0, 0, PACKET_FRAGMENT | PACKET_FRAGMENT_LATER } } },
		{ "the first fragment of an answer", { 1, 9 }, { { A, 1, QUERY(7), 0, 0, 0 }, { B, 10, ANSWER(7), 0, 0, PACKET_FRAGMENT } } },
	};
	/* clang-format on */
	struct flow_key v4 = key_v4(PROTO_UDP, 0x0a000001, 40000, 0x0a000002, 53), v6 = key_v6(PROTO_UDP, 1, 53, 2, 40000);

	cases_check(&v4, RTT_DNS, rows, ROWS(rows));
	cases_check(&v6, RTT_DNS, rows, ROWS(rows));
}

static void dns__when_the_tick_wraps_while_waiting__then_no_sample(void **context)
{
	(void)context;
	/* clang-format off */
	static const struct app_case rows[] = {
		{ "answer after 35 s", { 0, 0 }, { { A, 1, QUERY(7), 0, 0, 0 }, { B, 35 * SEC, ANSWER(7), 0, 0, 0 } } },
		{ "answer after 50 s", { 0, 0 }, { { A, 1, QUERY(7), 0, 0, 0 }, { B, 50 * SEC, ANSWER(7), 0, 0, 0 } } },
		{ "asked again after 35 s", { 1, 40 }, { { A, 1, QUERY(7), 0, 0, 0 }, { A, 35 * SEC, QUERY(7), 0, 0, 0 },
		    { B, 35 * SEC + 40, ANSWER(7), 0, 0, 0 } } },
		{ "another query after 35 s", { 1, 40 }, { { A, 1, QUERY(7), 0, 0, 0 }, { A, 35 * SEC, QUERY(8), 0, 0, 0 },
		    { B, 35 * SEC + 40, ANSWER(8), 0, 0, 0 } } },
		{ "answer 20 s before the query", { 0, 0 }, { { A, 21 * SEC, QUERY(7), 0, 0, 0 }, { B, SEC, ANSWER(7), 0, 0, 0 } } },
	};
	/* clang-format on */
	struct flow_key v4 = key_v4(PROTO_UDP, 0x0a000001, 40000, 0x0a000002, 53);

	cases_check(&v4, RTT_DNS, rows, ROWS(rows));
}

/* --- ICMP echo ------------------------------------------------------------------------------------------------------- */

#define ECHO(dir, t_us, type, seq)                                                                                                 \
	{                                                                                                                          \
		dir, t_us, { 0 }, 0, 56, type, seq, 0                                                                              \
	}

static void icmp__after_each_script__then_as_the_rules_say(void **context)
{
	(void)context;
	static const struct {
		uint8_t request, reply;
	} types[] = { { 8, 0 }, { 128, 129 } };

	for (unsigned v6 = 0; v6 < 2; v6++) {
		uint8_t request = types[v6].request, reply = types[v6].reply;
		/* clang-format off */
		const struct app_case rows[] = {
			{ "request and reply", { 1, 12345 }, { ECHO(A, 0, request, 1), ECHO(B, 12345, reply, 1) } },
			{ "sequence number 0", { 1, 345 }, { ECHO(A, 1, request, 0), ECHO(B, 346, reply, 0) } },
			{ "three pings", { 3, 7 }, { ECHO(A, 0, request, 1), ECHO(B, 5, reply, 1), ECHO(A, SEC, request, 2), ECHO(B, SEC + 6, reply, 2),
			    ECHO(A, 2 * SEC, request, 3), ECHO(B, 2 * SEC + 7, reply, 3) } },
			{ "another sequence number", { 0, 0 }, { ECHO(A, 0, request, 1), ECHO(B, 5, reply, 2) } },
			{ "reply first", { 0, 0 }, { ECHO(B, 1, reply, 1), ECHO(A, 5, request, 1) } },
			{ "reply twice", { 1, 5 }, { ECHO(A, 0, request, 1), ECHO(B, 5, reply, 1), ECHO(B, 6, reply, 1) } },
			{ "lost, and 2 s later the next", { 1, 5 }, { ECHO(A, 0, request, 1), ECHO(A, 2 * SEC, request, 2),
			    ECHO(B, 2 * SEC + 5, reply, 2) } },
			{ "other types", { 0, 0 }, { ECHO(A, 0, 3, 1), ECHO(A, 1, 11, 1), ECHO(A, 2, 13, 1), ECHO(B, 5, 14, 1), ECHO(B, 6, reply, 1) } },
			{ "the other version's types", { 0, 0 },
			  { ECHO(A, 1, types[!v6].request, 1), ECHO(B, 5, types[!v6].reply, 1) } },
			{ "request, the other version's reply", { 0, 0 }, { ECHO(A, 1, request, 1), ECHO(B, 5, types[!v6].reply, 1) } },
		};
		/* clang-format on */
		struct flow_key key = v6 ? key_v6(PROTO_ICMP6, 1, 77, 2, 77) : key_v4(PROTO_ICMP, 1, 77, 2, 77);
		cases_check(&key, RTT_ICMP_ECHO, rows, ROWS(rows));
	}
}

/* --- QUIC ------------------------------------------------------------------------------------------------------------ */

/* clang-format off */
#define LONG(version)  { 0xc0, (version) >> 24 & 0xff, (version) >> 16 & 0xff, (version) >> 8 & 0xff, (version) & 0xff }, 5, 100, 0, 0, 0
#define SHORT(first)   { (first) }, 5, 60, 0, 0, 0
#define SPIN0 SHORT(0x40)
#define SPIN1 SHORT(0x60)
/* clang-format on */

static void quic__after_each_script__then_as_the_rules_say(void **context)
{
	(void)context;
	/* clang-format off */
	static const struct app_case rows[] = {
		{ "three flips: two round trips", { 2, 11000 },
		  { { A, 0, LONG(1) }, { A, 100, SPIN0 }, { A, 10000, SPIN1 }, { A, 10100, SPIN1 }, { A, 20000, SPIN0 }, { A, 31000, SPIN1 } } },
		{ "one flip", { 0, 0 }, { { A, 0, LONG(1) }, { A, 100, SPIN0 }, { A, 10000, SPIN1 } } },
		{ "version 2", { 1, 5000 }, { { A, 0, LONG(0x6b3343cf) }, { A, 10000, SPIN1 }, { A, 15000, SPIN0 } } },
		{ "a draft", { 1, 5000 }, { { A, 0, LONG(0xff00001d) }, { A, 10000, SPIN1 }, { A, 15000, SPIN0 } } },
		{ "an unknown version", { 0, 0 }, { { A, 0, LONG(0x51303433) }, { A, 10000, SPIN1 }, { A, 15000, SPIN0 } } },
		{ "version negotiation", { 0, 0 }, { { A, 0, LONG(0) }, { A, 10000, SPIN1 }, { A, 15000, SPIN0 } } },
		{ "no long header: may not be QUIC", { 0, 0 }, { { A, 100, SPIN0 }, { A, 10000, SPIN1 }, { A, 15000, SPIN0 }, { A, 20000, SPIN1 } } },
		{ "a long header of the server", { 1, 5000 }, { { A, 0, SPIN0 }, { B, 50, LONG(1) }, { A, 10000, SPIN1 }, { A, 15000, SPIN0 } } },
		{ "the bit stays 0", { 0, 0 }, { { A, 0, LONG(1) }, { A, 100, SPIN0 }, { A, 10000, SPIN0 }, { A, 15000, SPIN0 } } },
		{ "the other direction's flips", { 0, 0 }, { { A, 0, LONG(1) }, { B, 100, SPIN0 }, { B, 10000, SPIN1 }, { B, 15000, SPIN0 } } },
		{ "both directions: one is looked at", { 1, 5000 },
		  { { A, 0, LONG(1) }, { A, 10000, SPIN1 }, { B, 12000, SPIN1 }, { A, 15000, SPIN0 }, { B, 17000, SPIN0 } } },
		{ "the first packet was B's", { 1, 5000 },
		  { { B, 0, LONG(1) }, { B, 10000, SPIN1 }, { A, 12000, SPIN1 }, { B, 15000, SPIN0 } } },
		{ "without the fixed bit", { 0, 0 }, { { A, 0, LONG(1) }, { A, 10000, SHORT(0x20) }, { A, 15000, SHORT(0x00) } } },
		{ "a flip much faster than the average is none", { 2, 10000 },
		  { { A, 0, LONG(1) }, { A, 10000, SPIN1 }, { A, 20000, SPIN0 }, { A, 20100, SPIN1 }, { A, 20200, SPIN0 }, { A, 30000, SPIN1 } } },
		{ "cut to four bytes", { 0, 0 }, { { A, 0, LONG(1) }, { A, 10000, { 0x60 }, 4, 60, 0, 0, 0 }, { A, 15000, { 0x40 }, 4, 60, 0, 0, 0 } } },
		{ "a long header cut to four bytes", { 0, 0 }, { { A, 0, { 0xc0, 0, 0, 0 }, 4, 60, 0, 0, 0 }, { A, 10000, SPIN1 }, { A, 15000, SPIN0 } } },
		{ "payload of 5 bytes", { 0, 0 }, { { A, 0, LONG(1) }, { A, 10000, { 0x60 }, 5, 5, 0, 0, 0 }, { A, 15000, { 0x40 }, 5, 5, 0, 0, 0 } } },
		{ "later fragments", { 0, 0 }, { { A, 0, LONG(1) }, { A, 10000, SPIN1 },
		    { A, 15000, { 0x40 }, 5, 60, 0, 0, PACKET_FRAGMENT | PACKET_FRAGMENT_LATER } } },
		{ "too long between two flips", { 0, 0 }, { { A, 0, LONG(1) }, { A, 10000, SPIN1 }, { A, MAX_US + 10001, SPIN0 } } },
	};
	/* clang-format on */
	struct flow_key v4 = key_v4(PROTO_UDP, 0x0a000001, 443, 0x0a000002, 50000), v6 = key_v6(PROTO_UDP, 1, 50000, 2, 443);

	cases_check(&v4, RTT_QUIC_SPIN, rows, ROWS(rows));
	cases_check(&v6, RTT_QUIC_SPIN, rows, ROWS(rows));
}

static void quic__when_the_tick_wraps_between_flips__then_no_sample(void **context)
{
	(void)context;
	static const struct app_case rows[] = {
		{ "36 s between two flips", { 0, 0 }, { { A, 0, LONG(1) }, { A, 10000, SPIN1 }, { A, 36 * SEC, SPIN0 } } },
	};
	struct flow_key v4 = key_v4(PROTO_UDP, 0x0a000001, 443, 0x0a000002, 50000);

	cases_check(&v4, RTT_QUIC_SPIN, rows, ROWS(rows));
}

/* The flow is never silent for long, so only the age of what waits tells. */
static void waiting__when_the_tick_wraps_in_a_busy_flow__then_no_sample(void **context)
{
	(void)context;
	/* clang-format off */
	static const struct app_case dns[] = {
		{ "answer after 36 s", { 0, 0 }, { { A, 1, QUERY(7), 0, 0, 0 }, { B, 12 * SEC, ANSWER(8), 0, 0, 0 },
		    { B, 24 * SEC, ANSWER(9), 0, 0, 0 }, { B, 36 * SEC, ANSWER(7), 0, 0, 0 } } },
	};
	static const struct app_case quic[] = {
		{ "36 s between two flips", { 0, 0 }, { { A, 0, LONG(1) }, { A, 10000, SPIN1 }, { A, 10 * SEC, SPIN1 }, { A, 20 * SEC, SPIN1 },
		    { A, 30 * SEC, SPIN1 }, { A, 36 * SEC, SPIN0 } } },
		{ "and the next round trip", { 1, 40000 }, { { A, 0, LONG(1) }, { A, 10000, SPIN1 }, { A, 10 * SEC, SPIN1 },
		    { A, 20 * SEC, SPIN1 }, { A, 30 * SEC, SPIN1 }, { A, 36 * SEC, SPIN0 }, { A, 36 * SEC + 40000, SPIN1 } } },
	};
	/* clang-format on */
	struct flow_key dns_key = key_v4(PROTO_UDP, 0x0a000001, 40000, 0x0a000002, 53);
	struct flow_key quic_key = key_v4(PROTO_UDP, 0x0a000001, 443, 0x0a000002, 50000);

	cases_check(&dns_key, RTT_DNS, dns, ROWS(dns));
	cases_check(&quic_key, RTT_QUIC_SPIN, quic, ROWS(quic));
}

/* --- which packets --------------------------------------------------------------------------------------------------- */

static void app__when_protocol_and_ports_are_given__then_what_may_give_an_rtt(void **context)
{
	(void)context;
	static const struct {
		const char *name;
		uint8_t proto;
		uint16_t a_port, b_port;
		enum rtt_app app;
	} rows[] = {
		{ "DNS server is A", PROTO_UDP, 53, 4000, RTT_APP_DNS },
		{ "DNS server is B", PROTO_UDP, 4000, 53, RTT_APP_DNS },
		{ "DNS and 443", PROTO_UDP, 53, 443, RTT_APP_DNS },
		{ "QUIC server is A", PROTO_UDP, 443, 4000, RTT_APP_QUIC },
		{ "QUIC server is B", PROTO_UDP, 4000, 443, RTT_APP_QUIC },
		{ "mDNS", PROTO_UDP, 5353, 5353, RTT_APP_NONE },
		{ "other UDP", PROTO_UDP, 4000, 4001, RTT_APP_NONE },
		{ "UDP without ports", PROTO_UDP, 0, 0, RTT_APP_NONE },
		{ "ICMP", PROTO_ICMP, 7, 7, RTT_APP_ICMP_ECHO },
		{ "ICMPv6", PROTO_ICMP6, 7, 7, RTT_APP_ICMP_ECHO },
		{ "DNS over TCP", PROTO_TCP, 4000, 53, RTT_APP_NONE },
		{ "SCTP", 132, 4000, 53, RTT_APP_NONE },
	};

	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct flow_key key = key_v4(rows[i].proto, 1, rows[i].a_port, 2, rows[i].b_port);
		struct made made;
		made_set(&made, &key, 0, 1);
		if (rtt_app(&made.packet) != rows[i].app)
			fail_msg("%s: %d", rows[i].name, rtt_app(&made.packet));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dns__after_each_script__then_as_the_rules_say),
		cmocka_unit_test(dns__when_the_tick_wraps_while_waiting__then_no_sample),
		cmocka_unit_test(icmp__after_each_script__then_as_the_rules_say),
		cmocka_unit_test(quic__after_each_script__then_as_the_rules_say),
		cmocka_unit_test(quic__when_the_tick_wraps_between_flips__then_no_sample),
		cmocka_unit_test(waiting__when_the_tick_wraps_in_a_busy_flow__then_no_sample),
		cmocka_unit_test(app__when_protocol_and_ports_are_given__then_what_may_give_an_rtt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
