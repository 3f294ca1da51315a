#include "decode_internal.h"

#include "bytes.h"
#include "poison.h"

#define ETHERNET_BYTES 14
#define VLAN_BYTES     4
#define SLL_BYTES      16
#define SLL2_BYTES     20
#define PPPOE_BYTES    6
#define LLC_SNAP_BYTES 8
#define PBB_BYTES      4

enum { SLL_PROTOCOL_802_2 = 4 };
enum { LLC_SAP_IP = 0x06, LLC_UI = 0x03 };
enum { PPP_IPV4 = 0x0021, PPP_IPV6 = 0x0057, PPP_MPLS = 0x0281 };

/* ---- EtherTypes ---------------------------------------------------------------------------------------------------- */

/* IEEE 802.1Q, section 9.7: flags, 24 bits of service id (I-SID), and the customer's frame. */
static enum layer pbb_enter(struct walk *walk)
{
	if (walk_captured(walk) < PBB_BYTES)
		return walk_stop(walk, VERDICT_DROP_LINK_SHORT);
	walk->tunnel = load_be32(walk->data + walk->off) & 0xffffff;
	walk->off += PBB_BYTES;
	return LAYER_ETHERNET;
}

enum layer ethertype_layer(struct walk *walk, uint16_t type)
{
	switch (type) {
	case ETHER_IPV4:
		return LAYER_IPV4;
	case ETHER_IPV6:
		return LAYER_IPV6;
	case ETHER_VLAN:
	case ETHER_QINQ:
	case ETHER_QINQ_OLD:
	case ETHER_QINQ_OLDER:
		return LAYER_VLAN;
	case ETHER_MPLS:
	case ETHER_MPLS_MULTICAST:
		return LAYER_MPLS;
	case ETHER_PPPOE_SESSION:
		return LAYER_PPPOE;
	case ETHER_PPP:
		return LAYER_PPP;
	case ETHER_BRIDGED:
		return LAYER_ETHERNET;
	case ETHER_PBB:
		return pbb_enter(walk);
	case ETHER_PPPOE_DISCOVERY:
		return walk_stop(walk, VERDICT_NOFLOW_PPPOE_CONTROL);
	case ETHER_ARP:
	case ETHER_RARP:
		return walk_stop(walk, VERDICT_NOFLOW_ARP);
	default:
		return walk_stop(walk, VERDICT_NOFLOW_OTHER_ETHERTYPE);
	}
}

/* The field behind the MAC addresses or a tag: an EtherType, or (IEEE 802.3) the length of an LLC frame. */
static enum layer type_or_length(struct walk *walk, uint16_t value)
{
	if (value > ETHER_LENGTH_MAX)
		return ethertype_layer(walk, value);
	walk_clamp(walk, walk->off, value);
	return LAYER_LLC;
}

static enum layer ethernet_step(struct walk *walk)
{
	if (walk_captured(walk) < ETHERNET_BYTES)
		return walk_stop(walk, VERDICT_DROP_LINK_SHORT);
	uint16_t value = load_be16(walk->data + walk->off + 12);

	walk->off += ETHERNET_BYTES;
	return type_or_length(walk, value);
}

static enum layer vlan_step(struct walk *walk)
{
	if (walk_captured(walk) < VLAN_BYTES)
		return walk_stop(walk, VERDICT_DROP_VLAN_SHORT);
	const uint8_t *tag = walk->data + walk->off;

	walk_tag(walk, load_be16(tag));
	walk->off += VLAN_BYTES;
	return type_or_length(walk, load_be16(tag + 2));
}

/* IEEE 802.2: only SNAP with an EtherType (OUI 00-00-00: RFC 1042; 00-00-F8: 802.1H, of bridges) and the IP SAP (RFC 948) lead to IP. */
static enum layer llc_step(struct walk *walk)
{
	const uint8_t *llc = walk->data + walk->off;
	uint32_t captured = walk_captured(walk);

