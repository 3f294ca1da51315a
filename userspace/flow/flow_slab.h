/*
 * A row of flows of one kind, in blocks of 2 MiB (include/flowlane/live.h). Slots are numbered by cache lines from the start of the
 * area that both slabs share, so that a flow is found by its number alone; a block's numbers end with its last flow, and go on with
 * the next block. One owner.
 *
 * A flow that begins writes its lines, so they are asked for before: which flows are the next ones is always known sixteen
 * flows ahead. Those that were freed are a stack; its upper sixteen are in the slab, and each flow below holds the number of the one
 * sixteen below itself (in its first four bytes), which is the one to be known when it is taken.
 */
#ifndef FLOWLANE_FLOW_SLAB_H
#define FLOWLANE_FLOW_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "arena.h"
#include "flowlane/live.h"

#define SLAB_LINE        64
#define SLAB_BLOCK_LINES ((uint32_t)(FLOW_BLOCK_BYTES / SLAB_LINE))
#define SLAB_AHEAD       16 /* flows; a packet of a flood of SYNs takes 35.4 ns with 4, 32.3 with 8, 30.9 with 16 */
#define SLAB_NONE        UINT32_MAX

struct slab {
	uint8_t *start;
	bool tcp;
	uint32_t first;                     /* slot number of the first flow */
	uint32_t lines;                     /* of a flow, in the part of the block where slots are */
	uint32_t block_end;                 /* lines of all flows in a block */
	uint32_t blocks;                    /* reserved */
	uint32_t fresh;                     /* the first slot that was never used */
	uint32_t fresh_soon;                /* the one sixteen flows behind it */
	uint32_t fresh_end, fresh_soon_end; /* where the flows of the block end that each of them is in */
	unsigned top;
	uint32_t free[SLAB_AHEAD]; /* the upper sixteen, as a ring: the last one is at `top` */
};

static inline uint32_t slab_blocks(uint32_t flows, bool tcp)
{
	uint32_t per_block = tcp ? FLOW_BLOCK_TCP : FLOW_BLOCK_OTHERS;

	return (flows + SLAB_AHEAD + per_block - 1) / per_block;
}

/* To the next slot. end: where the flows of its block end. */
static inline void slab_step(const struct slab *slab, uint32_t *slot, uint32_t *end)
{
	*slot += slab->lines;
	if (__builtin_expect(*slot == *end, 0)) {
		*slot += SLAB_BLOCK_LINES - slab->block_end;
		*end += SLAB_BLOCK_LINES;
	}
}

/* For so many flows, from the area's block `block` on. */
static inline void slab_place(struct slab *slab, uint8_t *area, uint32_t block, uint32_t flows, bool tcp)
{
	uint32_t lines = (tcp ? sizeof(struct tcp_flow) : sizeof(struct flow)) / SLAB_LINE;

	*slab = (struct slab){
		.start = area + block * FLOW_BLOCK_BYTES,
		.tcp = tcp,
		.first = block * SLAB_BLOCK_LINES,
		.lines = lines,
		.block_end = lines * (tcp ? FLOW_BLOCK_TCP : FLOW_BLOCK_OTHERS),
		.blocks = slab_blocks(flows, tcp),
		.fresh = block * SLAB_BLOCK_LINES,
		.fresh_soon = block * SLAB_BLOCK_LINES + SLAB_AHEAD * lines,
	};
	slab->fresh_end = slab->fresh_soon_end = slab->first + slab->block_end;
	for (unsigned i = 0; i < SLAB_AHEAD; i++)
		slab->free[i] = SLAB_NONE;
}

static inline uint8_t *slab_at(const struct slab *slab, uint32_t slot)
{
	return slab->start + (size_t)(slot - slab->first) * SLAB_LINE;
}

/* What flow_begin() writes. tcp: a constant where this is called. always_inline: see flow_prefetch(). */
static inline __attribute__((always_inline)) void slab_prefetch(const struct slab *slab, uint32_t slot, const bool tcp)
{
	const uint8_t *flow = slab_at(slab, slot), *cold = (const uint8_t *)flow_cold_of(flow, tcp);

	__builtin_prefetch(flow, 1);
	__builtin_prefetch(cold, 1);
	if (tcp) {
		__builtin_prefetch(flow + offsetof(struct tcp_flow, half), 1);
		__builtin_prefetch(cold + offsetof(struct tcp_cold, first_seq), 1);
	}
}

/* The slot number of a flow that is not in use: the one that was freed last, else one that was never used. There must be one. */
static inline __attribute__((always_inline)) uint32_t slab_take(struct slab *slab, const bool tcp)
{
	uint32_t slot = slab->free[slab->top], below;

	if (slot == SLAB_NONE) {
		slot = slab->fresh;
		slab_prefetch(slab, slab->fresh_soon, tcp);
		slab_step(slab, &slab->fresh, &slab->fresh_end);
		slab_step(slab, &slab->fresh_soon, &slab->fresh_soon_end);
		return slot;
	}
	memcpy(&below, slab_at(slab, slot), sizeof(below));
	slab->free[slab->top] = below;
	slab->top = (slab->top - 1) % SLAB_AHEAD;
	if (below != SLAB_NONE)
		slab_prefetch(slab, below, tcp);
	return slot;
}

/* Overwrites the first four bytes of the flow. */
static inline void slab_free(struct slab *slab, uint32_t slot)
{
	slab->top = (slab->top + 1) % SLAB_AHEAD;
	memcpy(slab_at(slab, slot), &slab->free[slab->top], sizeof(slab->free[0]));
	slab->free[slab->top] = slot;
}

/* Backs the first blocks with memory, up to so many bytes of them. Setup only. */
static inline void slab_populate(struct slab *slab, size_t bytes_max)
{
	size_t bytes = slab->blocks * FLOW_BLOCK_BYTES;

	arena_populate(slab->start, bytes < bytes_max ? bytes : bytes_max);
}

#endif
