/*
 * Each counting detector at its limits, one table for all: one thing less than the threshold raises nothing, the threshold one alert;
 * what is exactly as old as the window counts, a nanosecond older does not; for the cooldown nothing counts, and then all begins anew.
 */
#include "anomaly_rig.h"

#define ALERTS_MAX 8
#define ATTACKER   "10.0.0.99"
#define VICTIM_IP  "10.0.0.1"

/* Number i of what the detector counts, each of another flow. */
typedef void add_fn(struct trace *trace, uint64_t ts_ns, unsigned i);

static void add_syn(struct trace *trace, uint64_t ts_ns, unsigned i)
{
	char ip[32];

	add_tcp(trace, ts_ns, (struct host){ numbered(ip, i), 999 }, (struct host){ VICTIM_IP, 443 }, SYN, 1, 0, 0);
}

static void add_closed_port(struct trace *trace, uint64_t ts_ns, unsigned i)
{
	add_tcp(trace, ts_ns, (struct host){ ATTACKER, 4000 }, (struct host){ VICTIM_IP, (uint16_t)(1 + i) }, SYN, 1, 0, 0);
}

static void add_silent_host(struct trace *trace, uint64_t ts_ns, unsigned i)
{
	char ip[32];

	add_tcp(trace, ts_ns, (struct host){ ATTACKER, 4000 }, (struct host){ numbered(ip, i), 445 }, SYN, 1, 0, 0);
}

static void add_datagram(struct trace *trace, uint64_t ts_ns, unsigned i)
{
	add_udp(trace, ts_ns, (struct host){ ATTACKER, (uint16_t)(2000 + i) }, (struct host){ VICTIM_IP, 9 }, 50);
}

static void add_echo(struct trace *trace, uint64_t ts_ns, unsigned i)
{
	add_ping(trace, ts_ns, ATTACKER, VICTIM_IP, false, (uint16_t)i);
}

static void add_reset(struct trace *trace, uint64_t ts_ns, unsigned i)
{
	char ip[32];

	add_tcp(trace, ts_ns, (struct host){ ATTACKER, 80 }, (struct host){ numbered(ip, i), 999 }, RST, 1, 0, 0);
}

/* UDP of so many bytes on the wire. QR bit for DNS, mode 4 or 3 for NTP. */
static void add_message(struct trace *trace, uint64_t ts_ns, struct host src, struct host dst, bool answer, uint32_t bytes)
{
	uint8_t head[3] = { answer ? 0x24 : 0x23, 0, answer ? 0x80 : 0 };
	struct packet_builder b;

	trace_ip(&b, src.ip, dst.ip, PROTO_UDP);
	pb_udp(&b, src.port, dst.port);
	pb_bytes(&b, head, sizeof(head));
	pb_fill(&b, bytes - 42 - 3);
	trace_add(trace, &b, ts_ns);
}

static void add_dns_answer(struct trace *trace, uint64_t ts_ns, unsigned i)
{
	char ip[32];

	add_message(trace, ts_ns, (struct host){ numbered(ip, i), 53 }, (struct host){ VICTIM_IP, 999 }, true, 1000);
}

static void add_ntp_answer(struct trace *trace, uint64_t ts_ns, unsigned i)
{
	char ip[32];

	add_message(trace, ts_ns, (struct host){ numbered(ip, i), 123 }, (struct host){ VICTIM_IP, 999 }, true, 1000);
}

/* Its first FIN is 3 us behind ts_ns. */
static void add_login(struct trace *trace, uint64_t ts_ns, unsigned i)
{
	add_connection(trace, ts_ns, (struct host){ ATTACKER, (uint16_t)(2000 + i) }, (struct host){ VICTIM_IP, 22 }, 300, 0);
}

#define END_NS 3000

static const struct detector_case {
	const char *name;
	enum alert_kind kind;
	add_fn *add;
	uint32_t one;      /* what one adds to the threshold's count */
	bool second;       /* it is the second threshold that is looked at */
	uint64_t after_ns; /* the alert's time behind that of the first packet */
} cases[] = {
	{ "syns", ALERT_SYN_FLOOD, add_syn, 1, false, 0 },
	{ "sources", ALERT_SYN_FLOOD, add_syn, 1, true, 0 },
	{ "ports", ALERT_PORT_SCAN, add_closed_port, 1, false, 0 },
	{ "hosts", ALERT_PORT_SCAN, add_silent_host, 1, true, 0 },
	{ "sweep", ALERT_HOST_SWEEP, add_silent_host, 1, false, 0 },
	{ "datagrams", ALERT_UDP_FLOOD, add_datagram, 1, false, 0 },
	{ "echoes", ALERT_ICMP_FLOOD, add_echo, 1, false, 0 },
	{ "resets", ALERT_RST_STORM, add_reset, 1, false, 0 },
	{ "dns", ALERT_DNS_AMPLIFICATION, add_dns_answer, 1000, false, 0 },
	{ "ntp", ALERT_NTP_AMPLIFICATION, add_ntp_answer, 1000, false, 0 },
	{ "logins", ALERT_BRUTE_FORCE, add_login, 1, false, END_NS },
};