	if (captured >= 3 && llc[0] == LLC_SAP_IP && llc[1] == LLC_SAP_IP && llc[2] == LLC_UI) {
		walk->off += 3;
		return LAYER_IPV4;
	}
	if (captured < LLC_SNAP_BYTES || load_be32(llc) != 0xaaaa0300 || (load_be16(llc + 4) != 0 && load_be16(llc + 4) != 0x00f8))
		return walk_stop(walk, VERDICT_NOFLOW_LLC);
	uint16_t type = load_be16(llc + 6);
	if (type <= ETHER_LENGTH_MAX)
		return walk_stop(walk, VERDICT_NOFLOW_LLC);
	walk->off += LLC_SNAP_BYTES;
	return ethertype_layer(walk, type);
}

/* ---- PPP ----------------------------------------------------------------------------------------------------------- */

/* RFC 2516, section 4: version and type 1, code 0 for data, session id, length of what follows. */
static enum layer pppoe_step(struct walk *walk)
{
	if (walk_captured(walk) < PPPOE_BYTES)
		return walk_stop(walk, VERDICT_DROP_PPPOE_SHORT);
	const uint8_t *pppoe = walk->data + walk->off;

	if (pppoe[1] != 0)
		return walk_stop(walk, VERDICT_NOFLOW_PPPOE_CONTROL);
	walk->off += PPPOE_BYTES;
	walk_clamp(walk, walk->off, load_be16(pppoe + 4));
	return LAYER_PPP;
}

/* RFC 1661, section 2, and RFC 1662: address and control bytes may be there, the protocol may be compressed to one (odd) byte. */
static enum layer ppp_step(struct walk *walk)
{
	const uint8_t *ppp = walk->data + walk->off;
	uint32_t captured = walk_captured(walk);
	uint32_t at = captured >= 2 && load_be16(ppp) == 0xff03 ? 2 : 0;

	if (captured < at + 1)
		return walk_stop(walk, VERDICT_DROP_PPPOE_SHORT);
	uint32_t protocol = ppp[at++];
	if (!(protocol & 1)) {
		if (captured < at + 1)
			return walk_stop(walk, VERDICT_DROP_PPPOE_SHORT);
		protocol = protocol << 8 | ppp[at++];
	}
	walk->off += at;
	switch (protocol) {
	case PPP_IPV4:
		return LAYER_IPV4;
	case PPP_IPV6:
		return LAYER_IPV6;
	case PPP_MPLS:
		return LAYER_MPLS;
	default:
		return walk_stop(walk, VERDICT_NOFLOW_PPPOE_CONTROL);
	}
}

/* ---- MPLS ---------------------------------------------------------------------------------------------------------- */

/* Nothing in a label says what it carries, so the bytes behind the stack must: does an Ethernet header at `off` make sense? */
static bool looks_like_ethernet(const struct walk *walk, uint32_t off)
{
	if (off + ETHERNET_BYTES > walk->cap)
		return false;
	uint16_t value = load_be16(walk->data + off + 12);

	switch (value) {
	case ETHER_IPV4:
	case ETHER_IPV6:
	case ETHER_ARP:
	case ETHER_RARP:
	case ETHER_VLAN:
	case ETHER_QINQ:
	case ETHER_QINQ_OLD:
	case ETHER_MPLS:
	case ETHER_PPPOE_DISCOVERY:
	case ETHER_PPPOE_SESSION:
		return true;
	default:
		return value >= 3 && value <= walk->end - off - ETHERNET_BYTES;
	}
}

static bool looks_like_ipv4(const struct walk *walk)
{
	const uint8_t *ip = walk->data + walk->off;
	uint32_t header = (ip[0] & 0xf) * 4U;

	if (walk_captured(walk) < 20)
		return true; /* no way to tell: let the IPv4 step name what is missing */
	uint32_t total = load_be16(ip + 2);
	return header >= 20 && (total == 0 || total >= header);
}

/* RFC 4928: the first nibble tells IP from a pseudowire, whose control word (RFC 4385) starts with 0. An Ethernet
 * pseudowire without control word can start with any nibble. */
static enum layer mpls_payload(struct walk *walk)
{
	if (walk_captured(walk) < 1)
		return walk_stop(walk, VERDICT_DROP_MPLS_SHORT);
	unsigned nibble = walk->data[walk->off] >> 4;
	bool ethernet = looks_like_ethernet(walk, walk->off);

