#include "index_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "bytes.h"
#include "hash.h"

#define CELL_BYTES 128
#define CELL_ITEMS 4
#define CELL_NONE  0 /* the first cell is not used */
#define AHEAD      32

/* One value is written in one piece: 2^20 packets are 56 MiB of it. */
#define FLOW_ITEMS_MAX (1u << 20)

struct flow_cell {
	struct index_key key;
	uint64_t octets;
	uint64_t first_ms, last_ms;
	uint64_t piece_ms; /* when the piece at hand began */
	uint32_t packets;
	uint32_t blocks; /* pieces, with the one at hand */
	uint32_t head, tail;
	uint32_t next_flow;
	struct index_item item; /* the first one: most flows of a scan have no other */
};

struct item_cell {
	struct index_item items[CELL_ITEMS];
	uint32_t next;
};

union cell {
	struct flow_cell flow;
	struct item_cell items;
	uint32_t next_free;
	uint8_t bytes[CELL_BYTES];
};
_Static_assert(sizeof(union cell) == CELL_BYTES, "two cache lines");

struct slot {
	uint32_t tag; /* high bits of the hash */
	uint32_t cell;
};

/* For sorting without a look at the keys: of IPv4 these are all bytes that differ, in their order. */
struct round_key {
	uint64_t high, low;
	uint32_t cell;
	bool v4;
};

struct index_table {
	struct index_table_options options;
	union cell *cells;
	uint32_t cells_count, cells_used;
	uint32_t free;       /* list */
	uint32_t flows;      /* in the table */
	uint32_t first_flow; /* list of them */
	struct slot *slots;
	uint32_t slots_mask;
	uint64_t now_ms;

	struct round_key *round;
	uint64_t round_count;
};

static const struct hash_seed seed = HASH_SEED_FIXED;

static inline uint64_t key_hash(const struct index_key *key)
{
	uint64_t w[5];

	memcpy(w, key, sizeof(w));
	uint64_t h = hash_fold(w[0] ^ seed.s[0], w[1] ^ seed.s[1]) ^ hash_fold(w[2] ^ seed.s[2], w[3] ^ seed.s[3]);
	return hash_fold(h ^ seed.s[1], w[4] ^ seed.s[0]);
}

static inline bool key_is(const struct index_key *x, const struct index_key *y)
{
	uint64_t a[5], b[5];

	memcpy(a, x, sizeof(a));
	memcpy(b, y, sizeof(b));
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4]));
}

/* --- memory ---------------------------------------------------------------------------------------------------------- */

struct index_table *index_table_create(const struct index_table_options *options)
{
	struct index_table *table = calloc(1, sizeof(*table));
	uint64_t cells = options->bytes / (CELL_BYTES + 2 * sizeof(struct slot)), slots = 1024;

	if (!table)
		return NULL;
	cells = cells < 1024 ? 1024 : cells > UINT32_MAX / 2 ? UINT32_MAX / 2 : cells;
	/* At most half full if every flow has one packet. */
	while (slots < cells)
		slots *= 2;
	table->options = *options;
	table->cells_count = (uint32_t)cells;
	table->slots_mask = (uint32_t)slots - 1;
	table->cells_used = 1;
	table->cells = arena_map(cells * CELL_BYTES);
	table->slots = arena_map(slots * sizeof(*table->slots));
	if (table->cells && table->slots)
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
	free(table->round);
	free(table);
}

static inline uint32_t cell_take(struct index_table *table)
{
	uint32_t cell = table->free;

	if (cell != CELL_NONE)
		table->free = table->cells[cell].next_free;
	else if (table->cells_used < table->cells_count)
		cell = table->cells_used++;
	return cell;
}

static inline void cell_give(struct index_table *table, uint32_t cell)
{
	table->cells[cell].next_free = table->free;
	table->free = cell;
}

/* --- adding ---------------------------------------------------------------------------------------------------------- */

