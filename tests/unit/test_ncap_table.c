/* The table of connections and profiles against a plain list of what is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "table.h"

struct entry {
	struct table_entry head;
	uint64_t key;
	uint64_t value;
};

static uint64_t key_of(uint32_t number)
{
	return number * 0x9e3779b97f4a7c15u;
}

static struct entry *find(const struct table *table, uint32_t number)
{
	uint64_t key = key_of(number);

	return table_find(table, &key, table_hash(table, &key));
}

static struct entry *add(struct table *table, uint32_t number)
{
	uint64_t key = key_of(number);
	struct entry *entry = table_add(table, &key, table_hash(table, &key));

	if (entry)
		entry->value = number;
	return entry;
}

/* Everything that is in it is found, and nothing else: at each size, with entries that come and go while the heads become more. */
static void table__entries_come_and_go__as_a_list_has_them(void **state)
{
	static const uint32_t sizes[] = { 1, 16, 1000, 1024, 1025, 1500, 2048, 5000 };
	uint64_t random = 1;

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t max = sizes[i], numbers = 2 * max, there = 0;
		uint8_t *is_there = calloc(numbers, 1);
		struct table table;
		assert_non_null(is_there);
		assert_int_equal(table_create(max, sizeof(struct entry), sizeof(uint64_t), false, &table), 0);
		for (unsigned step = 0; step < 20 * max; step++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			uint32_t number = (uint32_t)(random >> 33) % numbers;
			struct entry *entry = find(&table, number);
			assert_int_equal(entry != NULL, is_there[number]);
			if (entry) {
				assert_int_equal(entry->value, number);
				if (random >> 32 & 1) {
					table_remove(&table, entry);
					is_there[number] = 0;
					there--;
				}
			} else if (there == max) {
				assert_null(add(&table, number));
			} else {
				assert_non_null(add(&table, number));
				is_there[number] = 1;
				there++;
			}
		}
		for (uint32_t number = 0; number < numbers; number++)
			assert_int_equal(find(&table, number) != NULL, is_there[number]);
		table_destroy(&table);
		free(is_there);
	}
}

/* A chain has one entry on average, also right before and behind a doubling. */
static void table__heads__are_as_many_as_entries(void **state)
{
	struct table table;

	(void)state;
	assert_int_equal(table_create(10000, sizeof(struct entry), sizeof(uint64_t), false, &table), 0);
	for (uint32_t number = 0; number < 10000; number++) {
		assert_non_null(add(&table, number));
		assert_true(table.heads_count >= table.used);
		if (number % 500 != 499)
			continue;
		uint64_t looks = 0;
		for (uint32_t k = 0; k <= number; k++) {
			uint64_t key = key_of(k);
			uint32_t at = *table_head(&table, table_hash(&table, &key));
			for (; ((struct entry *)table_at(&table, at - 1))->value != k; at = table_at(&table, at - 1)->next)
				looks++;
		}
		assert_true(looks <= number); /* one more than its own, at most */
	}
	table_destroy(&table);
}

/* Of a full table: one that was silent longer than others, and one that is in use. */
static void table__old__is_in_use(void **state)
{
	struct table table;

	(void)state;
	assert_int_equal(table_create(64, sizeof(struct entry), sizeof(uint64_t), false, &table), 0);
	for (uint32_t number = 0; number < 64; number++)
		add(&table, number)->head.seen_ns = 1000 - number;
	for (unsigned i = 0; i < 4; i++) {
		struct entry *old = table_old(&table);
		assert_non_null(old);
		assert_int_equal(old->value, 16 * i + 15);
	}
	table_remove(&table, find(&table, 15));
	struct entry *old = table_old(&table);
	assert_int_equal(old->value, 14);
	table_destroy(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table__entries_come_and_go__as_a_list_has_them),
		cmocka_unit_test(table__heads__are_as_many_as_entries),
		cmocka_unit_test(table__old__is_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
