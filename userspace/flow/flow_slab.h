/*
 * A row of flow entries of one size. Slots are numbered by cache lines from the start of the area that both slabs share, so that a
 * flow is found by its number alone. One owner.
 */
#ifndef FLOWLANE_FLOW_SLAB_H
#define FLOWLANE_FLOW_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"

#define SLAB_LINE 64

struct slab {
	uint8_t *start;
	size_t entry_bytes; /* a multiple of SLAB_LINE */
	uint32_t first;     /* slot number of the first entry */
	uint32_t entries;
	uint32_t fresh;     /* entries from here on were never used */
	uint32_t free_list; /* slot number, UINT32_MAX: empty; linked through flow->addresses */
};

static inline void slab_place(struct slab *slab, uint8_t *area, size_t offset, uint32_t entries, size_t entry_bytes)
{
	*slab = (struct slab){ .start = area + offset,
		.entry_bytes = entry_bytes,
		.first = (uint32_t)(offset / SLAB_LINE),
		.entries = entries,
		.free_list = UINT32_MAX };
}

/* The next entry that was never used: its slot number. */
static inline uint32_t slab_fresh(struct slab *slab)
{
	return slab->first + slab->fresh++ * (uint32_t)(slab->entry_bytes / SLAB_LINE);
}

/* Backs the first entries with memory, up to so many bytes of them. Setup only. */
static inline void slab_populate(struct slab *slab, size_t bytes_max)
{
	size_t bytes = slab->entries * slab->entry_bytes;

	arena_populate(slab->start, bytes < bytes_max ? bytes : bytes_max);
}

#endif
