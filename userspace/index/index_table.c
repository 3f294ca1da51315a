#include "index_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "bytes.h"
#include "hash.h"

#define CELL_BYTES 128
#define CELL_ITEMS 4
#define CELL_NONE  0  /* the first cell is not used */
#define STEP       16 /* entries: what DRAM takes, divided by what one entry takes */

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

static inline bool entry_add(struct index_table *table, const struct index_entry *entry, uint64_t hash)
{
	struct slot *slot = slot_find(table, &entry->key, hash);
	uint64_t time_ms = entry->item.time_ms;

	if (slot->cell == CELL_NONE ? !flow_begin(table, slot, hash, entry)
				    : !flow_add(table, &table->cells[slot->cell].flow, &entry->item))
		return false;
	table->now_ms = time_ms > table->now_ms ? time_ms : table->now_ms;
	return true;
}

static inline void cell_prefetch(const struct index_table *table, uint32_t cell)
{
	__builtin_prefetch(&table->cells[cell]);
	__builtin_prefetch(table->cells[cell].bytes + 64);
}

/* Slot, flow and last items of an entry are three misses, one after the other: so at each step four entries are looked at, the first to
 * ask for its slot, the next, whose slot has come, for its flow, and so on. */
unsigned index_table_add(struct index_table *table, const struct index_entry *entries, unsigned n)
{
	uint64_t hashes[4 * STEP];

	for (unsigned i = 0; i < n + 3 * STEP; i++) {
		if (i < n) {
			uint64_t hash = key_hash(&entries[i].key);
			hashes[i % (4 * STEP)] = hash;
			__builtin_prefetch(&table->slots[hash & table->slots_mask]);
		}
		if (i >= STEP && i < n + STEP)
			cell_prefetch(table, table->slots[hashes[(i - STEP) % (4 * STEP)] & table->slots_mask].cell);
		if (i >= 2 * STEP && i < n + 2 * STEP) {
			uint32_t cell = table->slots[hashes[(i - 2 * STEP) % (4 * STEP)] & table->slots_mask].cell;
			cell_prefetch(table, table->cells[cell].flow.tail);
		}
		if (i >= 3 * STEP && !entry_add(table, &entries[i - 3 * STEP], hashes[(i - 3 * STEP) % (4 * STEP)]))
			return i - 3 * STEP;
	}
	return n;
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

static inline bool round_key_before(const struct index_table *table, const struct round_key *a, const struct round_key *b)
{
	if (a->high != b->high)
		return a->high < b->high;
	if (a->v4 && b->v4)
		return a->low < b->low;
	return memcmp(&table->cells[a->cell].flow.key, &table->cells[b->cell].flow.key, sizeof(struct index_key)) < 0;
}

/* Runs of RUN keys by insertion, then merged from one array into the other: twice as fast as qsort(), which calls to compare. */
#define RUN 8

static void runs_sort(const struct index_table *table, struct round_key *keys, uint64_t count)
{
	for (uint64_t start = 0; start < count; start += RUN) {
		uint64_t end = start + RUN < count ? start + RUN : count;
		for (uint64_t i = start + 1; i < end; i++) {
			struct round_key key = keys[i];
			uint64_t at = i;
			for (; at > start && round_key_before(table, &key, &keys[at - 1]); at--)
				keys[at] = keys[at - 1];
			keys[at] = key;
		}
	}
}

static void runs_merge(
	const struct index_table *table, const struct round_key *from, struct round_key *to, uint64_t count, uint64_t run)
{
	for (uint64_t start = 0; start < count; start += 2 * run) {
		uint64_t middle = start + run < count ? start + run : count;
		uint64_t end = middle + run < count ? middle + run : count, a = start, b = middle;
		for (uint64_t at = start; at < end; at++) {
			bool take_b = b < end && (a == middle || round_key_before(table, &from[b], &from[a]));
			to[at] = take_b ? from[b] : from[a];
			b += take_b;
			a += !take_b;
		}
	}
}

static int round_sort(struct index_table *table)
{
	struct round_key *other = malloc((table->round_count ? table->round_count : 1) * sizeof(*other));

	if (!other)
		return -ENOMEM;
	runs_sort(table, table->round, table->round_count);
	for (uint64_t run = RUN; run < table->round_count; run *= 2) {
		runs_merge(table, table->round, other, table->round_count, run);
		struct round_key *swap = table->round;
		table->round = other;
		other = swap;
	}
	free(other);
	return 0;
}

static inline void round_take(struct index_table *table, uint32_t cell, bool all)
{
	const struct flow_cell *flow = &table->cells[cell].flow;

	if (all || piece_over(table, flow, table->now_ms))
		round_key_make(&flow->key, cell, &table->round[table->round_count++]);
}

/* Many flows are found in the slots, for there one look does not wait for the one before; few in their list. */
static void round_gather(struct index_table *table, bool all)
{
	if (table->flows > table->slots_mask / 64) {
		for (uint64_t i = 0; i <= table->slots_mask; i++) {
			if (i + STEP <= table->slots_mask)
				__builtin_prefetch(&table->cells[table->slots[i + STEP].cell]);
			if (table->slots[i].cell != CELL_NONE)
				round_take(table, table->slots[i].cell, all);
		}
	} else {
		for (uint32_t cell = table->first_flow; cell != CELL_NONE; cell = table->cells[cell].flow.next_flow)
			round_take(table, cell, all);
	}
}

int64_t index_round_begin(struct index_table *table, bool all)
{
	table->round_count = 0;
	table->round = malloc((table->flows ? table->flows : 1) * sizeof(*table->round));
	if (!table->round)
		return -ENOMEM;
	round_gather(table, all);
	if (round_sort(table)) {
		free(table->round);
		table->round = NULL;
		return -ENOMEM;
	}
	return (int64_t)table->round_count;
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

/* The next items of a flow, at most CELL_ITEMS that lie together; `left` are still to come. NULL: those were all. */
struct items_walk {
	const struct index_table *table;
	uint32_t left, next;
};

static inline const struct index_item *items_next(struct items_walk *walk, unsigned *n)
{
	if (walk->left == 0)
		return NULL;
	const struct item_cell *cell = &walk->table->cells[walk->next].items;
	*n = walk->left < CELL_ITEMS ? walk->left : CELL_ITEMS;
	walk->left -= *n;
	walk->next = cell->next;
	return cell->items;
}

void index_round_packets(const struct index_table *table, const struct index_round_flow *flow, struct index_packet *packets)
{
	const struct flow_cell *cell = &table->cells[flow->cell].flow;
	struct items_walk walk = { table, cell->packets - 1, cell->head };
	const struct index_item *items;
	unsigned n;

	index_item_expand(&cell->item, packets++);
	while ((items = items_next(&walk, &n))) {
		for (unsigned i = 0; i < n; i++)
			index_item_expand(&items[i], packets++);
	}
}

void index_round_items(const struct index_table *table, const struct index_round_flow *flow, struct index_item *copy)
{
	const struct flow_cell *cell = &table->cells[flow->cell].flow;
	struct items_walk walk = { table, cell->packets - 1, cell->head };
	const struct index_item *items;
	unsigned n;

	*copy++ = cell->item;
	for (; (items = items_next(&walk, &n)); copy += n)
		memcpy(copy, items, n * sizeof(*items));
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
