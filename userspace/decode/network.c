#include "decode_internal.h"

#include "bytes.h"
#include "poison.h"

#define IPV4_BYTES 20
#define IPV6_BYTES 40

static void view_begin(struct walk *walk, uint8_t version)
{
	walk->ip = (struct ip_view){
		.version = version,
		.l3_off = walk->off,
		.vlan = walk->vlan | walk->decoder->vlan_hide,
		.tunnel = walk->tunnel & walk->decoder->tunnel_mask,
		.flags = walk->ip_layers ? PACKET_TUNNELLED : 0,
		.pending = walk->pending_count,
	};
	walk->ip_layers++;
}

/* ---- fragments ----------------------------------------------------------------------------------------------------- */

static struct fragment_id fragment_id_of(const struct ip_view *ip, uint32_t number)
{
	struct fragment_id id = { .id = number, .tunnel = ip->tunnel, .vlan = ip->vlan, .version = ip->version };
	size_t bytes = ip->version == 4 ? 4 : 16;

	memcpy(id.src, ip->src, bytes);
	memcpy(id.dst, ip->dst, bytes);
	if (ip->version == 4)
		id.proto = ip->proto;
	return id;
}

/* The first fragment goes on as any packet, and leaves its id, so that decode_general() can tell the table its flow. */
static enum layer fragment_first(struct walk *walk, uint32_t number)
{
	walk->ip.flags |= PACKET_FRAGMENT;
	if (walk->pending_count < WALK_IP_LAYERS_MAX) {
		walk->pending[walk->pending_count++] = fragment_id_of(&walk->ip, number);
		walk->ip.pending = walk->pending_count;
	}
	return transport_step(walk);
}

static enum layer transport_absent(struct walk *walk)
{
	struct ip_view *ip = &walk->ip;

	if (walk->off > WALK_OFFSET_MAX)
		return walk_stop(walk, VERDICT_DROP_TOO_NESTED);
	ip->flags |= PACKET_FRAGMENT | PACKET_FRAGMENT_LATER | (walk->cap < walk->end ? PACKET_L4_CUT : 0);
	ip->l3_len = walk->end - ip->l3_off;
	ip->payload_off = walk->off;
	ip->payload_len = walk->end - walk->off;
	return walk_stop(walk, VERDICT_FLOW);
}

static enum layer fragment_later(struct walk *walk, uint32_t number)
{
	struct fragment_table *table = &walk->decoder->fragments;
	struct fragment_id id = fragment_id_of(&walk->ip, number);

	walk->ip.joined = fragment_find(table, &id, walk->frame->ts_ns);
	return transport_absent(walk);
}

/* ---- IPv4 ---------------------------------------------------------------------------------------------------------- */

/* RFC 4302: an authentication header is transparent; its length counts 32-bit words, minus 2. 0: incomplete. */
static uint32_t authentication_bytes(const struct walk *walk)
{
	const uint8_t *header = walk->data + walk->off;

	if (walk_captured(walk) < 8)
		return 0;
	uint32_t bytes = (header[1] + 2U) * 4;
	return bytes >= 8 && bytes <= walk_captured(walk) ? bytes : 0;
}

static enum verdict ipv4_check(const struct walk *walk, uint32_t *header_bytes)
{
	uint32_t captured = walk_captured(walk);
	const uint8_t *ip = walk->data + walk->off;

	if (captured < 1)
		return VERDICT_DROP_IPV4_SHORT;
	if (ip[0] >> 4 != 4)
		return VERDICT_DROP_IP_VERSION;
	*header_bytes = (ip[0] & 0xf) * 4U;
	if (*header_bytes < IPV4_BYTES)
		return VERDICT_DROP_IPV4_HEADER_LENGTH;
	if (captured < IPV4_BYTES)
		return VERDICT_DROP_IPV4_SHORT;
	if (*header_bytes > walk->end - walk->off)
		return VERDICT_DROP_IPV4_HEADER_LENGTH;
	if (captured < *header_bytes)
		return VERDICT_DROP_IPV4_SHORT;
	uint32_t total = load_be16(ip + 2);
	return total != 0 && total < *header_bytes ? VERDICT_DROP_IPV4_TOTAL_LENGTH : VERDICT_FLOW;
}

enum layer ipv4_step(struct walk *walk)
{
	const uint8_t *header = walk->data + walk->off;
	struct ip_view *ip = &walk->ip;
	uint32_t header_bytes;
	enum verdict verdict = ipv4_check(walk, &header_bytes);

	if (verdict != VERDICT_FLOW)
		return walk_stop(walk, verdict);
	if (walk->ip_layers == WALK_IP_LAYERS_MAX)
		return walk_stop(walk, VERDICT_DROP_TOO_NESTED);
	view_begin(walk, 4);
	ip->src = header + 12;
	ip->dst = header + 16;
	ip->tos = header[1];
	ip->ttl = header[8];
	ip->proto = header[9];
	/* Total length 0: the network card segments this packet later, the frame is all we know of its length. */
	if (load_be16(header + 2))
		walk_clamp(walk, walk->off, load_be16(header + 2));
	walk->off += header_bytes;

