/*
 * A bounded hash table of entries of one size: heads of chains, and a slab. Everything is reserved at the start, and backed by memory when
 * it is used. When the slab is full, the caller has one of a few old entries given up. Lane's thread.
 *
 * The heads are as many as the entries (linear hashing: each new entry splits one chain in two), so that few entries have few lines of
 * cache and few pages, and many never wait for a table that grows.
 *
 *   heads    0 1 2 3 4 5 6 7 | 8 9 10      base 8, heads_count 11: the chains 0, 1 and 2 are split, the next one is 3
 */
#ifndef FLOWLANE_NCAP_TABLE_H
#define FLOWLANE_NCAP_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "hash.h"

#define TABLE_NONE UINT32_MAX
#define TABLE_FREE (UINT32_MAX - 1)

/* Each entry begins with this, and then its key. */
struct table_entry {
	uint32_t next; /* TABLE_NONE: the last of the chain; TABLE_FREE: not in use */
	uint32_t hash;
	uint64_t seen_ns;
};

struct table {
	uint32_t *heads; /* entry + 1; 0: none */
	uint8_t *slab;
	uint32_t base;        /* a power of two: heads when the chain that is split next was 0 */
	uint32_t heads_count; /* base <= heads_count < 2 * base */
	uint32_t max;
	uint32_t used;   /* of the slab, from its front */
	uint32_t vacant; /* entry that was given back; TABLE_NONE */
	uint32_t hand;   /* where the search for an old entry goes on */
	uint32_t entry_bytes;
	uint32_t key_bytes; /* a multiple of 8 */
	uint64_t seed;
};

int table_create(uint32_t max, uint32_t entry_bytes, uint32_t key_bytes, bool random_seed, struct table *table); /* 0 or -ENOMEM */
void table_destroy(struct table *table);                                                                         /* accepts zeros */

static inline struct table_entry *table_at(const struct table *table, uint32_t i)
{
	return (struct table_entry *)(table->slab + (size_t)i * table->entry_bytes);
}

static inline uint32_t table_index(const struct table *table, const void *entry)
{
	return (uint32_t)((size_t)((const uint8_t *)entry - table->slab) / table->entry_bytes);
}

static inline uint32_t table_hash(const struct table *table, const void *key)
{
	uint64_t h = table->seed;

	for (uint32_t i = 0; i < table->key_bytes; i += 8) {
		uint64_t word;
		memcpy(&word, (const uint8_t *)key + i, 8);
		h = hash_fold(h ^ word, 0x9e3779b97f4a7c15u);
	}
	return (uint32_t)(h ^ h >> 32);
}

/* Where the chain begins. */
static inline uint32_t *table_head(const struct table *table, uint32_t hash)
{
	uint32_t wide = hash & (2 * table->base - 1), narrow = hash & (table->base - 1);

	return &table->heads[wide < table->heads_count ? wide : narrow];
}

static inline uint8_t *table_key(struct table_entry *entry)
{
	return (uint8_t *)(entry + 1);
}

/* NULL: there is none. */
void *table_find(const struct table *table, const void *key, uint32_t hash);
/* A new entry with this key, the rest zeros; the key is in no other. NULL: the table is full. */
void *table_add(struct table *table, const void *key, uint32_t hash);
void table_remove(struct table *table, void *entry);
/* Of a full table: the entry that was silent longest, among the next few. */
void *table_old(struct table *table);

#endif
