/* Flows leave the table of an index, in the order of their keys. */
#include <errno.h>

#include "arena.h"
#include "index_both.h"
#include "index_table_internal.h"

#define AHEAD      32                /* flows: writing one takes 30 ns or more */
#define HUGE_BYTES ((size_t)2 << 20) /* of a page: it is there as a whole once it was touched */

/* Some of the slots, whose flows are noted from `to` on, in steps of 1 or -1. */
struct gather {
	const struct index_table *table;
	bool all;
	uint64_t from, end;
	struct round_key *to;
	int step;
};

static inline void gather_take(struct gather *gather, uint32_t cell)
{
	const struct index_table *table = gather->table;

	if (gather->all || piece_over(table, flow_at(table, cell), table->now_ms)) {
		gather->to->cell = cell;
		gather->to += gather->step;
	}
}

static void *gather_run(void *argument)
{
	struct gather *gather = argument;
	const struct slot *slots = gather->table->slots;

	for (uint64_t i = gather->from; i < gather->end; i++) {
		if (!gather->all && i + STEP < gather->end)
			__builtin_prefetch(&gather->table->cells[slots[i + STEP].cell]);
		if (slots[i].cell != CELL_NONE)
			gather_take(gather, slots[i].cell);
	}
	return NULL;
}

/* Many flows are found in the slots, for there one look does not wait for the one before; few in their list. Of the slots, one half is
 * noted from the beginning on, the other from the end. */
static void round_gather(struct index_table *table, bool all)
{
	uint64_t slots = (uint64_t)table->slots_mask + 1;
	struct round_key *end = table->round + table->flows;
	struct gather low = { .table = table, .all = all, .end = slots / 2, .to = table->round, .step = 1 };
	struct gather high = { .table = table, .all = all, .from = slots / 2, .end = slots, .to = end - 1, .step = -1 };

	if (table->flows > table->slots_mask / 64 && table->flows >= BOTH_MIN) {
		index_both(gather_run, &low, &high);
	} else if (table->flows > table->slots_mask / 64) {
		low.end = slots;
		gather_run(&low);
	} else {
		for (uint32_t cell = table->first_flow; cell != CELL_NONE; cell = flow_at(table, cell)->next_flow)
			gather_take(&low, cell);
	}
	size_t low_count = (size_t)(low.to - table->round), high_count = (size_t)(end - 1 - high.to);
	memmove(low.to, high.to + 1, high_count * sizeof(*end));
	table->round_count = low_count + high_count;
}

static void round_free(struct index_table *table)
{
	arena_unmap(table->round, table->round_room);
	arena_unmap(table->other, table->round_room);
	table->round = table->other = NULL;
	table->round_count = table->round_touched = 0;
}

static bool round_map(struct index_table *table, uint64_t flows)
{
	table->round_room = flows * sizeof(*table->round);
	table->round = arena_map(table->round_room); /* of two million flows 48 MB: touched in huge pages */
	table->other = arena_map(table->round_room);
	if (table->round && table->other)
		return true;
	round_free(table);
	return false;
}

bool index_table_prepare(struct index_table *table)
{
	if (table->round_touched >= table->flows * sizeof(*table->round) || arena_backs_all())
		return false;
	if (!table->round && !round_map(table, ((uint64_t)table->slots_mask + 1) / 2))
		return false;
	*((volatile uint8_t *)table->round + table->round_touched) = 0;
	*((volatile uint8_t *)table->other + table->round_touched) = 0;
	table->round_touched += HUGE_BYTES;
	return true;
}

int64_t index_round_begin(struct index_table *table, bool all)
{
	table->round_count = 0;
	if (!table->round && !round_map(table, table->flows))
		return -ENOMEM;
	round_gather(table, all);
	table->round_packets = all ? table->packets : 0;
	for (uint64_t i = 0; !all && i < table->round_count; i++)
		table->round_packets += flow_at(table, table->round[i].cell)->packets;
	index_sort(table, table->round_count);
	return (int64_t)table->round_count;
}

uint64_t index_round_packets(const struct index_table *table)
{
	return table->round_packets;
}

/* The second cell of items, and the last, where there are several: who goes from one to the next waits for each. Not always inlined, it would
 * be left out: a function that only prefetches has no effect that a compiler knows of. */
static inline __attribute__((always_inline)) void next_prefetch(const struct index_table *table, const struct flow_cell *flow)
{
	if (flow->packets > FLOW_ITEMS + CELL_ITEMS)
		cell_prefetch(table, table->cells[flow->head].items.next);
	if (flow->packets > FLOW_ITEMS + 2 * CELL_ITEMS)
		cell_prefetch(table, flow->tail);
}

