/*
 * HyperLogLog: how many different elements were added, from 8 KiB, whatever their number. Standard error 1.15 %.
 *
 * The estimator is the improved one of O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), section
 * 4.5: one formula for small and large numbers, without tables of corrections. It needs only how many registers have which
 * value, and that is kept up to date by each insertion: so an estimate costs the same for any number of registers.
 * No thread of its own; time and randomness are the caller's (the hash).
 */
#ifndef FLOWLANE_HLL_H
#define FLOWLANE_HLL_H

#include <stdbool.h>
#include <stdint.h>

#define HLL_BITS      13 /* 1.04 / sqrt(2^13) = 1.15 %: 5 % is more than four standard errors */
#define HLL_REGISTERS (1u << HLL_BITS)
#define HLL_VALUES    (64 - HLL_BITS + 2) /* a register holds 0 .. 64 - HLL_BITS + 1 */

struct hll {
	uint32_t with_value[HLL_VALUES]; /* registers that have it */
	uint8_t registers[HLL_REGISTERS];
};

void hll_clear(struct hll *hll);
void hll_merge(struct hll *into, const struct hll *from);
double hll_estimate(const struct hll *hll);

/* hash: 64 well-mixed bits. True: a register grew, so the estimate has changed. */
static inline bool hll_add(struct hll *hll, uint64_t hash)
{
	uint8_t *at = &hll->registers[hash >> (64 - HLL_BITS)];
	/* The lowest bit set below the index; the bit above them stops the search. */
	uint8_t value = (uint8_t)(__builtin_ctzll(hash | 1ull << (64 - HLL_BITS)) + 1);

	if (value <= *at)
		return false;
	hll->with_value[*at]--;
	hll->with_value[value]++;
	*at = value;
	return true;
}

#endif
