#include "hll.h"

#include <math.h>
#include <string.h>

#include "poison.h"

void hll_clear(struct hll *hll)
{
	memset(hll, 0, sizeof(*hll));
	hll->with_value[0] = HLL_REGISTERS;
}

void hll_merge(struct hll *into, const struct hll *from)
{
	for (unsigned i = 0; i < HLL_REGISTERS; i++) {
		uint8_t value = from->registers[i];
		if (value <= into->registers[i])
			continue;
		into->with_value[into->registers[i]]--;
		into->with_value[value]++;
		into->registers[i] = value;
	}
}

/* x + sum of x^(2^k) * 2^(k-1): what registers still at 0 say. Ends when the sum no longer changes, after some ten rounds. */
static double hll_sigma(double x)
{
	double y = 1, z = x, before;

	if (x == 1)
		return INFINITY;
	do {
		x *= x;
		before = z;
		z += x * y;
		y += y;
	} while (z != before);
	return z;
}

/* The same for registers that are full. */
static double hll_tau(double x)
{
	double y = 1, z = 1 - x, before;

	if (x == 0 || x == 1)
		return 0;
	do {
		x = sqrt(x);
		before = z;
		y *= 0.5;
		z -= (1 - x) * (1 - x) * y;
	} while (z != before);
	return z / 3;
}

double hll_estimate(const struct hll *hll)
{
	const double m = HLL_REGISTERS, alpha = 0.5 / M_LN2;
	double z = m * hll_tau(1 - hll->with_value[HLL_VALUES - 1] / m);

	for (unsigned k = HLL_VALUES - 2; k >= 1; k--)
		z = 0.5 * (z + hll->with_value[k]);
	z += m * hll_sigma(hll->with_value[0] / m);
	return alpha * m * m / z;
}