	uint16_t fragment = load_be16(header + 6);
	if (fragment & 0x1fff)
		return fragment_later(walk, load_be16(header + 4));
	if (ip->proto == PROTO_AH) {
		uint32_t bytes = authentication_bytes(walk);
		if (bytes) {
			ip->proto = walk->data[walk->off];
			walk->off += bytes;
		}
	}
	return fragment & 0x2000 ? fragment_first(walk, load_be16(header + 4)) : transport_step(walk);
}

/* ---- IPv6 ---------------------------------------------------------------------------------------------------------- */

static bool is_extension(uint8_t proto)
{
	switch (proto) {
	case PROTO_HOPOPTS:
	case PROTO_ROUTING:
	case PROTO_FRAGMENT:
	case PROTO_AH:
	case PROTO_DSTOPTS:
	case PROTO_MOBILITY:
	case PROTO_HIP:
	case PROTO_SHIM6:
		return true;
	default:
		return false;
	}
}

/* A packet that is still on its way through a source route has its final destination in the routing header; the checksum
 * and the answer use that one. Type 0: RFC 2460 section 4.4; type 2: RFC 6275 section 6.4; type 4: RFC 8754 section 2. */
static void routing_apply(struct ip_view *ip, const uint8_t *header, uint32_t bytes)
{
	uint8_t type = header[2];
	uint8_t segments_left = header[3];

	if (segments_left == 0 || bytes < 24)
		return;
	if (type == 0)
		ip->dst = header + 8 + (bytes - 24) / 16 * 16;
	else if (type == 2 || type == 4)
		ip->dst = header + 8;
}

/* RFC 6275, section 6.3: a mobile node's own address is in the home address option, while the header has where it is. */
static void home_address_apply(struct ip_view *ip, const uint8_t *header, uint32_t bytes)
{
	for (uint32_t at = 2; at + 1 < bytes;) {
		if (header[at] == 0) { /* Pad1 */
			at++;
			continue;
		}
		if (header[at] == 0xc9 && header[at + 1] == 16 && at + 18 <= bytes)
			ip->src = header + at + 2;
		at += 2U + header[at + 1];
	}
}

static uint32_t extension_bytes(const struct walk *walk, uint8_t proto)
{
	if (proto == PROTO_AH)
		return authentication_bytes(walk);
	if (walk_captured(walk) < 8)
		return 0;
	uint32_t bytes = proto == PROTO_FRAGMENT ? 8 : (walk->data[walk->off + 1] + 1U) * 8;
	return bytes <= walk_captured(walk) ? bytes : 0;
}

/* Extension headers up to the upper layer or a fragment header that ends the walk here. */
static enum layer ipv6_extensions(struct walk *walk)
{
	struct ip_view *ip = &walk->ip;
	bool fragment = false;
	uint32_t number = 0;

	for (unsigned i = 0; is_extension(ip->proto); i++) {
		const uint8_t *header = walk->data + walk->off;
		uint8_t proto = ip->proto;
		uint32_t bytes = extension_bytes(walk, proto);

		if (i == IPV6_EXTENSIONS_MAX)
			return walk_stop(walk, VERDICT_DROP_TOO_NESTED);
		if (bytes == 0 && fragment)
			break; /* the rest of the chain is in later fragments */
		if (bytes == 0)
			return walk_stop(walk, VERDICT_DROP_IPV6_EXTENSION_SHORT);
		ip->proto = header[0];
		walk->off += bytes;
		if (proto == PROTO_ROUTING)
			routing_apply(ip, header, bytes);
		else if (proto == PROTO_DSTOPTS)
			home_address_apply(ip, header, bytes);
		else if (proto == PROTO_FRAGMENT && load_be16(header + 2) & 0xfff8)
			return fragment_later(walk, load_be32(header + 4));
		else if (proto == PROTO_FRAGMENT && header[3] & 1) {
			fragment = true;
			number = load_be32(header + 4);
		}
	}
	return fragment ? fragment_first(walk, number) : transport_step(walk);
}

enum layer ipv6_step(struct walk *walk)
{
	const uint8_t *header = walk->data + walk->off;
	struct ip_view *ip = &walk->ip;

	if (walk_captured(walk) < 1)
		return walk_stop(walk, VERDICT_DROP_IPV6_SHORT);
	if (header[0] >> 4 != 6)
		return walk_stop(walk, VERDICT_DROP_IP_VERSION);
	if (walk_captured(walk) < IPV6_BYTES)
		return walk_stop(walk, VERDICT_DROP_IPV6_SHORT);
	if (walk->ip_layers == WALK_IP_LAYERS_MAX)
		return walk_stop(walk, VERDICT_DROP_TOO_NESTED);
	view_begin(walk, 6);
	ip->src = header + 8;
	ip->dst = header + 24;
	ip->tos = (uint8_t)(load_be16(header) >> 4);
	ip->ttl = header[7];
	ip->proto = header[6];
	walk->off += IPV6_BYTES;
	/* Length 0 with hop-by-hop options is a jumbogram (RFC 2675): the frame is as good a bound as the option's length. */
	if (load_be16(header + 4) || ip->proto != PROTO_HOPOPTS)
		walk_clamp(walk, walk->off, load_be16(header + 4));
	return ipv6_extensions(walk);
}

enum layer ip_step(struct walk *walk)
{
	if (walk_captured(walk) && walk->data[walk->off] >> 4 == 6)
		return ipv6_step(walk);
	return ipv4_step(walk);
}
