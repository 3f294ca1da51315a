/*
 * Which of several lanes on a file a packet belongs to. A flow's lane is a hash of its addresses, ports and protocol that is the
 * same for both directions without ordering them; so for plain frames - Ethernet, IPv4 without options, TCP or UDP, no fragment,
 * no tunnel - it can be told before decoding, and a lane decodes only its own. Lane's thread, packet path.
 */
#ifndef FLOWLANE_SHARD_H
#define FLOWLANE_SHARD_H

#include "bytes.h"
#include "decode.h"
#include "flowlane/packet.h"
#include "special_ports.h"

#define SHARD_NOT_PLAIN UINT32_MAX

/* addresses, ports: one side's XOR the other's. */
static inline uint32_t shard_hash(uint32_t addresses, uint32_t ports, uint32_t proto, uint32_t lanes)
{
	/* The upper half of a product depends on all bits below; all but the topmost address bits are far below. */
	uint64_t x = ((uint64_t)addresses << 24 ^ (uint64_t)ports << 8 ^ proto) * 0x9e3779b97f4a7c15u;

	return (uint32_t)((x >> 32) * lanes >> 32);
}

static inline uint32_t shard_of_key(const struct flow_key *key, uint32_t lanes)
{
	uint64_t a[2], b[2];

	memcpy(a, key->a_ip, sizeof(a));
	memcpy(b, key->b_ip, sizeof(b));
	uint64_t x = a[0] ^ b[0] ^ a[1] ^ b[1]; /* IPv4: in the upper half */
	return shard_hash((uint32_t)(x >> 32) ^ (uint32_t)x, key->a_port ^ key->b_port, key->proto, lanes);
}

/*
 * The lane of a plain frame, or SHARD_NOT_PLAIN: decode it first. The first is also the lane that accounts for the frame if
 * decoding then finds fault with it.
 */
static inline uint32_t shard_of_frame(const struct frame *frame, uint32_t lanes)
{
	const uint8_t *ip = frame->data + 14;

	if (frame->link != LINK_ETHERNET || frame->cap_len < 14 + 20 + 8 || (load_le32(ip - 2) & 0xffffff) != 0x450008)
		return SHARD_NOT_PLAIN;
	/* TCP or UDP is a coin toss: no branch on that. */
	uint32_t proto = ip[9], ports = load_le32(ip + 20), udp = proto == 17, fragment = load_le16(ip + 6) & 0xff3f;
	uint32_t tunnel = special_ports(ports) & SPECIAL_TUNNELS & -udp;
	if (__builtin_expect(fragment | tunnel | !((proto == 6) | udp), 0))
		return SHARD_NOT_PLAIN;
	uint16_t both = (uint16_t)(ports ^ ports >> 16);
	return shard_hash(load_le32(ip + 12) ^ load_le32(ip + 16), __builtin_bswap16(both), proto, lanes);
}

#endif
