/* The entries of a slab: those that were freed come back in the order of a stack, then those that were never used. */
#include "flow_builder.h"
#include "flow_slab.h"

#define ENTRIES     100
#define ENTRY_BYTES 128
#define STEPS       20000

static void slab__taken_and_freed_at_random__as_a_stack(void **state)
{
	uint8_t *area = aligned_alloc(SLAB_LINE, (ENTRIES + 1) * ENTRY_BYTES);
	uint32_t freed[ENTRIES], taken[ENTRIES], freed_count = 0, taken_count = 0, fresh = 0, random = 1;
	struct slab slab;

	(void)state;
	slab_place(&slab, area, ENTRY_BYTES, ENTRIES, ENTRY_BYTES);
	for (unsigned i = 0; i < STEPS; i++) {
		random = random * 1664525 + 1013904223;
		/* Some hundred steps mostly one way, then the other: the stack gets deeper than what the slab knows of it. */
		bool take = random >> 24 < (i / 300 % 2 ? 64 : 192);
		if (take && taken_count < ENTRIES) {
			uint32_t expected = freed_count ? freed[--freed_count] : (ENTRY_BYTES + fresh++ * ENTRY_BYTES) / SLAB_LINE;
			uint32_t slot = slab_take(&slab, ENTRY_BYTES);
			assert_int_equal(slot, expected);
			memset(area + (size_t)slot * SLAB_LINE, 0xff, ENTRY_BYTES);
			taken[taken_count++] = slot;
		} else if (!take && taken_count) {
			uint32_t which = (random >> 8) % taken_count;
			slab_free(&slab, taken[which]);
			freed[freed_count++] = taken[which];
			taken[which] = taken[--taken_count];
		}
	}
	assert_true(fresh > 3 * SLAB_AHEAD);
	free(area);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slab__taken_and_freed_at_random__as_a_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
