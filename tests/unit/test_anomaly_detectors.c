/* The further detectors at their thresholds, what each leaves alone, and the alert's other members. */
#include "anomaly_rig.h"

static struct config only(enum alert_kind kind)
{
	struct config config = anomaly_config();

	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++)
		config.detector[i].enabled = i == kind;
	return config;
}

static void udp_flood__one_below_and_at_the_threshold__nothing_and_one_alert(void **state)
{
	struct config config = only(ALERT_UDP_FLOOD);
	char ip[32];

	(void)state;
	config.detector[ALERT_UDP_FLOOD].threshold = 1000;
	for (unsigned packets = 999; packets <= 1000; packets++) {
		struct trace trace = { 0 };
		for (unsigned i = 0; i < packets; i++)
			add_udp(&trace, T0 + i * MS, (struct host){ numbered(ip, i % 50), 4000 },
				(struct host){ "10.0.0.1", (uint16_t)(i % 7) }, 100);
		alerts_are(&trace, &config,
			packets < 1000 ? ""
				       : "1706123400.999000777 udp_flood high 1000 UDP flood suspected: 1000 unanswered packets in "
					 "5 s to 10.0.0.1\n");
	}
}

static void udp_flood__packets_that_are_answered__nothing(void **state)
{
	struct config config = only(ALERT_UDP_FLOOD);
	struct trace trace = { 0 };

	(void)state;
	config.detector[ALERT_UDP_FLOOD].threshold = 100;
	for (unsigned i = 0; i < 2000; i++) {
		struct host a = { "10.0.0.2", 4000 }, b = { "10.0.0.1", 5000 };
		add_udp(&trace, T0 + i * MS, i % 20 ? a : b, i % 20 ? b : a, 100);
	}
	alerts_are(&trace, &config, "");
}

static void icmp_flood__999_and_1000_pings__nothing_and_one_alert(void **state)
{
	struct config config = only(ALERT_ICMP_FLOOD);

	(void)state;
	for (unsigned packets = 999; packets <= 1000; packets++) {
		struct trace trace = { 0 };
		for (unsigned i = 0; i < packets; i++)
			add_ping(&trace, T0 + i * MS, "10.0.0.2", "10.0.0.1", false, (uint16_t)(i / 100));
		alerts_are(&trace, &config,
			packets < 1000 ? ""
				       : "1706123400.999000777 icmp_flood medium 1000 ICMP flood suspected: 1000 packets in 5 s to "
					 "10.0.0.1\n");
	}
}

static void rst_storm__499_and_500_resets__nothing_and_one_alert(void **state)
{
	struct config config = only(ALERT_RST_STORM);
	char ip[32];

	(void)state;
	for (unsigned packets = 499; packets <= 500; packets++) {
		struct trace trace = { 0 };
		for (unsigned i = 0; i < packets; i++)
			add_tcp(&trace, T0 + i * MS, (struct host){ "10.0.0.1", 80 }, (struct host){ numbered(ip, i), 4000 }, RST,
				1, 0, 0);
		alerts_are(&trace, &config,
			packets < 500 ? ""
				      : "1706123400.499000777 rst_storm medium 500 RST storm suspected: 500 resets in 5 s from "
					"10.0.0.1\n");
	}
}

/* Answers of 1000 bytes (with headers) to requests of 60; DNS by its QR bit, NTP by its mode. */
static void add_reflection(struct trace *trace, uint64_t ts_ns, uint16_t port, unsigned i, bool asked)
{
	struct host victim = { "10.0.0.1", 4000 };
	char ip[32];
	struct host reflector = { numbered(ip, i % 30), port };
	struct packet_builder b;
	uint8_t head[3] = { 0, 0, 0x80 };

	if (port == 123)
		head[0] = 0x97; /* mode 7, response */
	if (asked) {
		trace_ip(&b, victim.ip, reflector.ip, PROTO_UDP);
		pb_udp(&b, victim.port, reflector.port);
		pb_fill(&b, 18); /* zeroes and such: a request by its ports or bits */
		b.bytes[42] = port == 123 ? 0x17 : 0;
		b.bytes[44] = 0;
		trace_add(trace, &b, ts_ns);
	}
	trace_ip(&b, reflector.ip, victim.ip, PROTO_UDP);
	pb_udp(&b, reflector.port, victim.port);
	pb_bytes(&b, head, sizeof(head));
	pb_fill(&b, 1000 - 42 - 3);
	trace_add(trace, &b, ts_ns + 1000);
}

