#include "sink_helper.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "export.h"
#include "flowlane/top_flows.h"
#include "spool.h"
#include "spool_sort.h"

extern const struct sink_ops sink_top_flows;

#define MANY 4000

static struct flow_record *records_make(unsigned n, uint64_t seed)
{
	struct flow_record *records = calloc(n, sizeof(*records));

	assert_non_null(records);
	for (unsigned i = 0; i < n; i++)
		records[i] = record_random(&seed);
	return records;
}

static enum spool_order reference_order;

static int reference_compare(const void *x, const void *y)
{
	return spool_compare(reference_order, x, y);
}

/* What the spool must give: the standard library's sort by the full comparison. free() it. */
static struct flow_record *records_sorted(const struct flow_record *records, unsigned n, enum spool_order order)
{
	struct flow_record *sorted = malloc(n * sizeof(*sorted));

	memcpy(sorted, records, n * sizeof(*sorted));
	reference_order = order;
	qsort(sorted, n, sizeof(*sorted), reference_compare);
	return sorted;
}

static void spool_sort__when_ties_on_every_level__then_as_the_full_comparison(void **state)
{
	static const unsigned sizes[] = { 1, 2, 24, 25, 300, 20000 };

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (enum spool_order order = SPOOL_BY_BYTES; order <= SPOOL_BY_END; order++) {
			struct flow_record *records = records_make(sizes[i], 11 + i),
					   *expected = records_sorted(records, sizes[i], order);
			uint32_t *sorted = malloc(sizes[i] * sizeof(*sorted));
			assert_int_equal(spool_sort(order, records, sizes[i], sorted), 0);
			for (unsigned j = 0; j < sizes[i]; j++)
				assert_memory_equal(&records[sorted[j]], &expected[j], sizeof(expected[j]));
			free(sorted);
			free(expected);
			free(records);
		}
	}
}

static void spool_compare__when_one_member_differs__then_it_decides_in_its_place(void **state)
{
	struct flow_record x = record_sample(), y = x;

	(void)state;
	assert_int_equal(spool_compare(SPOOL_BY_BYTES, &x, &y), 0);
	y.retransmissions++;
	assert_true(spool_compare(SPOOL_BY_BYTES, &x, &y) < 0);
	x.last_ns++;
	assert_true(spool_compare(SPOOL_BY_BYTES, &x, &y) > 0);
	y.first_ns++;
	assert_true(spool_compare(SPOOL_BY_BYTES, &x, &y) < 0);
	x.key.b_port++;
	assert_true(spool_compare(SPOOL_BY_BYTES, &x, &y) > 0);
	x.bytes[0]++; /* descending */
	assert_true(spool_compare(SPOOL_BY_BYTES, &x, &y) < 0);
	assert_true(spool_compare(SPOOL_BY_END, &x, &y) > 0);
	y.end_ns++;
	assert_true(spool_compare(SPOOL_BY_END, &x, &y) < 0);
}

/* A buffer of `capacity` records: with a small one most of the records go through runs in files. */
static void check_spool(unsigned lanes, unsigned capacity, unsigned n, const char *near)
{
	struct flow_record *records = records_make(n, 5), *expected = records_sorted(records, n, SPOOL_BY_BYTES);
	struct spool_lane *attached[4];
	struct spool *spool;

	assert_int_equal(spool_open("test", near, SPOOL_BY_BYTES, capacity * sizeof(struct flow_record), &spool), 0);
	for (unsigned i = 0; i < lanes; i++)
		assert_int_equal(spool_attach(spool, i, &attached[i]), 0);
	for (unsigned i = 0; i < n; i++)
		spool_add(attached[i % lanes], &records[i]);
	spool_finish(spool);
	assert_int_equal(spool_count(spool), n);
	assert_int_equal(spool_lost(spool), 0);
	struct spool_cursor *one = spool_cursor_open(spool), *other = spool_cursor_open(spool);
	for (unsigned i = 0; i < n; i++) {
		assert_memory_equal(spool_cursor_next(one), &expected[i], sizeof(*expected));
		if (i % 2)
			assert_memory_equal(spool_cursor_next(other), &expected[i / 2], sizeof(*expected));
	}
	assert_null(spool_cursor_next(one));
	assert_null(spool_cursor_next(one));
	spool_cursor_close(one);
	spool_cursor_close(other);
	spool_close(spool);
	free(expected);
	free(records);
}

