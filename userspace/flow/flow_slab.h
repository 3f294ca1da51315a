/* A row of flow entries of one size; those in use are found by their slot number. One owner. */
#ifndef FLOWLANE_FLOW_SLAB_H
#define FLOWLANE_FLOW_SLAB_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"

struct slab {
	uint8_t *area;
	size_t entry_bytes;
	uint32_t entries;
	uint32_t fresh;     /* entries from here on were never used */
	uint32_t free_list; /* slot number, FLOW_SLOT_NONE: empty; linked through flow->addresses */
};

/* Reserves the memory: 0 or a negative errno. Setup only, as the other two. */
static inline int slab_create(struct slab *slab, uint32_t entries, size_t entry_bytes)
{
	*slab = (struct slab){ .entry_bytes = entry_bytes, .entries = entries, .free_list = UINT32_MAX };
	slab->area = arena_map(entries * entry_bytes);
	return slab->area ? 0 : -errno;
}

static inline void slab_destroy(struct slab *slab)
{
	arena_unmap(slab->area, slab->entries * slab->entry_bytes);
}

/* Backs the first entries with memory, up to so many bytes of them. */
static inline void slab_populate(struct slab *slab, size_t bytes_max)
{
	size_t bytes = slab->entries * slab->entry_bytes;

	arena_populate(slab->area, bytes < bytes_max ? bytes : bytes_max);
}

#endif