/* That detector alone, at `n` things in 5 s, with 20 s of cooldown. */
static struct config case_config(const struct detector_case *this, uint32_t n)
{
	struct config config = anomaly_config();
	struct detector_config *detector = &config.detector[this->kind];

	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++)
		config.detector[i].enabled = i == this->kind;
	detector->window_ns = 5 * SEC;
	detector->cooldown_ns = 20 * SEC;
	/* Of two thresholds syn_flood wants both, port_scan either. */
	uint32_t other = this->kind == ALERT_PORT_SCAN ? 1000000 : 1;
	if (this->second) {
		detector->threshold = other;
		detector->second = n;
	} else {
		detector->threshold = n * this->one;
		if (this->kind == ALERT_SYN_FLOOD || this->kind == ALERT_PORT_SCAN)
			detector->second = other;
	}
	return config;
}

/* On one, two and four lanes: exactly these times behind T0. The trace is freed. */
static void alerts_at(const struct detector_case *this, struct trace *trace, uint32_t n, const uint64_t *times_ns, unsigned count)
{
	static const struct rig_options more[] = { { 2, 0, 0 }, { 4, 7, 0 } };
	struct config config = case_config(this, n);
	struct alert_log log, other;
	unsigned got = 0;

	alert_log_get(&log, trace, &config, &(struct rig_options){ 1, 64, 0 });
	for (unsigned i = 0; i < ROWS(more); i++) {
		alert_log_get(&other, trace, &config, &more[i]);
		assert_string_equal(other.text, log.text);
		free(other.text);
	}
	for (const char *line = log.text; *line; line = strchr(line, '\n') + 1, got++) {
		unsigned long long secs, ns;
		assert_int_equal(sscanf(line, "%llu.%llu", &secs, &ns), 2);
		if (got >= count || secs * SEC + ns != T0 + this->after_ns + times_ns[got])
			fail_msg("%s: alert %u of %u wanted:\n%s", this->name, got + 1, count, log.text);
	}
	if (got != count)
		fail_msg("%s: %u alerts, not %u:\n%s", this->name, got, count, log.text);
	free(log.text);
	trace_free(trace);
}

static void threshold__one_less_and_just_that_many__nothing_and_one_alert(void **state)
{
	(void)state;
	for (unsigned k = 0; k < ROWS(cases); k++) {
		for (unsigned n = 9; n <= 10; n++) {
			struct trace trace = { 0 };
			for (unsigned i = 0; i < n; i++)
				cases[k].add(&trace, T0 + i * MS, i);
			alerts_at(&cases[k], &trace, 10, &(uint64_t){ 9 * MS }, n == 10);
		}
	}
}

static void window__exactly_as_old_and_a_nanosecond_older__counts_and_does_not(void **state)
{
	(void)state;
	for (unsigned k = 0; k < ROWS(cases); k++) {
		for (unsigned older = 0; older <= 1; older++) {
			struct trace trace = { 0 };
			uint64_t last_ns = 5 * SEC + older;
			cases[k].add(&trace, T0, 0);
			cases[k].add(&trace, T0 + SEC, 1);
			cases[k].add(&trace, T0 + last_ns, 2);
			alerts_at(&cases[k], &trace, 3, &last_ns, !older);
		}
	}
}

/* One each 100 ms: the tenth raises; for 20 s none counts; what comes just then is the first of the next ten. */
static void cooldown__things_go_on__ten_more_behind_each(void **state)
{
	static const uint64_t wanted[] = { 900 * MS, 21800 * MS, 42700 * MS };

	(void)state;
	for (unsigned k = 0; k < ROWS(cases); k++) {
		struct trace trace = { 0 };
		for (unsigned i = 0; i < 450; i++)
			cases[k].add(&trace, T0 + i * 100 * MS, i);
		alerts_at(&cases[k], &trace, 10, wanted, ROWS(wanted));
	}
}

