/* IPv4, IPv6, and the fragment header of IPv6. The first two by hand: there is one per packet. */
#include "audit.pb-c.h"
#include "bytes.h"
#include "audit_record.h"
#include "wire.h"

#include "poison.h"

#define IPV4_BYTES 20
#define IPV6_BYTES 40

enum { OPTION_END = 0, OPTION_NOP = 1 };

/* Options up to one whose length lies; *padding: what is behind the end of the list. */
static uint8_t *ipv4_options(const uint8_t *at, const uint8_t *end, const uint8_t **padding, uint8_t *out)
{
	*padding = end;
	while (at < end) {
		uint8_t type = at[0];
		bool single = type == OPTION_END || type == OPTION_NOP;
		if (!single && (end - at < 2 || at[1] < 2 || at[1] > end - at))
			break;
		uint32_t bytes = single ? 1 : at[1];
		uint8_t *begin = wire_tag(out, 15, WIRE_BYTES);
		uint8_t *option = wire_u64(begin + 1, 1, type);
		option = wire_u64(option, 2, bytes);
		if (!single)
			option = wire_bytes(option, 3, at + 2, bytes - 2);
		out = wire_close(begin, option);
		at += bytes;
		if (type == OPTION_END) {
			*padding = at;
			break;
		}
	}
	return out;
}

static uint8_t *ipv4_rest(
	struct encoder *encoder, const struct ncap_layer *layer, const struct ncap_ip *ip, const uint8_t *header, uint8_t *out)
{
	const uint8_t *payload = header + layer->header;
	uint32_t bytes = layer->end > layer->off + layer->header ? layer->end - layer->off - layer->header : 0;

	if (encoder->options.entropy)
		out = wire_double(out, 16, record_entropy(payload, bytes));
	out = wire_u32(out, 17, bytes);
	if (encoder->legacy)
		return record_context(encoder, 18, ip, false, true, out);
	if (ip->ports) {
		out = wire_u16(out, 18, ip->src_port);
		out = wire_u16(out, 19, ip->dst_port);
	}
	return out;
}

uint8_t *record_ipv4(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *header = encoder->walk->frame->data + layer->off;
	struct ncap_ip *ip = &encoder->walk->ips[layer->ip];
	uint8_t options[512], *options_end = options;
	const uint8_t *padding = header + layer->header;
	uint32_t total = load_be16(header + 2);

	ncap_ip_texts(ip);
	out = record_stamp(encoder, out);
	out = wire_u64(out, 2, 4);
	out = wire_u64(out, 3, header[0] & 0xf);
	out = wire_u64(out, 4, header[1]);
	out = wire_u32(out, 5, total ? total : layer->end - layer->off);
	out = wire_u16(out, 6, load_be16(header + 4));
	out = wire_u64(out, 7, header[6] >> 5);
	out = wire_u64(out, 8, load_be16(header + 6) & 0x1fff);
	out = wire_u64(out, 9, header[8]);
	out = wire_u64(out, 10, header[9]);
	out = wire_u16(out, 11, load_be16(header + 10));
	out = wire_text_room(out, 12, ip->src_text, ip->src_bytes, 16);
	out = wire_text_room(out, 13, ip->dst_text, ip->dst_bytes, 16);
	if (__builtin_expect(layer->header > IPV4_BYTES, 0)) {
		options_end = ipv4_options(header + IPV4_BYTES, header + layer->header, &padding, options);
		out = wire_bytes(out, 14, padding, (uint32_t)(header + layer->header - padding));
		memcpy(out, options, (size_t)(options_end - options));
		out += options_end - options;
	}
	return ipv4_rest(encoder, layer, ip, header, out);
}

/* Behind the hop-by-hop options, if there are any. */
static uint32_t ipv6_payload_off(const struct ncap_layer *layer, const uint8_t *header)
{
	uint32_t off = IPV6_BYTES, bytes = layer->end - layer->off;

	if (header[6] == 0 && bytes >= off + 8)
		off += (header[IPV6_BYTES + 1] + 1U) * 8;
	return off < bytes ? off : bytes;
}

uint8_t *record_ipv6(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *header = encoder->walk->frame->data + layer->off;
	struct ncap_ip *ip = &encoder->walk->ips[layer->ip];
	uint32_t first = load_be32(header), payload = ipv6_payload_off(layer, header);
	uint32_t bytes = layer->end - layer->off - payload;

	ncap_ip_texts(ip);
	out = record_stamp(encoder, out);
	out = wire_u64(out, 2, 6);
	out = wire_u64(out, 3, first >> 20 & 0xff);
	out = wire_u32(out, 4, first & 0xfffff);
	out = wire_u16(out, 5, load_be16(header + 4));
	out = wire_u64(out, 6, header[6]);
	out = wire_u64(out, 7, header[7]);
	out = WIRE_TEXT(out, 8, ip->src_text, ip->src_bytes);
	out = WIRE_TEXT(out, 9, ip->dst_text, ip->dst_bytes);
	if (encoder->options.entropy)
		out = wire_double(out, 10, record_entropy(header + payload, bytes));
	out = wire_u32(out, 11, bytes);
	if (encoder->legacy)
		return record_context(encoder, 13, ip, false, true, out);
	if (ip->ports) {
		out = wire_u16(out, 13, ip->src_port);
		out = wire_u16(out, 14, ip->dst_port);
	}
	return out;
}

/* RFC 8200, section 4.5 */
uint8_t *record_ipv6_fragment(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *header = encoder->walk->frame->data + layer->off;
	uint16_t offset = load_be16(header + 2);
	Types__IPv6Fragment message = TYPES__IPV6_FRAGMENT__INIT;

	message.nextheader = header[0];
	message.reserved1 = header[1];
	message.fragmentoffset = offset >> 3;
	message.reserved2 = offset >> 1 & 3;
	message.morefragments = offset & 1;
	message.identification = load_be32(header + 4);
	return record_pack(encoder, NCAP_IPV6_FRAGMENT, &message.base, record_ip(encoder, layer), out);
}
