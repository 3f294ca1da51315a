/* TCP and UDP by hand, as there is one per packet; SCTP. */
#include "audit.pb-c.h"
#include "bytes.h"
#include "audit_record.h"
#include "wire.h"

#include "poison.h"

#define TCP_BYTES 20
#define UDP_BYTES 8

enum { OPTION_END = 0, OPTION_NOP = 1 };

/* An option at `at`, of `bytes` bytes in the frame: type, length, data. NOP and the end of the list have no length of their own. */
static inline uint8_t *tcp_option(const uint8_t *at, uint32_t bytes, uint8_t *out)
{
	uint8_t *begin = wire_tag(out, 20, WIRE_BYTES);
	uint8_t *option = wire_u64(begin + 1, 1, at[0]);

	option = wire_u64(option, 2, bytes);
	if (bytes > 2)
		option = wire_bytes(option, 3, at + 2, bytes - 2);
	*begin = (uint8_t)(option - begin - 1); /* at most 2 + 2 + 40 */
	return option;
}

/* Padding is field 19, and known only behind the options: they are walked first for it, if the list has an end of its own. */
static const uint8_t *tcp_padding(const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		if (at[0] == OPTION_END)
			return at + 1;
		if (at[0] == OPTION_NOP)
			at++;
		else if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			break;
		else
			at += at[1];
	}
	return end;
}

static uint8_t *tcp_options(const uint8_t *at, const uint8_t *end, uint8_t *out)
{
	const uint8_t *padding = tcp_padding(at, end);

	out = wire_bytes(out, 19, padding, (uint32_t)(end - padding));
	while (at < end) {
		bool single = at[0] == OPTION_END || at[0] == OPTION_NOP;
		if (!single && (end - at < 2 || at[1] < 2 || at[1] > end - at))
			break;
		uint32_t bytes = single ? 1 : at[1];
		out = tcp_option(at, bytes, out);
		if (at[0] == OPTION_END)
			break;
		at += bytes;
	}
	return out;
}

/* What nearly every segment has that has options: NOP, NOP, timestamps (RFC 7323, appendix A). As tcp_options() would write it. */
#define TIMESTAMPS_ALONE 0x0101080au

static uint8_t *tcp_timestamps(const uint8_t *at, uint8_t *out)
{
	static const uint8_t head[] = { 0xa2, 1, 4, 8, 1, 16, 1, 0xa2, 1, 4, 8, 1, 16, 1, 0xa2, 1, 14, 8, 8, 16, 10, 0x1a, 8 };

	memcpy(out, head, sizeof(head));
	memcpy(out + sizeof(head), at + 4, 8);
	return out + sizeof(head) + 8;
}

uint8_t *record_tcp(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *tcp = encoder->walk->frame->data + layer->off;
	struct ncap_ip *ip = &encoder->walk->ips[layer->ip];
	uint32_t captured = layer->end - layer->off;
	uint32_t header = layer->header < captured ? layer->header : captured;

	ncap_ip_texts(ip);
	out = record_stamp(encoder, out);
	out = wire_u16(out, 2, load_be16(tcp));
	out = wire_u16(out, 3, load_be16(tcp + 2));
	out = wire_u32(out, 4, load_be32(tcp + 4));
	out = wire_u32(out, 5, load_be32(tcp + 8));
	out = wire_u64(out, 6, tcp[12] >> 4);
	memcpy(out, encoder->tcp_flags[tcp[13]], sizeof(encoder->tcp_flags[0]));
	out += 2 * __builtin_popcount(tcp[13]);
	out = wire_bool(out, 15, tcp[12] & 1);
	out = wire_u16(out, 16, load_be16(tcp + 14));
	out = wire_u16(out, 17, load_be16(tcp + 16));
	out = wire_u16(out, 18, load_be16(tcp + 18));
	if (header == TCP_BYTES + 12 && load_be32(tcp + TCP_BYTES) == TIMESTAMPS_ALONE)
		out = tcp_timestamps(tcp + TCP_BYTES, out);
	else if (header > TCP_BYTES)
		out = tcp_options(tcp + TCP_BYTES, tcp + header, out);
	if (encoder->options.entropy)
		out = wire_double(out, 21, record_entropy(tcp + header, captured - header));
	out = wire_u32(out, 22, captured - header);
	if (encoder->options.payload)
		out = wire_bytes(out, 23, tcp + header, captured - header);
	if (encoder->legacy)
		return record_context(encoder, 24, ip, true, true, out);
	out = WIRE_TEXT(out, 24, ip->src_text, ip->src_bytes);
	return WIRE_TEXT(out, 25, ip->dst_text, ip->dst_bytes);
}

uint8_t *record_udp(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *udp = encoder->walk->frame->data + layer->off;
	struct ncap_ip *ip = &encoder->walk->ips[layer->ip];
	uint32_t bytes = layer->end - layer->off - UDP_BYTES;

	ncap_ip_texts(ip);
	out = record_stamp(encoder, out);
	out = wire_u16(out, 2, load_be16(udp));
	out = wire_u16(out, 3, load_be16(udp + 2));
	out = wire_u16(out, 4, load_be16(udp + 4));
	out = wire_u16(out, 5, load_be16(udp + 6));
	if (encoder->options.entropy)
		out = wire_double(out, 6, record_entropy(udp + UDP_BYTES, bytes));
	out = wire_u32(out, 7, bytes);
	if (encoder->options.payload)
		out = wire_bytes(out, 8, udp + UDP_BYTES, bytes);
	if (encoder->legacy)
		return record_context(encoder, 9, ip, true, true, out);
	out = WIRE_TEXT(out, 9, ip->src_text, ip->src_bytes);
	return WIRE_TEXT(out, 10, ip->dst_text, ip->dst_bytes);
}

/* RFC 9260, section 3.1 */
uint8_t *record_sctp(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *sctp = encoder->walk->frame->data + layer->off;
	Types__SCTP message = TYPES__SCTP__INIT;

	message.srcport = load_be16(sctp);
	message.dstport = load_be16(sctp + 2);
	message.verificationtag = load_be32(sctp + 4);
	message.checksum = load_be32(sctp + 8);
	return record_pack(encoder, NCAP_SCTP, &message.base, record_ip(encoder, layer), out);
}