/* The cooldown begins with the alert itself: what comes at the very same time does not count. */
static void cooldown__all_at_once__one_alert(void **state)
{
	(void)state;
	for (unsigned k = 0; k < ROWS(cases); k++) {
		struct trace trace = { 0 };
		for (unsigned i = 0; i < 35; i++)
			cases[k].add(&trace, T0, i);
		alerts_at(&cases[k], &trace, 10, &(uint64_t){ 0 }, 1);
	}
}

/* Answers of ten times the bytes that were asked for, and of a byte less than that. */
static void ratio__ten_times_and_a_byte_less__alert_and_nothing(void **state)
{
	static const struct {
		enum alert_kind kind;
		uint16_t port;
	} kinds[] = { { ALERT_DNS_AMPLIFICATION, 53 }, { ALERT_NTP_AMPLIFICATION, 123 } };

	(void)state;
	for (unsigned k = 0; k < ROWS(kinds); k++) {
		for (unsigned more = 0; more <= 1; more++) {
			struct config config = anomaly_config();
			struct trace trace = { 0 };
			struct alert_log log;
			for (unsigned i = 0; i < 100; i++) {
				struct host victim = { VICTIM_IP, (uint16_t)(2000 + i) }, server = { "10.0.0.53", kinds[k].port };
				add_message(&trace, T0 + i * MS, victim, server, false, 100 + (more && i == 0));
				add_message(&trace, T0 + i * MS + 1, server, victim, true, 1000);
			}
			alert_log_all(&log, &trace, &config);
			assert_int_equal(log.of_kind[kinds[k].kind], !more);
			free(log.text);
			trace_free(&trace);
		}
	}
}

/* SYNs of 75 sources to each of two services, sent twice: 300, but 150 to one. Then to one service. */
static void syn_flood__two_services__each_counts_its_own(void **state)
{
	static const struct {
		const char *name, *other_ip;
		uint16_t other_port;
		unsigned alerts;
	} rows[] = {
		{ "another port", VICTIM_IP, 80, 0 },
		{ "another host", "10.0.0.2", 443, 0 },
		{ "the same", VICTIM_IP, 443, 1 },
	};

	(void)state;
	for (unsigned k = 0; k < ROWS(rows); k++) {
		struct config config = anomaly_config();
		struct alert_log log;
		struct trace trace = { 0 };
		for (unsigned i = 0; i < 300; i++) {
			char ip[32];
			struct host src = { numbered(ip, i / 2), 999 };
			struct host one = { VICTIM_IP, 443 }, other = { rows[k].other_ip, rows[k].other_port };
			add_tcp(&trace, T0 + i * MS, src, i % 4 < 2 ? one : other, SYN, 1, 0, 0);
		}
		alert_log_all(&log, &trace, &config);
		if (log.of_kind[ALERT_SYN_FLOOD] != rows[k].alerts)
			fail_msg("%s: %u alerts, not %u", rows[k].name, log.of_kind[ALERT_SYN_FLOOD], rows[k].alerts);
		free(log.text);
		trace_free(&trace);
	}
}

/* --- what the engine is told ------------------------------------------------------------------------------------------- */

static void engine_take(struct engine *engine, const struct anomaly_event *events, unsigned n)
{
	struct engine_batch batch = { .n = n };

	for (unsigned i = 0; i < n; i++)
		batch.events[i] = &events[i];
	engine_prefetch(engine, &batch, NULL);
	engine_run(engine, &batch);
}

/* `count` events of one kind at `ts_ns`, a millisecond apart. */
static unsigned engine_alerts(const struct anomaly_event *event, unsigned count, enum alert_kind kind)
{
	struct config config = anomaly_config();
	struct alert_log log = { .text = calloc(1, 1) };
	struct engine *engine;

	assert_int_equal(engine_create(&config, HASH_SEED_FIXED, alert_log_add, &log, &engine), 0);
	for (unsigned i = 0; i < count; i++) {
		struct anomaly_event one = *event;
		one.ts_ns += i * MS;
		one.first_ns += i * MS;
		engine_take(engine, &one, 1);
	}
	engine_finish(engine);
	engine_destroy(engine);
	free(log.text);
	return log.of_kind[kind];
}

