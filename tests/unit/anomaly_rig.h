/*
 * A trace of frames, and the alerts that the detectors raise on it, as text: with cores, taps and engine as in a run, the lanes in
 * threads of their own.
 */
#ifndef ANOMALY_RIG_H
#define ANOMALY_RIG_H

#include <pthread.h>

#include "anomaly.h"
#include "core_rig.h"

#define RIG_LANES_MAX 4

struct alert_log {
	char *text; /* a line per alert: "12.500000000 syn_flood high 200 SYN flood suspected: ..." */
	size_t length;
	unsigned count;
	unsigned of_kind[ALERT_KIND_COUNT];
	struct alert_report report;
	uint64_t evicted; /* flows that the table had no room for */
};

struct rig_lane {
	const struct trace *trace;
	struct core *core;
	unsigned batch;
	uint64_t random;
	pthread_t thread;
};

/* What the options come to by themselves. */
static inline struct config anomaly_config(void)
{
	struct config config = { .anomalies = true, .scan_grace_ns = 3 * SEC, .anomaly_keys = 1024 };

	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++)
		config.detector[i] = detector_info(i)->defaults;
	return config;
}

static inline void alert_log_add(void *context, const struct alert *alerts, unsigned n)
{
	struct alert_log *log = context;

	for (unsigned i = 0; i < n; i++) {
		const struct alert *alert = &alerts[i];
		const struct detector_info *info = detector_info(alert->kind);
		char *line;
		assert_true(strlen(alert->description) < ALERT_TEXT_MAX - 1);
		int length = asprintf(&line, "%llu.%09llu %s %s %llu %s\n", (unsigned long long)(alert->ts_ns / SEC),
			(unsigned long long)(alert->ts_ns % SEC), info->name, info->severity, (unsigned long long)alert->count,
			alert->description);
		assert_true(length > 0);
		log->text = realloc(log->text, log->length + (size_t)length + 1);
		assert_non_null(log->text);
		memcpy(log->text + log->length, line, (size_t)length + 1);
		log->length += (size_t)length;
		log->count++;
		log->of_kind[alert->kind]++;
		free(line);
	}
}

static inline void rig_records(void *context, const struct flow_record *records, unsigned n)
{
	(void)context;
	(void)records;
	(void)n;
}

static inline void *rig_lane_run(void *argument)
{
	struct rig_lane *lane = argument;
	const struct trace *trace = lane->trace;

	for (unsigned done = 0, n; done < trace->count; done += n) {
		n = lane->batch ? lane->batch : 1 + random_below(&lane->random, FLOWLANE_BATCH);
		n = n < trace->count - done ? n : trace->count - done;
		core_run(lane->core, trace->frames + done, n);
	}
	core_drain(lane->core);
	return NULL;
}

struct rig_options {
	unsigned lanes, batch;
	uint32_t max_flows; /* 0: enough */
};

static inline void alert_log_get(
	struct alert_log *log, const struct trace *trace, const struct config *config, const struct rig_options *rig)
{
	const struct anomaly_options options = {
		.config = config, .lanes = rig->lanes, .seed = HASH_SEED_FIXED, .on_alerts = alert_log_add, .context = log
	};
	struct rig_lane lanes[RIG_LANES_MAX];
	struct anomaly *anomaly;

	memset(log, 0, sizeof(*log));
	log->text = calloc(1, 1);
	assert_int_equal(anomaly_create(&options, &anomaly), 0);
	for (unsigned i = 0; i < rig->lanes; i++) {
		struct core_options core = { .seed = HASH_SEED_FIXED,
			/* Twice what could be: no flow has to leave. Small tables, for each run clears its pages. */
			.max_flows = rig->max_flows ? rig->max_flows : 2 * trace->count + 64,
			.flow_timeout_ns = 60 * SEC,
			.lane = i,
			.lanes = rig->lanes,
			.on_records = rig_records,
			.tap = anomaly_tap(anomaly, i) };
		lanes[i] = (struct rig_lane){ .trace = trace, .batch = rig->batch, .random = i + 5 };
		assert_int_equal(core_create(&core, &lanes[i].core), 0);
	}
	for (unsigned i = 0; i < rig->lanes; i++)
		assert_int_equal(pthread_create(&lanes[i].thread, NULL, rig_lane_run, &lanes[i]), 0);
	for (unsigned i = 0; i < rig->lanes; i++)
		pthread_join(lanes[i].thread, NULL);
	anomaly_finish(anomaly);
	anomaly_report(anomaly, &log->report);
	for (unsigned i = 0; i < rig->lanes; i++) {
		log->evicted += core_ledger(lanes[i].core)->flows_ended[FLOW_END_EVICTION];
		core_destroy(lanes[i].core);
	}
	anomaly_destroy(anomaly);
}

