#include "spool_sort.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "bytes.h"

/*
 * The order as a string of bits, cut into levels of 128. Records that tie on a level have the same IP version (it is in
 * level 0), so IPv4 may skip what only IPv6 has.
 *
 *   0  order 64 | proto 8 | is IPv6 1 | IPv4: A 32, A port 16, B's top 7
 *                                     | IPv6: A's top 55
 *   1  IPv6: A 128
 *   2  IPv6: A port 16 | B's top 112
 *   3  IPv4: B 32 | B port 16 | vlan 16 | tunnel 32      IPv6: B's last 16 | the same
 *   4  first_ns 64 | last_ns 64
 *   5  compare whole records
 */
enum { LEVEL_FIRST = 0, LEVEL_TIMES = 4, LEVEL_COMPARE = 5 };

#define PREFETCH_AHEAD 12   /* a miss is 100-250 ns, a step of these loops about 10 */
#define INSERTION_MAX  24   /* below: insertion beats setting up a radix pass */
#define WIDE_MIN       8192 /* from here on 2048 counters are worth clearing */

struct sorter {
	enum spool_order order;
	const struct flow_record *records;
	struct spool_entry *scratch;
};

static uint64_t order_number(enum spool_order order, const struct flow_record *r)
{
	return order == SPOOL_BY_BYTES ? ~(r->bytes[0] + r->bytes[1]) : r->end_ns;
}

static inline void prefix_level(enum spool_order order, const struct flow_record *r, unsigned level, struct spool_entry *e)
{
	const struct flow_key *k = &r->key;
	bool v6 = k->ip_version == 6;

	switch (level) {
	case 0:
		e->high = order_number(order, r);
		e->low = (uint64_t)k->proto << 56;
		if (v6)
			e->low |= (uint64_t)1 << 55 | load_be64(k->a_ip) >> 9;
		else
			e->low |=
				(uint64_t)load_be32(k->a_ip + 12) << 23 | (uint64_t)k->a_port << 7 | load_be32(k->b_ip + 12) >> 25;
		break;
	case 1:
		e->high = load_be64(k->a_ip);
		e->low = load_be64(k->a_ip + 8);
		break;
	case 2:
		e->high = (uint64_t)k->a_port << 48 | load_be64(k->b_ip) >> 16;
		e->low = load_be64(k->b_ip + 6);
		break;
	case 3:
		e->high = (v6 ? (uint64_t)load_be16(k->b_ip + 14) : (uint64_t)load_be32(k->b_ip + 12)) << 32 |
			  (uint64_t)k->b_port << 16 | k->vlan;
		e->low = k->tunnel;
		break;
	case LEVEL_TIMES:
		e->high = r->first_ns;
		e->low = r->last_ns;
		break;
	}
}

static unsigned next_level(const struct flow_record *r, unsigned level)
{
	return level == LEVEL_FIRST && r->key.ip_version != 6 ? 3 : level + 1;
}

void spool_prefix(enum spool_order order, const struct flow_record *record, struct spool_entry *entry)
{
	prefix_level(order, record, LEVEL_FIRST, entry);
}

static int order_of(uint64_t x, uint64_t y)
{
	return (x > y) - (x < y);
}

int spool_compare(enum spool_order order, const struct flow_record *x, const struct flow_record *y)
{
	int diff = order_of(order_number(order, x), order_number(order, y));

	if (!diff)
		diff = flow_key_compare(&x->key, &y->key);
	if (!diff)
		diff = order_of(x->first_ns, y->first_ns);
	if (!diff)
		diff = order_of(x->last_ns, y->last_ns);
	return diff ? diff : memcmp(x, y, sizeof(*x));
}

static inline bool entry_before(const struct spool_entry *x, const struct spool_entry *y)
{
	return x->high < y->high || (x->high == y->high && x->low < y->low);
}

static inline bool entry_ties(const struct spool_entry *x, const struct spool_entry *y)
{
	return x->high == y->high && x->low == y->low;
}