static void brute_force__what_is_short__to_the_byte_and_the_nanosecond(void **state)
{
	static const struct {
		uint32_t bytes;
		uint64_t ns;
		uint16_t port;
		unsigned alerts;
	} rows[] = {
		{ 65536, 60 * SEC, 22, 1 },
		{ 65537, 60 * SEC, 22, 0 },
		{ 65536, 60 * SEC + 1, 22, 0 },
		{ 100, SEC, 3389, 1 },
		{ 100, SEC, 80, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct anomaly_event event = { .ts_ns = T0,
			.first_ns = T0 - rows[i].ns,
			.bytes = rows[i].bytes,
			.port = rows[i].port,
			.bits = EVENT_END,
			.ip_version = 4,
			.proto = 6 };
		assert_int_equal(engine_alerts(&event, 20, ALERT_BRUTE_FORCE), rows[i].alerts);
	}
}

/* New flows of the second that begins so many seconds behind T0's, a microsecond apart. */
static void surge_add(struct engine *engine, unsigned second, unsigned flows, unsigned bits)
{
	for (unsigned first = 0; first < flows; first += 10) {
		struct anomaly_event events[10];
		for (unsigned i = 0; i < 10; i++)
			events[i] = (struct anomaly_event){ .ts_ns = (1706123400 + second) * SEC + (first + i) * 1000,
				.flow = (uint64_t)(second * 10000 + first + i) << 24,
				.bits = (uint16_t)bits,
				.ip_version = 4,
				.proto = 6 };
		engine_take(engine, events, flows - first < 10 ? flows - first : 10);
	}
}

static void new_flow_surge__at_each_limit__alert_or_nothing(void **state)
{
	static const struct {
		const char *name;
		unsigned past, usual, flows; /* seconds before, flows in each, flows in the last */
		unsigned later;              /* another such second, so many seconds later; 0: none */
		unsigned alerts;
	} rows[] = {
		{ "1000 flows", 5, 50, 1000, 0, 1 },
		{ "one flow less", 5, 50, 999, 0, 0 },
		{ "ten times the usual", 5, 200, 2000, 0, 1 },
		{ "one flow less than that", 5, 200, 1999, 0, 0 },
		{ "four seconds of past, of which the first may be a part of one", 4, 50, 1000, 0, 0 },
		{ "within the cooldown", 5, 50, 1000, 29, 1 },
		{ "at its end", 5, 50, 1000, 30, 2 },
	};

	(void)state;
	/* New flows, and then the same as SYNs, most of which find no attempt free: those are counted another way. */
	for (unsigned k = 0; k < 2 * ROWS(rows); k++) {
		struct config config = anomaly_config();
		struct alert_log log = { .text = calloc(1, 1) };
		struct alert_report report = { 0 };
		struct engine *engine;
		unsigned row = k % ROWS(rows), flows = 0;
		bool syns = k >= ROWS(rows);
		config.anomaly_keys = 16;
		config.scan_grace_ns = 1000 * SEC;
		config.detector[ALERT_SYN_FLOOD].enabled = false;
		assert_int_equal(engine_create(&config, HASH_SEED_FIXED, alert_log_add, &log, &engine), 0);
		for (unsigned second = 0; second <= rows[row].past + rows[row].later; second++) {
			bool is_last = second == rows[row].past || second == rows[row].past + rows[row].later;
			unsigned n = is_last ? rows[row].flows : rows[row].usual;
			surge_add(engine, second, n, syns ? EVENT_NEW | EVENT_SYN | EVENT_ATTEMPT : EVENT_NEW);
			flows += n;
		}
		if (log.count != rows[row].alerts)
			fail_msg("%s: %u alerts, not %u:\n%s", rows[row].name, log.count, rows[row].alerts, log.text);
		engine_report(engine, &report);
		assert_int_equal(report.attempts_missed, syns ? flows - 2 * 16 : 0);
		engine_destroy(engine);
		free(log.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threshold__one_less_and_just_that_many__nothing_and_one_alert),
		cmocka_unit_test(window__exactly_as_old_and_a_nanosecond_older__counts_and_does_not),
		cmocka_unit_test(cooldown__things_go_on__ten_more_behind_each),
		cmocka_unit_test(cooldown__all_at_once__one_alert),
		cmocka_unit_test(ratio__ten_times_and_a_byte_less__alert_and_nothing),
		cmocka_unit_test(syn_flood__two_services__each_counts_its_own),
		cmocka_unit_test(new_flow_surge__at_each_limit__alert_or_nothing),
		cmocka_unit_test(brute_force__what_is_short__to_the_byte_and_the_nanosecond),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