	if (nibble == 4 && (looks_like_ipv4(walk) || !ethernet))
		return LAYER_IPV4;
	if (nibble == 6 && !(ethernet && walk->end - walk->off < 40))
		return LAYER_IPV6;
	if (nibble == 0 && (looks_like_ethernet(walk, walk->off + 4) || !ethernet)) {
		if (walk_captured(walk) < 4)
			return walk_stop(walk, VERDICT_DROP_MPLS_SHORT);
		walk->off += 4;
		return LAYER_ETHERNET;
	}
	return ethernet ? LAYER_ETHERNET : walk_stop(walk, VERDICT_NOFLOW_TUNNEL_CONTROL);
}

static enum layer mpls_step(struct walk *walk)
{
	for (unsigned i = 0; i < MPLS_LABELS_MAX; i++) {
		if (walk_captured(walk) < 4)
			return walk_stop(walk, VERDICT_DROP_MPLS_SHORT);
		uint32_t entry = load_be32(walk->data + walk->off);

		walk->off += 4;
		if (entry & 0x100) { /* bottom of the stack */
			walk->tunnel = entry >> 12;
			return mpls_payload(walk);
		}
	}
	return walk_stop(walk, VERDICT_DROP_TOO_NESTED);
}

/* ---- link types ---------------------------------------------------------------------------------------------------- */

/* Linux "cooked" headers: at `at` the EtherType, or (802.3 frames) small numbers of the kernel's own. */
static enum layer sll_start(struct walk *walk, uint32_t header_bytes, uint32_t at)
{
	if (walk_captured(walk) < header_bytes)
		return walk_stop(walk, VERDICT_DROP_LINK_SHORT);
	uint16_t type = load_be16(walk->data + at);

	walk->off += header_bytes;
	if (type == SLL_PROTOCOL_802_2)
		return LAYER_LLC;
	return type > ETHER_LENGTH_MAX ? ethertype_layer(walk, type) : walk_stop(walk, VERDICT_NOFLOW_LLC);
}

/* The address family has the byte order of the capturing host (NULL) or network order (LOOP). */
static enum layer family_start(struct walk *walk, bool network_order)
{
	if (walk_captured(walk) < 4)
		return walk_stop(walk, VERDICT_DROP_LINK_SHORT);
	uint32_t family = load_be32(walk->data);

	if (!network_order && family > 0xffff)
		family = __builtin_bswap32(family);
	walk->off += 4;
	switch (family) {
	case 2:
		return LAYER_IPV4;
	case 10: /* AF_INET6 of Linux, */
	case 24: /* NetBSD and OpenBSD, */
	case 28: /* FreeBSD, */
	case 30: /* macOS */
		return LAYER_IPV6;
	default:
		/* Some captures hold an EtherType in the last two bytes instead. */
		if (load_be16(walk->data + 2) == ETHER_IPV4)
			return LAYER_IPV4;
		if (load_be16(walk->data + 2) == ETHER_IPV6)
			return LAYER_IPV6;
		return walk_stop(walk, VERDICT_NOFLOW_OTHER_FAMILY);
	}
}

enum layer link_start(struct walk *walk)
{
	switch (walk->frame->link) {
	case LINK_ETHERNET:
		return LAYER_ETHERNET;
	case LINK_RAW:
	case LINK_RAW_BSD:
	case LINK_RAW_OPENBSD:
		return walk_captured(walk) ? LAYER_IP : walk_stop(walk, VERDICT_DROP_LINK_SHORT);
	case LINK_IPV4:
		return LAYER_IPV4;
	case LINK_IPV6:
		return LAYER_IPV6;
	case LINK_LINUX_SLL:
		return sll_start(walk, SLL_BYTES, 14);
	case LINK_LINUX_SLL2:
		return sll_start(walk, SLL2_BYTES, 0);
	case LINK_NULL:
		return family_start(walk, false);
	case LINK_LOOP:
		return family_start(walk, true);
	default:
		return walk_stop(walk, VERDICT_DROP_LINK_UNSUPPORTED);
	}
}

enum layer link_step(struct walk *walk, enum layer layer)
{
	switch (layer) {
	case LAYER_ETHERNET:
		return ethernet_step(walk);
	case LAYER_VLAN:
		return vlan_step(walk);
	case LAYER_LLC:
		return llc_step(walk);
	case LAYER_MPLS:
		return mpls_step(walk);
	case LAYER_PPPOE:
		return pppoe_step(walk);
	default:
		return ppp_step(walk);
	}
}