static void amplification__99_and_100_large_answers__nothing_and_one_alert(void **state)
{
	static const struct {
		enum alert_kind kind;
		uint16_t port;
		const char *wanted;
	} cases[] = {
		{ ALERT_DNS_AMPLIFICATION, 53,
			"1706123400.099001777 dns_amplification high 100000 DNS amplification suspected: 100000 bytes of answers, "
			"0 bytes of requests, to 10.0.0.1\n" },
		{ ALERT_NTP_AMPLIFICATION, 123,
			"1706123400.099001777 ntp_amplification high 100000 NTP amplification suspected: 100000 bytes of answers, "
			"0 bytes of requests, to 10.0.0.1\n" },
	};

	(void)state;
	for (unsigned k = 0; k < ROWS(cases); k++) {
		struct config config = only(cases[k].kind);
		for (unsigned answers = 99; answers <= 100; answers++) {
			struct trace trace = { 0 };
			for (unsigned i = 0; i < answers; i++)
				add_reflection(&trace, T0 + i * MS, cases[k].port, i, false);
			alerts_are(&trace, &config, answers < 100 ? "" : cases[k].wanted);
		}
		/* The same 100,000 bytes, and one byte more asked for. */
		struct trace trace = { 0 };
		config.detector[cases[k].kind].threshold = 100001;
		for (unsigned i = 0; i < 100; i++)
			add_reflection(&trace, T0 + i * MS, cases[k].port, i, false);
		alerts_are(&trace, &config, "");
	}
}

static void amplification__ratio_below_and_above_the_one_given__nothing_and_alert(void **state)
{
	(void)state;
	/* 1000 bytes for 60: 16 to one. */
	for (unsigned ratio = 16; ratio <= 17; ratio++) {
		struct config config = only(ALERT_DNS_AMPLIFICATION);
		struct trace trace = { 0 };
		struct alert_log log;
		config.detector[ALERT_DNS_AMPLIFICATION].second = ratio;
		for (unsigned i = 0; i < 200; i++)
			add_reflection(&trace, T0 + i * MS, 53, i, true);
		alert_log_all(&log, &trace, &config);
		assert_int_equal(log.count, ratio == 16);
		free(log.text);
		trace_free(&trace);
	}
}

static void brute_force__19_and_20_short_connections__nothing_and_one_alert(void **state)
{
	struct config config = only(ALERT_BRUTE_FORCE);

	(void)state;
	for (unsigned connections = 19; connections <= 20; connections++) {
		struct trace trace = { 0 };
		for (unsigned i = 0; i < connections; i++)
			add_connection(&trace, T0 + i * 2 * SEC, (struct host){ "10.0.0.9", (uint16_t)(40000 + i) },
				(struct host){ "10.0.0.1", 22 }, 300, MS);
		alerts_are(&trace, &config,
			connections < 20 ? ""
					 : "1706123438.002003777 brute_force high 20 Brute force suspected: 20 short connections "
					   "in 60 s from 10.0.0.9 to 10.0.0.1:22\n");
	}
}

static void brute_force__web_server_or_long_connections__nothing(void **state)
{
	struct config config = only(ALERT_BRUTE_FORCE);
	struct trace web = { 0 }, copies = { 0 };

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		struct host client = { "10.0.0.9", (uint16_t)(40000 + i) };
		add_connection(&web, T0 + i * 100 * MS, client, (struct host){ "10.0.0.1", 443 }, 300, MS);
		/* 70 kB by scp */
		struct host server = { "10.0.0.1", 22 };
		add_tcp(&copies, T0 + i * 100 * MS, client, server, SYN, 0, 0, 0);
		add_tcp(&copies, T0 + i * 100 * MS + 1, server, client, SYNACK, 0, 1, 0);
		for (unsigned k = 0; k < 10; k++)
			add_tcp(&copies, T0 + i * 100 * MS + 2 + k, client, server, PSH, 1 + 7000 * k, 1, 7000);
		add_tcp(&copies, T0 + i * 100 * MS + 20, client, server, FIN, 70001, 1, 0);
	}
	alerts_are(&web, &config, "");
	alerts_are(&copies, &config, "");
}

static void new_flow_surge__ten_times_the_usual__alert(void **state)
{
	struct config config = only(ALERT_NEW_FLOW_SURGE);
	struct trace trace = { 0 };
	char ip[32];
	unsigned flow = 0;

	(void)state;
	for (unsigned second = 0; second < 12; second++) {
		unsigned flows = second == 10 ? 1500 : 100;
		for (unsigned i = 0; i < flows; i++, flow++)
			add_udp(&trace, (1706123400 + second) * SEC + i * 10000, (struct host){ numbered(ip, flow), 4000 },
				(struct host){ "10.0.0.1", 53 }, 20);
	}
	alerts_are(&trace, &config,
		"1706123410.009990000 new_flow_surge medium 1000 New flow surge: 1000 new flows in 1 s, usually 100\n");
}

