#include "decode_internal.h"

#include "counters.h"
#include "poison.h"

static struct fragment_entry *fragment_set(const struct fragment_table *table, const struct fragment_id *id)
{
	uint64_t w[4];

	memcpy(w, id->src, 32);
	uint64_t h = hash_fold(w[0] ^ w[2] ^ 0x6a09e667f3bcc909, w[1] ^ w[3] ^ 0xbb67ae8584caa73b);
	h = hash_fold(h ^ id->id, 0xa54ff53a5f1d36f1);
	return table->entries + (h % FRAGMENT_SETS) * FRAGMENT_WAYS;
}

/* Packet time may step back a little (several inputs, several queues): both sides of 30 s count. */
static bool is_fresh(const struct fragment_entry *entry, uint64_t now_ns)
{
	uint64_t age_ns = now_ns > entry->seen_ns ? now_ns - entry->seen_ns : entry->seen_ns - now_ns;

	return entry->used && age_ns <= FRAGMENT_TIMEOUT_NS;
}

static bool is_same(const struct fragment_entry *entry, const struct fragment_id *id)
{
	return entry->used && memcmp(&entry->id, id, sizeof(*id)) == 0;
}

const struct fragment_entry *fragment_find(struct fragment_table *table, const struct fragment_id *id, uint64_t now_ns)
{
	const struct fragment_entry *set = fragment_set(table, id);

	for (unsigned i = 0; i < FRAGMENT_WAYS; i++) {
		if (is_same(&set[i], id) && is_fresh(&set[i], now_ns))
			return &set[i];
	}
	counter_add(&table->unmatched, 1);
	return NULL;
}

/* The place for an id: where it was before (a number used again), else a stale one, else the oldest. */
static struct fragment_entry *fragment_place(struct fragment_table *table, const struct fragment_id *id, uint64_t now_ns)
{
	struct fragment_entry *set = fragment_set(table, id);
	struct fragment_entry *stale = NULL;
	struct fragment_entry *oldest = set;

	for (unsigned i = 0; i < FRAGMENT_WAYS; i++) {
		if (is_same(&set[i], id))
			return &set[i];
		if (!is_fresh(&set[i], now_ns))
			stale = &set[i];
		if (set[i].seen_ns < oldest->seen_ns)
			oldest = &set[i];
	}
	if (!stale)
		counter_add(&table->evicted, 1);
	return stale ? stale : oldest;
}

void fragment_insert(struct fragment_table *table, const struct fragment_id *id, uint64_t now_ns, const struct packet *packet)
{
	struct fragment_entry *entry = fragment_place(table, id, now_ns);

	entry->id = *id;
	entry->used = 1;
	entry->dir = packet->dir;
	entry->tunnelled = packet->flags & PACKET_TUNNELLED;
	entry->seen_ns = now_ns;
	entry->key = packet->key;
}
