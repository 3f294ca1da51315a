#include "timers.h"

#include <stdbool.h>
#include <stdlib.h>

#include "arena.h"

#define CHUNK_NONE 0

struct timer_chunk {
	uint32_t next; /* chunk index, CHUNK_NONE: the last */
	uint32_t entries[TIMER_CHUNK_SLOTS];
};
_Static_assert(sizeof(struct timer_chunk) == 64, "one line");

struct timer_slot {
	uint32_t chunk; /* the one being filled; CHUNK_NONE: the slot is empty */
	uint32_t fill;  /* entries in it, all if there is none; the chunks behind it are full */
};

struct timers {
	struct timer_slot slots[TIMER_SLOTS];
	uint64_t tick;      /* all ticks before this one have been handed out */
	bool started;       /* tick is valid */
	uint32_t free_list; /* of chunks */
	uint32_t fresh;     /* chunks from here on were never used */
	uint32_t chunks_count;
	struct timer_chunk *chunks;
};

struct timers *timers_create(uint32_t entries)
{
	struct timers *timers = calloc(1, sizeof(*timers));

	if (!timers)
		return NULL;
	/* Full chunks for all, one partly filled per slot, and number 0, which means none. */
	timers->chunks_count = entries / TIMER_CHUNK_SLOTS + 1 + TIMER_SLOTS + 1;
	timers->fresh = 1;
	for (unsigned i = 0; i < TIMER_SLOTS; i++)
		timers->slots[i].fill = TIMER_CHUNK_SLOTS;
	timers->chunks = arena_map((size_t)timers->chunks_count * sizeof(struct timer_chunk));
	if (!timers->chunks) {
		free(timers);
		return NULL;
	}
	return timers;
}

void timers_destroy(struct timers *timers)
{
	if (!timers)
		return;
	arena_unmap(timers->chunks, (size_t)timers->chunks_count * sizeof(struct timer_chunk));
	free(timers);
}

size_t timers_bytes(const struct timers *timers)
{
	return sizeof(*timers) + (size_t)timers->chunks_count * sizeof(struct timer_chunk);
}

#include "poison.h"

/* An empty chunk for the slot. The next one is asked for now: a store that waits for its line holds up those behind it. */
static __attribute__((noinline)) void timers_extend(struct timers *timers, struct timer_slot *slot)
{
	uint32_t chunk = timers->free_list;

	if (chunk != CHUNK_NONE) {
		timers->free_list = timers->chunks[chunk].next;
		__builtin_prefetch(&timers->chunks[timers->free_list], 1);
	} else {
		chunk = timers->fresh++; /* cannot run out: see timers_create */
		__builtin_prefetch(&timers->chunks[timers->fresh], 1);
	}
	timers->chunks[chunk].next = slot->chunk;
	slot->chunk = chunk;
	slot->fill = 0;
}

void timers_start(struct timers *timers, uint64_t now_ns)
{
	timers->tick = now_ns >> TIMER_TICK_SHIFT;
	timers->started = true;
}

void timers_insert(struct timers *timers, uint32_t entry, uint64_t when_ns)
{
	uint64_t tick = (when_ns >> TIMER_TICK_SHIFT) + 1; /* the tick is over at or after when_ns */

	if (__builtin_expect(tick - timers->tick >= TIMER_SLOTS, 0))
		tick = tick < timers->tick ? timers->tick : timers->tick + TIMER_SLOTS - 1;
	struct timer_slot *slot = &timers->slots[tick % TIMER_SLOTS];
	if (__builtin_expect(slot->fill == TIMER_CHUNK_SLOTS, 0))
		timers_extend(timers, slot);
	timers->chunks[slot->chunk].entries[slot->fill++] = entry;
}

uint64_t timers_due_ns(const struct timers *timers)
{
	return timers->started ? timers->tick << TIMER_TICK_SHIFT : UINT64_MAX;
}

unsigned timers_next(struct timers *timers, uint64_t now_ns, uint32_t entries[TIMER_CHUNK_SLOTS])
{
	uint64_t now_tick = now_ns >> TIMER_TICK_SHIFT;

	if (!timers->started)
		return 0;
	/* After a long silence one turn of the wheel is enough: no entry lies further ahead. */
	if (now_tick > timers->tick + TIMER_SLOTS)
		timers->tick = now_tick - TIMER_SLOTS;
	for (; timers->tick <= now_tick; timers->tick++) {
		struct timer_slot *slot = &timers->slots[timers->tick % TIMER_SLOTS];
		if (slot->chunk == CHUNK_NONE)
			continue;
		uint32_t number = slot->chunk;
		struct timer_chunk *chunk = &timers->chunks[number];
		unsigned n = slot->fill;
		__builtin_memcpy(entries, chunk->entries, sizeof(chunk->entries));
		slot->chunk = chunk->next;
		slot->fill = TIMER_CHUNK_SLOTS;
		chunk->next = timers->free_list;
		timers->free_list = number;
		return n;
	}
	return 0;
}
