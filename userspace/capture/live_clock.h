/*
 * From the clocks that stamp frames to UNIX time. The XDP program stamps with CLOCK_MONOTONIC, as it cannot ask for the other; the
 * difference changes when somebody, NTP say, sets the system's clock. One writer (control, once a second), any readers.
 */
#ifndef FLOWLANE_LIVE_CLOCK_H
#define FLOWLANE_LIVE_CLOCK_H

#include <stdint.h>

struct live_clock {
	int64_t offset_ns; /* UNIX - MONOTONIC; relaxed atomics */
};

/* Back by half a millisecond in a second at most, as adjtime(3) does. */
#define LIVE_CLOCK_BACK_NS 500000
/* Farther back than this: somebody has set the clock, and it is said. */
#define LIVE_CLOCK_STEP_NS ((int64_t)1000000000)

/*
 * The offset to use when `measured_ns` was measured and `offset_ns` is in use. Forward at once: flows time out as they should. Back only
 * slowly: time stamps must not run backwards, or what is newest would time out first.
 */
int64_t live_clock_follow(int64_t offset_ns, int64_t measured_ns);

void live_clock_start(struct live_clock *clock);
/* Follows the system's clock. How far (ns) the system's clock is behind the offset in use: more than LIVE_CLOCK_STEP_NS is worth a
 * word. */
int64_t live_clock_refresh(struct live_clock *clock);

static inline uint64_t live_clock_offset(const struct live_clock *clock)
{
	return (uint64_t)__atomic_load_n(&clock->offset_ns, __ATOMIC_RELAXED);
}

#endif
