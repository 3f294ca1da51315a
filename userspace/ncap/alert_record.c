#include "alert_record.h"

#include "audit.pb-c.h"
#include "flowlane/flow_key.h"
#include "text.h"
#include "wire.h"

#include "poison.h"

static const char *protocol_name(uint8_t proto)
{
	switch (proto) {
	case 1:
		return "ICMPv4";
	case 6:
		return "TCP";
	case 17:
		return "UDP";
	case 58:
		return "ICMPv6";
	case 132:
		return "SCTP";
	default:
		return "";
	}
}

/* Name: the detector. Notes: its severity. What does not apply stays empty. */
uint8_t *alert_record(struct encoder *encoder, const struct alert *alert, uint8_t *out)
{
	const struct detector_info *detector = detector_info((enum alert_kind)alert->kind);
	char src[TEXT_IPV6_MAX + 1] = "", dst[TEXT_IPV6_MAX + 1] = "", port[TEXT_U64_MAX + 1] = "";
	Types__Alert message = TYPES__ALERT__INIT;

	if (alert->fields & ALERT_HAS_SRC)
		*text_address(src, alert->src, alert->ip_version) = 0;
	if (alert->fields & ALERT_HAS_DST)
		*text_address(dst, alert->dst, alert->ip_version) = 0;
	if (alert->fields & ALERT_HAS_PORT)
		*text_u64(port, alert->port) = 0;
	encoder->scratch.used = 0;
	message.timestamp = (int64_t)alert->ts_ns;
	message.name = (char *)detector->name;
	message.description = scratch_text(&encoder->scratch, alert->description, strnlen(alert->description, ALERT_TEXT_MAX));
	message.srcip = src;
	message.dstip = dst;
	message.dstport = port;
	message.protocol = (char *)protocol_name(alert->proto);
	message.notes = (char *)detector->severity;
	uint8_t *end = record_pack_whole(encoder, &message.base, out + 1);
	return end ? wire_close(out, end) : NULL;
}
