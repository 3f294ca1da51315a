#include "flowlane/alert.h"

#include <string.h>

static const struct {
	const char *name, *severity;
} kinds_table[ALERT_KIND_COUNT] = {
	[ALERT_SYN_FLOOD] = { "syn_flood", "high" },
	[ALERT_PORT_SCAN] = { "port_scan", "medium" },
	[ALERT_HOST_SWEEP] = { "host_sweep", "medium" },
	[ALERT_UDP_FLOOD] = { "udp_flood", "high" },
	[ALERT_ICMP_FLOOD] = { "icmp_flood", "medium" },
	[ALERT_RST_STORM] = { "rst_storm", "medium" },
	[ALERT_DNS_AMPLIFICATION] = { "dns_amplification", "high" },
	[ALERT_NTP_AMPLIFICATION] = { "ntp_amplification", "high" },
	[ALERT_BRUTE_FORCE] = { "brute_force", "high" },
	[ALERT_NEW_FLOW_SURGE] = { "new_flow_surge", "medium" },
	[ALERT_RTT_SHIFT] = { "rtt_shift", "low" },
	[ALERT_LOSS_SHIFT] = { "loss_shift", "low" },
	[ALERT_BEACONING] = { "beaconing", "medium" },
};

const char *alert_kind_name(enum alert_kind kind)
{
	return kinds_table[kind].name;
}

const char *alert_kind_severity(enum alert_kind kind)
{
	return kinds_table[kind].severity;
}

static uint32_t kind_bits(const char *word, unsigned length)
{
	if (length == 3 && !memcmp(word, "all", 3))
		return ALERT_KINDS_ALL;
	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++) {
		if (strlen(kinds_table[i].name) == length && !memcmp(kinds_table[i].name, word, length))
			return 1u << i;
	}
	return 0;
}

bool alert_kinds_parse(const char *list, uint32_t *kinds, const char **bad, unsigned *bad_len)
{
	uint32_t found = 0;

	for (const char *word = list;; word++) {
		word += strspn(word, " ");
		unsigned length = (unsigned)strcspn(word, ","), name = length;
		while (name && word[name - 1] == ' ')
			name--;
		uint32_t bits = kind_bits(word, name);
		if (!bits) {
			*bad = word;
			*bad_len = name;
			return false;
		}
		found |= bits;
		word += length;
		if (!*word)
			break;
	}
	*kinds = found;
	return true;
}
