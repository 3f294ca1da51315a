/*
 * Counters with one writer and any number of readers: plain adds for the writer (relaxed load + store compile to one
 * `add` on memory), relaxed loads for the readers. No locked instruction on the packet path.
 */
#ifndef FLOWLANE_COUNTERS_H
#define FLOWLANE_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

static inline void counter_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static inline void counter_set(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static inline uint64_t counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
