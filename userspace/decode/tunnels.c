#include "decode_internal.h"

#include "bytes.h"
#include "poison.h"

static const uint8_t *walk_at(const struct walk *walk)
{
	return walk->data + walk->off;
}

static bool nibble_is(const struct walk *walk, unsigned version)
{
	return walk_captured(walk) && walk_at(walk)[0] >> 4 == version;
}

/* An EtherType field of a tunnel header: never a length, unlike on Ethernet. */
static enum layer tunnel_ethertype(struct walk *walk, uint16_t type)
{
	return type > ETHER_LENGTH_MAX ? ethertype_layer(walk, type) : LAYER_END;
}

/* ---- GRE ----------------------------------------------------------------------------------------------------------- */

enum gre_flag {
	GRE_CHECKSUM = 0x8000,
	GRE_ROUTING = 0x4000,
	GRE_KEY = 0x2000,
	GRE_SEQUENCE = 0x1000,
	GRE_ACK = 0x0080, /* version 1 only */
	GRE_VERSION = 0x0007,
};

/* Type I has no header at all, type II (version 1) 8 bytes: told apart by GRE's sequence number, as only II has one. */
static enum layer erspan_enter(struct walk *walk, bool has_header)
{
	if (has_header) {
		if (walk_captured(walk) < 8)
			return LAYER_END;
		walk->tunnel = load_be16(walk_at(walk) + 2) & 0x3ff;
		walk->off += 8;
	}
	return LAYER_ETHERNET;
}

/*
 * draft-foschiano-erspan-03, section 4.3:
 *   0  version(4) VLAN(12) COS(3) BSO(2) T(1) session(10)
 *   4  timestamp(32)
 *   8  SGT(16) P(1) frame type(5) hardware(6) D(1) Gra(2) O(1)
 */
static enum layer erspan3_enter(struct walk *walk)
{
	if (walk_captured(walk) < 12)
		return LAYER_END;
	uint16_t last = load_be16(walk_at(walk) + 10);
	uint16_t frame_type = last >> 10 & 0x1f;

	walk->tunnel = load_be16(walk_at(walk) + 2) & 0x3ff;
	walk->off += last & 1 ? 20 : 12; /* O: 8 bytes of the platform's own follow */
	if (frame_type == 2)
		return LAYER_IP;
	return frame_type == 0 ? LAYER_ETHERNET : LAYER_END;
}

/* RFC 1701: source route entries (family, offset, length), up to one of family 0 and length 0. False: incomplete. */
static bool gre_skip_routing(struct walk *walk)
{
	for (unsigned i = 0; i < WALK_HEADERS_MAX && walk_captured(walk) >= 4; i++) {
		uint16_t family = load_be16(walk_at(walk));
		uint8_t bytes = walk_at(walk)[3];

		walk->off += 4U + bytes;
		if (family == 0 && bytes == 0)
			return true;
	}
	return false;
}

static enum layer gre_payload(struct walk *walk, uint16_t flags, uint16_t protocol)
{
	switch (protocol) {
	case ETHER_ERSPAN:
		return erspan_enter(walk, flags & GRE_SEQUENCE);
	case ETHER_ERSPAN3:
		return erspan3_enter(walk);
	case ETHER_WCCP:
		if (!nibble_is(walk, 4)) /* version 2 puts a redirect header before the IP packet */
			walk->off += 4;
		return LAYER_IPV4;
	default:
		return tunnel_ethertype(walk, protocol);
	}
}

/* RFC 2784, RFC 2890 */
static enum layer gre0_enter(struct walk *walk, uint16_t flags, uint16_t protocol)
{
	uint32_t key_off = walk->off + (flags & (GRE_CHECKSUM | GRE_ROUTING) ? 8 : 4);
	uint32_t sequence_off = key_off + (flags & GRE_KEY ? 4 : 0);

	walk->off = sequence_off + (flags & GRE_SEQUENCE ? 4 : 0);
	if (walk->off > walk->cap)
		return LAYER_END;
	if (flags & GRE_KEY)
		walk->tunnel = load_be32(walk->data + key_off);
	if (flags & GRE_ROUTING && !gre_skip_routing(walk))
		return LAYER_END;
	return gre_payload(walk, flags, protocol);
}

