/* The timer wheel: each entry comes once, not before its time, at most a tick after it (or early, if it lies beyond the horizon). */
#include "flow_builder.h"
#include "timers.h"

#define TICK_NS    ((uint64_t)1 << TIMER_TICK_SHIFT)
#define HORIZON_NS (TICK_NS * TIMER_SLOTS)
#define START_NS   (1706123400 * NS_PER_SEC + 12345)

/* Takes all that is due; counts what came. */
static unsigned timers_take(struct timers *timers, uint64_t now_ns, uint8_t *came, unsigned entries)
{
	uint32_t slots[TIMER_CHUNK_SLOTS];
	unsigned sum = 0, n;

	while ((n = timers_next(timers, now_ns, slots)) != 0) {
		assert_in_range(n, 1, TIMER_CHUNK_SLOTS);
		sum += n;
		for (unsigned i = 0; i < n; i++) {
			assert_in_range(slots[i], 0, entries - 1);
			came[slots[i]]++;
		}
	}
	return sum;
}

static void due__before_start__then_never(void **context)
{
	(void)context;
	struct timers *timers = timers_create(10);
	uint32_t slots[TIMER_CHUNK_SLOTS];

	assert_non_null(timers);
	assert_int_equal(timers_due_ns(timers), UINT64_MAX);
	assert_int_equal(timers_next(timers, START_NS, slots), 0);
	assert_int_equal(timers_next(timers, UINT64_MAX, slots), 0);
	timers_start(timers, START_NS);
	assert_in_range(timers_due_ns(timers), START_NS - TICK_NS, START_NS + TICK_NS);
	timers_destroy(timers);
	timers_destroy(NULL);
}

static void entry__when_its_time_comes__then_not_early_and_within_a_tick(void **context)
{
	(void)context;
	static const struct {
		const char *name;
		uint64_t after_ns;
	} rows[] = {
		{ "now", 0 },
		{ "1 ns", 1 },
		{ "a tick less 1 ns", TICK_NS - 1 },
		{ "a tick", TICK_NS },
		{ "a tick and 1 ns", TICK_NS + 1 },
		{ "5 s", 5 * NS_PER_SEC },
		{ "60 s", 60 * NS_PER_SEC },
		{ "most of the horizon", HORIZON_NS - 2 * TICK_NS },
	};

	for (unsigned i = 0; i < ROWS(rows); i++) {
		for (unsigned phase = 0; phase < 3; phase++) {
			/* Begin in, at the end, and at the beginning of a tick. */
			uint64_t start_ns = START_NS / TICK_NS * TICK_NS + (uint64_t[]){ 12345, TICK_NS - 1, 0 }[phase];
			uint64_t when_ns = start_ns + rows[i].after_ns, now_ns = start_ns;
			struct timers *timers = timers_create(1);
			uint8_t came = 0;
			timers_start(timers, start_ns);
			timers_insert(timers, 0, when_ns);
			for (; !came && now_ns < when_ns + 3 * TICK_NS; now_ns += TICK_NS / 7) {
				bool due = now_ns >= timers_due_ns(timers);
				timers_take(timers, now_ns, &came, 1);
				assert_true(due || !came);
				if (came && now_ns < when_ns)
					fail_msg("%s, phase %u: %llu ns early", rows[i].name, phase,
						(unsigned long long)(when_ns - now_ns));
			}
			if (!came || now_ns > when_ns + TICK_NS + 2 * (TICK_NS / 7))
				fail_msg("%s, phase %u: late", rows[i].name, phase);
			assert_int_equal(timers_take(timers, now_ns + 2 * HORIZON_NS, &came, 1), 0);
			timers_destroy(timers);
		}
	}
}

static void entry__when_beyond_the_horizon__then_comes_at_its_end(void **context)
{
	(void)context;
	static const uint64_t after_s[] = { 275, 276, 300, 3600, 86400, 1000000000 };

	for (unsigned i = 0; i < ROWS(after_s); i++) {
		struct timers *timers = timers_create(1);
		uint8_t came = 0;
		timers_start(timers, START_NS);
		timers_insert(timers, 0, START_NS + after_s[i] * NS_PER_SEC);
		timers_take(timers, START_NS + HORIZON_NS - 2 * TICK_NS, &came, 1);
		assert_int_equal(came, 0);
		timers_take(timers, START_NS + HORIZON_NS, &came, 1);
		assert_int_equal(came, 1);
		timers_destroy(timers);
	}
}

