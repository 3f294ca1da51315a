/* What makes a row of connections a beacon, to the connection and the nanosecond. */
#include "beacons.h"
#include "flow_builder.h"

#define SEC ((uint64_t)NS_PER_SEC)

static struct beacons *beacons_make(void)
{
	const struct beacons_options options = {
		.capacity = 64, .connections = 10, .jitter = 10, .span_ns = 600 * SEC, .cooldown_ns = 3600 * SEC
	};
	struct beacons *beacons;

	assert_int_equal(beacons_create(&options, &beacons), 0);
	return beacons;
}

/* The connection at which the first alert comes, of `count`; 0: none. Intervals are long, short, long, ... */
static unsigned first_alert(unsigned count, uint64_t long_ns, uint64_t short_ns)
{
	struct beacons *beacons = beacons_make();
	uint64_t ts_ns = 1000 * SEC;
	unsigned first = 0;

	for (unsigned i = 1; i <= count; i++) {
		if (beacons_add(beacons, 7, (uint16_t)(2000 + i), ts_ns) && !first)
			first = i;
		ts_ns += i % 2 ? long_ns : short_ns;
	}
	beacons_destroy(beacons);
	return first;
}

static void row__at_each_limit__is_one_or_not(void **state)
{
	(void)state;
	/* Ten connections, when those are long enough. */
	assert_int_equal(first_alert(20, 100 * SEC, 100 * SEC), 10);
	assert_int_equal(first_alert(9, 100 * SEC, 100 * SEC), 0);
	/* The span: nine intervals of 600 s together, and of a nanosecond less. */
	assert_int_equal(first_alert(20, 600 * SEC / 9 + 1, 600 * SEC / 9 + 1), 10);
	assert_int_equal(first_alert(20, 600 * SEC / 9, 600 * SEC / 9), 11);
	/* The jitter: at most 10 % away from the mean, on average. */
	assert_true(first_alert(21, 109 * SEC, 91 * SEC) > 0);
	assert_int_equal(first_alert(21, 111 * SEC, 89 * SEC), 0);
	/* The shortest interval. */
	assert_true(first_alert(400, 2 * SEC, 2 * SEC) > 0);
	assert_int_equal(first_alert(400, 2 * SEC - 1, 2 * SEC - 1), 0);
}

static void row__goes_on__one_alert_per_cooldown(void **state)
{
	struct beacons *beacons = beacons_make();
	unsigned alerts = 0;

	(void)state;
	/* Every 60 s: the eleventh is the first after 600 s, the next alert 60 connections later. */
	for (unsigned i = 1; i <= 131; i++) {
		const struct beacon *beacon = beacons_add(beacons, 7, (uint16_t)(2000 + i), (1000 + i * 60) * SEC);
		assert_int_equal(beacon != NULL, i == 11 || i == 71 || i == 131);
		alerts += beacon != NULL;
	}
	assert_int_equal(alerts, 3);
	beacons_destroy(beacons);
}

/* A flow that was silent until it timed out, and goes on from the same port: one connection that is kept alive. */
static void row__from_one_port__is_one_connection(void **state)
{
	struct beacons *beacons = beacons_make();

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		assert_null(beacons_add(beacons, 7, 2000, (1000 + i * 60) * SEC));
	beacons_destroy(beacons);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row__at_each_limit__is_one_or_not),
		cmocka_unit_test(row__goes_on__one_alert_per_cooldown),
		cmocka_unit_test(row__from_one_port__is_one_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
