/* The log of a tally: the entries of all keys in the order of time, and for each key and element the latest entry that has it. */
#include <string.h>

#include "tally_private.h"

#include "poison.h"

#define AHEAD 8    /* old entries are asked for so long before they leave */
#define LONE  0x80 /* in entry->latest: the only one of its key, not in the chains */
#define TRIM  2    /* old entries taken out for each new one: the log empties faster than it fills */

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

void tally_log_release(struct tally *tally, struct tally_key *key)
{
	uint32_t slot = key->head;
	struct tally_entry *entry = &tally->log[slot];

	unsigned latest = tally_entry_unlink(tally, slot);

	for (unsigned k = 0; k < tally->options.elements; k++)
		key->distinct[k] -= latest >> k & 1;
	key->sum[0] -= tally->options.elements ? 1 : entry->amount[0];
	key->sum[1] -= tally->options.elements ? 0 : entry->amount[1];
	key->entries--;
	key->head = key->entries ? entry->key_next : TALLY_NONE;
	entry->key = TALLY_NONE;
}

void tally_log_expire(struct tally *tally, struct tally_key *key, uint64_t now_ns)
{
	while (key->entries && tally_is_old(tally, tally->log[key->head].ts_ns, now_ns))
		tally_log_release(tally, key);
}

/* The key of an entry has gone. */
static bool tally_is_orphan(const struct tally *tally, const struct tally_entry *entry)
{
	return tally_key_at(tally, entry->key)->generation != entry->generation;
}

/* The oldest entry of all is the oldest of its key. */
static void tally_pop(struct tally *tally)
{
	uint32_t slot = (uint32_t)(tally->log_tail++ & (tally->options.log - 1));
	struct tally_entry *oldest = &tally->log[slot];

	if (oldest->key == TALLY_NONE)
		return;
	if (!tally_is_orphan(tally, oldest)) {
		tally_log_release(tally, tally_key_at(tally, oldest->key));
		return;
	}
	tally_entry_unlink(tally, slot);
	oldest->key = TALLY_NONE;
}

/*
 * Asks for what popping an entry will touch. The log itself is read in order, which the CPU foresees. always_inline: gcc takes a function
 * that only prefetches for one without effects, and drops calls to it.
 */
static inline __attribute__((always_inline)) void tally_prefetch_pop(const struct tally *tally)
{
	const struct tally_entry *entry = &tally->log[(tally->log_tail + AHEAD) & (tally->options.log - 1)];

	if (tally->log_head - tally->log_tail <= AHEAD || entry->key == TALLY_NONE)
		return;
	const struct tally_key *key = tally_key_at(tally, entry->key);
	__builtin_prefetch(key, 1);
	__builtin_prefetch(&key->generation, 1); /* half of the keys lie in two lines */
	for (unsigned k = 0; k < tally->options.elements && !(entry->latest & LONE); k++)
		__builtin_prefetch(tally_element_head(tally, k, entry->key, entry->generation, entry->element[k]), 1);
}

static uint32_t tally_push(struct tally *tally, uint64_t now_ns)
{
	uint32_t mask = tally->options.log - 1;

	for (unsigned i = 0; i < TRIM && tally->log_tail < tally->log_head; i++) {
		const struct tally_entry *oldest = &tally->log[tally->log_tail & mask];
		if (oldest->key != TALLY_NONE && !tally_is_old(tally, oldest->ts_ns, now_ns) && !tally_is_orphan(tally, oldest))
			break;
		tally_prefetch_pop(tally);
		tally_pop(tally);
	}
	if (tally->log_head - tally->log_tail > mask) {
		const struct tally_entry *oldest = &tally->log[tally->log_tail & mask];
		tally->loss.entries_cut += oldest->key != TALLY_NONE;
		tally_prefetch_pop(tally);
		tally_pop(tally);
	}
	return (uint32_t)(tally->log_head++ & mask);
}

/* --- adding ---------------------------------------------------------------------------------------------------------- */

/* A key that has no entry will not need its elements' chains. */
void tally_log_prefetch(const struct tally *tally, const struct tally_key *key, uint32_t place, const struct tally_item *item)
{
	if (!key->entries)
		return;
	__builtin_prefetch(&tally->log[key->tail], 1);
	for (unsigned k = 0; k < tally->options.elements; k++)
		__builtin_prefetch(tally_element_head(tally, k, place, key->generation, item->element[k]), 1);
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

void tally_log_add(struct tally *tally, struct tally_key *key, uint32_t place, const struct tally_item *item, uint64_t now_ns)
{
	/* The push may take out this key's own oldest entry. */
	uint32_t slot = tally_push(tally, now_ns);
	struct tally_entry *entry = &tally->log[slot];

	*entry = (struct tally_entry){ .ts_ns = now_ns, .key = place, .generation = key->generation };
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

void tally_forget(struct tally *tally)
{
	while (tally->log_tail < tally->log_head)
		tally_pop(tally);
}
