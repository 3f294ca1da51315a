/*
 * Whose packet a frame is, for the cutoff: the flow's key as the sensor's decoder will have it, and the lengths that it will count. So
 * only of frames that leave no doubt: those that the decoder's short path takes (userspace/decode/decode.c, fast_path()): Ethernet,
 * at most one 802.1Q tag, IPv4 or IPv6 without options, a whole TCP or UDP header, no port of a tunnel. All others are captured. Pure.
 */
#ifndef FLOWLANE_CUTOFF_BPF_H
#define FLOWLANE_CUTOFF_BPF_H

#include "parse.bpf.h"

#define CUTOFF_TCP_FLAGS 0x07 /* FIN, SYN, RST: always captured */

struct cutoff_packet {
	struct cutoff_key key;
	__u32 l3_len;
	__u8 dir;       /* 0: sent by A */
	__u8 tcp_flags; /* 0: not TCP */
};

/* As the decoder has them (userspace/decode/decode.h). */
PARSE_INLINE int cutoff_is_tunnel_port(__u16 port)
{
	return port == 4789 || port == 8472 || port == 4790 || port == 6081 || port == 2152 || port == 3544;
}

/* Numbers in network order are compared as bytes are. */
PARSE_INLINE __u64 cutoff_load_be64(const __u8 *p)
{
	__u64 word;

	__builtin_memcpy(&word, p, sizeof(word));
	return __builtin_bswap64(word);
}

/* -1, 0, 1 of two addresses in 16 bytes. */
PARSE_INLINE int cutoff_compare(const __u8 *x, const __u8 *y)
{
	__u64 x_high = cutoff_load_be64(x), y_high = cutoff_load_be64(y), x_low = cutoff_load_be64(x + 8),
	      y_low = cutoff_load_be64(y + 8);

	if (x_high != y_high)
		return x_high < y_high ? -1 : 1;
	return x_low == y_low ? 0 : x_low < y_low ? -1 : 1;
}

PARSE_INLINE void cutoff_order(
	struct cutoff_packet *packet, const __u8 source[16], const __u8 destination[16], __u16 from, __u16 to)
{
	struct cutoff_key *key = &packet->key;
	int order = cutoff_compare(source, destination);
	int swap = order > 0 || (order == 0 && from > to);

	__builtin_memcpy(key->a_ip, swap ? destination : source, 16);
	__builtin_memcpy(key->b_ip, swap ? source : destination, 16);
	key->a_port = swap ? to : from;
	key->b_port = swap ? from : to;
	packet->dir = (__u8)swap;
}

/* l4: behind the IP header, of `total` bytes with it. There are 20 bytes at l4. */
PARSE_INLINE int cutoff_transport(struct cutoff_packet *packet, const __u8 *l4, __u32 l3_bytes)
{
	__u32 header = 8, total = packet->l3_len;

	packet->tcp_flags = 0;
	if (packet->key.proto == 6) {
		header = (l4[12] >> 4) * 4u;
		if (header < 20)
			return 0;
		packet->tcp_flags = l4[13];
	} else if (packet->key.proto != 17 || cutoff_is_tunnel_port(parse_be16(l4)) || cutoff_is_tunnel_port(parse_be16(l4 + 2))) {
		return 0;
	}
	return total >= l3_bytes + header;
}

PARSE_INLINE int cutoff_ipv4(struct cutoff_packet *packet, const __u8 *p, __u32 room)
{
	__u8 source[16] = { 0 }, destination[16] = { 0 };

	if (p[0] != 0x45 || parse_be16(p + 6) & 0x3fff)
		return 0;
	packet->l3_len = parse_be16(p + 2);
	packet->key.proto = p[9];
	packet->key.ip_version = 4;
	if (packet->l3_len > room || !cutoff_transport(packet, p + 20, 20))
		return 0;
	__builtin_memcpy(source + 12, p + 12, 4);
	__builtin_memcpy(destination + 12, p + 16, 4);
	cutoff_order(packet, source, destination, parse_be16(p + 20), parse_be16(p + 22));
	return 1;
}

PARSE_INLINE int cutoff_ipv6(struct cutoff_packet *packet, const __u8 *p, const __u8 *end, __u32 room)
{
	if (p + 60 > end || p[0] >> 4 != 6)
		return 0;
	packet->l3_len = 40u + parse_be16(p + 4);
	packet->key.proto = p[6];
	packet->key.ip_version = 6;
	if (packet->l3_len > room || !cutoff_transport(packet, p + 40, 40))
		return 0;
	cutoff_order(packet, p + 8, p + 24, parse_be16(p + 40), parse_be16(p + 42));
	return 1;
}

PARSE_INLINE __u32 cutoff_hash(const struct cutoff_key *key)
{
	__u64 words[5], hash = 0;

	__builtin_memcpy(words, key, sizeof(words));
	for (unsigned i = 0; i < 5; i++) {
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull;
		hash ^= hash >> 32;
	}
	return (__u32)hash;
}

/* wire_len: of the frame. False: not for the cutoff. */
PARSE_INLINE int cutoff_parse(struct cutoff_packet *packet, const void *data, const void *data_end, __u32 wire_len, int key_vlan)
{
	const __u8 *p = data, *end = data_end;
	__u32 offset = 14;

	if (p + 14 + 40 > end)
		return 0;
	packet->key.vlan = 0xffff;
	__u16 type = parse_be16(p + 12);
	if (type == 0x8100) {
		__u16 vlan = parse_be16(p + 14) & 0xfff;
		if (key_vlan && vlan)
			packet->key.vlan = vlan;
		type = parse_be16(p + 16);
		offset = 18;
		p += 4;
		if (p + 14 + 40 > end)
			return 0;
	}
	if (wire_len < offset)
		return 0;
	if (type == 0x0800)
		return cutoff_ipv4(packet, p + 14, wire_len - offset);
	return type == 0x86dd && cutoff_ipv6(packet, p + 14, end, wire_len - offset);
}

#endif
