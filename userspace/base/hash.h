/*
 * The keyed hash of a flow key: 128-bit multiply and fold, the mixing step that wyhash made popular. Symmetric because keys are
 * canonical. The seed is fixed for files (same input, same run) and random for live capture, so that nobody outside can
 * aim at one bucket.
 *
 * Its 64 bits are used as: [47:33] tag in the bucket, [31:0] bucket.
 */
#ifndef FLOWLANE_HASH_H
#define FLOWLANE_HASH_H

#include <stdint.h>
#include <string.h>

#include "bytes.h"
#include "flowlane/flow_key.h"

struct hash_seed {
	uint64_t s[4];
};

/* Four odd constants with balanced bits (fractional digits of sqrt 2, 3, 5, 7). */
#define HASH_SEED_FIXED ((struct hash_seed){ { 0x6a09e667f3bcc909, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1 } })

/* A seed that nobody outside knows: for live capture. Needs the kernel's random numbers; at start only. */
struct hash_seed hash_seed_random(void);

static inline uint64_t hash_fold(uint64_t x, uint64_t y)
{
	unsigned __int128 product = (unsigned __int128)x * y;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* addresses: flow_key_addresses_v4(); tail: flow_key_tail(). */
static inline uint64_t flow_hash_v4(const struct hash_seed *seed, uint64_t addresses, uint64_t tail, uint32_t tunnel)
{
	uint64_t h = hash_fold(addresses ^ seed->s[0], tail ^ seed->s[1]);
	return hash_fold(h ^ tunnel ^ seed->s[2], seed->s[3]);
}

/* A << 32 | B, as numbers. */
static inline uint64_t flow_key_addresses_v4(const struct flow_key *key)
{
	return (uint64_t)load_be32(key->a_ip + FLOW_KEY_V4_OFFSET) << 32 | load_be32(key->b_ip + FLOW_KEY_V4_OFFSET);
}

/* a_port, b_port, proto, ip_version, vlan, as they lie in memory. */
static inline uint64_t flow_key_tail(const struct flow_key *key)
{
	return load_le64(&key->a_port);
}

/* The same value for the same key, however it was made: the decoder's fast path and this must agree (tested). */
static inline uint64_t flow_key_hash(const struct hash_seed *seed, const struct flow_key *key)
{
	uint64_t w[4];

	if (key->ip_version == 4)
		return flow_hash_v4(seed, flow_key_addresses_v4(key), flow_key_tail(key), key->tunnel);
	memcpy(w, key->a_ip, 16);
	memcpy(w + 2, key->b_ip, 16);
	uint64_t h = hash_fold(w[0] ^ seed->s[0], w[1] ^ seed->s[1]);
	h ^= hash_fold(w[2] ^ seed->s[2], w[3] ^ seed->s[3]);
	return flow_hash_v4(seed, h, flow_key_tail(key), key->tunnel);
}

#endif
