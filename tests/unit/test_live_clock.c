/* From CLOCK_MONOTONIC to UNIX time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "live_clock.h"

#define S          ((int64_t)1000000000)
#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

static void offset__when_the_system_clock_moves__then_forward_at_once_and_back_slowly(void **context)
{
	(void)context;
	static const struct {
		const char *name;
		int64_t offset_ns, measured_ns, followed_ns;
	} rows[] = {
		{ "same", 100 * S, 100 * S, 100 * S },
		{ "a little forward", 100 * S, 100 * S + 1, 100 * S + 1 },
		{ "an hour forward", 100 * S, 3700 * S, 3700 * S },
		{ "a little back", 100 * S, 100 * S - 1, 100 * S - 1 },
		{ "back as far as it may", 100 * S, 100 * S - LIVE_CLOCK_BACK_NS, 100 * S - LIVE_CLOCK_BACK_NS },
		{ "farther back", 100 * S, 100 * S - LIVE_CLOCK_BACK_NS - 1, 100 * S - LIVE_CLOCK_BACK_NS },
		{ "an hour back", 7200 * S, 3600 * S, 7200 * S - LIVE_CLOCK_BACK_NS },
		{ "before 1970", -S, -2 * S, -S - LIVE_CLOCK_BACK_NS },
	};

	for (unsigned i = 0; i < ROWS(rows); i++)
		assert_int_equal(live_clock_follow(rows[i].offset_ns, rows[i].measured_ns), rows[i].followed_ns);
}

static void clock__when_started__then_monotonic_plus_offset_is_unix_time(void **context)
{
	(void)context;
	struct live_clock clock;

	live_clock_start(&clock);
	uint64_t before_ns = clock_realtime_ns();
	uint64_t ns = clock_monotonic_ns() + live_clock_offset(&clock);
	/* A tenth of a second: the machine may be busy, and an error would be of years. */
	assert_in_range(ns, before_ns - S / 10, clock_realtime_ns() + S / 10);
}

static void clock__when_far_ahead__then_it_says_how_far(void **context)
{
	(void)context;
	struct live_clock clock;

	live_clock_start(&clock);
	clock.offset_ns += 3600 * S;
	int64_t ahead_ns = clock.offset_ns;
	assert_in_range(live_clock_refresh(&clock), 3599 * S, 3601 * S);
	assert_int_equal(clock.offset_ns, ahead_ns - LIVE_CLOCK_BACK_NS);

	clock.offset_ns -= 7200 * S;
	assert_int_equal(live_clock_refresh(&clock), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offset__when_the_system_clock_moves__then_forward_at_once_and_back_slowly),
		cmocka_unit_test(clock__when_started__then_monotonic_plus_offset_is_unix_time),
		cmocka_unit_test(clock__when_far_ahead__then_it_says_how_far),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