static void spool__when_lanes_and_runs_vary__then_the_order_does_not(void **state)
{
	static const struct {
		unsigned lanes, capacity, records;
	} cases[] = {
		{ 1, MANY, MANY },
		{ 1, MANY - 1, MANY },
		{ 1, 100, MANY },
		{ 1, 1, 50 },
		{ 3, 100, MANY },
		{ 4, MANY, MANY },
		{ 2, 10, 0 },
		{ 4, 10, 3 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_spool(cases[i].lanes, cases[i].capacity, cases[i].records, scratch_path("flows.json"));
	DIR *directory = opendir(scratch);
	unsigned entries = 0;
	while (readdir(directory))
		entries++;
	closedir(directory);
	assert_int_equal(entries, 2); /* . and .. : runs have no names */
}

static void spool__when_the_output_has_no_directory_to_write_in__then_runs_go_to_tmpdir(void **state)
{
	(void)state;
	check_spool(2, 50, 500, "-");
	check_spool(2, 50, 500, "/proc/nowhere/flows.json");
}

/* Gives a lane with room for ten records a hundred, on a disk where two runs of ten fit: twenty in runs and the last ten in memory
 * stay. A file size limit stands in for the full disk. Returns what was said; free() it. */
static char *fill_beyond_the_disk(struct spool **spool)
{
	struct flow_record *records = records_make(100, 5);
	struct rlimit old, small;
	struct spool_lane *lane;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(spool_open("test", scratch_path("x"), SPOOL_BY_BYTES, 10 * sizeof(struct flow_record), spool), 0);
	assert_int_equal(spool_attach(*spool, 0, &lane), 0);
	messages_begin();
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 25 * sizeof(struct flow_record);
	setrlimit(RLIMIT_FSIZE, &small);
	for (unsigned i = 0; i < 100; i++)
		spool_add(lane, &records[i]);
	setrlimit(RLIMIT_FSIZE, &old);
	free(records);
	spool_finish(*spool);
	return messages_end();
}

static void spool__when_runs_cannot_be_written__then_lost_is_counted_and_said_once(void **state)
{
	struct spool *spool;
	unsigned given = 0;

	(void)state;
	char *messages = fill_beyond_the_disk(&spool);
	assert_int_equal(spool_count(spool), 30);
	assert_int_equal(spool_lost(spool), 70);
	assert_int_equal(count_of(messages, "\n"), 1);
	struct spool_cursor *cursor = spool_cursor_open(spool);
	while (spool_cursor_next(cursor))
		given++;
	assert_int_equal(given, 30);
	spool_cursor_close(cursor);
	spool_close(spool);
	free(messages);
}

static void export_run__when_the_spool_lost_records__then_the_file_stays_a_part(void **state)
{
	struct output_report report;
	struct export_job job;
	struct spool *spool;

	(void)state;
	assert_int_equal(export_open(&job, &export_json, scratch_path("flows.json"), false), 0);
	free(fill_beyond_the_disk(&spool));
	messages_begin();
	export_run(&job, 1, spool, &report);
	char *messages = messages_end();
	assert_int_equal(report.records, 30);
	assert_int_equal(report.lost, 70);
	assert_int_equal(report.error, -EFBIG);
	assert_string_equal(report.path, scratch_path("flows.json.part"));
	assert_false(file_exists(scratch_path("flows.json")));
	assert_non_null(strstr(messages, report.path));
	free(messages);
	spool_close(spool);
}

static void top_flows__when_more_flows_than_asked_for__then_the_largest_in_order(void **state)
{
	static const unsigned tops[] = { 1, 7, 100, MANY + 1 };
	struct flow_record *records = records_make(MANY, 3), *expected = records_sorted(records, MANY, SPOOL_BY_BYTES);
	struct flow_record *taken = malloc((MANY + 1) * sizeof(*taken));
	struct source_info info = { .link = LINK_ETHERNET };
	struct output_report report;

	(void)state;
	for (unsigned i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
		for (unsigned lanes = 1; lanes <= 3; lanes++) {
			unsigned wanted = tops[i] < MANY ? tops[i] : MANY;
			struct config config = { .top_flows = tops[i] };
			assert_int_equal(sink_run(&sink_top_flows, &config, &info, lanes, records, MANY, &report), 0);
			assert_int_equal(top_flows_take(taken, MANY + 1), wanted);
			assert_memory_equal(taken, expected, wanted * sizeof(*taken));
			assert_int_equal(top_flows_take(taken, MANY + 1), 0);
		}
	}
	free(taken);
	free(expected);
	free(records);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(spool_sort__when_ties_on_every_level__then_as_the_full_comparison),
		TEST(spool_compare__when_one_member_differs__then_it_decides_in_its_place),
		TEST(spool__when_lanes_and_runs_vary__then_the_order_does_not),
		TEST(spool__when_the_output_has_no_directory_to_write_in__then_runs_go_to_tmpdir),
		TEST(spool__when_runs_cannot_be_written__then_lost_is_counted_and_said_once),
		TEST(export_run__when_the_spool_lost_records__then_the_file_stays_a_part),
		TEST(top_flows__when_more_flows_than_asked_for__then_the_largest_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
