/*
 * A row of flow entries of one size. Slots are numbered by cache lines from the start of the area that both slabs share, so that a
 * flow is found by its number alone. One owner.
 *
 * A flow that begins writes its whole entry, so that is asked for before: which entries are the next ones is always known sixteen
 * flows ahead. Those that were freed are a stack; its upper sixteen are in the slab, and each entry below holds the number of the one
 * sixteen below itself (in its first four bytes), which is the one to be known when it is taken.
 */
#ifndef FLOWLANE_FLOW_SLAB_H
#define FLOWLANE_FLOW_SLAB_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "arena.h"

#define SLAB_LINE  64
#define SLAB_AHEAD 16 /* flows; a packet of a flood of SYNs takes 35.4 ns with 4, 32.3 with 8, 30.9 with 16 */
#define SLAB_NONE  UINT32_MAX

struct slab {
	uint8_t *start;
	size_t entry_bytes; /* a multiple of SLAB_LINE */
	uint32_t first;     /* slot number of the first entry */
	uint32_t entries;
	uint32_t fresh; /* entries from here on were never used */
	unsigned top;
	uint32_t free[SLAB_AHEAD]; /* the upper sixteen, as a ring: the last one is at `top` */
};

static inline void slab_place(struct slab *slab, uint8_t *area, size_t offset, uint32_t entries, size_t entry_bytes)
{
	*slab = (struct slab){
		.start = area + offset, .entry_bytes = entry_bytes, .first = (uint32_t)(offset / SLAB_LINE), .entries = entries
	};
	for (unsigned i = 0; i < SLAB_AHEAD; i++)
		slab->free[i] = SLAB_NONE;
}

/* always_inline: see flow_prefetch(). */
static inline __attribute__((always_inline)) void slab_prefetch(const uint8_t *entry, const size_t entry_bytes)
{
	for (size_t at = 0; at < entry_bytes; at += SLAB_LINE)
		__builtin_prefetch(entry + at, 1);
}

static inline uint8_t *slab_at(const struct slab *slab, uint32_t slot)
{
	return slab->start + (size_t)(slot - slab->first) * SLAB_LINE;
}

/* The slot number of an entry that is not in use: the one that was freed last, else one that was never used. There must be one.
 * entry_bytes: that of the slab, a constant where this is called. */
static inline __attribute__((always_inline)) uint32_t slab_take(struct slab *slab, const size_t entry_bytes)
{
	uint32_t slot = slab->free[slab->top], below;

	if (slot == SLAB_NONE) {
		slab_prefetch(slab->start + (slab->fresh + SLAB_AHEAD) * entry_bytes, entry_bytes);
		return slab->first + slab->fresh++ * (uint32_t)(entry_bytes / SLAB_LINE);
	}
	memcpy(&below, slab_at(slab, slot), sizeof(below));
	slab->free[slab->top] = below;
	slab->top = (slab->top - 1) % SLAB_AHEAD;
	if (below != SLAB_NONE)
		slab_prefetch(slab_at(slab, below), entry_bytes);
	return slot;
}

/* Overwrites the first four bytes of the entry. */
static inline void slab_free(struct slab *slab, uint32_t slot)
{
	slab->top = (slab->top + 1) % SLAB_AHEAD;
	memcpy(slab_at(slab, slot), &slab->free[slab->top], sizeof(slab->free[0]));
	slab->free[slab->top] = slot;
}

/* Backs the first entries with memory, up to so many bytes of them. Setup only. */
static inline void slab_populate(struct slab *slab, size_t bytes_max)
{
	size_t bytes = slab->entries * slab->entry_bytes;

	arena_populate(slab->start, bytes < bytes_max ? bytes : bytes_max);
}

#endif
