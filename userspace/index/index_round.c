/* Flows leave the table of an index, in the order of their keys. */
#include <errno.h>

#include "arena.h"
#include "index_table_internal.h"

static inline void round_take(struct index_table *table, uint32_t cell, bool all)
{
	if (all || piece_over(table, &table->cells[cell].flow, table->now_ms))
		table->round[table->round_count++].cell = cell;
}

/* Many flows are found in the slots, for there one look does not wait for the one before; few in their list. */
static void round_gather(struct index_table *table, bool all)
{
	if (table->flows > table->slots_mask / 64) {
		for (uint64_t i = 0; i <= table->slots_mask; i++) {
			if (!all && i + STEP <= table->slots_mask)
				__builtin_prefetch(&table->cells[table->slots[i + STEP].cell]);
			if (table->slots[i].cell != CELL_NONE)
				round_take(table, table->slots[i].cell, all);
		}
	} else {
		for (uint32_t cell = table->first_flow; cell != CELL_NONE; cell = table->cells[cell].flow.next_flow)
			round_take(table, cell, all);
	}
}

static void round_free(struct index_table *table)
{
	arena_unmap(table->round, table->round_room);
	table->round = NULL;
	table->round_count = 0;
}

int64_t index_round_begin(struct index_table *table, bool all)
{
	table->round_count = 0;
	table->round_room = table->flows * sizeof(*table->round);
	table->round = arena_map(table->round_room); /* of two million flows 48 MB: touched in huge pages */
	if (!table->round)
		return -ENOMEM;
	round_gather(table, all);
	table->round_packets = all ? table->packets : 0;
	for (uint64_t i = 0; !all && i < table->round_count; i++)
		table->round_packets += table->cells[table->round[i].cell].flow.packets;
	if (index_sort(table, table->round, table->round_count)) {
		round_free(table);
		return -ENOMEM;
	}
	return (int64_t)table->round_count;
}

uint64_t index_round_packets(const struct index_table *table)
{
	return table->round_packets;
}

void index_round_flow(const struct index_table *table, uint64_t i, struct index_round_flow *flow)
{
	const struct flow_cell *cell = &table->cells[table->round[i].cell].flow;

	if (i + STEP < table->round_count) {
		cell_prefetch(table, table->round[i + STEP].cell);
		cell_prefetch(table, table->cells[table->round[i + STEP / 2].cell].flow.head);
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
	*walk = (struct index_round_walk){ .table = table, .left = flow->record.packets, .cell = flow->cell, .first = true };
}

const struct index_item *index_round_walk_next(struct index_round_walk *walk, unsigned *n)
{
	const union cell *cell = &walk->table->cells[walk->cell];
	bool first = walk->first;

	if (walk->left == 0)
		return NULL;
	*n = first ? 1 : walk->left < CELL_ITEMS ? walk->left : CELL_ITEMS;
	walk->left -= *n;
	walk->first = false;
	if (walk->left) {
		walk->cell = first ? cell->flow.head : cell->items.next;
		cell_prefetch(walk->table, walk->cell);
	}
	return first ? &cell->flow.item : cell->items.items;
}

static inline void cell_give(struct index_table *table, uint32_t cell)
{
	table->cells[cell].next_free = table->free;
	table->free = cell;
}

static void flow_give(struct index_table *table, uint32_t cell)
{
	const struct flow_cell *flow = &table->cells[cell].flow;
	uint32_t at = flow->head, last = flow->tail;

	while (at != CELL_NONE) {
		uint32_t next = at == last ? CELL_NONE : table->cells[at].items.next;
		cell_give(table, at);
		at = next;
	}
	cell_give(table, cell);
	table->flows--;
}

/* A slot becomes empty: those behind it that had to step aside move up, so that they are found. */
static void slot_clear(struct index_table *table, struct slot *slot)
{
	uint32_t mask = table->slots_mask, hole = (uint32_t)(slot - table->slots);

	for (uint32_t at = (hole + 1) & mask; table->slots[at].cell != CELL_NONE; at = (at + 1) & mask) {
		uint32_t home = (uint32_t)index_table_hash(&table->cells[table->slots[at].cell].flow.key) & mask;
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
		for (uint32_t cell = table->first_flow; cell != CELL_NONE; cell = table->cells[cell].flow.next_flow) {
			uint32_t at = (uint32_t)index_table_hash(&table->cells[cell].flow.key) & table->slots_mask;
			while (table->slots[at].cell != cell)
				at = (at + 1) & table->slots_mask;
			table->slots[at].cell = CELL_NONE;
		}
	}
	table->cells_used = 1; /* begin anew, in the order of memory */
	table->free = CELL_NONE;
	table->first_flow = CELL_NONE;
	table->flows = 0;
	table->packets = 0;
}

static void flows_remove(struct index_table *table)
{
	uint32_t *link = &table->first_flow;

	for (uint64_t i = 0; i < table->round_count; i++) {
		struct flow_cell *flow = &table->cells[table->round[i].cell].flow;
		slot_clear(table, slot_find(table, &flow->key, index_table_hash(&flow->key)));
		flow->packets = 0; /* the sign for below */
	}
	while (*link != CELL_NONE) {
		struct flow_cell *flow = &table->cells[*link].flow;
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
