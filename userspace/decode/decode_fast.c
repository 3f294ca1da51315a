/*
 * The fast path: Ethernet, at most one 802.1Q tag, IPv4 or IPv6 without options, whole TCP or UDP header. And the loop over a
 * batch.
 *
 * What varies from packet to packet - TCP or UDP, lengths, direction - is computed with masks, minima and conditional moves: a
 * mispredicted branch costs 15 to 20 cycles, a third of what all of this takes. What can be wrong with a packet is gathered, and
 * asked for once. Loads and stores are as wide as the fields allow that lie beside each other.
 */
#include "decode_internal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "bytes.h"
#include "poison.h"

/* ---- what IPv4 and IPv6 have in common --------------------------------------------------------------------------------------- */

/* Members that are stored at once. */
_Static_assert(offsetof(struct packet, tcp_ack) == offsetof(struct packet, tcp_seq) + 4, "numbers");
_Static_assert(offsetof(struct packet, tcp_flags) == offsetof(struct packet, tcp_window) + 2, "tail");
_Static_assert(offsetof(struct packet, tcp_offset) == offsetof(struct packet, tcp_window) + 3, "tail");
_Static_assert(offsetof(struct packet, verdict) == offsetof(struct packet, key.tunnel) + 4, "zeros");
_Static_assert(offsetof(struct packet, icmp_type) == offsetof(struct packet, payload_off) + 2, "payload and zeros");
_Static_assert(offsetof(struct packet, icmp_code) == offsetof(struct packet, payload_off) + 3, "payload and zeros");
_Static_assert(offsetof(struct packet, l4_off) == offsetof(struct packet, l3_off) + 2, "place");
_Static_assert(offsetof(struct packet, vlan) == offsetof(struct packet, l3_off) + 4, "place");
_Static_assert(offsetof(struct packet, echo_seq) == offsetof(struct packet, l3_off) + 6, "place");

static inline void store_u64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline uint64_t rotate64(uint64_t x, unsigned bits)
{
	return x << (bits & 63) | x >> (-bits & 63);
}

static inline uint32_t rotate32(uint32_t x, unsigned bits)
{
	return x << (bits & 31) | x >> (-bits & 31);
}

/* An IP packet of `total` bytes at l3_off, whose TCP or UDP header is at l4_off; both offsets are constants where this is called. */
struct ip_fast {
	const struct decoder *decoder;
	const struct frame *frame;
	uint32_t l3_off, l4_off;
	uint32_t total;
	uint32_t proto;
	uint32_t wrong; /* not 0: not for the fast path */
	uint16_t vlan;
};

/* How TCP and UDP differ, by the lowest bit of the protocol number: one load each, where a comparison would become a branch. */
static const struct transport_kind {
	uint64_t numbers; /* of load_be64(l4 + 4): TCP: sequence(32) acknowledgement(32) */
	uint32_t tail;    /* of load_be32(l4 + 12): TCP: offset(8) flags(8) window(16) */
	uint32_t proto;
	uint32_t header;     /* bytes, besides what the offset says */
	uint32_t header_min; /* bytes */
	uint32_t special;    /* of special_ports() */
	uint32_t length;     /* or-ed to UDP's own length: TCP has none */
	uint32_t flags;      /* enum packet_flag */
} transport_kinds[2] = {
	{ UINT64_MAX, UINT32_MAX, PROTO_TCP, 0, 20, 0, UINT32_MAX, PACKET_SEGMENT },
	{ 0, 0, PROTO_UDP, 8, 8, UINT32_MAX, 0, 0 },
};

