/* The tally against a model that remembers everything and counts anew each time: exact while there is room. */
#include <stdio.h>

#include "flow_builder.h"
#include "hash.h"
#include "tally.h"

#define EVENTS_MAX 20000
#define SECOND     NS_PER_SEC

static uint64_t mixed(uint64_t n)
{
	return hash_fold(n ^ 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93);
}

struct model {
	struct tally_item item[EVENTS_MAX];
	uint64_t ts_ns[EVENTS_MAX];
	unsigned count;
};

static void model_counts(const struct model *model, uint64_t key, uint64_t now_ns, uint64_t window_ns, unsigned elements,
	uint64_t *sum, uint32_t distinct[2])
{
	*sum = 0;
	distinct[0] = distinct[1] = 0;
	for (unsigned i = 0; i < model->count; i++) {
		if (model->item[i].key != key || now_ns - model->ts_ns[i] > window_ns)
			continue;
		*sum += model->item[i].amount[0];
		for (unsigned k = 0; k < elements; k++) {
			unsigned later = i + 1;
			while (later < model->count &&
				(model->item[later].key != key || model->item[later].element[k] != model->item[i].element[k]))
				later++;
			distinct[k] += later == model->count;
		}
	}
}

static void tally__random_items__as_the_model_says(void **state)
{
	struct model *model = calloc(1, sizeof(*model));

	(void)state;
	for (unsigned elements = 0; elements <= 2; elements++) {
		struct tally_options options = { .keys = 256,
			.log = 4096,
			.exact_max = 4096,
			.sketches = 4,
			.elements = elements,
			.window_ns = 5 * SECOND,
			.cooldown_ns = SECOND };
		struct tally *tally;
		uint64_t random = elements + 1, now_ns = 100 * SECOND;
		assert_int_equal(tally_create(&options, &tally), 0);
		model->count = 0;
		for (unsigned i = 0; i < 4000; i++) {
			struct tally_item item = { .key = mixed(1 + random_below(&random, 20)),
				.amount = { 1, 0 },
				.element = { random_below(&random, 12), random_below(&random, 5) } };
			if (!elements)
				item.amount[0] = 1 + random_below(&random, 1000);
			now_ns += random_below(&random, 100000000);
			if (random_below(&random, 300) == 0)
				now_ns += 4 * SECOND;
			const struct tally_key *key = tally_add(tally, &item, now_ns);
			model->item[model->count] = item;
			model->ts_ns[model->count++] = now_ns;
			uint64_t sum;
			uint32_t distinct[2];
			model_counts(model, item.key, now_ns, options.window_ns, elements, &sum, distinct);
			assert_non_null(key);
			assert_int_equal(key->sum[0], sum);
			for (unsigned k = 0; k < elements; k++)
				assert_int_equal(key->distinct[k], distinct[k]);
		}
		assert_int_equal(tally_loss(tally)->keys_evicted, 0);
		assert_int_equal(tally_loss(tally)->entries_cut, 0);
		tally_destroy(tally);
	}
	free(model);
}

static void tally__more_keys_than_room__heavy_ones_stay(void **state)
{
	struct tally_options options = { .keys = 64,
		.log = 1024,
		.exact_max = 512,
		.sketches = 4,
		.elements = 1,
		.window_ns = 5 * SECOND,
		.cooldown_ns = SECOND };
	struct tally *tally;
	uint64_t now_ns = SECOND;
	uint32_t last = 0;

	(void)state;
	assert_int_equal(tally_create(&options, &tally), 0);
	for (uint32_t i = 0; i < 100000; i++) {
		struct tally_item heavy = { .key = mixed(7), .amount = { 1, 0 }, .element = { i % 40, 0 } };
		struct tally_item light = { .key = mixed(1000 + i), .amount = { 1, 0 }, .element = { 1, 0 } };
		now_ns += 5000000;
		tally_add(tally, &light, now_ns);
		if (i % 10)
			continue;
		const struct tally_key *key = tally_add(tally, &heavy, now_ns);
		last = key ? key->distinct[0] : 0;
	}
	/* An entry every 50 ms, five seconds, every 10 numbers of 40: four elements. */
	assert_int_equal(last, 4);
	assert_true(tally_loss(tally)->keys_evicted > 10000);
	tally_destroy(tally);
}

