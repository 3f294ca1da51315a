/* NTP (RFC 5905, section 7.3). Modes 6 and 7, control and private, have other fields and no record. */
#include "audit.pb-c.h"
#include "bytes.h"
#include "audit_record.h"

#include "poison.h"

#define NTP_BYTES 48

enum { NTP_CONTROL = 6, NTP_PRIVATE = 7 };

uint8_t *record_ntp(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *ntp = encoder->walk->frame->data + layer->off;
	uint32_t bytes = layer->end - layer->off;
	Types__NTP message = TYPES__NTP__INIT;

	if (bytes < NTP_BYTES || (ntp[0] & 7) == NTP_CONTROL || (ntp[0] & 7) == NTP_PRIVATE)
		return NULL;
	message.leapindicator = ntp[0] >> 6;
	message.version = ntp[0] >> 3 & 7;
	message.mode = ntp[0] & 7;
	message.stratum = ntp[1];
	message.poll = (int8_t)ntp[2];
	message.precision = (int8_t)ntp[3];
	message.rootdelay = load_be32(ntp + 4);
	message.rootdispersion = load_be32(ntp + 8);
	message.referenceid = load_be32(ntp + 12);
	message.referencetimestamp = load_be64(ntp + 16);
	message.origintimestamp = load_be64(ntp + 24);
	message.receivetimestamp = load_be64(ntp + 32);
	message.transmittimestamp = load_be64(ntp + 40);
	message.extensionbytes = (ProtobufCBinaryData){ .len = bytes - NTP_BYTES, .data = (uint8_t *)ntp + NTP_BYTES };
	return record_pack(encoder, NCAP_NTP, &message.base, record_ip(encoder, layer), out);
}
