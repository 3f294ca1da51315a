/* Pointers to packets in 15 bytes: what comes out is what went in, whatever it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index_shapes.h"

#define ITEMS 20000

static uint64_t state = 88172645463325252u;

static uint64_t number(void) /* xorshift64: the same numbers each time */
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Half of them as they are usual. */
static struct index_item item_any(void)
{
	struct index_item item;
	uint64_t words[4] = { number(), number(), number(), number() };

	memcpy(&item, words, sizeof(item));
	if (number() % 2) {
		item.length &= 1023;
		item.network_count &= 1023;
		item.network = 14;
		item.transport = 34;
		item.payload &= 63;
	}
	if (number() % 3)
		item.offset_high = item.time_high = 0;
	return item;
}

static void items__when_any__then_come_out_as_they_were(void **context)
{
	(void)context;
	struct index_item *items = malloc(ITEMS * sizeof(*items));
	struct small_item *small = malloc(ITEMS * sizeof(*small));
	struct shapes shapes;

	assert_true(shapes_create(&shapes, 1 << 15));
	for (unsigned i = 0; i < ITEMS; i++) {
		items[i] = i % 3 && i > 100 ? items[number() % 100] : item_any();
		assert_true(item_pack(&shapes, &items[i], &small[i]));
	}
	assert_true(shapes.count < ITEMS / 2); /* one for all that are the same */
	for (unsigned i = 0; i < ITEMS; i++) {
		struct index_item item;
		item_unpack(&shapes, &small[i], &item);
		assert_memory_equal(&item, &items[i], sizeof(item));
	}
	shapes_destroy(&shapes);
	free(items);
	free(small);
}

/* One field is another, by one bit, anywhere: then so is what comes out. */
static void items__when_one_bit_is_another__then_not_taken_for_the_same(void **context)
{
	(void)context;
	struct shapes shapes;

	assert_true(shapes_create(&shapes, 1 << 10));
	for (unsigned bit = 0; bit < 8 * sizeof(struct index_item); bit++) {
		struct index_item item = { .number = 7, .length = 60, .network = 14 }, out;
		struct small_item small;
		((uint8_t *)&item)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(item_pack(&shapes, &item, &small));
		item_unpack(&shapes, &small, &out);
		assert_memory_equal(&out, &item, sizeof(item));
	}
	shapes_destroy(&shapes);
}

static void shapes__when_too_many__then_refused_until_cleared(void **context)
{
	(void)context;
	enum { MAX = 1024 };
	struct shapes shapes;
	struct small_item small;
	struct index_item item = { .network = 14 };

	assert_true(shapes_create(&shapes, MAX));
	for (unsigned turn = 0; turn < 3; turn++) {
		for (item.length = 0; item.length < MAX; item.length++)
			assert_true(item_pack(&shapes, &item, &small));
		assert_false(item_pack(&shapes, &item, &small));
		item.length = 5; /* is there */
		assert_true(item_pack(&shapes, &item, &small));
		shapes_clear(&shapes);
		assert_int_equal(shapes.count, 0);
	}
	assert_true(item_pack(&shapes, &item, &small));
	shapes_clear(&shapes);
	assert_int_equal(shapes.count, 1); /* few stay, for they come again */
	shapes_destroy(&shapes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items__when_any__then_come_out_as_they_were),
		cmocka_unit_test(items__when_one_bit_is_another__then_not_taken_for_the_same),
		cmocka_unit_test(shapes__when_too_many__then_refused_until_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