/* All but key, hash, direction, TOS and TTL. False, and nothing stored, for what is not plain TCP or UDP. */
static inline __attribute__((always_inline)) bool transport_fast(const struct ip_fast *ip, struct packet *packet)
{
	const struct transport_kind *kind = &transport_kinds[ip->proto & 1];
	const struct frame *frame = ip->frame;
	const uint8_t *l4 = frame->data + ip->l4_off;
	uint32_t cap = frame->cap_len, end = ip->l3_off + ip->total;
	uint32_t tail = load_be32(l4 + 12) & kind->tail;
	uint32_t header = (tail >> 26 & 0x3c) + kind->header;
	uint32_t rest = ip->total - (ip->l4_off - ip->l3_off) - header;
	uint32_t special = special_ports(load_le32(l4)) & kind->special;
	uint32_t wrong = ip->wrong | (ip->proto ^ kind->proto) | (special & ip->decoder->tunnel_bits);
	/* Negative: payload shorter than nothing, packet beyond the frame, header too short. */
	uint32_t beyond = rest | (frame->wire_len - end) | (header - kind->header_min);

	if (__builtin_expect(wrong | beyond >> 31, 0))
		return false;
	uint64_t numbers = load_be64(l4 + 4);
	/* UDP's own length may be shorter than what IP carries; 0 and below 8 wrap around and do not count. */
	uint32_t payload_max = ((uint32_t)(numbers >> 48) - 8) | kind->length;

	packet->l3_len = ip->total;
	packet->payload_len = rest < payload_max ? rest : payload_max;
	store_u64(&packet->tcp_seq, rotate64(numbers & kind->numbers, 32));
	store_le32(&packet->tcp_window, tail);
	store_u64(&packet->key.tunnel, 0);
	packet->flags = (uint16_t)(kind->flags | (special & SPECIAL_ASKING));
	packet->frame = frame;
	store_le32(&packet->payload_off, ip->l4_off + header);
	store_u64(&packet->l3_off, (uint64_t)ip->vlan << 32 | ip->l4_off << 16 | ip->l3_off);
	if (__builtin_expect(cap < end, 0)) {
		packet->flags |= PACKET_L4_CUT;
		packet->payload_off = packet->payload_off < cap ? packet->payload_off : (uint16_t)cap;
	}
	return true;
}

/* ports: A's in the lower half. Ports, protocol, version and VLAN id of the key, as they lie in memory. A priority tag is none. */
static inline uint64_t tail_fast(const struct ip_fast *ip, uint32_t ports, uint32_t version)
{
	uint32_t vlan = (uint16_t)((ip->vlan ? ip->vlan : FLOW_VLAN_NONE) | ip->decoder->vlan_hide);

	return (uint64_t)(vlan << 16 | version << 8 | ip->proto) << 32 | ports;
}

/* ---- IPv4, IPv6, Ethernet ------------------------------------------------------------------------------------------------------ */

/* addresses: A in the upper half. */
static inline void key_put_v4(struct flow_key *key, uint64_t addresses)
{
#ifdef __SSE2__
	__m128i both = _mm_cvtsi64_si128((long long)__builtin_bswap64(addresses)); /* A, B, 0, 0 */

	_mm_storeu_si128((__m128i *)key->a_ip, _mm_shuffle_epi32(both, _MM_SHUFFLE(0, 2, 2, 2)));
	_mm_storeu_si128((__m128i *)key->b_ip, _mm_shuffle_epi32(both, _MM_SHUFFLE(1, 2, 2, 2)));
#else
	memset(key, 0, 32);
	store_be32(key->a_ip + FLOW_KEY_V4_OFFSET, (uint32_t)(addresses >> 32));
	store_be32(key->b_ip + FLOW_KEY_V4_OFFSET, (uint32_t)addresses);
#endif
}

static inline __attribute__((always_inline)) bool ipv4_fast(
	const struct decoder *decoder, const struct frame *frame, struct packet *packet, uint32_t l3_off, uint16_t vlan)
{
	const uint8_t *l3 = frame->data + l3_off;
	const struct ip_fast ip = {
		.decoder = decoder,
		.frame = frame,
		.l3_off = l3_off,
		.l4_off = l3_off + 20,
		.total = load_be16(l3 + 2),
		.proto = l3[9],
		.wrong = load_le16(l3 + 6) & 0xff3f, /* more fragments, or an offset */
		.vlan = vlan,
	};

	if (!transport_fast(&ip, packet))
		return false;
	packet->tos = l3[1];
	packet->ttl = l3[8];
	/* A and B: compare (source, destination, their ports) with the same seen from the other end, and take the smaller. */
	uint64_t there = load_be64(l3 + 12), back = rotate64(there, 32);
	uint32_t ports_back = load_be32(l3 + 20), ports_there = rotate32(ports_back, 16); /* as the key has them: A's below */
	bool swap = back < there;

	if (__builtin_expect(back == there, 0))
		swap = ports_there < ports_back;
	uint64_t tail = tail_fast(&ip, swap ? ports_back : ports_there, 4);

	packet->dir = swap;
	packet->tail = tail;
	packet->addresses = back < there ? back : there;
	key_put_v4(&packet->key, packet->addresses);
	store_u64(&packet->key.a_port, tail);
	packet->hash = flow_hash_v4(&decoder->options.seed, packet->addresses, tail, 0);
	return true;
}

