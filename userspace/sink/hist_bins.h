/*
 * One csv_hist histogram: sums per bin of a value. Bins are 1 wide below 2^b, 2 wide below 2^(b+1), and so on.
 * One owner; grows by doubling, so adding may allocate (once per doubling).
 */
#ifndef FLOWLANE_HIST_BINS_H
#define FLOWLANE_HIST_BINS_H

#include <stddef.h>
#include <stdint.h>

typedef unsigned __int128 hist_sum;

/* A one-way record as histograms see it. */
struct hist_flow {
	uint64_t packets;
	uint64_t octets;
	uint64_t duration_ms; /* 0 for one packet */
	uint64_t aggs;
	double rate; /* bit/s; 0 if the duration is */
};

struct hist_bin {
	uint64_t low;
	uint64_t flows; /* 0: free place in the table */
	hist_sum packets;
	hist_sum octets;
	hist_sum duration_ms;
	hist_sum aggs;
	double rate;
};

#define HIST_BINS_MAX (1u << 22) /* 480 MB: so many different values only come with b = 0 */

struct hist_bins {
	unsigned b; /* 0: width 1 everywhere */
	uint32_t count;
	uint32_t size; /* places, a power of two; 0: none yet */
	struct hist_bin *bins;
	uint64_t lost; /* flows that found no bin: HIST_BINS_MAX, or no memory */
};

/* The width of the bin of a value: 1 while it has at most b bits, then doubling with each bit. */
static inline uint64_t hist_width(uint64_t value, unsigned b)
{
	unsigned bits = value ? 64 - (unsigned)__builtin_clzll(value) : 0;

	return b && bits > b ? (uint64_t)1 << (bits - b) : 1;
}

void hist_bins_init(struct hist_bins *bins, unsigned b);
void hist_bins_free(struct hist_bins *bins);
void hist_bins_add(struct hist_bins *bins, uint64_t value, const struct hist_flow *flow);
/* Adds all of `from`. */
void hist_bins_merge(struct hist_bins *bins, const struct hist_bins *from);
/* Malloc'ed pointers to the bins in use, ascending; NULL: no memory. */
struct hist_bin **hist_bins_sorted(const struct hist_bins *bins);

#endif
