/* csv_hist: bins, sums, files. The rows are those of the reference (flow_models.hist) for the same flows. */
#include <errno.h>

#include "hist_bins.h"
#include "way_helper.h"

extern const struct sink_ops sink_ways;

#define HEAD "bin_lo,bin_hi,flows_sum,packets_sum,octets_sum,duration_sum,rate_sum,aggs_sum\n"

static void width__when_b_is_given__then_as_the_reference(void **state)
{
	(void)state;
	static const struct {
		unsigned b;
		uint64_t value, width;
	} rows[] = {
		{ 12, 0, 1 },
		{ 12, 1, 1 },
		{ 12, 4095, 1 },
		{ 12, 4096, 2 },
		{ 12, 8191, 2 },
		{ 12, 8192, 4 },
		{ 12, 16383, 4 },
		{ 12, UINT64_MAX, (uint64_t)1 << 52 },
		{ 0, 0, 1 },
		{ 0, 1 << 20, 1 },
		{ 4, 58, 4 },
		{ 4, 340, 32 },
		{ 1, 2, 2 },
		{ 1, 3, 2 },
		{ 1, 4, 4 },
	};

	for (unsigned i = 0; i < ROWS(rows); i++)
		if (hist_width(rows[i].value, rows[i].b) != rows[i].width)
			fail_msg("b = %u, %llu: width %llu", rows[i].b, (unsigned long long)rows[i].value,
				(unsigned long long)hist_width(rows[i].value, rows[i].b));
}

static void bins__when_many__then_each_value_is_in_its_own(void **state)
{
	(void)state;
	struct hist_bins bins;
	uint64_t random = 3, flows = 0;

	hist_bins_init(&bins, 6);
	for (unsigned i = 0; i < 100000; i++) {
		const struct hist_flow flow = { .packets = 1, .octets = UINT64_MAX };
		hist_bins_add(&bins, random_next(&random) >> (random % 64), &flow);
	}
	struct hist_bin **sorted = hist_bins_sorted(&bins);
	for (unsigned i = 0; i < bins.count; i++) {
		uint64_t width = hist_width(sorted[i]->low, 6);
		assert_int_equal(sorted[i]->low % width, 0);
		assert_true(i == 0 || sorted[i]->low >= sorted[i - 1]->low + hist_width(sorted[i - 1]->low, 6));
		assert_true(sorted[i]->packets == sorted[i]->flows);
		assert_true(sorted[i]->octets == (hist_sum)sorted[i]->flows * UINT64_MAX); /* beyond 64 bits */
		flows += sorted[i]->flows;
	}
	assert_int_equal(flows, 100000);
	free(sorted);
	hist_bins_free(&bins);
}

/* 11 flows whose histograms are in the format's description. */
static unsigned flows_make(struct flow_way *ways)
{
	static const struct {
		unsigned packets, octets, n;
	} rows[] = { { 1, 58, 1 }, { 1, 78, 1 }, { 1, 84, 3 }, { 1, 112, 1 }, { 1, 144, 1 }, { 4, 660, 1 }, { 4, 740, 1 },
		{ 6, 340, 1 }, { 6, 460, 1 } };
	unsigned n = 0;

	for (unsigned r = 0; r < ROWS(rows); r++) {
		for (unsigned i = 0; i < rows[r].n; i++) {
			struct flow_way *way = &ways[n++];
			*way = way_sample();
			way->packets = rows[r].packets;
			way->l3_bytes = rows[r].octets;
			way->pieces = 1;
		}
	}
	return n;
}

static void file_is(const char *directory, const char *name, const char *want)
{
	char path[700];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	char *text = file_read(path, NULL);
	assert_non_null(text);
	assert_string_equal(text, want);
	free(text);
}

static void files__when_written__then_as_the_reference(void **state)
{
	(void)state;
	struct flow_way ways[16];
	unsigned n = flows_make(ways);

	for (unsigned live = 0; live < 2; live++) {
		struct config config = { .export_hist = test_path("h"), .rotate_ns = 300000000000 };
		struct output_report reports[SINK_REPORTS_MAX];
		assert_int_equal(ways_run(&sink_ways, &config, live, 1 + 2 * live, ways, n, reports), 1);
		assert_int_equal(reports[0].records, 11);
		assert_int_equal(reports[0].files, 4);
		file_is(config.export_hist, "length.csv",
			HEAD "1,2,7,7,644,0,0,7\n4,5,2,8,1400,1134,19753,2\n6,7,2,12,800,1134,11287,2\n");
		file_is(config.export_hist, "duration.csv", HEAD "0,1,7,7,644,0,0,7\n567,568,4,20,2200,2268,31040,4\n");
		config.hist_bins = 4;
		assert_int_equal(ways_run(&sink_ways, &config, live, 1, ways, n, reports), 1);
		file_is(config.export_hist, "size.csv",
			HEAD "56,60,1,1,58,0,0,1\n72,80,1,1,78,0,0,1\n80,88,3,3,252,0,0,3\n112,120,1,1,112,0,0,1\n"
			     "144,160,1,1,144,0,0,1\n320,352,1,6,340,567,4797,1\n448,480,1,6,460,567,6490,1\n"
			     "640,704,1,4,660,567,9312,1\n704,768,1,4,740,567,10440,1\n");
		assert_int_equal(count_entries(config.export_hist), 4);
	}
}

static void clock__when_it_steps_back__then_no_negative_duration(void **state)
{
	(void)state;
	struct config config = { .export_hist = test_path("h"), .hist_bins = 12, .rotate_ns = 300000000000 };
	struct output_report reports[SINK_REPORTS_MAX];
	struct flow_way way = way_sample();

	way.last_ns = way.first_ns - 5000000000;
	assert_int_equal(ways_run(&sink_ways, &config, false, 1, &way, 1, reports), 1);
	file_is(config.export_hist, "duration.csv", HEAD "0,1,1,6,340,0,0,2\n");
}

static void files__when_the_directory_vanishes__then_an_error_and_no_crash(void **state)
{
	(void)state;
	struct config config = { .export_hist = test_path("h"), .rotate_ns = 300000000000 };
	const struct source_info info = { .link = LINK_ETHERNET };
	struct output_report reports[SINK_REPORTS_MAX];
	struct output *output;

	assert_int_equal(sink_ways.open(&config, &info, &output), 0);
	tree_remove(config.export_hist);
	messages_begin();
	assert_int_equal(sink_ways.close(output, reports), 1);
	char *messages = messages_end();
	assert_int_equal(reports[0].error, -ENOENT);
	assert_int_equal(count_of(messages, "\n"), 1);
	free(messages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(width__when_b_is_given__then_as_the_reference),
		cmocka_unit_test(bins__when_many__then_each_value_is_in_its_own),
		cmocka_unit_test_setup_teardown(files__when_written__then_as_the_reference, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(clock__when_it_steps_back__then_no_negative_duration, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(
			files__when_the_directory_vanishes__then_an_error_and_no_crash, scratch_make, tree_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
