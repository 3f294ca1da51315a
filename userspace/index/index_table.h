/*
 * Gathers the packets of one-way flows in a fixed amount of memory, until they are written to the index.
 *
 *   slots (hash) ─▶ flow: key, counters, two items ─▶ four items ─▶ four items ...       cells of 64 bytes, of one pool; a flow has two
 *
 * One owner, no lock. Everything goes by the time of the packets, in milliseconds: so the same file gives the same index.
 */
#ifndef FLOWLANE_INDEX_TABLE_H
#define FLOWLANE_INDEX_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "index_entry.h"

struct index_table;

struct index_table_options {
	uint64_t bytes;     /* of memory; touched as it is needed */
	uint64_t idle_ms;   /* a flow that was silent for longer is over; UINT64_MAX: never */
	uint64_t active_ms; /* so is a piece of a flow that began longer ago; UINT64_MAX: never */
};

/* A flow as it is handed out: what has come since it was handed out last. */
struct index_round_flow {
	const struct index_key *key;
	struct index_flow record;
	uint32_t cell; /* for index_round_walk() */
};

/* NULL: no memory. */
struct index_table *index_table_create(const struct index_table_options *options);
void index_table_destroy(struct index_table *table); /* accepts NULL */

/* Adds up to `n` entries: how many. Fewer: the memory is used up, or one flow has as much as should be written at once. */
unsigned index_table_add(struct index_table *table, const struct index_entry *entries, unsigned n);
uint64_t index_table_now_ms(const struct index_table *table); /* the latest time of all entries */

uint32_t index_table_flows(const struct index_table *table);
/* By another thread while entries are added: touches memory of the table that will be needed, so that both threads wait for the kernel
 * to clear pages (or, in a virtual machine, for its host to find some). index_touch_slots(): all that flows are found by, of many.
 * index_touch_cells(): a huge page of what comes next; *done are the bytes so far. False: that is enough for now. */
void index_touch_slots(const struct index_table *table);
bool index_touch_cells(const struct index_table *table, size_t *done);
/* When there is time: touches some of the memory that a round of all flows needs for sorting. False: there is none left to touch. */
bool index_table_prepare(struct index_table *table);

/*
 * A round: flows leave the table in the order of their keys.
 *
 *   index_round_begin ─▶ (index_round_flow ─▶ index_round_walk ─▶ index_round_walk_next*)* ─▶ index_round_end
 *
 * `all`: every flow; else those that are over, and pieces that are. How many; or -ENOMEM.
 */
int64_t index_round_begin(struct index_table *table, bool all);
uint64_t index_round_packets(const struct index_table *table); /* of all its flows */
/* The i-th; any number of times, in any order and by any thread until index_round_end(). */
void index_round_flow(const struct index_table *table, uint64_t i, struct index_round_flow *flow);
void index_round_end(struct index_table *table);

/* Over a flow's packets, as they came: record.packets of them in pieces of at most INDEX_TABLE_PIECE. */
#define INDEX_TABLE_PIECE 4
struct index_round_walk {
	const struct index_table *table;
	uint32_t left, cell;
	bool first;
	struct index_item items[INDEX_TABLE_PIECE];
};
void index_round_walk(const struct index_table *table, const struct index_round_flow *flow, struct index_round_walk *walk);
/* The next piece, until the next call; NULL: those were all. */
const struct index_item *index_round_walk_next(struct index_round_walk *walk, unsigned *n);

#endif
