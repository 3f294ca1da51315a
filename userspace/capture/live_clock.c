#include "live_clock.h"

#include "clock.h"

/* Some, as in a virtual machine most of them are interrupted. They take microseconds in all. */
#define READINGS 64

/* The reading with the least time around it: between others the thread was interrupted. */
static int64_t live_clock_measure(void)
{
	uint64_t best_ns = UINT64_MAX;
	int64_t offset_ns = 0;

	for (unsigned i = 0; i < READINGS; i++) {
		uint64_t before_ns = clock_monotonic_ns();
		uint64_t unix_ns = clock_realtime_ns();
		uint64_t took_ns = clock_monotonic_ns() - before_ns;
		if (took_ns >= best_ns)
			continue;
		best_ns = took_ns;
		offset_ns = (int64_t)(unix_ns - (before_ns + took_ns / 2));
	}
	return offset_ns;
}

int64_t live_clock_follow(int64_t offset_ns, int64_t measured_ns)
{
	int64_t lowest_ns = offset_ns - LIVE_CLOCK_BACK_NS;

	return measured_ns > lowest_ns ? measured_ns : lowest_ns;
}

void live_clock_start(struct live_clock *clock)
{
	clock->offset_ns = live_clock_measure();
}

int64_t live_clock_refresh(struct live_clock *clock)
{
	int64_t measured_ns = live_clock_measure();
	int64_t offset_ns = live_clock_follow(clock->offset_ns, measured_ns);

	__atomic_store_n(&clock->offset_ns, offset_ns, __ATOMIC_RELAXED);
	return offset_ns - measured_ns;
}
