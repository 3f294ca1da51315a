#include "table.h"

#include <errno.h>

#include "arena.h"

#define HEADS_MIN 1024
#define OLD_LOOKS 16 /* entries that are compared by age: good enough, and the same cost for any table */

static size_t heads_bytes(const struct table *table)
{
	return (size_t)(table->max > HEADS_MIN ? table->max : HEADS_MIN) * sizeof(*table->heads);
}

int table_create(uint32_t max, uint32_t entry_bytes, uint32_t key_bytes, bool random_seed, struct table *table)
{
	*table = (struct table){ .base = HEADS_MIN,
		.heads_count = HEADS_MIN,
		.max = max,
		.vacant = TABLE_NONE,
		.entry_bytes = entry_bytes,
		.key_bytes = key_bytes,
		.seed = random_seed ? hash_seed_random().s[0] : HASH_SEED_FIXED.s[0] };
	table->heads = arena_map(heads_bytes(table));
	table->slab = arena_map((size_t)max * entry_bytes);
	if (table->heads && table->slab)
		return 0;
	table_destroy(table);
	return -ENOMEM;
}

void table_destroy(struct table *table)
{
	arena_unmap(table->heads, heads_bytes(table));
	arena_unmap(table->slab, (size_t)table->max * table->entry_bytes);
	*table = (struct table){ 0 };
}

#include "poison.h"

void *table_find(const struct table *table, const void *key, uint32_t hash)
{
	uint32_t at = *table_head(table, hash);

	while (at && at != TABLE_NONE) {
		struct table_entry *entry = table_at(table, at - 1);
		if (entry->hash == hash && !memcmp(table_key(entry), key, table->key_bytes))
			return entry;
		at = entry->next;
	}
	return NULL;
}

/* One head more: it gets the entries of chain heads_count - base that the next bit of the hash sends there. */
static void table_split(struct table *table)
{
	uint32_t *old = &table->heads[table->heads_count - table->base], *new = &table->heads[table->heads_count];
	uint32_t at = *old;

	*old = *new = 0;
	while (at && at != TABLE_NONE) {
		struct table_entry *entry = table_at(table, at - 1);
		uint32_t *chain = entry->hash & table->base ? new : old, next = entry->next;
		entry->next = *chain ? *chain : TABLE_NONE;
		*chain = at;
		at = next;
	}
	if (++table->heads_count == 2 * table->base)
		table->base *= 2;
}

void *table_add(struct table *table, const void *key, uint32_t hash)
{
	uint32_t i;

	if (table->vacant != TABLE_NONE) {
		i = table->vacant;
		memcpy(&table->vacant, table_key(table_at(table, i)), sizeof(table->vacant));
	} else if (table->used < table->max) {
		i = table->used++;
		if (table->used > table->heads_count)
			table_split(table);
	} else {
		return NULL;
	}
	uint32_t *head = table_head(table, hash);
	struct table_entry *entry = table_at(table, i);
	memset(entry, 0, table->entry_bytes);
	entry->hash = hash;
	entry->next = *head ? *head : TABLE_NONE;
	memcpy(table_key(entry), key, table->key_bytes);
	*head = i + 1;
	return entry;
}

void table_remove(struct table *table, void *gone)
{
	struct table_entry *entry = gone;
	uint32_t i = table_index(table, entry), *head = table_head(table, entry->hash);

	if (*head == i + 1) {
		*head = entry->next == TABLE_NONE ? 0 : entry->next;
	} else {
		struct table_entry *before = table_at(table, *head - 1);
		while (before->next != i + 1)
			before = table_at(table, before->next - 1);
		before->next = entry->next;
	}
	entry->next = TABLE_FREE;
	memcpy(table_key(entry), &table->vacant, sizeof(table->vacant));
	table->vacant = i;
}

void *table_old(struct table *table)
{
	struct table_entry *old = NULL;

	for (unsigned i = 0; i < OLD_LOOKS && i < table->used; i++) {
		struct table_entry *entry = table_at(table, table->hand);
		table->hand = table->hand + 1 < table->used ? table->hand + 1 : 0;
		if (entry->next != TABLE_FREE && (!old || entry->seen_ns < old->seen_ns))
			old = entry;
	}
	return old;
}
