#include "tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "tally_sketch.h"

#define NONE       UINT32_MAX
#define KEY_SKETCH (NONE - 1) /* key->head: the key has a sketch, its number is key->tail */
#define CANDIDATES 8          /* keys looked at when one must go */
#define TRIM       2          /* old entries taken out for each new one: the log empties faster than it fills */

struct tally_entry {
	uint64_t ts_ns;
	uint32_t key;      /* NONE: no longer counts */
	uint32_t key_next; /* the key's next entry */
	union {
		struct {
			uint32_t element[2];
			uint32_t chain[2]; /* the next latest entry with a hash in the same place */
		};
		uint32_t amount[2];
	};
	uint32_t latest; /* bit k: no later entry has this element k */
	uint32_t unused;
};
_Static_assert(sizeof(struct tally_entry) == 40, "");

struct tally {
	struct tally_options options;
	struct tally_loss loss;

	uint32_t *heads; /* [2 * keys] */
	struct tally_key *keys;
	uint32_t keys_fresh, hand;

	struct tally_entry *log;
	uint64_t log_head, log_tail; /* positions: count up, slot is position % options.log */
	uint32_t *element_heads[2];  /* [2 * log] */

	uint8_t *sketches;
	uint32_t *sketches_free;
	uint32_t sketches_left;
	size_t sketch_bytes;
};

static size_t tally_heads_bytes(uint32_t entries)
{
	return (size_t)entries * 2 * sizeof(uint32_t);
}

uint64_t tally_bytes(const struct tally_options *options)
{
	return tally_heads_bytes(options->keys) + (uint64_t)options->keys * sizeof(struct tally_key) +
	       (uint64_t)options->log * sizeof(struct tally_entry) + options->elements * tally_heads_bytes(options->log) +
	       (uint64_t)options->sketches * (sketch_bytes(options->elements) + sizeof(uint32_t));
}

/* Head tables hold slot + 1, so that the arena's zeroes mean: empty. */
int tally_create(const struct tally_options *options, struct tally **result)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (!tally)
		return -ENOMEM;
	tally->options = *options;
	tally->sketch_bytes = sketch_bytes(options->elements);
	tally->sketches_left = options->sketches;
	tally->heads = arena_map(tally_heads_bytes(options->keys));
	tally->keys = arena_map(options->keys * sizeof(*tally->keys));
	tally->log = arena_map(options->log * sizeof(*tally->log));
	tally->sketches = arena_map(options->sketches * tally->sketch_bytes);
	tally->sketches_free = calloc(options->sketches, sizeof(uint32_t));
	bool whole = tally->heads && tally->keys && tally->log && tally->sketches && tally->sketches_free;
	for (unsigned k = 0; k < options->elements; k++) {
		tally->element_heads[k] = arena_map(tally_heads_bytes(options->log));
		whole = whole && tally->element_heads[k];
	}
	if (!whole) {
		tally_destroy(tally);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < options->sketches; i++)
		tally->sketches_free[i] = i;
	*result = tally;
	return 0;
}

void tally_destroy(struct tally *tally)
{
	if (!tally)
		return;
	const struct tally_options *options = &tally->options;
	for (unsigned k = 0; k < options->elements; k++)
		arena_unmap(tally->element_heads[k], tally_heads_bytes(options->log));
	arena_unmap(tally->sketches, options->sketches * tally->sketch_bytes);
	arena_unmap(tally->log, options->log * sizeof(*tally->log));
	arena_unmap(tally->keys, options->keys * sizeof(*tally->keys));
	arena_unmap(tally->heads, tally_heads_bytes(options->keys));
	free(tally->sketches_free);
	free(tally);
}

const struct tally_loss *tally_loss(const struct tally *tally)
{
	return &tally->loss;
}

#include "poison.h"

/* --- elements -------------------------------------------------------------------------------------------------------- */