/* The slot of the flow, or the empty one that it belongs into. */
static inline struct slot *slot_find(struct index_table *table, const struct index_key *key, uint64_t hash)
{
	uint32_t tag = (uint32_t)(hash >> 32);

	for (uint32_t at = (uint32_t)hash & table->slots_mask;; at = (at + 1) & table->slots_mask) {
		struct slot *slot = &table->slots[at];
		if (slot->cell == CELL_NONE || (slot->tag == tag && key_is(&table->cells[slot->cell].flow.key, key)))
			return slot;
	}
}

static bool flow_begin(struct index_table *table, struct slot *slot, uint64_t hash, const struct index_entry *entry)
{
	uint32_t cell = (uint64_t)table->flows * 2 <= table->slots_mask ? cell_take(table) : CELL_NONE;

	if (cell == CELL_NONE)
		return false;
	uint64_t time_ms = entry->item.time_ms;
	table->cells[cell].flow = (struct flow_cell){
		.key = entry->key,
		.octets = entry->item.length,
		.first_ms = time_ms,
		.last_ms = time_ms,
		.piece_ms = time_ms,
		.packets = 1,
		.blocks = 1,
		.next_flow = table->first_flow,
		.item = entry->item,
	};
	table->first_flow = cell;
	*slot = (struct slot){ .tag = (uint32_t)(hash >> 32), .cell = cell };
	table->flows++;
	return true;
}

