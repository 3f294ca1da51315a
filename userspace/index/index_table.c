#include "index_table.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "index_table_internal.h"

/* One value is written in one piece: 2^20 packets are 56 MiB of it. */
#define FLOW_ITEMS_MAX (1u << 20)
#define SHAPE_BYTES    8                  /* per flow: a shape for four of them, and its two slots */
#define TOUCH_BYTES    ((size_t)2 << 20)  /* a huge page */
#define TOUCH_AHEAD    ((size_t)16 << 20) /* what adding takes in 10 ms */

/* --- memory ---------------------------------------------------------------------------------------------------------- */

struct index_table *index_table_create(const struct index_table_options *options)
{
	struct index_table *table = calloc(1, sizeof(*table));
	uint64_t flows = options->bytes / (FLOW_CELLS * CELL_BYTES + 2 * sizeof(struct slot) + SHAPE_BYTES), slots = 1024,
		 shapes = 1024;

	if (!table)
		return NULL;
	flows = flows < 1024 ? 1024 : flows > UINT32_MAX / 4 ? UINT32_MAX / 4 : flows;
	uint64_t cells = FLOW_CELLS * flows;
	/* At most half full if every flow has one packet. */
	while (slots < flows)
		slots *= 2;
	while (2 * shapes <= flows && shapes < SHAPES_MAX)
		shapes *= 2;
	table->options = *options;
	table->cells_count = (uint32_t)cells;
	table->slots_mask = (uint32_t)slots - 1;
	table->cells_used = 1;
	table->cells = arena_map(cells * CELL_BYTES);
	table->slots = arena_map(slots * sizeof(*table->slots));
	if (shapes_create(&table->shapes, (uint32_t)shapes) && table->cells && table->slots)
		return table;
	index_table_destroy(table);
	return NULL;
}

void index_table_destroy(struct index_table *table)
{
	if (!table)
		return;
	arena_unmap(table->cells, (size_t)table->cells_count * CELL_BYTES);
	arena_unmap(table->slots, ((size_t)table->slots_mask + 1) * sizeof(*table->slots));
	shapes_destroy(&table->shapes);
	arena_unmap(table->round, table->round_room);
	arena_unmap(table->other, table->round_room);
	free(table);
}

static inline uint32_t cells_take(struct index_table *table, uint32_t n)
{
	uint32_t cell = table->cells_used;

	if (table->cells_count - cell < n)
		return CELL_NONE;
	__atomic_store_n(&table->cells_used, cell + n, __ATOMIC_RELAXED);
	return cell;
}

static inline uint32_t flow_take(struct index_table *table)
{
	uint32_t cell = table->free_flows;

	if (cell == CELL_NONE)
		return cells_take(table, FLOW_CELLS);
	table->free_flows = table->cells[cell].next_free;
	return cell;
}

static inline uint32_t cell_take(struct index_table *table)
{
	uint32_t cell = table->free;

	if (cell != CELL_NONE) {
		table->free = table->cells[cell].next_free;
		return cell;
	}
	cell = cells_take(table, 1);
	/* What flows had is not only for flows. */
	if (__builtin_expect(cell == CELL_NONE && table->free_flows != CELL_NONE, 0)) {
		cell = flow_take(table);
		table->free = cell + 1;
		table->cells[cell + 1].next_free = CELL_NONE;
	}
	return cell;
}

void index_touch_slots(const struct index_table *table)
{
	arena_touch(table->slots, ((size_t)table->slots_mask + 1) * sizeof(*table->slots));
}

/* As much as is used, once more, for few flows need little. */
bool index_touch_cells(const struct index_table *table, size_t *done)
{
	size_t used = (size_t)__atomic_load_n(&table->cells_used, __ATOMIC_RELAXED) * CELL_BYTES;
	size_t ahead = used < TOUCH_AHEAD ? used : TOUCH_AHEAD, all = (size_t)table->cells_count * CELL_BYTES;

	*done = *done > used ? *done : used & ~(TOUCH_BYTES - 1);
	if (arena_backs_all() || *done >= used + ahead || *done + TOUCH_BYTES > all)
		return false;
	if (!arena_touch((uint8_t *)table->cells + *done, TOUCH_BYTES))
		return false;
	*done += TOUCH_BYTES;
	return true;
}

/* --- adding ---------------------------------------------------------------------------------------------------------- */

/* Which bits of keys are not the same in all of them: sorting looks at those only. */
static void varying_note(struct index_table *table, const struct index_key *key)
{
	uint64_t w[KEY_WORDS];

	memcpy(w, key, sizeof(w));
	if (table->flows == 0) {
		memcpy(table->any_key, w, sizeof(w));
		memset(table->varying, 0, sizeof(table->varying));
	}
	for (unsigned i = 0; i < KEY_WORDS; i++)
		table->varying[i] |= w[i] ^ table->any_key[i];
}

