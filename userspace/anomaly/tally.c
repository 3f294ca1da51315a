#include "tally.h"

#include <errno.h>
#include <stdlib.h>

#include "arena.h"
#include "tally_front.h"
#include "tally_sketch.h"

#define KEY_SKETCH (TALLY_NONE - 1) /* key->head: the key has a sketch, its number is key->tail */
#define CANDIDATES 8                /* sketches looked at when one is wanted */

static size_t tally_heads_bytes(uint32_t entries)
{
	return (size_t)entries * 2 * sizeof(uint32_t);
}

uint64_t tally_bytes(const struct tally_options *options)
{
	return (uint64_t)options->keys / TALLY_WAYS * sizeof(struct tally_set) +
	       (uint64_t)options->keys * sizeof(struct tally_key) + (uint64_t)options->log * sizeof(struct tally_entry) +
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
	tally->sets = arena_map(options->keys / TALLY_WAYS * sizeof(*tally->sets));
	tally->keys = arena_map(options->keys * sizeof(*tally->keys));
	tally->log = arena_map(options->log * sizeof(*tally->log));
	tally->sketches = arena_map(options->sketches * tally->sketch_bytes);
	tally->sketches_free = calloc(options->sketches, sizeof(uint32_t));
	tally->sketches_owner = calloc(options->sketches, sizeof(uint32_t));
	bool whole = tally->sketches_owner && tally->sets && tally->keys && tally->log && tally->sketches && tally->sketches_free;
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
	arena_unmap(tally->sets, options->keys / TALLY_WAYS * sizeof(*tally->sets));
	free(tally->sketches_free);
	free(tally->sketches_owner);
	free(tally);
}

const struct tally_loss *tally_loss(const struct tally *tally)
{
	return &tally->loss;
}

#include "poison.h"

/* --- keys ------------------------------------------------------------------------------------------------------------ */

static uint32_t tally_place(const struct tally *tally, const struct tally_set *set, unsigned way)
{
	return (uint32_t)(set - tally->sets) * TALLY_WAYS + way;
}

static struct sketch *tally_sketch(const struct tally *tally, const struct tally_key *key)
{
	return (struct sketch *)(tally->sketches + key->tail * tally->sketch_bytes);
}

static void tally_sketch_free(struct tally *tally, struct tally_key *key)
{
	tally->sketches_free[tally->sketches_left++] = key->tail;
	key->head = key->tail = TALLY_NONE;
	key->sum[0] = key->sum[1] = 0;
	key->distinct[0] = key->distinct[1] = 0;
}

/* The smallest leaves first: what is free, then what is idle, then what has least in its window. */
static uint64_t tally_weight(const struct tally *tally, const struct tally_set *set, unsigned way, uint64_t now_ns)
{
	const struct tally_key *key = &tally_keys(tally, set)[way];

	if (!set->hash[way])
		return 0;
	if (tally_key_rests(tally, key, now_ns))
		return UINT64_MAX;
	return tally_is_old(tally, set->last_ns[way], now_ns) ? 1 : 2 + key->sum[0] + key->sum[1];
}

bool tally_set_is_busy_early(const struct tally *tally, const struct tally_set *set, uint64_t now_ns)
{
	bool busy = true;

	/* What is free was last used at 0. */
	for (unsigned i = 0; i < TALLY_WAYS; i++)
		busy &= set->last_ns[i] && !tally_is_old(tally, set->last_ns[i], now_ns);
	return busy;
}

/*
 * In the place of the set's weakest, of several the one that was silent longest. Where all four are at work, only one newcomer in
 * 32 gets in: it may be the weakest itself, and under a scan or a flood of forged sources nearly all are.
 */
static bool tally_key_make(struct tally *tally, struct tally_set *set, uint64_t hash, uint64_t now_ns, unsigned *way)
{
	bool busy = tally_set_is_busy(tally, set, now_ns), admits = tally_admits(hash, tally->loss.keys_evicted);

	tally->loss.keys_evicted += busy;
	if (busy && !admits)
		return false;
	tally->crowded = busy;
	unsigned victim = 0;
	uint64_t weight = tally_weight(tally, set, 0, now_ns);
	for (unsigned i = 1; i < TALLY_WAYS; i++) {
		uint64_t other = tally_weight(tally, set, i, now_ns);
		if (other > weight || (other == weight && set->last_ns[i] >= set->last_ns[victim]))
			continue;
		victim = i;
		weight = other;
	}
	/* Those that are silent rest from an alert. */
	if (!busy && weight > 1) {
		tally->loss.keys_evicted++;
		if (!admits)
			return false;
	}
	struct tally_key *key = &tally_keys(tally, set)[victim];
	if (key->head == KEY_SKETCH)
		tally_sketch_free(tally, key);
	if (set->hash[victim] == tally->resting)
		tally->resting = 0;
	*key = (struct tally_key){ .head = TALLY_NONE, .tail = TALLY_NONE, .generation = key->generation + 1 };
	set->hash[victim] = hash;
	*way = victim;
	return true;
}

/* --- asking for memory ------------------------------------------------------------------------------------------------- */