/* RFC 2637, section 4.1: key = payload length, call id; without a sequence number it only acknowledges. */
static enum layer pptp_enter(struct walk *walk, uint16_t flags, uint16_t protocol)
{
	uint32_t header_bytes = 12 + (flags & GRE_ACK ? 4 : 0);

	if (protocol != ETHER_PPP || !(flags & GRE_KEY) || !(flags & GRE_SEQUENCE) || walk_captured(walk) < header_bytes)
		return LAYER_END;
	uint16_t payload_bytes = load_be16(walk_at(walk) + 4);

	walk->tunnel = load_be16(walk_at(walk) + 6);
	walk->off += header_bytes;
	walk_clamp(walk, walk->off, payload_bytes);
	return LAYER_PPP;
}

/* MikroTik: payload length, tunnel id (little-endian); GRE of version 1 with nothing but a key. */
static enum layer eoip_enter(struct walk *walk, uint16_t flags)
{
	if (flags != (GRE_KEY | 1) || walk_captured(walk) < 8)
		return LAYER_END;
	uint16_t payload_bytes = load_be16(walk_at(walk) + 4);

	walk->tunnel = load_le16(walk_at(walk) + 6);
	walk->off += 8;
	walk_clamp(walk, walk->off, payload_bytes);
	return LAYER_ETHERNET;
}

static enum layer gre_enter(struct walk *walk)
{
	if (walk_captured(walk) < 4)
		return LAYER_END;
	uint16_t flags = load_be16(walk_at(walk));
	uint16_t protocol = load_be16(walk_at(walk) + 2);

	switch (flags & GRE_VERSION) {
	case 0:
		return gre0_enter(walk, flags, protocol);
	case 1:
		return protocol == ETHER_EOIP ? eoip_enter(walk, flags) : pptp_enter(walk, flags, protocol);
	default:
		return LAYER_END;
	}
}

enum layer tunnel_enter_ip(struct walk *walk)
{
	switch (walk->ip.proto) {
	case PROTO_GRE:
		return gre_enter(walk);
	case PROTO_IPIP:
		return nibble_is(walk, 4) ? LAYER_IPV4 : LAYER_END;
	case PROTO_IPV6:
		return nibble_is(walk, 6) ? LAYER_IPV6 : LAYER_END;
	default:
		return LAYER_END;
	}
}

/* ---- over UDP ------------------------------------------------------------------------------------------------------ */

/* RFC 7348: flags (I: there is a VNI), 24 bits reserved (group policy uses them), VNI. */
static enum layer vxlan_enter(struct walk *walk)
{
	if (walk_captured(walk) < 8 || !(walk_at(walk)[0] & 0x08))
		return LAYER_END;
	walk->tunnel = load_be32(walk_at(walk) + 4) >> 8;
	walk->off += 8;
	return LAYER_ETHERNET;
}

/* draft-ietf-nvo3-vxlan-gpe: flags R R version(2) I P B O; with P the fourth byte names the protocol. There are senders that
 * name it without P; without a name it is plain VXLAN. */
static enum layer vxlan_gpe_enter(struct walk *walk)
{
	if (walk_captured(walk) < 8)
		return LAYER_END;
	uint8_t flags = walk_at(walk)[0];
	uint8_t protocol = walk_at(walk)[3];

	if (flags & 0x31 || !(flags & 0x08)) /* another version, OAM, or no VNI */
		return LAYER_END;
	walk->tunnel = load_be32(walk_at(walk) + 4) >> 8;
	walk->off += 8;
	switch (protocol) {
	case 1:
		return LAYER_IPV4;
	case 2:
		return LAYER_IPV6;
	case 0:
	case 3:
		return LAYER_ETHERNET;
	case 5:
		return LAYER_MPLS;
	default:
		return LAYER_END;
	}
}