static void entry__when_in_the_past__then_comes_next(void **context)
{
	(void)context;
	static const uint64_t before_ns[] = { 1, TICK_NS, 10 * NS_PER_SEC, HORIZON_NS, 2 * HORIZON_NS + 5, START_NS };

	for (unsigned i = 0; i < ROWS(before_ns); i++) {
		struct timers *timers = timers_create(1);
		uint8_t came = 0;
		timers_start(timers, START_NS);
		assert_int_equal(timers_take(timers, START_NS + NS_PER_SEC, &came, 1), 0);
		timers_insert(timers, 0, START_NS - before_ns[i]);
		timers_take(timers, START_NS + NS_PER_SEC + TICK_NS, &came, 1);
		assert_int_equal(came, 1);
		timers_destroy(timers);
	}
}

static void time__when_it_goes_backwards__then_nothing_comes_and_nothing_is_lost(void **context)
{
	(void)context;
	struct timers *timers = timers_create(3);
	uint8_t came[3] = { 0 };

	timers_start(timers, START_NS);
	timers_insert(timers, 0, START_NS + 100 * NS_PER_SEC);
	timers_insert(timers, 1, START_NS + 10 * NS_PER_SEC);
	assert_int_equal(timers_take(timers, START_NS + 50 * NS_PER_SEC, came, 3), 1);
	assert_int_equal(timers_take(timers, START_NS + 20 * NS_PER_SEC, came, 3), 0);
	assert_int_equal(timers_take(timers, START_NS - 20 * NS_PER_SEC, came, 3), 0);
	assert_int_equal(timers_take(timers, 0, came, 3), 0);
	/* Due at 30 s, when the wheel stands at 50 s: at its next step. */
	timers_insert(timers, 2, START_NS + 30 * NS_PER_SEC);
	assert_int_equal(timers_take(timers, START_NS + 51 * NS_PER_SEC, came, 3), 1);
	assert_int_equal(came[2], 1);
	assert_int_equal(timers_take(timers, START_NS + 101 * NS_PER_SEC, came, 3), 1);
	assert_int_equal(came[0], 1);
	timers_destroy(timers);
}

static void silence__when_longer_than_the_wheel__then_all_come_once(void **context)
{
	(void)context;
	enum { ENTRIES = 5000 };
	static const uint64_t silence_s[] = { 276, 1000, 86400, 4000000000 };
	uint64_t random = 1;

	for (unsigned i = 0; i < ROWS(silence_s); i++) {
		struct timers *timers = timers_create(ENTRIES);
		uint8_t came[ENTRIES] = { 0 };
		uint64_t now_ns = START_NS + silence_s[i] * NS_PER_SEC;
		timers_start(timers, START_NS);
		for (uint32_t entry = 0; entry < ENTRIES; entry++)
			timers_insert(timers, entry, START_NS + random_u64(&random) % (2 * HORIZON_NS));
		assert_int_equal(timers_take(timers, now_ns, came, ENTRIES), ENTRIES);
		for (uint32_t entry = 0; entry < ENTRIES; entry++)
			assert_int_equal(came[entry], 1);
		/* And the wheel goes on from there. */
		assert_true(timers_due_ns(timers) > now_ns);
		timers_insert(timers, 7, now_ns + NS_PER_SEC);
		assert_int_equal(timers_take(timers, now_ns + NS_PER_SEC - TICK_NS, came, ENTRIES), 0);
		assert_int_equal(timers_take(timers, now_ns + NS_PER_SEC + TICK_NS, came, ENTRIES), 1);
		timers_destroy(timers);
	}
}

static void insert__between_two_calls_of_next__then_comes_at_its_time(void **context)
{
	(void)context;
	enum { ENTRIES = 100 };
	struct timers *timers = timers_create(ENTRIES);
	uint32_t slots[TIMER_CHUNK_SLOTS];
	uint8_t came[ENTRIES] = { 0 };
	uint64_t now_ns = START_NS + 100 * NS_PER_SEC;
	unsigned n, seen = 0;

	timers_start(timers, START_NS);
	for (uint32_t entry = 0; entry < ENTRIES; entry++)
		timers_insert(timers, entry, START_NS + entry * NS_PER_SEC);
	/* All are put back for later, while the wheel still stands far behind. */
	while ((n = timers_next(timers, now_ns, slots)) != 0) {
		seen += n;
		assert_in_range(seen, 1, ENTRIES);
		for (unsigned i = 0; i < n; i++)
			timers_insert(timers, slots[i], now_ns + (1 + slots[i]) * NS_PER_SEC);
	}
	assert_int_equal(seen, ENTRIES);
	for (uint32_t entry = 0; entry < ENTRIES; entry++) {
		assert_int_equal(timers_take(timers, now_ns + (1 + entry) * NS_PER_SEC - 1, came, ENTRIES), 0);
		assert_int_equal(timers_take(timers, now_ns + (1 + entry) * NS_PER_SEC + TICK_NS, came, ENTRIES), 1);
		assert_int_equal(came[entry], 1);
	}
	timers_destroy(timers);
}

