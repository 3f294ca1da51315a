/* GRE, VXLAN, Geneve. */
#include "audit.pb-c.h"
#include "bytes.h"
#include "audit_record.h"

#include "poison.h"

/* RFC 2784, RFC 2890, RFC 1701; version 1: RFC 2637. Optional fields follow in this order; those that are cut off stay 0. */
uint8_t *record_gre(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *gre = encoder->walk->frame->data + layer->off, *at = gre + 4;
	const uint8_t *end = encoder->walk->frame->data + layer->end;
	Types__GRE message = TYPES__GRE__INIT;

	message.checksumpresent = gre[0] >> 7;
	message.routingpresent = gre[0] >> 6 & 1;
	message.keypresent = gre[0] >> 5 & 1;
	message.seqpresent = gre[0] >> 4 & 1;
	message.strictsourceroute = gre[0] >> 3 & 1;
	message.ackpresent = gre[1] >> 7;
	message.recursioncontrol = gre[0] & 7;
	message.flags = gre[1] >> 3;
	message.version = gre[1] & 7;
	message.protocol = load_be16(gre + 2);
	if (message.checksumpresent || message.routingpresent) {
		if (end - at >= 4) {
			message.checksum = load_be16(at);
			message.offset = load_be16(at + 2);
		}
		at += 4;
	}
	uint32_t *const fields[] = { &message.key, &message.seq, &message.ack };
	const bool present[] = { message.keypresent, message.seqpresent, message.ackpresent };
	for (unsigned i = 0; i < 3; i++) {
		if (!present[i])
			continue;
		if (end - at >= 4)
			*fields[i] = load_be32(at);
		at += 4;
	}
	return record_pack(encoder, NCAP_GRE, &message.base, record_ip(encoder, layer), out);
}

/* RFC 7348, and draft-smith-vxlan-group-policy for the group policy bits */
uint8_t *record_vxlan(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *vxlan = encoder->walk->frame->data + layer->off;
	Types__VXLAN message = TYPES__VXLAN__INIT;

	message.valididflag = vxlan[0] >> 3 & 1;
	message.vni = load_be32(vxlan + 4) >> 8;
	message.gbpextension = vxlan[0] >> 7;
	message.gbpdontlearn = vxlan[1] >> 6 & 1;
	message.gbpapplied = vxlan[1] >> 3 & 1;
	message.gbpgrouppolicyid = load_be16(vxlan + 2);
	return record_pack(encoder, NCAP_VXLAN, &message.base, NULL, out);
}

static size_t geneve_options(struct encoder *encoder, const uint8_t *at, const uint8_t *end, Types__GeneveOption ***list)
{
	size_t max = (size_t)(end - at) / 4, n = 0;
	Types__GeneveOption **options = scratch_take(&encoder->scratch, max * sizeof(*options));

	*list = options;
	while (options && end - at >= 4) {
		uint32_t bytes = 4 + (at[3] & 0x1fU) * 4;
		Types__GeneveOption *option = scratch_take(&encoder->scratch, sizeof(*option));
		if (!option || bytes > (size_t)(end - at))
			break;
		types__geneve_option__init(option);
		option->class_ = load_be16(at);
		option->type = at[2];
		option->flags = at[3] >> 5;
		option->length = (int32_t)bytes;
		option->data = (ProtobufCBinaryData){ .len = bytes - 4, .data = (uint8_t *)at + 4 };
		options[n++] = option;
		at += bytes;
	}
	return n;
}

/* RFC 8926, section 3.4. Lengths are bytes; that of an option counts its own header. */
uint8_t *record_geneve(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *geneve = encoder->walk->frame->data + layer->off;
	Types__Geneve message = TYPES__GENEVE__INIT;

	message.version = geneve[0] >> 6;
	message.optionslength = (geneve[0] & 0x3f) * 4;
	message.oampacket = geneve[1] >> 7;
	message.criticaloption = geneve[1] >> 6 & 1;
	message.protocol = load_be16(geneve + 2);
	message.vni = load_be32(geneve + 4) >> 8;
	message.n_options = geneve_options(encoder, geneve + 8, geneve + layer->header, &message.options);
	return record_pack(encoder, NCAP_GENEVE, &message.base, NULL, out);
}
