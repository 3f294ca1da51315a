/*
 * Sorts the flows of a round by their keys, many on two threads. Byte by byte from the first, as
 * far as the bytes differ; of 40 those that are the same in all keys are left out, so that 16 of them are a window onto all that
 * matters of IPv4. Only keys that are equal in it (of IPv6) are looked up, for the next 16.
 */
#include "index_both.h"
#include "index_table_internal.h"

#define WINDOW 16 /* bytes: high and low */
#define SMALL  24 /* keys: insertion is faster */

#define SAMPLES 255

struct sort {
	const struct index_table *table;
	struct round_key *other; /* as many as there are keys */
	uint8_t at[sizeof(struct index_key)];
	unsigned bytes; /* that differ: at[0 ... bytes - 1] is where they are, in their order */
};

static void windows_make(const struct sort *sort, struct round_key *keys, uint64_t count, unsigned from)
{
	unsigned n = sort->bytes - from < WINDOW ? sort->bytes - from : WINDOW;

	for (uint64_t i = 0; i < count; i++) {
		if (i + STEP < count)
			__builtin_prefetch(&sort->table->cells[keys[i + STEP].cell]);
		const uint8_t *key = (const uint8_t *)&flow_at(sort->table, keys[i].cell)->key;
		uint64_t high = 0, low = 0;
		for (unsigned at = from; at < from + n && at < from + WINDOW / 2; at++)
			high = high << 8 | key[sort->at[at]];
		for (unsigned at = from + WINDOW / 2; at < from + n; at++)
			low = low << 8 | key[sort->at[at]];
		/* The first byte is the highest, also where there are few. */
		keys[i].high = n < WINDOW / 2 ? high << 8 * (WINDOW / 2 - n) : high;
		keys[i].low = n > WINDOW / 2 && n < WINDOW ? low << 8 * (WINDOW - n) : low;
	}
}

static inline unsigned window_byte(const struct round_key *key, unsigned at)
{
	return at < WINDOW / 2 ? key->high >> 8 * (WINDOW / 2 - 1 - at) & 255 : key->low >> 8 * (WINDOW - 1 - at) & 255;
}

static inline bool key_before(const struct sort *sort, const struct round_key *a, const struct round_key *b)
{
	if (a->high != b->high)
		return a->high < b->high;
	if (a->low != b->low || sort->bytes <= WINDOW)
		return a->low < b->low;
	return memcmp(&flow_at(sort->table, a->cell)->key, &flow_at(sort->table, b->cell)->key, sizeof(struct index_key)) < 0;
}

static void insertion_sort(const struct sort *sort, struct round_key *keys, uint64_t count)
{
	for (uint64_t i = 1; i < count; i++) {
		struct round_key key = keys[i];
		uint64_t at = i;
		for (; at > 0 && key_before(sort, &key, &keys[at - 1]); at--)
			keys[at] = keys[at - 1];
		keys[at] = key;
	}
}

/* Keys that are equal in the bytes before `byte`. No two are the same, so there is another byte as long as there are several. */
static void keys_sort(const struct sort *sort, struct round_key *keys, uint64_t count, unsigned byte)
{
	uint64_t ends[256] = { 0 }, sum = 0;

	if (count <= SMALL || byte >= sort->bytes) {
		insertion_sort(sort, keys, count);
		return;
	}
	if (byte > 0 && byte % WINDOW == 0)
		windows_make(sort, keys, count, byte);
	for (uint64_t i = 0; i < count; i++)
		ends[window_byte(&keys[i], byte % WINDOW)]++;
	if (ends[window_byte(&keys[0], byte % WINDOW)] == count) {
		keys_sort(sort, keys, count, byte + 1);
		return;
	}
	for (unsigned i = 0; i < 256; i++) {
		uint64_t begin = sum;
		sum += ends[i];
		ends[i] = begin;
	}
	for (uint64_t i = 0; i < count; i++)
		sort->other[ends[window_byte(&keys[i], byte % WINDOW)]++] = keys[i];
	memcpy(keys, sort->other, count * sizeof(*keys));
	for (unsigned i = 0; i < 256; i++) {
		uint64_t begin = i ? ends[i - 1] : 0;
		if (ends[i] - begin > 1)
			keys_sort(sort, keys + begin, ends[i] - begin, byte + 1);
	}
}

