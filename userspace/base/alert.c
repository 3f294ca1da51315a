#include "flowlane/alert.h"

#include <stddef.h>

#define SECS(n) ((uint64_t)(n)*1000000000)

/* Name, severity, names of the thresholds; enabled, thresholds, window, cooldown. The reasons are in docs/anomalies.md. */
static const struct detector_info detectors[ALERT_KIND_COUNT] = {
	[ALERT_SYN_FLOOD] = { "syn_flood", "high", "syns", "sources", { true, 200, 50, SECS(5), SECS(10) } },
	[ALERT_PORT_SCAN] = { "port_scan", "medium", "ports", "hosts", { true, 25, 10, SECS(10), SECS(30) } },
	[ALERT_HOST_SWEEP] = { "host_sweep", "medium", "hosts", NULL, { true, 20, 0, SECS(60), SECS(60) } },
	[ALERT_UDP_FLOOD] = { "udp_flood", "high", "packets", NULL, { true, 25000, 0, SECS(5), SECS(10) } },
	[ALERT_ICMP_FLOOD] = { "icmp_flood", "medium", "packets", NULL, { true, 1000, 0, SECS(5), SECS(10) } },
	[ALERT_RST_STORM] = { "rst_storm", "medium", "resets", NULL, { true, 500, 0, SECS(5), SECS(30) } },
	[ALERT_DNS_AMPLIFICATION] = { "dns_amplification", "high", "bytes", "ratio", { true, 100000, 10, SECS(10), SECS(30) } },
	[ALERT_NTP_AMPLIFICATION] = { "ntp_amplification", "high", "bytes", "ratio", { true, 100000, 10, SECS(10), SECS(30) } },
	[ALERT_BRUTE_FORCE] = { "brute_force", "high", "connections", NULL, { true, 20, 0, SECS(60), SECS(60) } },
	[ALERT_NEW_FLOW_SURGE] = { "new_flow_surge", "medium", "flows", "factor", { true, 1000, 10, SECS(1), SECS(30) } },
	[ALERT_RTT_SHIFT] = { "rtt_shift", "low", "percent", "samples", { true, 100, 20, SECS(10), SECS(60) } },
	[ALERT_LOSS_SHIFT] = { "loss_shift", "low", "percent", "packets", { true, 5, 1000, SECS(10), SECS(60) } },
	[ALERT_BEACONING] = { "beaconing", "medium", "connections", "jitter", { true, 10, 10, SECS(600), SECS(3600) } },
};

const struct detector_info *detector_info(enum alert_kind kind)
{
	return &detectors[kind];
}