static uint32_t *tally_element_head(const struct tally *tally, unsigned k, uint32_t key, uint32_t element)
{
	uint64_t x = ((uint64_t)key << 32 | element) * 0x9e3779b97f4a7c15u;

	return &tally->element_heads[k][((x ^ x >> 29) * 0xbf58476d1ce4e5b9u >> 32) & (tally->options.log * 2 - 1)];
}

/* Where the latest entry of this key and element is linked from, or the chain's end. */
static uint32_t *tally_element_find(struct tally *tally, unsigned k, uint32_t key, uint32_t element)
{
	uint32_t *link = tally_element_head(tally, k, key, element);

	while (*link) {
		struct tally_entry *entry = &tally->log[*link - 1];
		if (entry->key == key && entry->element[k] == element)
			break;
		link = &entry->chain[k];
	}
	return link;
}

static void tally_element_put(struct tally *tally, struct tally_key *key, uint32_t slot, unsigned k)
{
	struct tally_entry *entry = &tally->log[slot];
	uint32_t *link = tally_element_find(tally, k, entry->key, entry->element[k]);

	if (*link) {
		struct tally_entry *older = &tally->log[*link - 1];
		older->latest &= ~(1u << k);
		entry->chain[k] = older->chain[k];
	} else {
		entry->chain[k] = 0;
		key->distinct[k]++;
	}
	entry->latest |= 1u << k;
	*link = slot + 1;
}

static void tally_element_drop(struct tally *tally, struct tally_key *key, uint32_t slot, unsigned k)
{
	struct tally_entry *entry = &tally->log[slot];
	uint32_t *link = tally_element_head(tally, k, entry->key, entry->element[k]);

	while (*link != slot + 1)
		link = &tally->log[*link - 1].chain[k];
	*link = entry->chain[k];
	key->distinct[k]--;
}

/* --- entries --------------------------------------------------------------------------------------------------------- */

/* Takes out the key's oldest entry. */
static void tally_release(struct tally *tally, struct tally_key *key)
{
	uint32_t slot = key->head;
	struct tally_entry *entry = &tally->log[slot];

	if (tally->options.elements) {
		key->sum[0]--;
		for (unsigned k = 0; k < tally->options.elements; k++) {
			if (entry->latest & 1u << k)
				tally_element_drop(tally, key, slot, k);
		}
	} else {
		key->sum[0] -= entry->amount[0];
		key->sum[1] -= entry->amount[1];
	}
	key->entries--;
	key->head = key->entries ? entry->key_next : NONE;
	entry->key = NONE;
}

/* What lies in the future is from before time went backwards. */
static bool tally_is_old(const struct tally *tally, uint64_t ts_ns, uint64_t now_ns)
{
	return ts_ns > now_ns || now_ns - ts_ns > tally->options.window_ns;
}

static void tally_expire(struct tally *tally, struct tally_key *key, uint64_t now_ns)
{
	while (key->entries && tally_is_old(tally, tally->log[key->head].ts_ns, now_ns))
		tally_release(tally, key);
}

/* The oldest entry of all is the oldest of its key. */
static void tally_pop(struct tally *tally)
{
	struct tally_entry *oldest = &tally->log[tally->log_tail++ & (tally->options.log - 1)];

	if (oldest->key != NONE)
		tally_release(tally, &tally->keys[oldest->key]);
}

static uint32_t tally_push(struct tally *tally, uint64_t now_ns)
{
	uint32_t mask = tally->options.log - 1;

	for (unsigned i = 0; i < TRIM && tally->log_tail < tally->log_head; i++) {
		const struct tally_entry *oldest = &tally->log[tally->log_tail & mask];
		if (oldest->key != NONE && !tally_is_old(tally, oldest->ts_ns, now_ns))
			break;
		tally_pop(tally);
	}
	if (tally->log_head - tally->log_tail > mask) {
		tally->loss.entries_cut++;
		tally_pop(tally);
	}
	return (uint32_t)(tally->log_head++ & mask);
}

