/* ICMP, ICMPv6 and what is in it, IGMP. */
#include "audit.pb-c.h"
#include "bytes.h"
#include "audit_record.h"

#include "poison.h"

uint8_t *record_icmpv4(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *icmp = encoder->walk->frame->data + layer->off;
	Types__ICMPv4 message = TYPES__ICMPV4__INIT;

	message.typecode = load_be16(icmp);
	message.checksum = load_be16(icmp + 2);
	message.id = load_be16(icmp + 4);
	message.seq = load_be16(icmp + 6);
	return record_pack(encoder, NCAP_ICMPV4, &message.base, record_ip(encoder, layer), out);
}

uint8_t *record_icmpv6(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *icmp = encoder->walk->frame->data + layer->off;
	Types__ICMPv6 message = TYPES__ICMPV6__INIT;

	message.typecode = load_be16(icmp);
	message.checksum = load_be16(icmp + 2);
	return record_pack(encoder, NCAP_ICMPV6, &message.base, record_ip(encoder, layer), out);
}

uint8_t *record_icmpv6_echo(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *echo = encoder->walk->frame->data + layer->off;
	Types__ICMPv6Echo message = TYPES__ICMPV6_ECHO__INIT;

	message.identifier = load_be16(echo);
	message.seqnumber = load_be16(echo + 2);
	return record_pack(encoder, NCAP_ICMPV6_ECHO, &message.base, record_ip(encoder, layer), out);
}

/* RFC 4861, section 4.6: type, length in units of 8 bytes, data. Up to one whose length lies. */
static size_t neighbor_options(struct encoder *encoder, const uint8_t *at, const uint8_t *end, Types__ICMPv6Option ***list)
{
	size_t max = (size_t)(end - at) / 8, n = 0;
	Types__ICMPv6Option **options = scratch_take(&encoder->scratch, max * sizeof(*options));

	*list = options;
	while (options && end - at >= 8 && at[1] && at[1] * 8 <= end - at) {
		Types__ICMPv6Option *option = scratch_take(&encoder->scratch, sizeof(*option));
		if (!option)
			break;
		types__icmpv6_option__init(option);
		option->type = at[0];
		option->data = (ProtobufCBinaryData){ .len = at[1] * 8U - 2, .data = (uint8_t *)at + 2 };
		options[n++] = option;
		at += at[1] * 8;
	}
	return n;
}

/* Neighbor solicitation and advertisement are alike; the layer begins behind the checksum. */
uint8_t *record_icmpv6_neighbor(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *data = encoder->walk->frame->data, *at = data + layer->off;
	Types__ICMPv6NeighborSolicitation solicitation = TYPES__ICMPV6_NEIGHBOR_SOLICITATION__INIT;
	Types__ICMPv6NeighborAdvertisement advertisement = TYPES__ICMPV6_NEIGHBOR_ADVERTISEMENT__INIT;
	Types__ICMPv6Option **options;
	size_t n = neighbor_options(encoder, at + 20, data + layer->end, &options);
	char *target = scratch_address(&encoder->scratch, at + 4, true);

	if (layer->type == NCAP_ICMPV6_SOLICITATION) {
		solicitation.targetaddress = target;
		solicitation.n_options = n;
		solicitation.options = options;
		return record_pack(encoder, NCAP_ICMPV6_SOLICITATION, &solicitation.base, record_ip(encoder, layer), out);
	}
	advertisement.flags = at[0];
	advertisement.targetaddress = target;
	advertisement.n_options = n;
	advertisement.options = options;
	return record_pack(encoder, NCAP_ICMPV6_ADVERTISEMENT, &advertisement.base, record_ip(encoder, layer), out);
}

/* ---- IGMP ---------------------------------------------------------------------------------------------------------- */

enum { IGMP_QUERY = 0x11, IGMPV1_REPORT = 0x12, IGMPV2_REPORT = 0x16, IGMPV2_LEAVE = 0x17, IGMPV3_REPORT = 0x22 };

#define NS_PER_S ((uint64_t)1000000000)

