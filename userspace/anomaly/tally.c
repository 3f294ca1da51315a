#include "tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "tally_sketch.h"

#define NONE       UINT32_MAX
#define KEY_SKETCH (NONE - 1) /* key->head: the key has a sketch, its number is key->tail */
#define WAYS       4          /* keys of a set */
#define AHEAD      8          /* old entries are asked for so long before they leave */
#define ADMIT      8          /* newcomers to a full set, of which one gets in */
#define LONE       0x80       /* in entry->latest: the only one of its key, not in the chains */
#define CANDIDATES 8          /* sketches looked at when one is wanted */
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
	uint32_t latest;     /* bit k: no later entry has this element k */
	uint32_t generation; /* the key's: another one, and the key has gone */
};
_Static_assert(sizeof(struct tally_entry) == 40, "");

struct tally {
	struct tally_options options;
	struct tally_loss loss;

	struct tally_key *keys; /* hash 0: free */

	struct tally_entry *log;
	uint64_t log_head, log_tail; /* positions: count up, slot is position % options.log */
	uint32_t *element_heads[2];  /* [2 * log] */

	uint8_t *sketches;
	uint32_t *sketches_free;
	uint32_t *sketches_owner; /* index of the key */
	uint32_t sketches_left, sketches_hand;
	size_t sketch_bytes;
};

static size_t tally_heads_bytes(uint32_t entries)
{
	return (size_t)entries * 2 * sizeof(uint32_t);
}

uint64_t tally_bytes(const struct tally_options *options)
{
	return (uint64_t)options->keys * sizeof(struct tally_key) + (uint64_t)options->log * sizeof(struct tally_entry) +
	       options->elements * tally_heads_bytes(options->log) +
	       (uint64_t)options->sketches * (sketch_bytes(options->elements) + 2 * sizeof(uint32_t));
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
	tally->keys = arena_map(options->keys * sizeof(*tally->keys));
	tally->log = arena_map(options->log * sizeof(*tally->log));
	tally->sketches = arena_map(options->sketches * tally->sketch_bytes);
	tally->sketches_free = calloc(options->sketches, sizeof(uint32_t));
	tally->sketches_owner = calloc(options->sketches, sizeof(uint32_t));
	bool whole = tally->sketches_owner && tally->keys && tally->log && tally->sketches && tally->sketches_free;
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
	free(tally->sketches_free);
	free(tally->sketches_owner);
	free(tally);
}

const struct tally_loss *tally_loss(const struct tally *tally)
{
	return &tally->loss;
}

#include "poison.h"

/* --- elements -------------------------------------------------------------------------------------------------------- */

/* The generation takes part: a busy place of the key table would otherwise fill one chain with orphans. */
static uint32_t *tally_element_head(const struct tally *tally, unsigned k, uint32_t key, uint32_t generation, uint32_t element)
{
	uint64_t x = (((uint64_t)key << 32 | element) ^ (uint64_t)generation * 0xd6e8feb86659fd93u) * 0x9e3779b97f4a7c15u;

	return &tally->element_heads[k][((x ^ x >> 29) * 0xbf58476d1ce4e5b9u >> 32) & (tally->options.log * 2 - 1)];
}

static void tally_element_link(struct tally *tally, uint32_t slot, unsigned k)
{
	struct tally_entry *entry = &tally->log[slot];
	uint32_t *head = tally_element_head(tally, k, entry->key, entry->generation, entry->element[k]);

	entry->chain[k] = *head;
	*head = slot + 1;
}

/* The new entry becomes the latest of its key and element; the one that was is taken out of the chain. */
static void tally_element_put(struct tally *tally, struct tally_key *key, uint32_t slot, unsigned k)
{
	struct tally_entry *entry = &tally->log[slot];
	uint32_t *link = tally_element_head(tally, k, entry->key, entry->generation, entry->element[k]);

	while (*link) {
		struct tally_entry *older = &tally->log[*link - 1];
		if (older->key == entry->key && older->generation == entry->generation && older->element[k] == entry->element[k])
			break;
		link = &older->chain[k];
	}
	if (*link) {
		struct tally_entry *older = &tally->log[*link - 1];
		older->latest &= ~(1u << k);
		*link = older->chain[k];
	} else {
		key->distinct[k]++;
	}
	entry->latest |= 1u << k;
	tally_element_link(tally, slot, k);
}

static void tally_element_drop(struct tally *tally, uint32_t slot, unsigned k)
{
	struct tally_entry *entry = &tally->log[slot];
	uint32_t *link = tally_element_head(tally, k, entry->key, entry->generation, entry->element[k]);

	while (*link != slot + 1)
		link = &tally->log[*link - 1].chain[k];
	*link = entry->chain[k];
}

