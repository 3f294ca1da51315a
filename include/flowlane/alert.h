/*
 * An alert: what the anomaly detectors found. Made by the thread that runs the detectors, handed to the outputs that want alerts
 * (sink_ops.alerts), one thread at a time. docs/anomalies.md says what each kind means.
 */
#ifndef FLOWLANE_ALERT_H
#define FLOWLANE_ALERT_H

#include <stdbool.h>
#include <stdint.h>

enum alert_kind {
	ALERT_SYN_FLOOD,
	ALERT_PORT_SCAN,
	ALERT_HOST_SWEEP,
	ALERT_UDP_FLOOD,
	ALERT_ICMP_FLOOD,
	ALERT_RST_STORM,
	ALERT_DNS_AMPLIFICATION,
	ALERT_NTP_AMPLIFICATION,
	ALERT_BRUTE_FORCE,
	ALERT_NEW_FLOW_SURGE,
	ALERT_RTT_SHIFT,
	ALERT_LOSS_SHIFT,
	ALERT_BEACONING,
	ALERT_KIND_COUNT,
};

/* Which members of an alert apply. */
enum alert_field { ALERT_HAS_SRC = 1 << 0, ALERT_HAS_DST = 1 << 1, ALERT_HAS_PORT = 1 << 2 };

#define ALERT_TEXT_MAX 192

struct alert {
	uint64_t ts_ns; /* of the packet that crossed the threshold */
	uint64_t count; /* what the first threshold is about: SYNs, ports, bytes ... */
	uint64_t window_ns;
	uint8_t src[16]; /* as in struct flow_key */
	uint8_t dst[16]; /* rtt_shift, loss_shift: a network, its host part 0 */
	uint16_t port;   /* of the destination */
	uint8_t ip_version;
	uint8_t proto;  /* IANA number; 0: not of one protocol */
	uint8_t kind;   /* enum alert_kind */
	uint8_t fields; /* enum alert_field */
	uint8_t unused[2];
	char description[ALERT_TEXT_MAX]; /* ASCII, nothing to escape in JSON */
};

/* What one detector is told. What the thresholds count is in docs/anomalies.md. */
struct detector_config {
	bool enabled;
	uint32_t threshold; /* at least 1 */
	uint32_t second;    /* the other threshold, where there is one */
	uint64_t window_ns; /* at least 1 */
	uint64_t cooldown_ns;
};

/* One per kind. */
struct detector_info {
	const char *name;      /* "syn_flood" */
	const char *severity;  /* "low", "medium", "high" */
	const char *threshold; /* names of the thresholds in the options: "syns" ... */
	const char *second;    /* ... and "sources"; NULL: it has one only */
	struct detector_config defaults;
};

/* What was raised in a run, and what was lost on the way there. */
struct alert_report {
	bool enabled;
	uint64_t alerts[ALERT_KIND_COUNT];
	uint64_t events;          /* packets that the detectors looked at */
	uint64_t events_lost;     /* live: there was no room for them */
	uint64_t keys_evicted;    /* a table was full, and the weakest key went */
	uint64_t entries_cut;     /* a window was shortened, for its log was full */
	uint64_t sketches_missed; /* a heavy key found no sketch: counted low */
	uint64_t attempts_missed; /* attempts that were not watched: too many waited for their answers */
	uint64_t bytes;           /* reserved */
};

const struct detector_info *detector_info(enum alert_kind kind);

#endif