void index_round_flow(const struct index_table *table, uint64_t i, struct index_round_flow *flow)
{
	const struct flow_cell *cell = flow_at(table, table->round[i].cell);

	if (i + AHEAD < table->round_count) {
		flow_prefetch(table, table->round[i + AHEAD].cell);
		cell_prefetch(table, flow_at(table, table->round[i + AHEAD / 2].cell)->head);
		next_prefetch(table, flow_at(table, table->round[i + AHEAD / 4].cell));
	}
	flow->key = &cell->key;
	flow->cell = table->round[i].cell;
	flow->record = (struct index_flow){
		.octets = cell->octets,
		.packets = cell->packets,
		.first_ms = cell->first_ms,
		.last_ms = cell->last_ms,
		.blocks = cell->blocks,
	};
}

void index_round_walk(const struct index_table *table, const struct index_round_flow *flow, struct index_round_walk *walk)
{
	walk->table = table;
	walk->left = flow->record.packets;
	walk->cell = flow->cell;
	walk->first = true;
}

const struct index_item *index_round_walk_next(struct index_round_walk *walk, unsigned *n)
{
	const struct index_table *table = walk->table;
	const struct small_item *items;
	unsigned most = walk->first ? FLOW_ITEMS : CELL_ITEMS, now = walk->left < most ? walk->left : most;

	if (now == 0)
		return NULL;
	walk->left -= now;
	if (walk->first) {
		items = flow_at(table, walk->cell)->items;
		walk->cell = flow_at(table, walk->cell)->head;
	} else {
		items = table->cells[walk->cell].items.items;
		walk->cell = walk->left ? table->cells[walk->cell].items.next : CELL_NONE;
	}
	walk->first = false;
	cell_prefetch(table, walk->cell);
	for (unsigned i = 0; i < now; i++)
		item_unpack(&table->shapes, &items[i], &walk->items[i]);
	*n = now;
	return walk->items;
}

static inline void cell_give(struct index_table *table, uint32_t cell)
{
	table->cells[cell].next_free = table->free;
	table->free = cell;
}

static void flow_give(struct index_table *table, uint32_t cell)
{
	const struct flow_cell *flow = flow_at(table, cell);
	uint32_t at = flow->head, last = flow->tail;

	while (at != CELL_NONE) {
		uint32_t next = at == last ? CELL_NONE : table->cells[at].items.next;
		cell_give(table, at);
		at = next;
	}
	table->cells[cell].next_free = table->free_flows;
	table->free_flows = cell;
	table->flows--;
}

/* A slot becomes empty: those behind it that had to step aside move up, so that they are found. */
static void slot_clear(struct index_table *table, struct slot *slot)
{
	uint32_t mask = table->slots_mask, hole = (uint32_t)(slot - table->slots);

	for (uint32_t at = (hole + 1) & mask; table->slots[at].cell != CELL_NONE; at = (at + 1) & mask) {
		uint32_t home = (uint32_t)index_table_hash(&flow_at(table, table->slots[at].cell)->key) & mask;
		if (((at - home) & mask) >= ((at - hole) & mask)) {
			table->slots[hole] = table->slots[at];
			hole = at;
		}
	}
	table->slots[hole].cell = CELL_NONE;
}

/* All flows go. Few leave the slots one by one, which are many: then most of them were never touched. */
static void table_clear(struct index_table *table)
{
	if (table->flows > table->slots_mask / 64) {
		arena_clear(table->slots, ((size_t)table->slots_mask + 1) * sizeof(*table->slots));
	} else {
		for (uint32_t cell = table->first_flow; cell != CELL_NONE; cell = flow_at(table, cell)->next_flow) {
			uint32_t at = (uint32_t)index_table_hash(&flow_at(table, cell)->key) & table->slots_mask;
			while (table->slots[at].cell != cell)
				at = (at + 1) & table->slots_mask;
			table->slots[at].cell = CELL_NONE;
		}
	}
	table->cells_used = 1; /* begin anew, in the order of memory */
	table->free = table->free_flows = CELL_NONE;
	shapes_clear(&table->shapes);
	table->first_flow = CELL_NONE;
	table->flows = 0;
	table->packets = 0;
}

static void flows_remove(struct index_table *table)
{
	uint32_t *link = &table->first_flow;

	for (uint64_t i = 0; i < table->round_count; i++) {
		struct flow_cell *flow = flow_at(table, table->round[i].cell);
		slot_clear(table, slot_find(table, &flow->key, index_table_hash(&flow->key)));
		flow->packets = 0; /* the sign for below */
	}
	while (*link != CELL_NONE) {
		struct flow_cell *flow = flow_at(table, *link);
		if (flow->packets == 0)
			*link = flow->next_flow;
		else
			link = &flow->next_flow;
	}
	for (uint64_t i = 0; i < table->round_count; i++)
		flow_give(table, table->round[i].cell);
	table->packets -= table->round_packets;
}

void index_round_end(struct index_table *table)
{
	if (table->round_count == table->flows)
		table_clear(table);
	else
		flows_remove(table);
	round_free(table);
}
