/* Ethernet, VLAN tags, MPLS labels, ARP. */
#include "audit.pb-c.h"
#include "bytes.h"
#include "audit_record.h"
#include "text.h"
#include "wire.h"

#include "poison.h"

#define ETHERNET_BYTES 14
#define VLAN_BYTES     4
#define TYPE_MIN       0x0600 /* below: the length of an IEEE 802.3 frame */

/* Where it belongs at once: a text that was just written in pairs could not be copied before it is in the cache. */
static inline uint8_t *mac_field(uint8_t *out, uint32_t field, const uint8_t *mac)
{
	out = wire_tag(out, field, WIRE_BYTES);
	*out++ = RECORD_MAC_BYTES;
	record_mac((char *)out, mac);
	return out + RECORD_MAC_BYTES;
}

/* EtherType behind the addresses: that of the tag, if hardware took one out of the frame. 802.3 frames: 0. */
uint8_t *record_ethernet(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const struct frame *frame = encoder->walk->frame;
	const uint8_t *header = frame->data + layer->off, *payload = header + ETHERNET_BYTES;
	bool tagged = frame->vlan_tpid && layer->off == 0;
	uint32_t type = tagged ? frame->vlan_tpid : load_be16(header + 12), bytes = layer->end - layer->off - ETHERNET_BYTES;

	out = record_stamp(encoder, out);
	out = mac_field(out, 2, header + 6);
	out = mac_field(out, 3, header);
	out = wire_u16(out, 4, (uint16_t)(type < TYPE_MIN ? 0 : type));
	if (encoder->options.entropy)
		out = wire_double(out, 5, record_entropy(payload, bytes));
	return wire_u32(out, 6, bytes + (tagged ? VLAN_BYTES : 0));
}

uint8_t *record_dot1q(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const struct frame *frame = encoder->walk->frame;
	bool taken_out = layer->off == NCAP_NO_OFFSET;
	const uint8_t *tag = frame->data + layer->off;
	uint16_t tci = taken_out ? frame->vlan_tci : load_be16(tag);
	Types__Dot1Q message = TYPES__DOT1_Q__INIT;

	message.priority = tci >> 13;
	message.dropeligible = tci >> 12 & 1;
	message.vlanidentifier = tci & 0xfff;
	message.type = taken_out ? load_be16(frame->data + 12) : load_be16(tag + 2);
	return record_pack(encoder, NCAP_DOT1Q, &message.base, NULL, out);
}

uint8_t *record_mpls(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	uint32_t entry = load_be32(encoder->walk->frame->data + layer->off);
	Types__MPLS message = TYPES__MPLS__INIT;

	message.label = (int32_t)(entry >> 12);
	message.trafficclass = entry >> 9 & 7;
	message.stackbottom = entry >> 8 & 1;
	message.ttl = entry & 0xff;
	return record_pack(encoder, NCAP_MPLS, &message.base, NULL, out);
}

/* ---- ARP ----------------------------------------------------------------------------------------------------------- */

/* Six bytes as a MAC address, four as IPv4, other lengths in hexadecimal; the legacy schema has the bytes. Ends with a zero. */
static void arp_address(struct encoder *encoder, const uint8_t *bytes, uint32_t n, bool hardware, ProtobufCBinaryData *text)
{
	static const char digits[] = "0123456789abcdef";
	char *at = scratch_take(&encoder->scratch, 3 * n + TEXT_IPV4_MAX + 1);

	*text = (ProtobufCBinaryData){ .data = (uint8_t *)protobuf_c_empty_string };
	if (!at)
		return;
	text->data = (uint8_t *)at;
	if (encoder->legacy) {
		memcpy(at, bytes, n);
		text->len = n;
		return;
	}
	if (!hardware && n == 4) {
		at = text_ipv4(at, bytes);
	} else {
		for (uint32_t i = 0; i < n; i++) {
			*at++ = digits[bytes[i] >> 4];
			*at++ = digits[bytes[i] & 0xf];
			if (hardware && i + 1 < n)
				*at++ = ':';
		}
	}
	*at = 0;
	text->len = (size_t)((uint8_t *)at - text->data);
}

/* By hand, as an address is a text in one schema and may hold any byte in the other. */
uint8_t *record_arp(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *arp = encoder->walk->frame->data + layer->off, *at = arp + 8;

	out = record_stamp(encoder, out);
	out = wire_u64(out, 2, load_be16(arp));
	out = wire_u64(out, 3, load_be16(arp + 2));
	out = wire_u64(out, 4, arp[4]);
	out = wire_u64(out, 5, arp[5]);
	out = wire_u64(out, 6, load_be16(arp + 6));
	for (uint32_t field = 7; field <= 10; field++) {
		bool hardware = field % 2;
		ProtobufCBinaryData text;
		arp_address(encoder, at, arp[hardware ? 4 : 5], hardware, &text);
		out = wire_bytes(out, field, text.data, (uint32_t)text.len);
		at += arp[hardware ? 4 : 5];
	}
	return out;
}
