/* The estimates: error table for 10 to 1 M elements, printed; merging; the sketch of a window. */
#include <math.h>
#include <stdio.h>

#include "flow_builder.h"
#include "hash.h"
#include "hll.h"
#include "tally_sketch.h"

#define SEEDS 20

static uint64_t element_hash(uint64_t seed, uint32_t element)
{
	return hash_fold(
		hash_fold(element ^ 0x9e3779b97f4a7c15, seed ^ 0xd6e8feb86659fd93) ^ 0xa0761d6478bd642f, 0xe7037ed1a0b428db);
}

static void hll__10_to_1M_elements__within_5_percent(void **state)
{
	static const uint32_t counts[] = { 10, 100, 1000, 5000, 10000, 50000, 100000, 200000, 500000, 1000000 };
	struct hll *hll = malloc(sizeof(*hll));

	(void)state;
	print_message("   distinct   mean error   largest error (of %d seeds)\n", SEEDS);
	for (unsigned i = 0; i < ROWS(counts); i++) {
		double sum = 0, largest = 0;
		for (uint64_t seed = 0; seed < SEEDS; seed++) {
			hll_clear(hll);
			for (uint32_t n = 0; n < counts[i]; n++) {
				hll_add(hll, element_hash(seed * 77, n));
				hll_add(hll, element_hash(seed * 77, n / 2)); /* again */
			}
			double error = fabs(hll_estimate(hll) / counts[i] - 1) * 100;
			sum += error;
			largest = error > largest ? error : largest;
		}
		print_message("%11u   %8.2f %%   %8.2f %%\n", counts[i], sum / SEEDS, largest);
		assert_true(largest <= 5);
	}
	free(hll);
}

static void hll__two_merged__as_if_added_to_one(void **state)
{
	struct hll *parts = calloc(3, sizeof(*parts));

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		hll_clear(&parts[i]);
	for (uint32_t n = 0; n < 30000; n++) {
		hll_add(&parts[n % 3 == 0], element_hash(1, n));
		hll_add(&parts[2], element_hash(1, n));
	}
	hll_merge(&parts[0], &parts[1]);
	assert_memory_equal(&parts[0], &parts[2], sizeof(parts[0]));
	free(parts);
}

/* What a heavy key of a tally has: IPv4 addresses, one after the other, through all panes of the window. */
static void sketch__addresses_over_a_window__within_5_percent_and_gone_after_it(void **state)
{
	static const uint32_t counts[] = { 1000, 10000, 100000, 1000000 };
	struct sketch *sketch = malloc(sketch_bytes(2));
	uint64_t sum[2];
	uint32_t distinct[2];

	(void)state;
	for (unsigned i = 0; i < ROWS(counts); i++) {
		sketch_start(sketch, 2, 100);
		for (uint32_t n = 0; n < counts[i]; n++) {
			sketch_rotate(sketch, 2, 100 + (uint64_t)n * 12 / counts[i]); /* twelve panes: none leaves */
			sketch_add(sketch, 2, (uint32_t[]){ 1, 0 }, (uint32_t[]){ 0x0a000000 + n, n % 65536 });
		}
		sketch_read(sketch, 2, sum, distinct);
		double errors[] = { distinct[0] / (double)counts[i],
			distinct[1] / (double)(counts[i] < 65536 ? counts[i] : 65536) };
		print_message("%11u addresses in a window: %+.2f %%, their %u ports: %+.2f %%\n", counts[i], (errors[0] - 1) * 100,
			counts[i] < 65536 ? counts[i] : 65536, (errors[1] - 1) * 100);
		assert_int_equal(sum[0], counts[i]);
		assert_true(fabs(errors[0] - 1) <= 0.05 && fabs(errors[1] - 1) <= 0.05);
	}
	sketch_rotate(sketch, 2, 112 + SKETCH_PANES);
	sketch_read(sketch, 2, sum, distinct);
	assert_int_equal(sum[0] + distinct[0] + distinct[1], 0);
	free(sketch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hll__10_to_1M_elements__within_5_percent),
		cmocka_unit_test(hll__two_merged__as_if_added_to_one),
		cmocka_unit_test(sketch__addresses_over_a_window__within_5_percent_and_gone_after_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