static void sort_init(struct sort *sort, const struct index_table *table, struct round_key *other)
{
	const uint8_t *varying = (const uint8_t *)table->varying;

	*sort = (struct sort){ .table = table, .other = other };
	for (unsigned i = 0; i < sizeof(table->varying); i++) {
		if (varying[i])
			sort->at[sort->bytes++] = (uint8_t)i;
	}
}

/* --- many at once ---------------------------------------------------------------------------------------------------- */

/* What one of the two threads does. First `keys` are its half of all, as they lie; then, of a range of them, all of the order. */
struct half {
	struct sort sort;
	struct round_key *keys;
	uint64_t count;
	struct round_key pivot;
	uint64_t below_count;           /* how many are less than the pivot */
	struct round_key *below, *rest; /* where they go */
};

static inline bool below(const struct half *half, const struct round_key *key)
{
	return key->high < half->pivot.high || (key->high == half->pivot.high && key->low < half->pivot.low);
}

static void *half_look(void *argument)
{
	struct half *half = argument;

	windows_make(&half->sort, half->keys, half->count, 0);
	half->below_count = 0;
	for (uint64_t i = 0; i < half->count; i++)
		half->below_count += below(half, &half->keys[i]);
	return NULL;
}

static void *half_split(void *argument)
{
	struct half *half = argument;

	for (uint64_t i = 0; i < half->count; i++) {
		if (below(half, &half->keys[i]))
			*half->below++ = half->keys[i];
		else
			*half->rest++ = half->keys[i];
	}
	return NULL;
}

static void *half_sort(void *argument)
{
	struct half *half = argument;

	keys_sort(&half->sort, half->keys, half->count, 0);
	return NULL;
}

/* About in the middle of all. */
static struct round_key pivot_find(const struct sort *sort, const struct round_key *keys, uint64_t count)
{
	struct round_key samples[SAMPLES];

	for (unsigned i = 0; i < SAMPLES; i++)
		samples[i] = keys[count / SAMPLES * i];
	windows_make(sort, samples, SAMPLES, 0);
	insertion_sort(sort, samples, SAMPLES);
	return samples[SAMPLES / 2];
}

/* Two threads: those below the pivot are one's, the rest the other's. */
static void sort_both(struct index_table *table, const struct sort *sort, uint64_t count)
{
	struct round_key *from = table->round, *to = table->other, pivot = pivot_find(sort, from, count);
	uint64_t middle = count / 2;
	struct half first = { .sort = *sort, .keys = from, .count = middle, .pivot = pivot };
	struct half second = { .sort = *sort, .keys = from + middle, .count = count - middle, .pivot = pivot };

	index_both(half_look, &first, &second);
	uint64_t below_count = first.below_count + second.below_count;
	first.below = to;
	second.below = to + first.below_count;
	first.rest = to + below_count;
	second.rest = first.rest + (first.count - first.below_count);
	index_both(half_split, &first, &second);
	first.keys = to;
	first.count = below_count;
	first.sort.other = from;
	second.keys = to + below_count;
	second.count = count - below_count;
	second.sort.other = from + below_count;
	index_both(half_sort, &first, &second);
	table->round = to;
	table->other = from;
}

void index_sort(struct index_table *table, uint64_t count)
{
	struct sort sort;

	sort_init(&sort, table, table->other);
	if (count >= BOTH_MIN) {
		sort_both(table, &sort, count);
	} else if (count > 1) {
		windows_make(&sort, table->round, count, 0);
		keys_sort(&sort, table->round, count, 0);
	}
}
