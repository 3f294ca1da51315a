/* The descriptions. Those of syn_flood and port_scan are an interface, word by word. */
#include <string.h>

#include "engine.h"
#include "names.h"
#include "text.h"

#include "poison.h"

static char *put(char *out, const char *text)
{
	size_t length = strlen(text);

	memcpy(out, text, length);
	return out + length;
}

static char *put_secs(char *out, uint64_t ns)
{
	char *end = text_decimal(out, ns / 1000000, 3);

	while (end[-1] == '0')
		end--;
	return end[-1] == '.' ? end - 1 : end;
}

/* A template: what stands for a value is one character behind a '%'. */
static void describe(struct alert *alert, const struct alert_values *values, const char *template)
{
	char *out = alert->description;
	const char *protocol;

	for (const char *at = template; *at; at++) {
		if (*at != '%') {
			*out++ = *at;
			continue;
		}
		switch (*++at) {
		case 'a':
			out = text_u64(out, values->a);
			break;
		case 'b':
			out = text_u64(out, values->b);
			break;
		case 'A':
			out = text_decimal(out, values->a, 3);
			break;
		case 'B':
			out = text_decimal(out, values->b, 3);
			break;
		case 'i': /* interval */
			out = put_secs(out, values->b);
			break;
		case 'w':
			out = put_secs(out, alert->window_ns);
			break;
		case 's':
			out = text_address(out, alert->src, alert->ip_version);
			break;
		case 'd':
			out = text_address(out, alert->dst, alert->ip_version);
			break;
		case 'n':
			out = put(text_address(out, alert->dst, alert->ip_version), alert->ip_version == 4 ? "/24" : "/48");
			break;
		case 'p':
			out = text_u64(out, alert->port);
			break;
		case 'P':
			protocol = protocol_name(values->proto);
			out = put(out, protocol ? protocol : "?");
			break;
		default:
			*out++ = *at;
		}
	}
	*out = 0;
}

void alert_describe(struct alert *alert, const struct alert_values *values)
{
	static const char *const templates[ALERT_KIND_COUNT] = {
		[ALERT_SYN_FLOOD] = "SYN flood suspected: %a syns, %b sources to %d:%p",
		[ALERT_PORT_SCAN] = "Port scan suspected: %a ports, %b hosts from %s",
		[ALERT_HOST_SWEEP] = "Host sweep suspected: %a hosts tried at %P port %p from %s",
		[ALERT_UDP_FLOOD] = "UDP flood suspected: %a unanswered packets in %w s to %d",
		[ALERT_ICMP_FLOOD] = "ICMP flood suspected: %a packets in %w s to %d",
		[ALERT_RST_STORM] = "RST storm suspected: %a resets in %w s from %s",
		[ALERT_DNS_AMPLIFICATION] = "DNS amplification suspected: %a bytes of answers, %b bytes of requests, to %d",
		[ALERT_NTP_AMPLIFICATION] = "NTP amplification suspected: %a bytes of answers, %b bytes of requests, to %d",
		[ALERT_BRUTE_FORCE] = "Brute force suspected: %a short connections in %w s from %s to %d:%p",
		[ALERT_NEW_FLOW_SURGE] = "New flow surge: %a new flows in %w s, usually %b",
		[ALERT_RTT_SHIFT] = "RTT shift: %A ms to %n, usually %B ms",
		[ALERT_LOSS_SHIFT] = "Loss shift: %A %% of packets sent again to or from %n, usually %B %%",
		[ALERT_BEACONING] = "Beaconing suspected: %a connections, one every %i s, from %s to %d:%p",
	};
	const char *template = templates[alert->kind];

	if (alert->kind == ALERT_HOST_SWEEP && (values->proto == 1 || values->proto == 58))
		template = "Host sweep suspected: %a hosts tried by ping from %s";
	describe(alert, values, template);
}