/* --- keys ------------------------------------------------------------------------------------------------------------ */

static uint32_t *tally_head(const struct tally *tally, uint64_t hash)
{
	return &tally->heads[(hash >> 20) & (tally->options.keys * 2 - 1)];
}

static struct sketch *tally_sketch(const struct tally *tally, const struct tally_key *key)
{
	return (struct sketch *)(tally->sketches + key->tail * tally->sketch_bytes);
}

static void tally_sketch_free(struct tally *tally, struct tally_key *key)
{
	tally->sketches_free[tally->sketches_left++] = key->tail;
	key->head = key->tail = NONE;
	key->sum[0] = key->sum[1] = 0;
	key->distinct[0] = key->distinct[1] = 0;
}

/* Cooldowns that lie further ahead than a cooldown is long are from before time went backwards. */
static bool tally_key_rests(const struct tally *tally, const struct tally_key *key, uint64_t now_ns)
{
	return key->until_ns > now_ns && key->until_ns - now_ns <= tally->options.cooldown_ns;
}

/* Nothing of it is in the window, and it does not rest. */
static bool tally_key_idle(const struct tally *tally, const struct tally_key *key, uint64_t now_ns)
{
	return tally_is_old(tally, key->last_ns, now_ns) && !tally_key_rests(tally, key, now_ns);
}

static uint64_t tally_key_weight(const struct tally *tally, const struct tally_key *key, uint64_t now_ns)
{
	return tally_key_rests(tally, key, now_ns) ? UINT64_MAX : key->sum[0] + key->sum[1];
}

/* Takes the key out of everything but its hash chain's memory. */
static void tally_key_remove(struct tally *tally, uint32_t index)
{
	struct tally_key *key = &tally->keys[index];
	uint32_t *link = tally_head(tally, key->hash);

	if (key->head == KEY_SKETCH)
		tally_sketch_free(tally, key);
	while (key->entries)
		tally_release(tally, key);
	while (*link != index + 1)
		link = &tally->keys[*link - 1].next;
	*link = key->next;
}

/* All keys are in use: one of eight goes, an idle one if there is, else the weakest. */
static uint32_t tally_key_evict(struct tally *tally, uint64_t now_ns)
{
	uint32_t victim = tally->hand, mask = tally->options.keys - 1;

	for (unsigned i = 0; i < CANDIDATES; i++) {
		uint32_t at = tally->hand++ & mask;
		tally->hand &= mask;
		if (tally_key_idle(tally, &tally->keys[at], now_ns)) {
			tally_key_remove(tally, at);
			return at;
		}
		if (tally_key_weight(tally, &tally->keys[at], now_ns) < tally_key_weight(tally, &tally->keys[victim], now_ns))
			victim = at;
	}
	tally->loss.keys_evicted++;
	tally_key_remove(tally, victim);
	return victim;
}

static uint32_t tally_key_make(struct tally *tally, uint64_t hash, uint64_t now_ns)
{
	uint32_t index = tally->keys_fresh < tally->options.keys ? tally->keys_fresh++ : tally_key_evict(tally, now_ns);
	uint32_t *head = tally_head(tally, hash);

	tally->keys[index] = (struct tally_key){ .hash = hash, .next = *head, .head = NONE, .tail = NONE };
	*head = index + 1;
	return index;
}

static uint32_t tally_key_get(struct tally *tally, uint64_t hash, uint64_t now_ns)
{
	for (uint32_t at = *tally_head(tally, hash); at; at = tally->keys[at - 1].next) {
		if (tally->keys[at - 1].hash == hash)
			return at - 1;
	}
	return tally_key_make(tally, hash, now_ns);
}

void tally_prefetch(const struct tally *tally, uint64_t key)
{
	__builtin_prefetch(tally_head(tally, key));
}

/* --- adding ---------------------------------------------------------------------------------------------------------- */

