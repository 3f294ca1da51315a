#include "decode_internal.h"

#include "bytes.h"
#include "poison.h"

/* The general path: any packet. What is frequent is decode_fast.c's. */

static void key_build(const struct ip_view *ip, struct packet *packet)
{
	struct flow_key *key = &packet->key;
	bool swap = ip->src_port > ip->dst_port;

	if (ip->version == 4) {
		uint32_t src = load_be32(ip->src), dst = load_be32(ip->dst);
		swap = (src > dst) | ((src == dst) & swap);
		store_be32(key->a_ip + FLOW_KEY_V4_OFFSET, swap ? dst : src);
		store_be32(key->b_ip + FLOW_KEY_V4_OFFSET, swap ? src : dst);
	} else {
		swap = is_greater16(ip->src, ip->dst, swap);
		memcpy(key->a_ip, swap ? ip->dst : ip->src, 16);
		memcpy(key->b_ip, swap ? ip->src : ip->dst, 16);
	}
	key->a_port = swap ? ip->dst_port : ip->src_port;
	key->b_port = swap ? ip->src_port : ip->dst_port;
	key->proto = ip->proto;
	key->ip_version = ip->version;
	key->vlan = ip->vlan;
	key->tunnel = ip->tunnel;
	packet->dir = swap;
}

/* The bits of PACKET_ASKS, as the fast path finds them: which end has which of the ports. ICMP has the first. */
static uint16_t key_asks(const struct flow_key *key, bool swap)
{
	uint16_t src = swap ? key->b_port : key->a_port, dst = swap ? key->a_port : key->b_port;

	if (key->proto == PROTO_ICMP || key->proto == PROTO_ICMPV6)
		return 1 << 4;
	if (key->proto != PROTO_UDP)
		return 0;
	return (uint16_t)((src == PORT_DNS) << 4 | (dst == PORT_DNS) << 5 | (src == PORT_QUIC) << 6 | (dst == PORT_QUIC) << 7);
}

static void packet_build(const struct walk *walk, const struct ip_view *ip, struct packet *packet)
{
	bool has_l4 = !(ip->flags & PACKET_FRAGMENT_LATER);

	packet->flags = ip->flags;
	if (ip->joined) {
		packet->key = ip->joined->key;
		packet->dir = ip->joined->dir;
		packet->flags |= ip->joined->tunnelled;
	} else {
		key_build(ip, packet);
	}
	if (has_l4)
		packet->flags |= key_asks(&packet->key, packet->dir) | (ip->proto == PROTO_TCP ? PACKET_SEGMENT : 0);
	packet->hash = flow_key_hash(&walk->decoder->options.seed, &packet->key);
	packet->addresses = packet->key.ip_version == 4 ? flow_key_addresses_v4(&packet->key) : packet->hash;
	packet->tail = flow_key_tail(&packet->key) ^ (packet->key.tunnel ? FLOW_TAIL_TUNNEL : 0);
	packet->tcp_flags = ip->tcp_flags;
	packet->l3_len = ip->l3_len;
	packet->payload_len = ip->payload_len;
	packet->tcp_seq = ip->tcp_seq;
	packet->tcp_ack = ip->tcp_ack;
	packet->tcp_window = ip->tcp_window;
	packet->tcp_offset = ip->tcp_offset;
	packet->l3_off = (uint16_t)ip->l3_off;
	packet->l4_off = has_l4 ? (uint16_t)ip->l4_off : 0;
	packet->payload_off = (uint16_t)(ip->payload_off < walk->frame->cap_len ? ip->payload_off : walk->frame->cap_len);
	packet->tos = ip->tos;
	packet->ttl = ip->ttl;
	packet->icmp_type = ip->icmp_type;
	packet->icmp_code = ip->icmp_code;
	packet->echo_seq = ip->echo_seq;
}

static void walk_run(struct walk *walk)
{
	enum layer layer = link_start(walk);

	while (layer != LAYER_END) {
		if (++walk->headers > WALK_HEADERS_MAX || walk->off > WALK_OFFSET_MAX) {
			walk->verdict = VERDICT_DROP_TOO_NESTED;
			return;
		}
		layer = walk_step(walk, layer);
	}
}

void decode_general(struct decoder *decoder, const struct frame *frame, struct packet *packet)
{
	struct walk walk;
	const struct ip_view *ip = &walk.ip;

	walk_begin(&walk, decoder, frame);
	walk_run(&walk);
	if (walk.has_outer && walk.verdict != VERDICT_FLOW && walk.verdict != VERDICT_DROP_TOO_NESTED) {
		ip = &walk.outer;
		walk.verdict = VERDICT_FLOW;
	}
	memset(packet, 0, offsetof(struct packet, unused));
	packet->verdict = walk.verdict;
	packet->frame = frame;
	packet->vlan = walk.vlan_seen;
	if (walk.verdict != VERDICT_FLOW)
		return;
	packet_build(&walk, ip, packet);
	for (unsigned i = 0; i < ip->pending; i++)
		fragment_insert(&decoder->fragments, &walk.pending[i], frame->ts_ns, packet);
}
