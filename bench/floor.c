#include "floor.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "bytes.h"

struct floor_entry {
	uint64_t low;     /* smaller end: address, port; and the protocol */
	uint64_t high;    /* greater end */
	uint64_t packets; /* 0: free */
	uint64_t bytes;
};
_Static_assert(sizeof(struct floor_entry) == 32, "two a cache line, none across two");

struct floor {
	struct floor_entry *entries;
	uint64_t mask;
	uint64_t other;
};

struct floor_key {
	uint64_t low, high, index;
	uint64_t bytes;
};

struct floor *floor_create(uint64_t max_flows)
{
	struct floor *floor = calloc(1, sizeof(*floor));
	uint64_t entries = 1024;

	while (entries < max_flows * 2)
		entries *= 2;
	if (!floor)
		return NULL;
	floor->mask = entries - 1;
	floor->entries = arena_map(entries * sizeof(struct floor_entry));
	if (!floor->entries) {
		free(floor);
		return NULL;
	}
	return floor;
}

void floor_destroy(struct floor *floor)
{
	if (!floor)
		return;
	arena_unmap(floor->entries, (floor->mask + 1) * sizeof(struct floor_entry));
	free(floor);
}

void floor_totals(const struct floor *floor, struct floor_totals *totals)
{
	*totals = (struct floor_totals){ .other = floor->other };
	for (uint64_t i = 0; i <= floor->mask; i++) {
		totals->flows += floor->entries[i].packets != 0;
		totals->packets += floor->entries[i].packets;
		totals->bytes += floor->entries[i].bytes;
	}
}

static inline uint64_t floor_hash(uint64_t low, uint64_t high)
{
	unsigned __int128 product = (unsigned __int128)(low ^ 0x6a09e667f3bcc909) * (high ^ 0xbb67ae8584caa73b);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Ends are compared as they lie in memory: any order will do that is the same for both directions. */
static inline bool floor_parse(const struct frame *frame, struct floor_key *key)
{
	const uint8_t *p = frame->data;
	uint32_t header, ports, source, destination;
	uint64_t x, y;

	if (frame->cap_len < 34 || load_le16(p + 12) != 0x0008)
		return false;
	header = (p[14] & 15u) * 4;
	if (p[14] >> 4 != 4 || header < 20 || frame->cap_len < 14 + header + 4 || (load_be16(p + 20) & 0x1fff))
		return false;
	if (!((1u << 6 | 1u << 17) >> (p[23] & 31) & 1) || p[23] > 31)
		return false;
	source = load_le32(p + 26);
	destination = load_le32(p + 30);
	ports = load_le32(p + 14 + header);
	x = (uint64_t)source << 16 | (ports & 0xffff);
	y = (uint64_t)destination << 16 | ports >> 16;
	key->low = (x < y ? x : y) | (uint64_t)p[23] << 48;
	key->high = x < y ? y : x;
	key->bytes = frame->wire_len;
	return true;
}

static inline void floor_count(struct floor *floor, const struct floor_key *key)
{
	uint64_t i = key->index;

	for (;; i = (i + 1) & floor->mask) {
		struct floor_entry *entry = &floor->entries[i];
		if (entry->low == key->low && entry->high == key->high) {
			entry->packets++;
			entry->bytes += key->bytes;
			return;
		}
		if (!entry->packets) {
			*entry = (struct floor_entry){ key->low, key->high, 1, key->bytes };
			return;
		}
	}
}

/* Out of line, as the core is: what the compiler could save across the border is no measure. */
__attribute__((noinline)) void floor_run(struct floor *floor, const struct frame *frames, unsigned n)
{
	struct floor_key keys[FLOWLANE_BATCH];
	unsigned good = 0;

	for (unsigned i = 0; i < n; i++)
		__builtin_prefetch(frames[i].data);
	for (unsigned i = 0; i < n; i++) {
		struct floor_key *key = &keys[good];
		if (!floor_parse(&frames[i], key)) {
			floor->other++;
			continue;
		}
		key->index = floor_hash(key->low, key->high) & floor->mask;
		__builtin_prefetch(&floor->entries[key->index], 1);
		good++;
	}
	for (unsigned i = 0; i < good; i++)
		floor_count(floor, &keys[i]);
}