/* RFC 3376, section 4.1.1: from 128 on, a mantissa and an exponent. */
static uint64_t igmp_code(uint8_t code)
{
	return code < 128 ? code : (uint64_t)((code & 0xf) | 0x10) << ((code >> 4 & 7) + 3);
}

static size_t igmp_sources(struct encoder *encoder, const uint8_t *at, const uint8_t *end, unsigned n, char ***list)
{
	size_t room = (size_t)(end - at) / 4;
	size_t count = n < room ? n : room;
	char **sources = scratch_take(&encoder->scratch, count * sizeof(*sources));

	*list = sources;
	for (size_t i = 0; sources && i < count; i++)
		sources[i] = scratch_address(&encoder->scratch, at + 4 * i, false);
	return sources ? count : 0;
}

static void igmp_records(struct encoder *encoder, const uint8_t *at, const uint8_t *end, Types__IGMP *message)
{
	size_t room = (size_t)(end - at) / 8;
	size_t max = (size_t)message->numberofgrouprecords < room ? (size_t)message->numberofgrouprecords : room;

	message->grouprecords = scratch_take(&encoder->scratch, max * sizeof(*message->grouprecords));
	while (message->grouprecords && message->n_grouprecords < max && end - at >= 8) {
		Types__IGMPv3GroupRecord *record = scratch_take(&encoder->scratch, sizeof(*record));
		if (!record)
			return;
		types__igmpv3_group_record__init(record);
		record->type = at[0];
		record->auxdatalen = at[1];
		record->numberofsources = load_be16(at + 2);
		record->multicastaddress = scratch_address(&encoder->scratch, at + 4, false);
		record->n_sourceaddresses =
			igmp_sources(encoder, at + 8, end, (unsigned)record->numberofsources, &record->sourceaddresses);
		message->grouprecords[message->n_grouprecords++] = record;
		uint32_t bytes = 8 + 4U * (uint32_t)record->numberofsources + 4U * at[1];
		if (bytes > (size_t)(end - at))
			return;
		at += bytes;
	}
}

/* A query of version 3 is longer than one of 1 and 2, and one of version 1 has no response time (RFC 3376, section 7.1). */
static int32_t igmp_version(const uint8_t *igmp, uint32_t bytes)
{
	switch (igmp[0]) {
	case IGMPV1_REPORT:
		return 1;
	case IGMPV2_REPORT:
	case IGMPV2_LEAVE:
		return 2;
	case IGMPV3_REPORT:
		return 3;
	default:
		return bytes >= 12 ? 3 : igmp[1] ? 2 : 1;
	}
}

/* Times are nanoseconds, on the wire tenths of a second. */
uint8_t *record_igmp(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *data = encoder->walk->frame->data, *igmp = data + layer->off, *end = data + layer->end;
	Types__IGMP message = TYPES__IGMP__INIT;

	message.type = igmp[0];
	message.checksum = load_be16(igmp + 2);
	message.version = igmp_version(igmp, (uint32_t)(end - igmp));
	if (igmp[0] == IGMPV3_REPORT) {
		message.numberofgrouprecords = load_be16(igmp + 6);
		igmp_records(encoder, igmp + 8, end, &message);
		return record_pack(encoder, NCAP_IGMP, &message.base, record_ip(encoder, layer), out);
	}
	message.maxresponsetime = igmp_code(igmp[1]) * (NS_PER_S / 10);
	message.groupaddress = scratch_address(&encoder->scratch, igmp + 4, false);
	if (igmp[0] == IGMP_QUERY && message.version == 3) {
		message.supressrouterprocessing = igmp[8] >> 3 & 1;
		message.robustnessvalue = igmp[8] & 7;
		message.intervaltime = igmp_code(igmp[9]) * NS_PER_S;
		message.numberofsources = load_be16(igmp + 10);
		message.n_sourceaddresses =
			igmp_sources(encoder, igmp + 12, end, (unsigned)message.numberofsources, &message.sourceaddresses);
	}
	return record_pack(encoder, NCAP_IGMP, &message.base, record_ip(encoder, layer), out);
}
