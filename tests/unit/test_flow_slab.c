/* The flows of a slab: those that were freed come back in the order of a stack, then those that were never used. */
#include "flow_builder.h"
#include "flow_slab.h"

#define STEPS       40000
#define BEFORE_EDGE 50  /* so many flows before the end of a block the steps begin */
#define FLOWS       400 /* more at most */
#define BLOCK       1   /* of the area: where the slab is */

static void slab_check(bool tcp)
{
	const uint32_t per_block = tcp ? FLOW_BLOCK_TCP : FLOW_BLOCK_OTHERS;
	const uint32_t bytes = tcp ? sizeof(struct tcp_flow) : sizeof(struct flow), max = per_block + FLOWS;
	uint8_t *area = aligned_alloc(FLOW_BLOCK_BYTES, (BLOCK + slab_blocks(max, tcp)) * FLOW_BLOCK_BYTES);
	uint32_t *freed = calloc(max, sizeof(*freed)), *taken = calloc(max, sizeof(*taken));
	uint32_t freed_count = 0, taken_count = 0, fresh = 0, random = 1;
	struct slab slab;

	slab_place(&slab, area, BLOCK, max, tcp);
	for (unsigned i = 0; i < STEPS; i++) {
		random = random * 1664525 + 1013904223;
		/* Nearly a block, then some hundred steps mostly one way, then the other: the stack gets deeper than what the slab knows of it. */
		bool take = fresh < per_block - BEFORE_EDGE || random >> 24 < (i / 300 % 2 ? 64 : 192);
		if (take && taken_count < max) {
			uint32_t block = BLOCK + fresh / per_block, within = fresh % per_block;
			uint32_t expected = freed_count
						    ? freed[--freed_count]
						    : (uint32_t)(block * FLOW_BLOCK_BYTES / SLAB_LINE + within * bytes / SLAB_LINE);
			fresh += expected >= slab.fresh;
			uint32_t slot = slab_take(&slab, tcp);
			assert_int_equal(slot, expected);
			memset(area + (size_t)slot * SLAB_LINE, 0xff, bytes);
			taken[taken_count++] = slot;
		} else if (!take && taken_count) {
			uint32_t which = (random >> 8) % taken_count;
			slab_free(&slab, taken[which]);
			freed[freed_count++] = taken[which];
			taken[which] = taken[--taken_count];
		}
	}
	assert_true(fresh > per_block + 3 * SLAB_AHEAD);
	free(freed);
	free(taken);
	free(area);
}

static void slab_of_tcp__taken_and_freed_at_random__as_a_stack(void **state)
{
	(void)state;
	slab_check(true);
}

static void slab_of_others__taken_and_freed_at_random__as_a_stack(void **state)
{
	(void)state;
	slab_check(false);
}

/* Each flow's cold part is its own, and in the same block; written all over, no flow and no other's cold part changes. */
static void cold_parts__of_a_block__then_side_by_side(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FLOW_BLOCK_TCP; i++) {
		struct tcp_flow *tcp = tcp_flow_at(i);
		memset(tcp, (int)i, sizeof(*tcp));
		memset(tcp_cold(tcp), (int)i + 1, sizeof(struct tcp_cold));
	}
	for (unsigned i = 0; i < FLOW_BLOCK_OTHERS; i++) {
		struct flow *flow = other_flow_at(i);
		memset(flow, (int)i + 2, sizeof(*flow));
		memset(other_cold(flow), (int)i + 3, sizeof(struct flow_cold));
	}
	for (unsigned i = 0; i < FLOW_BLOCK_TCP; i++) {
		const struct tcp_flow *tcp = tcp_flow_at(i);
		assert_int_equal(((const uint8_t *)tcp)[0], (uint8_t)i);
		assert_int_equal(((const uint8_t *)(tcp + 1))[-1], (uint8_t)i);
		assert_int_equal(((const uint8_t *)tcp_cold(tcp))[0], (uint8_t)(i + 1));
		assert_int_equal(((const uint8_t *)(tcp_cold(tcp) + 1))[-1], (uint8_t)(i + 1));
	}
	for (unsigned i = 0; i < FLOW_BLOCK_OTHERS; i++) {
		const struct flow *flow = other_flow_at(i);
		assert_int_equal(((const uint8_t *)flow)[0], (uint8_t)(i + 2));
		assert_int_equal(((const uint8_t *)(flow + 1))[-1], (uint8_t)(i + 2));
		assert_int_equal(((const uint8_t *)other_cold(flow))[0], (uint8_t)(i + 3));
		assert_int_equal(((const uint8_t *)(other_cold(flow) + 1))[-1], (uint8_t)(i + 3));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slab_of_tcp__taken_and_freed_at_random__as_a_stack),
		cmocka_unit_test(slab_of_others__taken_and_freed_at_random__as_a_stack),
		cmocka_unit_test(cold_parts__of_a_block__then_side_by_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
