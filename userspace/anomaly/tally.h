/*
 * What happened to a key within a sliding window: amounts, and how many different elements. One per detector; the key is a hash of
 * what the detector watches (a destination and port, a source ...), the elements are what it counts the differences of.
 *
 *   sets of 4 keys (256 B) ─▶ entries of the log, oldest first ─▶ ...
 *                                    │
 *   element heads ─▶ the latest entry of each (key, element)
 *
 *   log: | tail: oldest ... all keys' entries in the order of time ... head: newest |   a ring
 *
 * Exact while a key has fewer than exact_max entries in the window: each entry is there with its time, and leaves when it is older
 * than the window. Beyond that the key gets a sketch: amounts in 16 panes of the window, elements in HyperLogLogs, one for each
 * four panes. Each addition costs O(1): entries leave once, chains are as long as hash chains are.
 *
 * All memory is reserved at creation. When a set has no more room, its weakest key - most often the newcomer - gives way; when the
 * log is full, the oldest entry. Both are counted if they could still have mattered. Where everything lies follows from hashes, so
 * that a caller with many items can ask for all of it before it adds the first. One thread.
 */
#ifndef FLOWLANE_TALLY_H
#define FLOWLANE_TALLY_H

#include <stdbool.h>
#include <stdint.h>

struct tally_options {
	uint32_t keys;      /* a power of two */
	uint32_t log;       /* entries, a power of two */
	uint32_t exact_max; /* entries of a key before it gets a sketch */
	uint32_t sketches;
	unsigned elements; /* kinds of elements: 0, 1, 2 */
	uint64_t window_ns;
	uint64_t cooldown_ns;
};

struct tally_key {
	uint64_t until_ns;    /* of the cooldown */
	uint64_t sum[2];      /* within the window */
	uint32_t distinct[2]; /* the same */

	/* private to tally*.c */
	uint32_t head, tail;
	uint32_t entries;
	uint32_t generation; /* of the key in this place: entries of others before it are orphans */
};
_Static_assert(sizeof(struct tally_key) == 48, "no hidden padding");

struct tally_loss {
	uint64_t keys_evicted;    /* that still had something in the window, or found no room among such */
	uint64_t entries_cut;     /* that were still in the window */
	uint64_t sketches_missed; /* keys that should have got a sketch when there was none: counted low */
};

/* What is added. */
struct tally_item {
	uint64_t key;        /* 64 well-mixed bits */
	uint32_t amount[2];  /* of a tally with elements: 1 and 0 */
	uint32_t element[2]; /* of a tally with elements */
};

struct tally;

int tally_create(const struct tally_options *options, struct tally **tally); /* 0 or a negative errno */
void tally_destroy(struct tally *tally);                                     /* accepts NULL */
uint64_t tally_bytes(const struct tally_options *options);
const struct tally_loss *tally_loss(const struct tally *tally);

/* Asks for the memory that adding these will touch; n <= TALLY_PREFETCH_MAX. */
#define TALLY_PREFETCH_MAX 64
void tally_prefetch(const struct tally *tally, const struct tally_item *items, unsigned n, uint64_t now_ns);

/* Adds, at now_ns, which never goes backwards between two calls of tally_forget(). The key as it is then; NULL: it is in its
 * cooldown, or there was no room, and nothing was added. The result is valid until the next call. */
struct tally_key *tally_add(struct tally *tally, const struct tally_item *item, uint64_t now_ns);

/* The key raised an alert: nothing is added to it until the cooldown is over. */
void tally_rest(struct tally *tally, struct tally_key *key, uint64_t now_ns);

/* Time is about to go backwards: all entries leave. Cost: that of the entries there are, each of which was added once. */
void tally_forget(struct tally *tally);

#endif