static void new_flow_surge__always_that_many__nothing(void **state)
{
	struct config config = only(ALERT_NEW_FLOW_SURGE);
	struct trace trace = { 0 };
	char ip[32];

	(void)state;
	for (unsigned i = 0; i < 24000; i++)
		add_udp(&trace, T0 + i * MS / 2, (struct host){ numbered(ip, i), 4000 }, (struct host){ "10.0.0.1", 53 }, 20);
	alerts_are(&trace, &config, "");
}

/* Connections to one network; the RTT is what it is, then four times that. */
static void rtt_shift__rtt_doubles__alert_about_the_network__and_not_before(void **state)
{
	struct config config = only(ALERT_RTT_SHIFT);
	struct trace trace = { 0 };
	struct alert_log log;
	char ip[32];

	(void)state;
	for (unsigned i = 0; i < 1200; i++) {
		uint64_t rtt_ns = i < 900 ? 20 * MS : 80 * MS;
		snprintf(ip, sizeof(ip), "192.0.2.%u", i % 200);
		add_connection(&trace, 1706123400 * SEC + i * 300 * MS, (struct host){ "10.0.0.9", (uint16_t)(2000 + i) },
			(struct host){ ip, 443 }, 300, rtt_ns);
	}
	/* Connections overlap in time: as a capture would have them. */
	for (unsigned i = 1; i < trace.count; i++) {
		for (unsigned k = i; k && trace.frames[k].ts_ns < trace.frames[k - 1].ts_ns; k--) {
			struct frame swapped = trace.frames[k];
			trace.frames[k] = trace.frames[k - 1];
			trace.frames[k - 1] = swapped;
		}
	}
	alert_log_all(&log, &trace, &config);
	assert_in_range(log.count, 1, 2);
	assert_non_null(strstr(log.text, " rtt_shift low 20 RTT shift: "));
	assert_non_null(strstr(log.text, " to 192.0.2.0/24, usually 20."));
	assert_true(atoi(log.text + 6) >= 3670); /* 1706123670: nothing before the change */
	free(log.text);
	trace_free(&trace);
}

static void loss_shift__segments_are_sent_again__alert(void **state)
{
	struct config config = only(ALERT_LOSS_SHIFT);
	struct trace trace = { 0 };
	struct alert_log log;
	struct host client = { "10.0.0.9", 5000 }, server = { "192.0.2.1", 443 };
	uint64_t ts_ns = 1706123400 * SEC;
	uint32_t seq = 1;

	(void)state;
	add_tcp(&trace, ts_ns, client, server, SYN, 0, 0, 0);
	add_tcp(&trace, ts_ns + MS, server, client, SYNACK, 0, 1, 0);
	/* 250 packets a second; one of five is sent again after a while, from 100 s on. */
	for (unsigned i = 0; i < 35000; i++) {
		ts_ns += 4 * MS;
		bool again = i > 25000 && i % 5 == 0;
		add_tcp(&trace, ts_ns, client, server, PSH, again ? seq - 100 : seq, 1, 100);
		seq += again ? 0 : 100;
		if (i % 10 == 9)
			add_tcp(&trace, ts_ns + MS, server, client, ACK, 1, seq, 0);
	}
	alert_log_all(&log, &trace, &config);
	assert_in_range(log.of_kind[ALERT_LOSS_SHIFT], 1, 2);
	assert_non_null(strstr(log.text, "% of packets sent again to or from 192.0.2.0/24, usually 0.000 %"));
	assert_true(atoi(log.text + 6) >= 3500);
	free(log.text);
	trace_free(&trace);
}

static void beaconing__connections_every_minute__alert_after_ten__with_random_gaps_nothing(void **state)
{
	struct config config = only(ALERT_BEACONING);
	uint64_t random = 3;

	(void)state;
	for (unsigned regular = 0; regular <= 1; regular++) {
		struct trace trace = { 0 };
		uint64_t ts_ns = T0;
		for (unsigned i = 0; i < 15; i++) {
			add_connection(&trace, ts_ns, (struct host){ "10.0.0.9", (uint16_t)(40000 + i) },
				(struct host){ "192.0.2.77", 8443 }, 200, MS);
			uint64_t jitter = random_below(&random, 1000) * MS;
			ts_ns += regular ? 60 * SEC + jitter : (5 + random_below(&random, 200)) * SEC;
		}
		struct alert_log log;
		alert_log_all(&log, &trace, &config);
		assert_int_equal(log.count, regular);
		if (regular)
			assert_non_null(
				strstr(log.text, " beaconing medium 11 Beaconing suspected: 11 connections, one every 60."));
		free(log.text);
		trace_free(&trace);
	}
}

