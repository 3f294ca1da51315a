/* When busy polling is taken back: the NIC gets packets, and nobody fetches them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "busy_poll.h"

#define LOOKS      6
#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

static void busy_poll__when_counters_move_and_no_packet_is_fetched__then_it_stalls(void **context)
{
	(void)context;
	static const struct {
		const char *name;
		int stalls_at; /* look, from 0; -1: never */
		struct {
			uint64_t packets, missed, seen;
		} look[LOOKS];
	} rows[] = {
		{ "silence", -1, { { 0 } } },
		{ "all is fetched", -1,
			{ { 10, 0, 10 }, { 500, 0, 500 }, { 900, 0, 900 }, { 900, 0, 900 }, { 900, 0, 900 }, { 950, 0, 950 } } },
		{ "nothing is fetched", 1, { { 8, 0, 0 }, { 17, 0, 0 } } },
		{ "as many as may come between two readings", -1,
			{ { 8, 0, 0 }, { 16, 0, 0 }, { 24, 0, 0 }, { 32, 0, 0 }, { 40, 0, 0 }, { 48, 0, 0 } } },
		{ "stops after a while", 2, { { 500, 0, 500 }, { 900, 0, 900 }, { 909, 0, 900 } } },
		{ "counted when the traffic is over", -1,
			{ { 0, 0, 500 }, { 0, 0, 900 }, { 900, 0, 900 }, { 900, 0, 900 }, { 900, 0, 900 }, { 900, 0, 900 } } },
		{ "the program saw others, of a tunnel say", -1,
			{ { 0, 0, 500 }, { 0, 0, 900 }, { 0, 0, 1900 }, { 0, 0, 1900 }, { 0, 0, 2900 }, { 0, 0, 2900 } } },
		{ "counted when fetched: only missed moves", 3,
			{ { 500, 0, 500 }, { 500, 0, 500 }, { 500, 90, 500 }, { 500, 180, 500 } } },
		{ "the same, counters of every other second", 4,
			{ { 500, 0, 500 }, { 500, 0, 500 }, { 500, 90, 500 }, { 500, 90, 500 }, { 500, 180, 500 } } },
		{ "missed, and fetched as well: overload", -1,
			{ { 500, 10, 500 }, { 600, 20, 600 }, { 700, 30, 700 }, { 800, 40, 800 }, { 900, 50, 900 },
				{ 950, 60, 950 } } },
		{ "missed is told once when the traffic is over", -1,
			{ { 500, 10, 500 }, { 600, 20, 600 }, { 600, 30, 600 }, { 600, 30, 600 }, { 600, 30, 600 },
				{ 600, 30, 600 } } },
	};

	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct busy_poll_watch watch = { 0 };
		int looks = rows[i].stalls_at < 0 ? LOOKS : rows[i].stalls_at + 1;
		for (int look = 0; look < looks; look++) {
			bool stalls = busy_poll_stalls(
				&watch, rows[i].look[look].packets, rows[i].look[look].missed, rows[i].look[look].seen);
			if (stalls != (look == rows[i].stalls_at))
				fail_msg("%s: look %d: stalls: %d", rows[i].name, look, stalls);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(busy_poll__when_counters_move_and_no_packet_is_fetched__then_it_stalls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