/* Also with other numbers of lanes and sizes of batches, and all of them must agree. */
static inline void alert_log_all(struct alert_log *log, const struct trace *trace, const struct config *config)
{
	static const struct rig_options runs[] = { { 1, 1, 0 }, { 1, 0, 0 }, { 2, 64, 0 }, { 2, 0, 0 }, { 4, 64, 0 }, { 4, 7, 0 } };
	struct alert_log got;

	alert_log_get(log, trace, config, &(struct rig_options){ 1, 64, 0 });
	for (unsigned i = 0; i < ROWS(runs); i++) {
		alert_log_get(&got, trace, config, &runs[i]);
		if (strcmp(log->text, got.text) != 0)
			fail_msg("%u lanes with batches of %u:\n%sinstead of:\n%s", runs[i].lanes, runs[i].batch, got.text,
				log->text);
		free(got.text);
	}
}

/* The trace is freed. */
static inline void alerts_are(struct trace *trace, const struct config *config, const char *wanted)
{
	struct alert_log log;

	alert_log_all(&log, trace, config);
	assert_string_equal(log.text, wanted);
	free(log.text);
	trace_free(trace);
}

/* --- packets ---------------------------------------------------------------------------------------------------------- */

struct host {
	const char *ip;
	uint16_t port;
};

static inline void trace_ip(struct packet_builder *b, const char *src, const char *dst, uint8_t proto)
{
	*b = pb_new();
	if (strchr(src, ':')) {
		pb_ethernet(b, 0x86dd);
		pb_ipv6(b, src, dst, proto);
	} else {
		pb_ethernet(b, 0x0800);
		pb_ipv4(b, src, dst, proto);
	}
}

static inline void add_tcp(struct trace *trace, uint64_t ts_ns, struct host src, struct host dst, uint8_t flags, uint32_t seq,
	uint32_t ack, uint32_t len)
{
	struct packet_builder b;

	trace_ip(&b, src.ip, dst.ip, PROTO_TCP);
	pb_tcp(&b, src.port, dst.port, seq, ack, flags);
	pb_fill(&b, len);
	trace_add(trace, &b, ts_ns);
}

static inline void add_udp(struct trace *trace, uint64_t ts_ns, struct host src, struct host dst, uint32_t len)
{
	struct packet_builder b;

	trace_ip(&b, src.ip, dst.ip, PROTO_UDP);
	pb_udp(&b, src.port, dst.port);
	pb_fill(&b, len);
	trace_add(trace, &b, ts_ns);
}

static inline void add_ping(struct trace *trace, uint64_t ts_ns, const char *src, const char *dst, bool reply, uint16_t id)
{
	struct packet_builder b;

	trace_ip(&b, src, dst, PROTO_ICMP);
	pb_icmp(&b, reply ? 0 : 8, 0, id, 1);
	trace_add(trace, &b, ts_ns);
}

/* "10.7.0.0" + n. */
static inline const char *numbered(char text[32], unsigned n)
{
	snprintf(text, 32, "10.%u.%u.%u", 7 + (n >> 16), n >> 8 & 255, n & 255);
	return text;
}

/* A whole connection of a client: handshake, `len` bytes each way, both FINs. rtt_ns to the server. */
static inline uint64_t add_connection(
	struct trace *trace, uint64_t ts_ns, struct host client, struct host server, uint32_t len, uint64_t rtt_ns)
{
	add_tcp(trace, ts_ns, client, server, SYN, 100, 0, 0);
	add_tcp(trace, ts_ns += rtt_ns, server, client, SYNACK, 500, 101, 0);
	add_tcp(trace, ts_ns += 1000, client, server, ACK, 101, 501, 0);
	add_tcp(trace, ts_ns += 1000, client, server, PSH, 101, 501, len);
	add_tcp(trace, ts_ns += rtt_ns, server, client, PSH, 501, 101 + len, len);
	add_tcp(trace, ts_ns += 1000, client, server, FIN, 101 + len, 501 + len, 0);
	add_tcp(trace, ts_ns += rtt_ns, server, client, FIN, 501 + len, 102 + len, 0);
	add_tcp(trace, ts_ns += 1000, client, server, ACK, 102 + len, 502 + len, 0);
	return ts_ns;
}

#endif
