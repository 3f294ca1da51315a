/*
 * What a tally is made of, for the files of tally*.c.
 *
 *   set:  | four hashes, four last times |          one line
 *   keys: | four of 48 B |                          three, of the set with the same number
 *
 * Whether a set has a key, and whether all four are at work, is seen in its first line: most items of a scan or a flood of forged
 * sources are newcomers that find no room, and those cost no more than that line.
 */
#ifndef FLOWLANE_TALLY_PRIVATE_H
#define FLOWLANE_TALLY_PRIVATE_H

#include <stddef.h>

#include "tally.h"

#define TALLY_NONE UINT32_MAX
#define TALLY_WAYS 4

struct tally_set {
	uint64_t hash[TALLY_WAYS]; /* 0: free */
	uint64_t last_ns[TALLY_WAYS];
};
_Static_assert(sizeof(struct tally_set) == 64, "one line");

struct tally_entry {
	uint64_t ts_ns;
	uint32_t key;      /* its place; TALLY_NONE: no longer counts */
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

	struct tally_set *sets;
	struct tally_key *keys; /* four for each set */
	uint64_t resting;       /* a key that is there and rests: under a flood, nearly all that come. 0: none is known */
	uint64_t resting_until_ns;
	bool crowded; /* the last newcomer came to a full set */

	/* tally_log.c */
	struct tally_entry *log;
	uint64_t log_head, log_tail; /* positions: count up, slot is position % options.log */
	uint32_t *element_heads[2];  /* [2 * log] */

	uint8_t *sketches;
	uint32_t *sketches_free;
	uint32_t *sketches_owner; /* place of the key */
	uint32_t sketches_left, sketches_hand;
	size_t sketch_bytes;
};

/* A key's place: number of its set, and which of the four. */
static inline struct tally_key *tally_key_at(const struct tally *tally, uint32_t place)
{
	return &tally->keys[place];
}

/* The four of the set. */
static inline struct tally_key *tally_keys(const struct tally *tally, const struct tally_set *set)
{
	return &tally->keys[(size_t)(set - tally->sets) * TALLY_WAYS];
}

/* What lies in the future is from before time went backwards. */
static inline bool tally_is_old(const struct tally *tally, uint64_t ts_ns, uint64_t now_ns)
{
	return (ts_ns > now_ns) | (now_ns - ts_ns > tally->options.window_ns);
}

/* --- tally_log.c: the entries of all keys, and the chains of their elements. Packet path. -------------------------------------- */

/* Asks for what an addition to this key will touch. */
void tally_log_prefetch(const struct tally *tally, const struct tally_key *key, uint32_t place, const struct tally_item *item);
/* Adds an entry to the key's. The oldest entries leave, which may be this key's own. */
void tally_log_add(struct tally *tally, struct tally_key *key, uint32_t place, const struct tally_item *item, uint64_t now_ns);
/* Takes out the key's oldest entry. */
void tally_log_release(struct tally *tally, struct tally_key *key);
/* Takes out those of the key's entries that the window has left. */
void tally_log_expire(struct tally *tally, struct tally_key *key, uint64_t now_ns);

#endif