static inline struct index_item *item_take(struct index_table *table, struct flow_cell *flow)
{
	uint32_t at = (flow->packets - 1) % CELL_ITEMS;

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

/* It was silent for too long before this packet, or its piece lasts too long. */
static inline bool piece_over(const struct index_table *table, const struct flow_cell *flow, uint64_t now_ms)
{
	return (now_ms > flow->last_ms && now_ms - flow->last_ms > table->options.idle_ms) ||
	       (now_ms > flow->piece_ms && now_ms - flow->piece_ms > table->options.active_ms);
}

static inline bool flow_add(struct index_table *table, struct flow_cell *flow, const struct index_item *item)
{
	uint64_t time_ms = item->time_ms;
	struct index_item *to = flow->packets < FLOW_ITEMS_MAX ? item_take(table, flow) : NULL;

	if (!to)
		return false;
	*to = *item;
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

static unsigned batch_add(struct index_table *table, const struct index_entry *entries, unsigned n)
{
	uint64_t hashes[AHEAD];

	for (unsigned i = 0; i < n; i++) {
		hashes[i] = key_hash(&entries[i].key);
		__builtin_prefetch(&table->slots[hashes[i] & table->slots_mask]);
	}
	for (unsigned i = 0; i < n; i++) {
		const union cell *cell = &table->cells[table->slots[hashes[i] & table->slots_mask].cell];
		__builtin_prefetch(cell);
		__builtin_prefetch(cell->bytes + 64);
	}
	for (unsigned i = 0; i < n; i++) {
		struct slot *slot = slot_find(table, &entries[i].key, hashes[i]);
		const struct index_item *item = &entries[i].item;
		if (slot->cell == CELL_NONE ? !flow_begin(table, slot, hashes[i], &entries[i])
					    : !flow_add(table, &table->cells[slot->cell].flow, item))
			return i;
		table->now_ms = item->time_ms > table->now_ms ? item->time_ms : table->now_ms;
	}
	return n;
}

unsigned index_table_add(struct index_table *table, const struct index_entry *entries, unsigned n)
{
	unsigned done = 0;

	while (done < n) {
		unsigned batch = n - done < AHEAD ? n - done : AHEAD, added = batch_add(table, entries + done, batch);
		done += added;
		if (added < batch)
			break;
	}
	return done;
}

uint64_t index_table_now_ms(const struct index_table *table)
{
	return table->now_ms;
}

/* --- rounds ---------------------------------------------------------------------------------------------------------- */

static void round_key_make(const struct index_key *key, uint32_t cell, struct round_key *made)
{
	const uint8_t *bytes = (const uint8_t *)key;

	*made = (struct round_key){ .high = load_be64(bytes), .cell = cell, .v4 = key->family == INDEX_FAMILY_IPV4 };
	if (made->v4)
		made->low = (uint64_t)load_be32(key->destination) << 32 | load_be32(&key->source_port);
}

static int round_key_compare(const void *x, const void *y, void *context)
{
	const struct index_table *table = context;
	const struct round_key *a = x, *b = y;

	if (a->high != b->high)
		return a->high < b->high ? -1 : 1;
	if (a->v4 && b->v4)
		return (a->low > b->low) - (a->low < b->low);
	return memcmp(&table->cells[a->cell].flow.key, &table->cells[b->cell].flow.key, sizeof(struct index_key));
}

int64_t index_round_begin(struct index_table *table, bool all)
{
	uint64_t count = 0;

	table->round = malloc((table->flows ? table->flows : 1) * sizeof(*table->round));
	if (!table->round)
		return -ENOMEM;
	for (uint32_t cell = table->first_flow; cell != CELL_NONE; cell = table->cells[cell].flow.next_flow) {
		const struct flow_cell *flow = &table->cells[cell].flow;
		if (all || piece_over(table, flow, table->now_ms))
			round_key_make(&flow->key, cell, &table->round[count++]);
	}
	qsort_r(table->round, count, sizeof(*table->round), round_key_compare, table);
	table->round_count = count;
	return (int64_t)count;
}

void index_round_flow(const struct index_table *table, uint64_t i, struct index_round_flow *flow)
{
	const struct flow_cell *cell = &table->cells[table->round[i].cell].flow;

	if (i + AHEAD / 2 < table->round_count) {
		const union cell *next = &table->cells[table->round[i + AHEAD / 2].cell];
		__builtin_prefetch(next);
		__builtin_prefetch(next->bytes + 64);
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

void index_round_packets(const struct index_table *table, const struct index_round_flow *flow, struct index_packet *packets)
{
	const struct flow_cell *cell = &table->cells[flow->cell].flow;
	uint32_t left = cell->packets - 1, at = cell->head;

	index_item_expand(&cell->item, packets++);
	while (left > 0) {
		const struct item_cell *items = &table->cells[at].items;
		unsigned n = left < CELL_ITEMS ? left : CELL_ITEMS;
		for (unsigned i = 0; i < n; i++)
			index_item_expand(&items->items[i], packets++);
		left -= n;
		at = items->next;
	}
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
		uint32_t home = (uint32_t)key_hash(&table->cells[table->slots[at].cell].flow.key) & mask;
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
		memset(table->slots, 0, ((size_t)table->slots_mask + 1) * sizeof(*table->slots));
	} else {
		for (uint32_t cell = table->first_flow; cell != CELL_NONE; cell = table->cells[cell].flow.next_flow) {
			uint32_t at = (uint32_t)key_hash(&table->cells[cell].flow.key) & table->slots_mask;
			while (table->slots[at].cell != cell)
				at = (at + 1) & table->slots_mask;
			table->slots[at].cell = CELL_NONE;
		}
	}
	table->cells_used = 1; /* begin anew, in the order of memory */
	table->free = CELL_NONE;
	table->first_flow = CELL_NONE;
	table->flows = 0;
}

static void flows_remove(struct index_table *table)
{
	uint32_t *link = &table->first_flow;

	for (uint64_t i = 0; i < table->round_count; i++) {
		struct flow_cell *flow = &table->cells[table->round[i].cell].flow;
		slot_clear(table, slot_find(table, &flow->key, key_hash(&flow->key)));
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
}

void index_round_end(struct index_table *table)
{
	if (table->round_count == table->flows)
		table_clear(table);
	else
		flows_remove(table);
	free(table->round);
	table->round = NULL;
	table->round_count = 0;
}