/* RFC 8926, section 3.4: version(2) options(6, words) O C reserved(6) EtherType(16) VNI(24) reserved(8) options */
static enum layer geneve_enter(struct walk *walk)
{
	if (walk_captured(walk) < 8)
		return LAYER_END;
	const uint8_t *header = walk_at(walk);
	uint32_t header_bytes = 8 + (header[0] & 0x3fU) * 4;

	if (header[0] >> 6 != 0 || header[1] & 0x80 || header_bytes > walk_captured(walk))
		return LAYER_END; /* unknown version, control packet, cut */
	walk->tunnel = load_be32(header + 4) >> 8;
	walk->off += header_bytes;
	return tunnel_ethertype(walk, load_be16(header + 2));
}

/* 3GPP TS 29.281, section 5.2: extension headers, each with its length in words first and the next one's type last. */
static bool gtpu_skip_extensions(struct walk *walk, uint8_t type)
{
	for (unsigned i = 0; type != 0; i++) {
		if (i == WALK_HEADERS_MAX || walk_captured(walk) < 4)
			return false;
		uint32_t bytes = walk_at(walk)[0] * 4U;

		if (bytes == 0 || bytes > walk_captured(walk))
			return false;
		type = walk_at(walk)[bytes - 1];
		walk->off += bytes;
	}
	return true;
}

/* 3GPP TS 29.281, section 5.1: version(3) PT(1) 0 E S PN, message type, length, TEID [sequence, N-PDU, next extension] */
static enum layer gtpu_enter(struct walk *walk)
{
	if (walk_captured(walk) < 8)
		return LAYER_END;
	const uint8_t *header = walk_at(walk);
	uint8_t flags = header[0];

	if (flags >> 4 != 3 || header[1] != 0xff) /* version 1, GTP not GTP', G-PDU */
		return LAYER_END;
	walk->tunnel = load_be32(header + 4);
	walk->off += 8;
	walk_clamp(walk, walk->off, load_be16(header + 2));
	if (flags & 0x07) {
		if (walk_captured(walk) < 4)
			return LAYER_END;
		uint8_t next = header[11];
		walk->off += 4;
		if (flags & 0x04 && !gtpu_skip_extensions(walk, next))
			return LAYER_END;
	}
	return nibble_is(walk, 4) || nibble_is(walk, 6) ? LAYER_IP : LAYER_END;
}

/* RFC 4380, section 5.1.1: authentication (0x0001) and origin (0x0000) indications may precede the IPv6 packet. The port
 * is not enough to believe it: what follows must be a whole IPv6 packet. */
static enum layer teredo_enter(struct walk *walk)
{
	if (walk_captured(walk) >= 4 && load_be16(walk_at(walk)) == 0x0001)
		walk->off +=
			4U + walk_at(walk)[2] + walk_at(walk)[3] + 9; /* client id, authentication value, nonce, confirmation */
	if (walk_captured(walk) >= 8 && load_be16(walk_at(walk)) == 0x0000)
		walk->off += 8;
	if (walk_captured(walk) < 40 || !nibble_is(walk, 6) || load_be16(walk_at(walk) + 4) + 40U > walk->end - walk->off)
		return LAYER_END;
	return LAYER_IPV6;
}

static enum layer port_enter(struct walk *walk, uint16_t port)
{
	switch (port) {
	case PORT_VXLAN:
	case PORT_VXLAN_LINUX:
		return vxlan_enter(walk);
	case PORT_GTPU:
		return gtpu_enter(walk);
	case PORT_GENEVE:
		return geneve_enter(walk);
	case PORT_TEREDO:
		return teredo_enter(walk);
	case PORT_VXLAN_GPE:
		return vxlan_gpe_enter(walk);
	default:
		return LAYER_END;
	}
}

/* Either port: the answers of Teredo servers and of some GTP-U nodes have it as their source. */
enum layer tunnel_enter_udp(struct walk *walk)
{
	enum layer layer = port_enter(walk, walk->ip.dst_port);

	return layer != LAYER_END ? layer : port_enter(walk, walk->ip.src_port);
}