/* --- entries --------------------------------------------------------------------------------------------------------- */

/* Takes the entry out of the chains. How many elements were seen in it for the last time: one for each bit. */
static unsigned tally_entry_unlink(struct tally *tally, uint32_t slot)
{
	const struct tally_entry *entry = &tally->log[slot];
	unsigned latest = entry->latest;

	for (unsigned k = 0; k < tally->options.elements && !(latest & LONE); k++) {
		if (latest & 1u << k)
			tally_element_drop(tally, slot, k);
	}
	return latest;
}

/* Takes out the key's oldest entry. */
static void tally_release(struct tally *tally, struct tally_key *key)
{
	uint32_t slot = key->head;
	struct tally_entry *entry = &tally->log[slot];

	unsigned latest = tally_entry_unlink(tally, slot);

	for (unsigned k = 0; k < tally->options.elements; k++)
		key->distinct[k] -= latest >> k & 1;
	key->sum[0] -= tally->options.elements ? 1 : entry->amount[0];
	key->sum[1] -= tally->options.elements ? 0 : entry->amount[1];
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

/* The key of an entry has gone. */
static bool tally_is_orphan(const struct tally *tally, const struct tally_entry *entry)
{
	return tally->keys[entry->key].generation != entry->generation;
}

/* The oldest entry of all is the oldest of its key. */
static void tally_pop(struct tally *tally)
{
	uint32_t slot = (uint32_t)(tally->log_tail++ & (tally->options.log - 1));
	struct tally_entry *oldest = &tally->log[slot];

	if (oldest->key == NONE)
		return;
	if (!tally_is_orphan(tally, oldest)) {
		tally_release(tally, &tally->keys[oldest->key]);
		return;
	}
	tally_entry_unlink(tally, slot);
	oldest->key = NONE;
}

/* Asks for what popping an entry will touch. The log itself is read in order, which the CPU foresees. */
static void tally_prefetch_pop(const struct tally *tally)
{
	const struct tally_entry *entry = &tally->log[(tally->log_tail + AHEAD) & (tally->options.log - 1)];

	if (tally->log_head - tally->log_tail <= AHEAD || entry->key == NONE)
		return;
	__builtin_prefetch(&tally->keys[entry->key], 1);
	for (unsigned k = 0; k < tally->options.elements && !(entry->latest & LONE); k++)
		__builtin_prefetch(tally_element_head(tally, k, entry->key, entry->generation, entry->element[k]), 1);
}

static uint32_t tally_push(struct tally *tally, uint64_t now_ns)
{
	uint32_t mask = tally->options.log - 1;

	for (unsigned i = 0; i < TRIM && tally->log_tail < tally->log_head; i++) {
		const struct tally_entry *oldest = &tally->log[tally->log_tail & mask];
		if (oldest->key != NONE && !tally_is_old(tally, oldest->ts_ns, now_ns) && !tally_is_orphan(tally, oldest))
			break;
		tally_prefetch_pop(tally);
		tally_pop(tally);
	}
	if (tally->log_head - tally->log_tail > mask) {
		const struct tally_entry *oldest = &tally->log[tally->log_tail & mask];
		tally->loss.entries_cut += oldest->key != NONE;
		tally_prefetch_pop(tally);
		tally_pop(tally);
	}
	return (uint32_t)(tally->log_head++ & mask);
}

/* --- keys ------------------------------------------------------------------------------------------------------------ */

static struct tally_key *tally_set(const struct tally *tally, uint64_t hash)
{
	return &tally->keys[(hash >> 20) & (tally->options.keys - WAYS)];
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

/* The smallest leaves first: what is free, then what is idle, then what has least in its window. */
static uint64_t tally_key_weight(const struct tally *tally, const struct tally_key *key, uint64_t now_ns)
{
	if (!key->hash)
		return 0;
	if (tally_key_rests(tally, key, now_ns))
		return UINT64_MAX;
	return tally_is_old(tally, key->last_ns, now_ns) ? 1 : 2 + key->sum[0] + key->sum[1];
}

/*
 * In the place of the set's weakest, of several the one that was silent longest. Where all four are at work, only one newcomer in
 * eight gets in: it may be the weakest itself, and under a scan or a flood of forged sources nearly all are. One that stays away
 * costs no more than the look at its set. NULL: it does.
 */
static struct tally_key *tally_key_make(struct tally *tally, uint64_t hash, uint64_t now_ns)
{
	struct tally_key *set = tally_set(tally, hash), *victim = set;
	uint64_t weight = tally_key_weight(tally, victim, now_ns);

	for (unsigned i = 1; i < WAYS; i++) {
		uint64_t other = tally_key_weight(tally, &set[i], now_ns);
		if (other > weight || (other == weight && set[i].last_ns >= victim->last_ns))
			continue;
		victim = &set[i];
		weight = other;
	}
	if (weight > 1) {
		tally->loss.keys_evicted++;
		if (tally->loss.keys_evicted % ADMIT)
			return NULL;
	}
	if (victim->head == KEY_SKETCH)
		tally_sketch_free(tally, victim);
	*victim = (struct tally_key){ .hash = hash, .head = NONE, .tail = NONE, .generation = victim->generation + 1 };
	return victim;
}

static struct tally_key *tally_key_find(const struct tally *tally, uint64_t hash)
{
	struct tally_key *set = tally_set(tally, hash);

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].hash == hash)
			return &set[i];
	}
	return NULL;
}

