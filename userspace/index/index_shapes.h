/*
 * Pointers to packets in 15 bytes, as they wait in the table of an index. Lengths and offsets within a frame come from a small number of
 * combinations, shapes: each is kept once, with the high bits of place and time besides, and an item has its number.
 *
 *   item | number 32 | offset 38 | time 30 | shape 20 |
 *
 * One owner; items may be read by several threads while none is made.
 */
#ifndef FLOWLANE_INDEX_SHAPES_H
#define FLOWLANE_INDEX_SHAPES_H

#include <stdbool.h>
#include <stdint.h>

#include "index_entry.h"

#define SHAPES_MAX  (1u << 20)
#define OFFSET_BITS 38 /* 256 GiB */
#define TIME_BITS   30 /* milliseconds: 12 days */

struct __attribute__((packed)) small_item {
	uint64_t low; /* number, low half of the offset */
	uint32_t middle;
	uint16_t high;
	uint8_t highest;
};
_Static_assert(sizeof(struct small_item) == 15, "four of them and a link are a cache line");

struct shape {
	uint64_t lengths; /* captured, network_count */
	uint64_t offsets; /* network, transport, payload; high bits of the place */
	uint64_t time;    /* high bits */
};

struct shapes {
	struct shape *all;
	uint32_t *slots; /* by hash: numbers of shapes, from 1 */
	uint32_t count, max, slots_mask;
};

/* For at most `max` of them, a power of two, SHAPES_MAX at most; touched as needed. False: no memory. */
bool shapes_create(struct shapes *shapes, uint32_t max);
void shapes_destroy(struct shapes *shapes); /* accepts one that is zero */
void shapes_clear(struct shapes *shapes);   /* no item is left */

static inline struct shape shape_of(const struct index_item *item)
{
	return (struct shape){
		.lengths = item->length | (uint64_t)item->network_count << 32,
		.offsets = item->network | (uint64_t)item->transport << 16 | (uint64_t)item->payload << 32 |
			   index_item_offset(item) >> OFFSET_BITS << 48,
		.time = index_item_time_ms(item) >> TIME_BITS,
	};
}

static inline bool shape_is(const struct shape *a, const struct shape *b)
{
	return !((a->lengths ^ b->lengths) | (a->offsets ^ b->offsets) | (a->time ^ b->time));
}

/* False: there are too many shapes. */
static inline bool item_pack(struct shapes *shapes, const struct index_item *item, struct small_item *small)
{
	struct shape shape = shape_of(item);
	uint64_t hash = shape.lengths * 0x9e3779b97f4a7c15u + (shape.offsets ^ shape.time << 40) * 0xc2b2ae3d27d4eb4fu;
	uint32_t at = (uint32_t)(hash >> 40) & shapes->slots_mask;

	while (shapes->slots[at] && !shape_is(&shapes->all[shapes->slots[at] - 1], &shape))
		at = (at + 1) & shapes->slots_mask;
	if (__builtin_expect(!shapes->slots[at], 0)) {
		if (shapes->count == shapes->max)
			return false;
		shapes->all[shapes->count] = shape;
		shapes->slots[at] = ++shapes->count;
	}
	uint64_t offset = index_item_offset(item), time_ms = index_item_time_ms(item);
	uint64_t rest = (time_ms & ((1u << TIME_BITS) - 1)) | (offset >> 32 & ((1u << (OFFSET_BITS - 32)) - 1)) << TIME_BITS |
			(uint64_t)(shapes->slots[at] - 1) << (TIME_BITS + OFFSET_BITS - 32);
	*small = (struct small_item){
		.low = item->number | offset << 32,
		.middle = (uint32_t)rest,
		.high = (uint16_t)(rest >> 32),
		.highest = (uint8_t)(rest >> 48),
	};
	return true;
}

static inline void item_unpack(const struct shapes *shapes, const struct small_item *small, struct index_item *item)
{
	uint64_t rest = small->middle | (uint64_t)small->high << 32 | (uint64_t)small->highest << 48;
	const struct shape *shape = &shapes->all[rest >> (TIME_BITS + OFFSET_BITS - 32)];
	uint64_t time_ms = (rest & ((1u << TIME_BITS) - 1)) | shape->time << TIME_BITS;
	uint64_t offset_high = (rest >> TIME_BITS & ((1u << (OFFSET_BITS - 32)) - 1)) | shape->offsets >> 48 << (OFFSET_BITS - 32);

	*item = (struct index_item){
		.number = (uint32_t)small->low,
		.offset_low = (uint32_t)(small->low >> 32),
		.time_low = (uint32_t)time_ms,
		.offset_high = (uint16_t)offset_high,
		.time_high = (uint16_t)(time_ms >> 32),
		.length = (uint32_t)shape->lengths,
		.network_count = (uint32_t)(shape->lengths >> 32),
		.network = (uint16_t)shape->offsets,
		.transport = (uint16_t)(shape->offsets >> 16),
		.payload = (uint16_t)(shape->offsets >> 32),
	};
}

#endif