/* Each entry is in the wheel at all times; what comes is put back at once. A chunk that is not given back would run out of the
 * area after some thousand. */
static void chunks__after_millions_of_inserts__then_still_enough(void **context)
{
	(void)context;
	enum { ENTRIES = 3000 };
	static uint64_t when_ns[ENTRIES];
	static bool cut_short[ENTRIES]; /* the horizon was nearer than when_ns */
	struct timers *timers = timers_create(ENTRIES);
	uint64_t now_ns = START_NS, random = 3, inserts = 0, steps = 0;
	size_t bytes = timers_bytes(timers);

	/* Bounded: a chunk per slot, and one per 15 entries. */
	assert_in_range(bytes, 1, 64 * 1024 + (TIMER_SLOTS + ENTRIES / TIMER_CHUNK_SLOTS + 4) * 64);
	timers_start(timers, now_ns);
	for (uint32_t entry = 0; entry < ENTRIES; entry++) {
		when_ns[entry] = now_ns + 1 + random_u64(&random) % (HORIZON_NS - 5 * NS_PER_SEC);
		timers_insert(timers, entry, when_ns[entry]);
	}
	while (inserts < 3000000) {
		uint32_t slots[TIMER_CHUNK_SLOTS];
		unsigned n;
		/* Mostly small steps, at times a jump. While the wheel catches up, its horizon is short of what lies ahead: entries then
		 * come again before their time, as those beyond the horizon do. */
		bool jump = random_below(&random, 1000) == 0;
		now_ns += jump ? 2 * HORIZON_NS : random_u64(&random) % (4 * NS_PER_SEC);
		while ((n = timers_next(timers, now_ns, slots)) != 0) {
			for (unsigned i = 0; i < n; i++) {
				uint32_t entry = slots[i];
				assert_in_range(entry, 0, ENTRIES - 1);
				/* Now and then many at the same time. */
				uint64_t wait_ns =
					now_ns >> 36 & 1 ? 7 * NS_PER_SEC : random_u64(&random) % (HORIZON_NS - 5 * NS_PER_SEC);
				if (when_ns[entry] > now_ns && !cut_short[entry])
					fail_msg("entry %u came early or twice", entry);
				if (when_ns[entry] <= now_ns)
					when_ns[entry] = now_ns + 1 + wait_ns;
				cut_short[entry] = jump;
				timers_insert(timers, entry, when_ns[entry]);
				inserts++;
			}
		}
		/* Nothing stays behind. */
		if (++steps % 64 == 0) {
			for (uint32_t entry = 0; entry < ENTRIES; entry++)
				assert_true(when_ns[entry] + TICK_NS >= now_ns);
		}
	}
	assert_int_equal(timers_bytes(timers), bytes);
	timers_destroy(timers);
}

/* The most chunks that `entries` can take: in each slot one more than fills whole chunks. */
static void chunks__when_every_slot_has_a_partly_filled_one__then_still_enough(void **context)
{
	(void)context;
	enum { ENTRIES = TIMER_SLOTS * (TIMER_CHUNK_SLOTS + 1) };
	struct timers *timers = timers_create(ENTRIES);
	uint8_t *came = calloc(ENTRIES, 1);

	for (unsigned turn = 0; turn < 3; turn++) {
		uint64_t start_ns = START_NS + turn * 3 * HORIZON_NS;
		memset(came, 0, ENTRIES);
		if (turn == 0)
			timers_start(timers, start_ns);
		else
			timers_take(timers, start_ns, came, ENTRIES);
		for (uint32_t entry = 0; entry < ENTRIES; entry++)
			timers_insert(timers, entry, start_ns + entry % TIMER_SLOTS * TICK_NS);
		assert_int_equal(timers_take(timers, start_ns + HORIZON_NS + TICK_NS, came, ENTRIES), ENTRIES);
		for (uint32_t entry = 0; entry < ENTRIES; entry++)
			assert_int_equal(came[entry], 1);
	}
	free(came);
	timers_destroy(timers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(due__before_start__then_never),
		cmocka_unit_test(entry__when_its_time_comes__then_not_early_and_within_a_tick),
		cmocka_unit_test(entry__when_beyond_the_horizon__then_comes_at_its_end),
		cmocka_unit_test(entry__when_in_the_past__then_comes_next),
		cmocka_unit_test(time__when_it_goes_backwards__then_nothing_comes_and_nothing_is_lost),
		cmocka_unit_test(silence__when_longer_than_the_wheel__then_all_come_once),
		cmocka_unit_test(insert__between_two_calls_of_next__then_comes_at_its_time),
		cmocka_unit_test(chunks__after_millions_of_inserts__then_still_enough),
		cmocka_unit_test(chunks__when_every_slot_has_a_partly_filled_one__then_still_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
