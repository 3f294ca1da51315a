/* What adding to the table of an index and taking out of it share. */
#ifndef FLOWLANE_INDEX_TABLE_INTERNAL_H
#define FLOWLANE_INDEX_TABLE_INTERNAL_H

#include <string.h>

#include "hash.h"
#include "index_shapes.h"
#include "index_table.h"

#define CELL_BYTES 64 /* a cache line; a flow has two */
#define CELL_ITEMS INDEX_TABLE_PIECE
#define CELL_NONE  0 /* the first cell is not used */
#define FLOW_CELLS 2
#define FLOW_ITEMS 2     /* the first ones: many flows of a scan have no other */
#define STEP       16    /* entries: what DRAM takes, divided by what one entry takes */
#define BOTH_MIN   50000 /* flows: sorting them takes a thread 3 ms, and it takes 0.05 to begin another one */
#define KEY_WORDS  (sizeof(struct index_key) / sizeof(uint64_t))

struct flow_cell {
	struct index_key key;
	uint64_t octets;
	uint64_t first_ms, last_ms;
	uint64_t piece_ms; /* when the piece at hand began */
	uint32_t packets;
	uint32_t blocks; /* pieces, with the one at hand */
	uint32_t head, tail;
	uint32_t next_flow;
	struct small_item items[FLOW_ITEMS];
};
_Static_assert(sizeof(struct flow_cell) == FLOW_CELLS * CELL_BYTES, "two cache lines");

union cell {
	struct {
		struct small_item items[CELL_ITEMS];
		uint32_t next;
	} items;
	uint32_t next_free;
	uint8_t bytes[CELL_BYTES];
};
_Static_assert(sizeof(union cell) == CELL_BYTES, "a cache line");

struct slot {
	uint32_t tag; /* high bits of the hash */
	uint32_t cell;
};

/* For sorting without a look at the flow's key: as much of it as fits, of the bytes that are not the same in all keys. Of IPv4 that is
 * all of them. */
struct round_key {
	uint64_t high, low;
	uint32_t cell;
};

struct index_table {
	struct index_table_options options;
	union cell *cells;
	uint32_t cells_count, cells_used; /* cells_used: index_touch_cells() looks at it, too */
	uint32_t free;                    /* list of single ones */
	uint32_t free_flows;              /* of those of flows */
	uint32_t flows;                   /* in the table */
	uint32_t first_flow;              /* list of them */
	struct slot *slots;
	uint32_t slots_mask;
	struct shapes shapes;
	uint64_t now_ms;
	uint64_t packets;            /* in the table */
	uint64_t any_key[KEY_WORDS]; /* of one flow */
	uint64_t varying[KEY_WORDS]; /* bits that are not the same in all keys; more may be set */

	struct round_key *round, *other; /* arenas of round_room bytes; `other` is for sorting */
	size_t round_room, round_touched;
	uint64_t round_count, round_packets;
};

static inline struct flow_cell *flow_at(const struct index_table *table, uint32_t cell)
{
	return (struct flow_cell *)(void *)&table->cells[cell];
}

static inline uint64_t index_table_hash(const struct index_key *key)
{
	static const struct hash_seed seed = HASH_SEED_FIXED;
	uint64_t w[KEY_WORDS];

	memcpy(w, key, sizeof(w));
	uint64_t h = hash_fold(w[0] ^ seed.s[0], w[1] ^ seed.s[1]) ^ hash_fold(w[2] ^ seed.s[2], w[3] ^ seed.s[3]);
	return hash_fold(h ^ seed.s[1], w[4] ^ seed.s[0]);
}

static inline bool index_key_is(const struct index_key *x, const struct index_key *y)
{
	uint64_t a[KEY_WORDS], b[KEY_WORDS];

	memcpy(a, x, sizeof(a));
	memcpy(b, y, sizeof(b));
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]));
}

/* The slot of the flow, or the empty one that it belongs into. */
static inline struct slot *slot_find(struct index_table *table, const struct index_key *key, uint64_t hash)
{
	uint32_t tag = (uint32_t)(hash >> 32);

	for (uint32_t at = (uint32_t)hash & table->slots_mask;; at = (at + 1) & table->slots_mask) {
		struct slot *slot = &table->slots[at];
		if (slot->cell == CELL_NONE || (slot->tag == tag && index_key_is(&flow_at(table, slot->cell)->key, key)))
			return slot;
	}
}

/* It was silent for too long before this packet, or its piece lasts too long. */
static inline bool piece_over(const struct index_table *table, const struct flow_cell *flow, uint64_t now_ms)
{
	return (now_ms > flow->last_ms && now_ms - flow->last_ms > table->options.idle_ms) ||
	       (now_ms > flow->piece_ms && now_ms - flow->piece_ms > table->options.active_ms);
}

static inline __attribute__((always_inline)) void cell_prefetch(const struct index_table *table, uint32_t cell)
{
	__builtin_prefetch(&table->cells[cell]);
}

static inline __attribute__((always_inline)) void flow_prefetch(const struct index_table *table, uint32_t cell)
{
	__builtin_prefetch(&table->cells[cell]);
	__builtin_prefetch(&table->cells[cell + 1]);
}

/* table->round, of `count` flows whose cells are set, in the order of their keys; it may then be what was table->other. index_sort.c */
void index_sort(struct index_table *table, uint64_t count);

#endif