/* The set has the key: asks for that. Else, if it may get in: for all four. */
static inline __attribute__((always_inline)) void tally_prefetch_key(
	const struct tally *tally, const struct tally_set *set, unsigned way, uint64_t hash, uint64_t evicted, uint64_t now_ns)
{
	const struct tally_key *keys = tally_keys(tally, set);

	if (way < TALLY_WAYS) {
		__builtin_prefetch(&keys[way], 1);
		__builtin_prefetch((const char *)(&keys[way] + 1) - 1, 1);
	} else if (tally_admits(hash, evicted) || !tally_set_is_busy(tally, set, now_ns)) {
		for (unsigned line = 0; line < TALLY_WAYS * sizeof(*keys) / 64; line++)
			__builtin_prefetch((const char *)keys + 64 * line, 1);
	}
}

void tally_prefetch_wanted(
	const struct tally *tally, const struct tally_item *items, const uint64_t *evicted, unsigned n, uint64_t now_ns)
{
	struct {
		uint32_t place;
		uint32_t item;
	} known[TALLY_PREFETCH_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t hash = tally_hash(items[i].key);
		const struct tally_set *set = tally_set(tally, hash);
		unsigned way = tally_find(set, hash);
		tally_prefetch_key(tally, set, way, hash, evicted[i], now_ns);
		if (way == TALLY_WAYS)
			continue;
		known[count].place = tally_place(tally, set, way);
		known[count++].item = i;
	}
	for (unsigned i = 0; i < count; i++) {
		const struct tally_key *key = tally_key_at(tally, known[i].place);
		if (!tally_key_rests(tally, key, now_ns))
			tally_log_prefetch(tally, key, known[i].place, &items[known[i].item]);
	}
}

/* First for the sets' first lines, when those have come for the keys, and then for what they lead to. */
void tally_prefetch(const struct tally *tally, const struct tally_item *items, unsigned n, uint64_t now_ns)
{
	struct tally_item wanted[TALLY_PREFETCH_MAX];
	uint64_t evicted[TALLY_PREFETCH_MAX], evicted_now = tally->loss.keys_evicted;
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t hash = tally_hash(items[i].key);
		tally_prefetch_set(tally, hash);
		/* The key that rests goes no further, and where newcomers are turned away hardly any does. */
		if (hash == tally->resting || (tally->crowded && !tally_admits(hash, evicted_now + i)))
			continue;
		wanted[count] = items[i];
		evicted[count++] = evicted_now + i;
	}
	tally_prefetch_wanted(tally, wanted, evicted, count, now_ns);
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
		uint32_t place = tally->sketches_owner[number];
		struct tally_key *owner = tally_key_at(tally, place);
		uint64_t last_ns = tally->sets[place / TALLY_WAYS].last_ns[place % TALLY_WAYS];
		bool idle = tally_is_old(tally, last_ns, now_ns) && !tally_key_rests(tally, owner, now_ns);
		if (owner->head == KEY_SKETCH && owner->tail == number && idle)
			tally_sketch_free(tally, owner);
	}
}

/* From exact entries to a sketch. */
static void tally_key_grow(struct tally *tally, struct tally_key *key, uint32_t place, uint64_t now_ns)
{
	unsigned elements = tally->options.elements;

	if (!tally->sketches_left)
		tally_sketch_reclaim(tally, now_ns);
	if (!tally->sketches_left) {
		tally->loss.sketches_missed++;
		tally_log_release(tally, key);
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
		tally_log_release(tally, key);
	}
	key->head = KEY_SKETCH;
	key->tail = number;
	tally->sketches_owner[number] = place;
}

__attribute__((noinline)) struct tally_key *tally_add_way(
	struct tally *tally, const struct tally_item *item, uint64_t now_ns, unsigned way)
{
	uint64_t hash = tally_hash(item->key);
	struct tally_set *set = tally_set(tally, hash);

	if (way == TALLY_WAYS && !tally_key_make(tally, set, hash, now_ns, &way))
		return NULL;
	struct tally_key *key = &tally_keys(tally, set)[way];
	uint32_t place = tally_place(tally, set, way);
	if (key->head == KEY_SKETCH && tally_is_old(tally, set->last_ns[way], now_ns))
		tally_sketch_free(tally, key);
	set->last_ns[way] = now_ns;
	if (key->head != KEY_SKETCH) {
		tally_log_expire(tally, key, now_ns);
		if (key->entries >= tally->options.exact_max)
			tally_key_grow(tally, key, place, now_ns);
	}
	if (key->head == KEY_SKETCH)
		tally_add_sketch(tally, key, item, now_ns);
	else
		tally_log_add(tally, key, place, item, now_ns);
	return key;
}

struct tally_key *tally_add(struct tally *tally, const struct tally_item *item, uint64_t now_ns)
{
	unsigned way;

	return tally_turns_away(tally, tally_hash(item->key), now_ns, &way) ? NULL : tally_add_way(tally, item, now_ns, way);
}

void tally_rest(struct tally *tally, struct tally_key *key, uint64_t now_ns)
{
	if (__builtin_add_overflow(now_ns, tally->options.cooldown_ns, &key->until_ns))
		key->until_ns = UINT64_MAX;
}