static uint64_t tally_pane(const struct tally *tally, uint64_t now_ns)
{
	uint64_t pane_ns = tally->options.window_ns / SKETCH_PANES;

	return now_ns / (pane_ns ? pane_ns : 1);
}

static void tally_add_sketch(struct tally *tally, struct tally_key *key, const struct tally_item *item, uint64_t now_ns)
{
	struct sketch *sketch = tally_sketch(tally, key);

	sketch_rotate(sketch, tally->options.elements, tally_pane(tally, now_ns));
	sketch_add(sketch, tally->options.elements, item->amount, item->element);
	sketch_read(sketch, tally->options.elements, key->sum, key->distinct);
}

/* From exact entries to a sketch. */
static void tally_key_grow(struct tally *tally, struct tally_key *key)
{
	unsigned elements = tally->options.elements;

	if (!tally->sketches_left) {
		tally->loss.sketches_missed++;
		tally_release(tally, key);
		return;
	}
	uint32_t number = tally->sketches_free[--tally->sketches_left];
	struct sketch *sketch = (struct sketch *)(tally->sketches + number * tally->sketch_bytes);
	sketch_start(sketch, elements, tally_pane(tally, tally->log[key->head].ts_ns));
	while (key->entries) {
		const struct tally_entry *entry = &tally->log[key->head];
		static const uint32_t one[2] = { 1, 0 }, nothing[2] = { 0, 0 };
		sketch_rotate(sketch, elements, tally_pane(tally, entry->ts_ns));
		sketch_add(sketch, elements, elements ? one : entry->amount, elements ? entry->element : nothing);
		tally_release(tally, key);
	}
	key->head = KEY_SKETCH;
	key->tail = number;
}

static void tally_add_entry(struct tally *tally, uint32_t index, const struct tally_item *item, uint64_t now_ns)
{
	/* The push may take out this key's own oldest entry. */
	uint32_t slot = tally_push(tally, now_ns);
	struct tally_key *key = &tally->keys[index];
	struct tally_entry *entry = &tally->log[slot];

	*entry = (struct tally_entry){ .ts_ns = now_ns, .key = index };
	if (key->entries)
		tally->log[key->tail].key_next = slot;
	else
		key->head = slot;
	key->tail = slot;
	key->entries++;
	key->sum[0] += item->amount[0];
	key->sum[1] += item->amount[1];
	if (!tally->options.elements)
		memcpy(entry->amount, item->amount, sizeof(entry->amount));
	for (unsigned k = 0; k < tally->options.elements; k++) {
		entry->element[k] = item->element[k];
		tally_element_put(tally, key, slot, k);
	}
}

struct tally_key *tally_add(struct tally *tally, const struct tally_item *item, uint64_t now_ns)
{
	uint32_t index = tally_key_get(tally, item->key, now_ns);
	struct tally_key *key = &tally->keys[index];

	if (__builtin_expect(tally_key_rests(tally, key, now_ns), 0))
		return NULL;
	if (key->head == KEY_SKETCH && tally_is_old(tally, key->last_ns, now_ns))
		tally_sketch_free(tally, key);
	key->last_ns = now_ns;
	if (key->head != KEY_SKETCH) {
		tally_expire(tally, key, now_ns);
		if (key->entries >= tally->options.exact_max)
			tally_key_grow(tally, key);
	}
	if (key->head == KEY_SKETCH)
		tally_add_sketch(tally, key, item, now_ns);
	else
		tally_add_entry(tally, index, item, now_ns);
	return key;
}

void tally_rest(struct tally *tally, struct tally_key *key, uint64_t now_ns)
{
	if (__builtin_add_overflow(now_ns, tally->options.cooldown_ns, &key->until_ns))
		key->until_ns = UINT64_MAX;
}

void tally_forget(struct tally *tally)
{
	while (tally->log_tail < tally->log_head)
		tally_pop(tally);
}
