#include "decode_internal.h"

#include <stddef.h>

#include "bytes.h"
#include "poison.h"

/* ---- general path: any packet ---------------------------------------------------------------------------------------- */

static void key_build(const struct ip_view *ip, struct packet *packet)
{
	struct flow_key *key = &packet->key;
	size_t bytes = ip->version == 4 ? 4 : 16;
	size_t at = ip->version == 4 ? FLOW_KEY_V4_OFFSET : 0;
	int order = memcmp(ip->src, ip->dst, bytes);
	bool swap = order > 0 || (order == 0 && ip->src_port > ip->dst_port);

	memcpy(key->a_ip + at, swap ? ip->dst : ip->src, bytes);
	memcpy(key->b_ip + at, swap ? ip->src : ip->dst, bytes);
	key->a_port = swap ? ip->dst_port : ip->src_port;
	key->b_port = swap ? ip->src_port : ip->dst_port;
	key->proto = ip->proto;
	key->ip_version = ip->version;
	key->vlan = ip->vlan;
	key->tunnel = ip->tunnel;
	packet->dir = swap;
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
	packet->hash = flow_key_hash(&walk->decoder->options.seed, &packet->key);
	packet->tcp_flags = ip->tcp_flags;
	packet->l3_len = ip->l3_len;
	packet->payload_len = ip->payload_len;
	packet->tcp_seq = ip->tcp_seq;
	packet->tcp_ack = ip->tcp_ack;
	packet->tcp_window = ip->tcp_window;
	packet->l3_off = (uint16_t)ip->l3_off;
	packet->l4_off = has_l4 ? (uint16_t)ip->l4_off : 0;
	packet->payload_off = (uint16_t)(ip->payload_off < walk->frame->cap_len ? ip->payload_off : walk->frame->cap_len);
	packet->tos = ip->tos;
	packet->ttl = ip->ttl;
	packet->icmp_type = ip->icmp_type;
	packet->icmp_code = ip->icmp_code;
	packet->echo_seq = ip->echo_seq;
}

static void walk_begin(struct walk *walk, struct decoder *decoder, const struct frame *frame)
{
	walk->decoder = decoder;
	walk->frame = frame;
	walk->data = frame->data;
	walk->off = 0;
	walk->cap = frame->cap_len;
	walk->end = frame->wire_len > frame->cap_len ? frame->wire_len : frame->cap_len;
	walk->tunnel = 0;
	walk->vlan_seen = FLOW_VLAN_NONE;
	walk->vlan = FLOW_VLAN_NONE;
	walk->verdict = VERDICT_FLOW;
	walk->headers = 0;
	walk->ip_layers = 0;
	walk->pending_count = 0;
	walk->has_outer = false;
	if (frame->vlan_tpid)
		walk_tag(walk, frame->vlan_tci);
}

