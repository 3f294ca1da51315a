/* The one-way outputs of bench_sinks: each live (a lane writes) and from files (spooled, sorted, written at the end). */
#ifndef FLOWLANE_BENCH_WAYS_H
#define FLOWLANE_BENCH_WAYS_H

#include <stdint.h>

/* Runs n records through each format; files go to `directory` and are removed. Prints one JSON line each. Dies on errors. */
void ways_bench(const char *directory, uint64_t n);

#endif