static void tally__many_heavy_keys_one_after_the_other__each_finds_a_sketch(void **state)
{
	struct tally_options options = {
		.keys = 256, .log = 1024, .exact_max = 64, .sketches = 2, .elements = 1, .window_ns = SECOND, .cooldown_ns = SECOND
	};
	struct tally *tally;
	uint64_t now_ns = SECOND;

	(void)state;
	assert_int_equal(tally_create(&options, &tally), 0);
	for (unsigned heavy = 0; heavy < 20; heavy++, now_ns += 3 * SECOND) {
		const struct tally_key *key = NULL;
		for (uint32_t i = 0; i < 1000; i++) {
			struct tally_item item = { .key = mixed(heavy + 1), .amount = { 1, 0 }, .element = { i, 0 } };
			key = tally_add(tally, &item, now_ns += 100000);
		}
		assert_int_equal(key->sum[0], 1000);
		assert_in_range(key->distinct[0], 950, 1050);
	}
	assert_int_equal(tally_loss(tally)->sketches_missed, 0);
	tally_destroy(tally);
}

static void tally__time_goes_backwards__begins_anew(void **state)
{
	struct tally_options options = {
		.keys = 64, .log = 256, .exact_max = 64, .sketches = 2, .elements = 1, .window_ns = SECOND, .cooldown_ns = SECOND
	};
	struct tally_item item = { .key = 5, .amount = { 1, 0 }, .element = { 1, 0 } };
	struct tally *tally;

	(void)state;
	assert_int_equal(tally_create(&options, &tally), 0);
	for (unsigned i = 0; i < 30; i++)
		tally_add(tally, &item, 100 * SECOND);
	tally_rest(tally, tally_add(tally, &item, 100 * SECOND), 100 * SECOND);
	assert_null(tally_add(tally, &item, 100 * SECOND));
	tally_forget(tally);
	const struct tally_key *key = tally_add(tally, &item, 10 * SECOND);
	assert_non_null(key);
	assert_int_equal(key->sum[0], 1);
	tally_destroy(tally);
}

/* One set, of which all four keys rest: a newcomer takes the place of the first. That is then a newcomer itself, and does not rest. */
static void tally__resting_key_gives_way__rests_no_more(void **state)
{
	struct tally_options options = { .keys = 4,
		.log = 64,
		.exact_max = 64,
		.sketches = 2,
		.elements = 1,
		.window_ns = 5 * SECOND,
		.cooldown_ns = 50 * SECOND };
	struct tally_item item = { .amount = { 1, 0 }, .element = { 1, 0 } };
	uint64_t now_ns = 100 * SECOND, evicted;
	const struct tally_key *key = NULL;
	struct tally *tally;

	(void)state;
	assert_int_equal(tally_create(&options, &tally), 0);
	for (unsigned i = 0; i < 4; i++, now_ns++) {
		item.key = mixed(i);
		tally_rest(tally, tally_add(tally, &item, now_ns), now_ns);
	}
	item.key = mixed(0);
	assert_null(tally_add(tally, &item, now_ns));
	assert_int_equal(tally_loss(tally)->keys_evicted, 0);
	for (unsigned i = 4; i < 200 && !key; i++) {
		item.key = mixed(i);
		key = tally_add(tally, &item, now_ns);
	}
	assert_non_null(key);
	evicted = tally_loss(tally)->keys_evicted;
	item.key = mixed(0);
	key = tally_add(tally, &item, now_ns);
	assert_true(key || tally_loss(tally)->keys_evicted == evicted + 1);
	tally_destroy(tally);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tally__random_items__as_the_model_says),
		cmocka_unit_test(tally__more_keys_than_room__heavy_ones_stay),
		cmocka_unit_test(tally__many_heavy_keys_one_after_the_other__each_finds_a_sketch),
		cmocka_unit_test(tally__time_goes_backwards__begins_anew),
		cmocka_unit_test(tally__resting_key_gives_way__rests_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