static void walk_run(struct walk *walk)
{
	enum layer layer = link_start(walk);

	while (layer != LAYER_END) {
		if (++walk->headers > WALK_HEADERS_MAX || walk->off > WALK_OFFSET_MAX) {
			walk->verdict = VERDICT_DROP_TOO_NESTED;
			return;
		}
		switch (layer) {
		case LAYER_IP:
			layer = ip_step(walk);
			break;
		case LAYER_IPV4:
			layer = ipv4_step(walk);
			break;
		case LAYER_IPV6:
			layer = ipv6_step(walk);
			break;
		default:
			layer = link_step(walk, layer);
			break;
		}
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
	memset(packet, 0, sizeof(*packet));
	packet->verdict = walk.verdict;
	packet->frame = frame;
	packet->vlan = walk.vlan_seen;
	if (walk.verdict != VERDICT_FLOW)
		return;
	packet_build(&walk, ip, packet);
	for (unsigned i = 0; i < ip->pending; i++)
		fragment_insert(&decoder->fragments, &walk.pending[i], frame->ts_ns, packet);
}

/* ---- fast path: Ethernet, at most one 802.1Q tag, IPv4 without options, whole TCP or UDP header ------------------------- */

typedef uint16_t port_vector __attribute__((vector_size(16)));
typedef uint64_t pair_vector __attribute__((vector_size(16)));

#define BE16(x) (uint16_t)((x) >> 8 | ((x)&0xff) << 8)
#define TWICE(x) BE16(x), BE16(x)

/* ports: source and destination as in the packet. Each is compared with all tunnel ports at once: no branch, no table. */
static inline bool has_tunnel_port(uint32_t ports)
{
	const port_vector first = { TWICE(4789), TWICE(8472), TWICE(2152), TWICE(6081) };
	const port_vector second = { TWICE(3544), TWICE(4790), TWICE(4789), TWICE(4789) };
	uint64_t twice = (uint64_t)ports << 32 | ports;
	port_vector both = (port_vector)(pair_vector){ twice, twice };
	pair_vector hit = (pair_vector)((both == first) | (both == second));

	return (hit[0] | hit[1]) != 0;
}

static inline void store_u64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* The members that one 64-bit store fills, little-endian. */
#define WORD2(lo, hi) ((uint64_t)(uint32_t)(lo) | (uint64_t)(hi) << 32)
#define WORD4(a, b, c, d) ((uint64_t)(a) | (uint64_t)(b) << 16 | (uint64_t)(c) << 32 | (uint64_t)(d) << 48)

#define ASSERT_AT(member, offset) _Static_assert(offsetof(struct packet, member) == (offset), "the fast path stores words")
ASSERT_AT(key.a_port, 32);
ASSERT_AT(key.proto, 36);
ASSERT_AT(key.vlan, 38);
ASSERT_AT(key.tunnel, 40);
ASSERT_AT(verdict, 44);
ASSERT_AT(tcp_flags, 47);
ASSERT_AT(hash, 48);
ASSERT_AT(frame, 56);
ASSERT_AT(l3_len, 64);
ASSERT_AT(tcp_seq, 72);
ASSERT_AT(tcp_window, 80);
ASSERT_AT(payload_off, 86);
ASSERT_AT(tos, 88);
ASSERT_AT(vlan, 92);
ASSERT_AT(unused, 96);

/*
 * What varies from packet to packet - direction, TCP or UDP, what the lengths are - is computed without branches: a
 * mispredicted one costs 15 to 20 cycles, half of what all of this takes. The branches that are left go the same way nearly always.
 */
static inline __attribute__((always_inline)) bool fast_path(const struct decoder *decoder, const struct frame *frame,
	struct packet *packet)
{
	const uint8_t *data = frame->data;
	uint32_t cap = frame->cap_len;
	uint32_t l3_off = 14;
	uint16_t vlan = FLOW_VLAN_NONE;
	uint16_t vlan_key = FLOW_VLAN_NONE;

	if (frame->link != LINK_ETHERNET || frame->vlan_tpid != 0 || cap < 54)
		return false;
	uint32_t head = load_be32(data + 12); /* EtherType, version, header length, TOS */
	if (head >> 16 == ETHER_VLAN) {
		if (cap < 58)
			return false;
		vlan = head & 0xfff;
		vlan_key = vlan ? vlan : FLOW_VLAN_NONE;
		l3_off = 18;
		head = load_be32(data + 16);
	}
	const uint8_t *l3 = data + l3_off;
	const uint8_t *l4 = l3 + 20;
	uint64_t fixed = load_be64(l3 + 2); /* total length(16) id(16) flags and offset(16) TTL(8) protocol(8) */
	uint32_t total = fixed >> 48;
	uint32_t proto = fixed & 0xff;
	uint32_t ports = load_le32(l4);
	uint32_t wire = frame->wire_len > cap ? frame->wire_len : cap;
	uint32_t segment = total - 20; /* huge if total < 20 */
	bool tcp = proto == PROTO_TCP;
	uint32_t header = tcp ? (l4[12] >> 4) * 4U : 8;

	bool other = (head >> 8) != 0x080045;
	other |= (fixed & 0x3fff0000) != 0; /* fragment */
	other |= !tcp & (proto != PROTO_UDP);
	other |= l3_off + total > wire;
	other |= (total < 28) | (header > segment) | (tcp & (header < 20));
	other |= !tcp & !decoder->options.outer & has_tunnel_port(ports);
	if (__builtin_expect(other, 0))
		return false;

	/* A and B: address and port as one number each, so that one comparison decides. */
	uint64_t addresses = load_be64(l3 + 12);
	uint32_t ports_host = __builtin_bswap32(ports);
	uint64_t src = addresses >> 32 << 16 | ports_host >> 16;
	uint64_t dst = (uint64_t)(uint32_t)addresses << 16 | (ports_host & 0xffff);
	bool swap = dst < src;
	uint64_t a = swap ? dst : src;
	uint64_t b = swap ? src : dst;
	uint32_t a_be = __builtin_bswap32((uint32_t)(a >> 16));
	uint32_t b_be = __builtin_bswap32((uint32_t)(b >> 16));
	uint16_t a_port = (uint16_t)a;
	uint16_t b_port = (uint16_t)b;

	vlan_key |= decoder->vlan_hide;
	uint64_t hash = flow_hash_v4(&decoder->options.seed, (uint64_t)a_be << 32 | b_be,
		(uint64_t)a_port << 48 | (uint64_t)b_port << 32 | proto << 8 | 4, (uint64_t)vlan_key << 32);

	/* UDP's own length may be shorter than what IP carries; 0 or below 8 wraps around and does not count. */
	uint32_t payload_len = segment - header;
	uint32_t udp_len = load_be16(l4 + 4) - 8U;
	payload_len = (!tcp & (udp_len < payload_len)) ? udp_len : payload_len;

	uint32_t l4_off = l3_off + 20;
	uint32_t payload_off = l4_off + header < cap ? l4_off + header : cap;
	uint64_t tcp_mask = -(uint64_t)tcp;
	uint64_t seq_ack = load_be64(l4 + 4);
	uint32_t flags_window = load_be32(l4 + 12) & (uint32_t)tcp_mask; /* offset(8) flags(8) window(16) */
	uint32_t cut = cap < l3_off + total ? PACKET_L4_CUT : 0;

	uint8_t *out = (uint8_t *)packet;
	store_u64(out, 0);
	store_u64(out + 8, (uint64_t)a_be << 32);
	store_u64(out + 16, 0);
	store_u64(out + 24, (uint64_t)b_be << 32);
	store_u64(out + 32, WORD4(a_port, b_port, proto | 4 << 8, vlan_key));
	store_u64(out + 40, WORD4(0, 0, VERDICT_FLOW | (uint32_t)swap << 8, cut | (flags_window >> 16 & 0xff) << 8));
	store_u64(out + 48, hash);
	packet->frame = frame;
	store_u64(out + 64, WORD2(total, payload_len));
	store_u64(out + 72, (seq_ack >> 32 | seq_ack << 32) & tcp_mask);
	store_u64(out + 80, WORD4(flags_window & 0xffff, l3_off, l4_off, payload_off));
	store_u64(out + 88, WORD4((head & 0xff) | (fixed >> 8 & 0xff) << 8, 0, vlan, 0));
	memset(packet->unused, 0, sizeof(packet->unused));
	return true;
}

bool decode_fast(const struct decoder *decoder, const struct frame *frame, struct packet *packet)
{
	return fast_path(decoder, frame, packet);
}

/* 8 frames ahead: about 60 ns, the reach of an access to the last-level cache. Both lines, as headers of records from a file start anywhere. */
#define PREFETCH_AHEAD 8

static inline void frame_prefetch(const struct frame *frame)
{
	__builtin_prefetch(frame->data);
	__builtin_prefetch(frame->data + 63);
}

void decode_batch(struct decoder *decoder, const struct frame *frames, struct packet *packets, unsigned n)
{
	for (unsigned i = 0; i < n && i < PREFETCH_AHEAD; i++)
		frame_prefetch(&frames[i]);
	for (unsigned i = 0; i < n; i++) {
		if (i + PREFETCH_AHEAD < n)
			frame_prefetch(&frames[i + PREFETCH_AHEAD]);
		if (!fast_path(decoder, &frames[i], &packets[i]))
			decode_general(decoder, &frames[i], &packets[i]);
	}
}