static inline __attribute__((always_inline)) bool ipv6_fast(
	const struct decoder *decoder, const struct frame *frame, struct packet *packet, uint32_t l3_off, uint16_t vlan)
{
	const uint8_t *l3 = frame->data + l3_off;
	const struct ip_fast ip = {
		.decoder = decoder,
		.frame = frame,
		.l3_off = l3_off,
		.l4_off = l3_off + 40,
		.total = 40 + load_be16(l3 + 4),
		.proto = l3[6],
		.wrong = l3[0] >> 4 ^ 6,
		.vlan = vlan,
	};

	if (frame->cap_len < l3_off + 60 || !transport_fast(&ip, packet))
		return false;
	packet->tos = (uint8_t)(load_be16(l3) >> 4);
	packet->ttl = l3[7];
	uint32_t ports_back = load_be32(l3 + 40), ports_there = rotate32(ports_back, 16);
	bool swap = is_greater16(l3 + 8, l3 + 24, ports_there < ports_back);

	packet->dir = swap;
	memcpy(packet->key.a_ip, l3 + 8 + 16 * swap, 16);
	memcpy(packet->key.b_ip, l3 + 24 - 16 * swap, 16);
	packet->tail = tail_fast(&ip, swap ? ports_back : ports_there, 6);
	store_u64(&packet->key.a_port, packet->tail);
	packet->addresses = packet->hash = flow_key_hash(&decoder->options.seed, &packet->key);
	return true;
}

/* The EtherType and the first byte of the IP header, as they lie in memory. */
#define HEAD_IPV4 0x450008 /* version 4, header length 5 */
#define HEAD_IPV6 0xdd86

/* data + l3_off is an IP header, or not. Captured: 40 bytes of it. */
static inline __attribute__((always_inline)) bool ip_fast(
	const struct decoder *decoder, const struct frame *frame, struct packet *packet, uint32_t l3_off, uint16_t vlan)
{
	uint32_t head = load_le32(frame->data + l3_off - 2);

	if (__builtin_expect((head & 0xffffff) == HEAD_IPV4, 1))
		return ipv4_fast(decoder, frame, packet, l3_off, vlan);
	return (head & 0xffff) == HEAD_IPV6 && ipv6_fast(decoder, frame, packet, l3_off, vlan);
}

static inline __attribute__((always_inline)) bool fast_path(
	const struct decoder *decoder, const struct frame *frame, struct packet *packet)
{
	const uint8_t *data = frame->data;

	if ((frame->link ^ LINK_ETHERNET) | frame->vlan_tpid || frame->cap_len < 14 + 40)
		return false;
	if (ip_fast(decoder, frame, packet, 14, FLOW_VLAN_NONE))
		return true;
	return load_be16(data + 12) == ETHER_VLAN && frame->cap_len >= 18 + 40 &&
	       ip_fast(decoder, frame, packet, 18, load_be16(data + 14) & 0xfff);
}

bool decode_fast(const struct decoder *decoder, const struct frame *frame, struct packet *packet)
{
	return fast_path(decoder, frame, packet);
}

/* ---- the batch ------------------------------------------------------------------------------------------------------------------- */

/* Two lines, as headers may start anywhere in one: with frames 2 KiB apart decoding takes 16 ns a frame, with one line 54, without
 * this 97. */
void decode_prefetch(const struct frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		__builtin_prefetch(frames[i].data);
		__builtin_prefetch(frames[i].data + 63);
	}
}

unsigned decode_batch(struct decoder *decoder, const struct frame *frames, struct packet *packets, unsigned n)
{
	unsigned apart = 0; /* that are no flow's */

	for (unsigned i = 0; i < n; i++) {
		if (__builtin_expect(!fast_path(decoder, &frames[i], &packets[i]), 0)) {
			decode_general(decoder, &frames[i], &packets[i]);
			apart += packets[i].verdict != VERDICT_FLOW;
		}
	}
	return n - apart;
}
