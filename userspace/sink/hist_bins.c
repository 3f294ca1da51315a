#include "hist_bins.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_FIRST 1024

void hist_bins_init(struct hist_bins *bins, unsigned b)
{
	memset(bins, 0, sizeof(*bins));
	bins->b = b;
}

void hist_bins_free(struct hist_bins *bins)
{
	free(bins->bins);
	hist_bins_init(bins, bins->b);
}

/* Linear probing; the place of the bin, or the free one where it belongs. */
static struct hist_bin *bins_find(struct hist_bin *table, uint32_t size, uint64_t low)
{
	uint64_t at = (low * 0x9e3779b97f4a7c15u >> 32) & (size - 1);

	while (table[at].flows && table[at].low != low)
		at = (at + 1) & (size - 1);
	return &table[at];
}

static bool bins_grow(struct hist_bins *bins)
{
	uint32_t size = bins->size ? bins->size * 2 : SIZE_FIRST;
	struct hist_bin *table = calloc(size, sizeof(*table));

	if (!table)
		return false;
	for (uint32_t i = 0; i < bins->size; i++) {
		if (bins->bins[i].flows)
			*bins_find(table, size, bins->bins[i].low) = bins->bins[i];
	}
	free(bins->bins);
	bins->bins = table;
	bins->size = size;
	return true;
}

/* NULL: there is no room for one more. */
static struct hist_bin *bins_get(struct hist_bins *bins, uint64_t low)
{
	struct hist_bin *bin = bins->size ? bins_find(bins->bins, bins->size, low) : NULL;

	if (bin && bin->flows)
		return bin;
	if (bins->count == HIST_BINS_MAX)
		return NULL;
	if (bins->count >= bins->size / 2) {
		if (!bins_grow(bins))
			return NULL;
		bin = bins_find(bins->bins, bins->size, low);
	}
	bin->low = low;
	bins->count++;
	return bin;
}

void hist_bins_add(struct hist_bins *bins, uint64_t value, const struct hist_flow *flow)
{
	struct hist_bin *bin = bins_get(bins, value & ~(hist_width(value, bins->b) - 1));

	if (!bin) {
		bins->lost++;
		return;
	}
	bin->flows++;
	bin->packets += flow->packets;
	bin->octets += flow->octets;
	bin->duration_ms += flow->duration_ms;
	bin->aggs += flow->aggs;
	bin->rate += flow->rate;
}

static int compare_low(const void *x, const void *y)
{
	uint64_t x_low = (*(struct hist_bin *const *)x)->low, y_low = (*(struct hist_bin *const *)y)->low;

	return (x_low > y_low) - (x_low < y_low);
}

struct hist_bin **hist_bins_sorted(const struct hist_bins *bins)
{
	struct hist_bin **sorted = malloc((bins->count + 1) * sizeof(struct hist_bin *));
	uint32_t n = 0;

	if (!sorted)
		return NULL;
	for (uint32_t i = 0; i < bins->size; i++) {
		if (bins->bins[i].flows)
			sorted[n++] = &bins->bins[i];
	}
	qsort(sorted, n, sizeof(struct hist_bin *), compare_low);
	return sorted;
}

void hist_bins_merge(struct hist_bins *bins, const struct hist_bins *from)
{
	bins->lost += from->lost;
	for (uint32_t i = 0; i < from->size; i++) {
		const struct hist_bin *add = &from->bins[i];
		if (!add->flows)
			continue;
		struct hist_bin *bin = bins_get(bins, add->low);
		if (!bin) {
			bins->lost += add->flows;
			continue;
		}
		bin->flows += add->flows;
		bin->packets += add->packets;
		bin->octets += add->octets;
		bin->duration_ms += add->duration_ms;
		bin->aggs += add->aggs;
		bin->rate += add->rate;
	}
}