static void insertion_sort(struct spool_entry *entries, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct spool_entry moving = entries[i];
		size_t at = i;
		for (; at > 0 && entry_before(&moving, &entries[at - 1]); at--)
			entries[at] = entries[at - 1];
		entries[at] = moving;
	}
}

/* One counting pass over `bits` bits at `shift` of one word, stable, from `from` to `to`. */
static void radix_pass(const struct spool_entry *from, struct spool_entry *to, size_t n, bool high, unsigned shift, unsigned bits)
{
	uint32_t start[1 << 11]; /* records are counted in 32 bits */
	uint32_t mask = (1u << bits) - 1, total = 0;

	memset(start, 0, sizeof(start[0]) << bits);
	for (size_t i = 0; i < n; i++)
		start[(high ? from[i].high : from[i].low) >> shift & mask]++;
	for (uint32_t i = 0; i <= mask; i++) {
		uint32_t count = start[i];
		start[i] = total;
		total += count;
	}
	for (size_t i = 0; i < n; i++)
		to[start[(high ? from[i].high : from[i].low) >> shift & mask]++] = from[i];
}

/* Least significant digit first; runs of bits that are equal in all entries cost nothing. */
static void radix_sort(struct spool_entry *entries, struct spool_entry *scratch, size_t n)
{
	unsigned bits = n < WIDE_MIN ? 8 : 11;
	uint64_t differs[2] = { 0, 0 };
	struct spool_entry *from = entries, *to = scratch;

	for (size_t i = 1; i < n; i++) {
		differs[0] |= entries[i].low ^ entries[0].low;
		differs[1] |= entries[i].high ^ entries[0].high;
	}
	for (unsigned word = 0; word < 2; word++) {
		for (unsigned shift = 0; shift < 64 && differs[word] >> shift; shift += bits) {
			shift += (unsigned)__builtin_ctzll(differs[word] >> shift);
			radix_pass(from, to, n, word == 1, shift, bits);
			struct spool_entry *swap = from;
			from = to;
			to = swap;
		}
	}
	if (from != entries)
		memcpy(entries, from, n * sizeof(*entries));
}

static int compare_entries(const void *x, const void *y, void *context)
{
	const struct sorter *sorter = context;

	return spool_compare(sorter->order, &sorter->records[((const struct spool_entry *)x)->index],
		&sorter->records[((const struct spool_entry *)y)->index]);
}

/* Sorts entries by this level, whose prefixes they hold; then each group of ties by the next. At most six calls deep. */
static void sort_level(const struct sorter *sorter, struct spool_entry *entries, size_t n, unsigned level)
{
	if (level == LEVEL_COMPARE) { /* same key, same times: hardly ever */
		qsort_r(entries, n, sizeof(*entries), compare_entries, (void *)(uintptr_t)sorter);
		return;
	}
	if (n <= INSERTION_MAX)
		insertion_sort(entries, n);
	else
		radix_sort(entries, sorter->scratch, n);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && entry_ties(&entries[i], &entries[end]); end++)
			;
		if (end - i == 1)
			continue;
		unsigned deeper = next_level(&sorter->records[entries[i].index], level);
		for (size_t j = i; j < end; j++) {
			if (j + PREFETCH_AHEAD < n)
				__builtin_prefetch(&sorter->records[entries[j + PREFETCH_AHEAD].index]);
			prefix_level(sorter->order, &sorter->records[entries[j].index], deeper, &entries[j]);
		}
		sort_level(sorter, entries + i, end - i, deeper);
	}
}

int spool_sort(enum spool_order order, const struct flow_record *records, uint32_t n, uint32_t *sorted)
{
	size_t bytes = (size_t)n * sizeof(struct spool_entry);
	struct spool_entry *entries = arena_map(2 * bytes);
	struct sorter sorter = { order, records, entries + n };

	if (!entries)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		spool_prefix(order, &records[i], &entries[i]);
		entries[i].index = i;
	}
	sort_level(&sorter, entries, n, LEVEL_FIRST);
	for (uint32_t i = 0; i < n; i++)
		sorted[i] = entries[i].index;
	arena_unmap(entries, 2 * bytes);
	return 0;
}