void tally_prefetch(const struct tally *tally, uint64_t key)
{
	const struct tally_key *set = tally_set(tally, key);

	for (unsigned i = 0; i < WAYS; i++)
		__builtin_prefetch(&set[i], 1);
}

/* A key that has no entry will not need its elements' chains. */
void tally_prefetch_elements(const struct tally *tally, const struct tally_item *item)
{
	const struct tally_key *key = tally_key_find(tally, item->key);

	if (!key || !key->entries)
		return;
	__builtin_prefetch(&tally->log[key->tail], 1);
	for (unsigned k = 0; k < tally->options.elements; k++)
		__builtin_prefetch(
			tally_element_head(tally, k, (uint32_t)(key - tally->keys), key->generation, item->element[k]), 1);
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

/* Takes its sketch from a key that no longer needs it. */
static void tally_sketch_reclaim(struct tally *tally, uint64_t now_ns)
{
	for (unsigned i = 0; i < CANDIDATES && !tally->sketches_left; i++) {
		uint32_t number = tally->sketches_hand++ % tally->options.sketches;
		struct tally_key *owner = &tally->keys[tally->sketches_owner[number]];
		if (owner->head == KEY_SKETCH && owner->tail == number && tally_key_idle(tally, owner, now_ns))
			tally_sketch_free(tally, owner);
	}
}

/* From exact entries to a sketch. */
static void tally_key_grow(struct tally *tally, struct tally_key *key, uint64_t now_ns)
{
	unsigned elements = tally->options.elements;

	if (!tally->sketches_left)
		tally_sketch_reclaim(tally, now_ns);
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
	tally->sketches_owner[number] = (uint32_t)(key - tally->keys);
}

/* Most keys have one entry only, as those of scans and of forged sources: it goes into the chains when there is another. */
static void tally_elements_add(struct tally *tally, struct tally_key *key, uint32_t slot, const struct tally_item *item)
{
	struct tally_entry *entry = &tally->log[slot], *first = &tally->log[key->head];
	unsigned elements = tally->options.elements;

	for (unsigned k = 0; k < elements; k++)
		entry->element[k] = item->element[k];
	if (key->head == slot) {
		entry->latest = LONE | ((1u << elements) - 1);
		for (unsigned k = 0; k < elements; k++)
			key->distinct[k] = 1;
		return;
	}
	for (unsigned k = 0; k < elements && first->latest & LONE; k++)
		tally_element_link(tally, key->head, k);
	first->latest &= ~(unsigned)LONE;
	for (unsigned k = 0; k < elements; k++)
		tally_element_put(tally, key, slot, k);
}

static void tally_add_entry(struct tally *tally, struct tally_key *key, const struct tally_item *item, uint64_t now_ns)
{
	/* The push may take out this key's own oldest entry. */
	uint32_t slot = tally_push(tally, now_ns);
	struct tally_entry *entry = &tally->log[slot];

	*entry = (struct tally_entry){ .ts_ns = now_ns, .key = (uint32_t)(key - tally->keys), .generation = key->generation };
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
	else
		tally_elements_add(tally, key, slot, item);
}

struct tally_key *tally_add(struct tally *tally, const struct tally_item *item, uint64_t now_ns)
{
	uint64_t hash = item->key ? item->key : 1; /* 0: free */
	struct tally_key *key = tally_key_find(tally, hash);

	if (!key)
		key = tally_key_make(tally, hash, now_ns);
	if (!key)
		return NULL;
	if (__builtin_expect(tally_key_rests(tally, key, now_ns), 0))
		return NULL;
	if (key->head == KEY_SKETCH && tally_is_old(tally, key->last_ns, now_ns))
		tally_sketch_free(tally, key);
	key->last_ns = now_ns;
	if (key->head != KEY_SKETCH) {
		tally_expire(tally, key, now_ns);
		if (key->entries >= tally->options.exact_max)
			tally_key_grow(tally, key, now_ns);
	}
	if (key->head == KEY_SKETCH)
		tally_add_sketch(tally, key, item, now_ns);
	else
		tally_add_entry(tally, key, item, now_ns);
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
