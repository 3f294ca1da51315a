/*
 * An alert: what the anomaly detectors found. Made by the thread that runs the detectors, handed to the sinks that want alerts, one
 * thread at a time. docs/anomalies.md says what each kind means.
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

#define ALERT_KINDS_ALL ((1u << ALERT_KIND_COUNT) - 1)

/* Which members of an alert apply. */
enum alert_field { ALERT_HAS_SRC = 1 << 0, ALERT_HAS_DST = 1 << 1, ALERT_HAS_PORT = 1 << 2 };

#define ALERT_TEXT_MAX 192

struct alert {
	uint64_t ts_ns; /* of the packet that crossed the threshold */
	uint64_t count; /* what the first threshold is about: SYNs, ports, bytes ... */
	uint64_t window_ns;
	uint8_t src[16]; /* as in struct flow_key */
	uint8_t dst[16];
	uint16_t port;
	uint8_t ip_version;
	uint8_t kind;   /* enum alert_kind */
	uint8_t fields; /* enum alert_field */
	uint8_t unused[3];
	char description[ALERT_TEXT_MAX]; /* ASCII, nothing to escape in JSON */
};

/* What one detector is told. What the thresholds count is in docs/anomalies.md. */
struct detector_config {
	uint32_t threshold; /* at least 1 */
	uint32_t second;    /* the other threshold, where there is one */
	uint64_t window_ns; /* at least 1 */
	uint64_t cooldown_ns;
};

const char *alert_kind_name(enum alert_kind kind);     /* "syn_flood" */
const char *alert_kind_severity(enum alert_kind kind); /* "low", "medium", "high" */

/* "all", or names of kinds joined by commas: one bit per kind. False: the word at *bad (*bad_len characters) is none; then nothing
 * else is set. */
bool alert_kinds_parse(const char *list, uint32_t *kinds, const char **bad, unsigned *bad_len);

#endif