/* --- whatever comes ---------------------------------------------------------------------------------------------------- */

static void anything__times_backwards_zero_and_far_ahead__all_lanes_agree(void **state)
{
	struct config config = anomaly_config();
	struct trace trace = { 0 };
	struct alert_log log;
	uint64_t random = 17, ts_ns = T0;
	char src[32], dst[32];

	(void)state;
	config.anomaly_keys = 256;
	config.detector[ALERT_SYN_FLOOD].threshold = 20;
	config.detector[ALERT_SYN_FLOOD].second = 3;
	config.detector[ALERT_PORT_SCAN].threshold = 5;
	config.detector[ALERT_ICMP_FLOOD].threshold = 10;
	for (unsigned i = 0; i < 20000; i++) {
		static const uint8_t flags[] = { SYN, SYN, SYN, RST, FIN, ACK, PSH, SYNACK, 0 };
		unsigned jump = random_below(&random, 400);
		ts_ns += random_below(&random, 2000000);
		if (jump == 0)
			ts_ns = 0;
		else if (jump == 1)
			ts_ns = UINT64_MAX - random_below(&random, 1000);
		else if (jump < 6)
			ts_ns = T0 + random_u64(&random) % (1000 * SEC);
		else if (jump < 20)
			ts_ns -= ts_ns > SEC ? random_below(&random, 1000000000) : 0;
		struct host a = { numbered(src, random_below(&random, 40)), (uint16_t)random_below(&random, 30) };
		struct host b = { numbered(dst, random_below(&random, 40)), (uint16_t)(50 + random_below(&random, 90)) };
		switch (random_below(&random, 6)) {
		case 0:
			add_udp(&trace, ts_ns, a, b, random_below(&random, 600));
			break;
		case 1:
			add_ping(&trace, ts_ns, a.ip, b.ip, random_u64(&random) & 1, a.port);
			break;
		default:
			add_tcp(&trace, ts_ns, a, b, flags[random_below(&random, ROWS(flags))], (uint32_t)random_u64(&random),
				(uint32_t)random_u64(&random), random_below(&random, 100));
		}
	}
	alert_log_all(&log, &trace, &config);
	assert_true(log.count > 50);
	free(log.text);
	trace_free(&trace);
}

/* 300,000 forged sources, with few keys: what had no room is counted. */
static void few_keys__flood_of_forged_sources__found_and_what_had_no_room_is_counted(void **state)
{
	struct config config = anomaly_config();
	struct trace trace = { 0 };
	struct alert_log log;
	char ip[32];

	(void)state;
	config.anomaly_keys = 256;
	for (unsigned i = 0; i < 300000; i++)
		add_tcp(&trace, T0 + i * 20000, (struct host){ numbered(ip, i), 999 }, (struct host){ "10.0.0.1", 443 }, SYN, 1, 0,
			0);
	alert_log_get(&log, &trace, &config, &(struct rig_options){ 1, 64, 100000 });
	assert_int_equal(log.of_kind[ALERT_SYN_FLOOD], 1);
	assert_true(log.report.attempts_missed > 200000);
	assert_true(log.report.keys_evicted > 0);
	free(log.text);
	trace_free(&trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(udp_flood__one_below_and_at_the_threshold__nothing_and_one_alert),
		cmocka_unit_test(udp_flood__packets_that_are_answered__nothing),
		cmocka_unit_test(icmp_flood__999_and_1000_pings__nothing_and_one_alert),
		cmocka_unit_test(rst_storm__499_and_500_resets__nothing_and_one_alert),
		cmocka_unit_test(amplification__99_and_100_large_answers__nothing_and_one_alert),
		cmocka_unit_test(amplification__ratio_below_and_above_the_one_given__nothing_and_alert),
		cmocka_unit_test(brute_force__19_and_20_short_connections__nothing_and_one_alert),
		cmocka_unit_test(brute_force__web_server_or_long_connections__nothing),
		cmocka_unit_test(new_flow_surge__ten_times_the_usual__alert),
		cmocka_unit_test(new_flow_surge__always_that_many__nothing),
		cmocka_unit_test(rtt_shift__rtt_doubles__alert_about_the_network__and_not_before),
		cmocka_unit_test(loss_shift__segments_are_sent_again__alert),
		cmocka_unit_test(beaconing__connections_every_minute__alert_after_ten__with_random_gaps_nothing),
		cmocka_unit_test(anything__times_backwards_zero_and_far_ahead__all_lanes_agree),
		cmocka_unit_test(few_keys__flood_of_forged_sources__found_and_what_had_no_room_is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