static bool flow_begin(
	struct index_table *table, struct slot *slot, uint64_t hash, const struct index_entry *entry, const struct small_item *item)
{
	uint32_t cell = (uint64_t)table->flows * 2 <= table->slots_mask ? flow_take(table) : CELL_NONE;

	if (cell == CELL_NONE)
		return false;
	struct flow_cell *flow = flow_at(table, cell);
	uint64_t time_ms = index_item_time_ms(&entry->item);
	*flow = (struct flow_cell){
		.key = entry->key,
		.octets = entry->item.length,
		.first_ms = time_ms,
		.last_ms = time_ms,
		.piece_ms = time_ms,
		.packets = 1,
		.blocks = 1,
		.next_flow = table->first_flow,
		.items = { *item },
	};
	varying_note(table, &entry->key);
	table->first_flow = cell;
	*slot = (struct slot){ .tag = (uint32_t)(hash >> 32), .cell = cell };
	table->flows++;
	return true;
}

static inline struct small_item *item_take(struct index_table *table, struct flow_cell *flow)
{
	if (flow->packets < FLOW_ITEMS)
		return &flow->items[flow->packets];
	uint32_t at = (flow->packets - FLOW_ITEMS) % CELL_ITEMS;
	if (at == 0) {
		uint32_t cell = cell_take(table);
		if (cell == CELL_NONE)
			return NULL;
		if (flow->tail == CELL_NONE)
			flow->head = cell;
		else
			table->cells[flow->tail].items.next = cell;
		flow->tail = cell;
	}
	return &table->cells[flow->tail].items.items[at];
}

static inline bool flow_add(
	struct index_table *table, struct flow_cell *flow, const struct index_item *item, const struct small_item *small)
{
	uint64_t time_ms = index_item_time_ms(item);
	struct small_item *to = flow->packets < FLOW_ITEMS_MAX ? item_take(table, flow) : NULL;

	if (!to)
		return false;
	*to = *small;
	if (__builtin_expect(piece_over(table, flow, time_ms), 0)) {
		flow->blocks++;
		flow->piece_ms = time_ms;
	}
	flow->packets++;
	flow->octets += item->length;
	flow->first_ms = time_ms < flow->first_ms ? time_ms : flow->first_ms;
	flow->last_ms = time_ms > flow->last_ms ? time_ms : flow->last_ms;
	return true;
}

static inline bool entry_add(struct index_table *table, const struct index_entry *entry, uint64_t hash)
{
	struct slot *slot = slot_find(table, &entry->key, hash);
	uint64_t time_ms = index_item_time_ms(&entry->item);

	struct small_item item;

	if (!item_pack(&table->shapes, &entry->item, &item))
		return false;
	if (slot->cell == CELL_NONE ? !flow_begin(table, slot, hash, entry, &item)
				    : !flow_add(table, flow_at(table, slot->cell), &entry->item, &item))
		return false;
	table->now_ms = time_ms > table->now_ms ? time_ms : table->now_ms;
	table->packets++;
	return true;
}

/* The cell of the flow, unless another one's hash is much the same, or CELL_NONE; without a look at it. */
static inline uint32_t cell_guess(const struct index_table *table, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & table->slots_mask;

	while (table->slots[at].cell != CELL_NONE && table->slots[at].tag != (uint32_t)(hash >> 32))
		at = (at + 1) & table->slots_mask;
	return table->slots[at].cell;
}

/* Slot, flow and last items of an entry are three misses, one after the other: so at each step four entries are looked at, the first to
 * ask for its slot, the next, whose slot has come, for its flow, and so on. */
unsigned index_table_add(struct index_table *table, const struct index_entry *entries, unsigned n)
{
	uint64_t hashes[4 * STEP];
	uint32_t cells[4 * STEP];

	for (unsigned i = 0; i < n + 3 * STEP; i++) {
		if (i < n) {
			uint64_t hash = index_table_hash(&entries[i].key);
			hashes[i % (4 * STEP)] = hash;
			__builtin_prefetch(&table->slots[hash & table->slots_mask]);
		}
		if (i >= STEP && i < n + STEP) {
			uint32_t cell = cell_guess(table, hashes[(i - STEP) % (4 * STEP)]);
			cells[(i - STEP) % (4 * STEP)] = cell;
			flow_prefetch(table, cell);
		}
		if (i >= 2 * STEP && i < n + 2 * STEP)
			cell_prefetch(table, flow_at(table, cells[(i - 2 * STEP) % (4 * STEP)])->tail);
		if (i >= 3 * STEP && !entry_add(table, &entries[i - 3 * STEP], hashes[(i - 3 * STEP) % (4 * STEP)]))
			return i - 3 * STEP;
	}
	return n;
}

uint32_t index_table_flows(const struct index_table *table)
{
	return table->flows;
}

uint64_t index_table_now_ms(const struct index_table *table)
{
	return table->now_ms;
}
