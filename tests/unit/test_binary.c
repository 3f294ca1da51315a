/* flow-models' columns: values, equal lengths, names. */
#include <errno.h>

#include "binary_dir.h"
#include "way_helper.h"

extern const struct sink_ops sink_ways;

static uint64_t column_value(const char *directory, const char *name, unsigned width, size_t row, size_t *rows)
{
	char path[900];
	size_t bytes;
	uint64_t value = 0;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	char *data = file_read(path, &bytes);
	assert_non_null(data);
	assert_int_equal(bytes % width, 0);
	*rows = bytes / width;
	assert_true(row < *rows);
	memcpy(&value, data + row * width, width);
	free(data);
	return value;
}

static void output__when_many_flows__then_columns_of_one_length(void **state)
{
	(void)state;
	const unsigned n = COLUMN_ROWS * 2 + 5;
	struct flow_way *ways = malloc(n * sizeof(*ways));

	for (unsigned i = 0; i < n; i++) {
		ways[i] = way_sample();
		ways[i].packets = i;
		ways[i].end_ns += i - 50000000000; /* the order from files */
	}
	ways[7].input = 70000; /* does not fit: clamped */
	for (unsigned live = 0; live < 2; live++) {
		struct config config = { .export_binary = test_path("b"), .rotate_ns = 300000000000 };
		struct output_report reports[SINK_REPORTS_MAX];
		assert_int_equal(ways_run(&sink_ways, &config, live, 1, ways, n, reports), 1);
		assert_int_equal(reports[0].records, n);
		assert_int_equal(reports[0].bytes, n * 74);
		const char *directory = only_entry(config.export_binary);
		assert_non_null(directory);
		assert_int_equal(count_entries(config.export_binary), 1); /* no hidden one is left */
		assert_int_equal(count_entries(directory), WAY_FIELDS);
		size_t rows;
		for (unsigned i = 0; i < WAY_FIELDS; i++) {
			char name[32];
			snprintf(name, sizeof(name), "%s.%c", way_fields[i].name, way_fields[i].code);
			column_value(directory, name, column_width(way_fields[i].code), 0, &rows);
			assert_int_equal(rows, n);
		}
		assert_int_equal(column_value(directory, "packets.Q", 8, n - 1, &rows), n - 1);
		assert_int_equal(column_value(directory, "sa3.I", 4, 3, &rows), 3232235818);
		assert_int_equal(column_value(directory, "first_ms.H", 2, 3, &rows), 124);
		assert_int_equal(column_value(directory, "aggs.I", 4, 3, &rows), 2);
		assert_int_equal(column_value(directory, "inif.H", 2, 7, &rows), 65535);
		tree_remove(config.export_binary);
	}
	free(ways);
}

static void output__when_run_again__then_replaced_from_files_and_kept_live(void **state)
{
	(void)state;
	struct config config = { .export_binary = test_path("b"), .rotate_ns = 300000000000 };
	struct output_report reports[SINK_REPORTS_MAX];
	struct flow_way way = way_sample();

	for (unsigned run = 0; run < 2; run++) {
		assert_int_equal(ways_run(&sink_ways, &config, false, 1, &way, 1, reports), 1);
		assert_int_equal(reports[0].error, 0);
		assert_int_equal(count_entries(config.export_binary), 1);
	}
	for (unsigned run = 0; run < 2; run++) {
		assert_int_equal(ways_run(&sink_ways, &config, true, 1, &way, 1, reports), 1);
		assert_int_equal(reports[0].error, 0);
		assert_int_equal(count_entries(config.export_binary), 2 + run);
	}
}

static void output__when_nothing_ended__then_no_directory(void **state)
{
	(void)state;
	const struct source_info info = { .link = LINK_ETHERNET, .live = true };
	struct config config = { .export_binary = test_path("b"), .rotate_ns = 300000000000 };
	struct output_report reports[SINK_REPORTS_MAX];
	struct output *output;
	struct sink *sink;

	assert_int_equal(sink_ways.open(&config, &info, &output), 0);
	assert_int_equal(sink_ways.attach(output, 0, &sink), 0);
	sink_ways.tick(sink, 1700000000000000000);
	sink_ways.tick(sink, 1700000400000000000);
	sink_ways.detach(sink);
	assert_int_equal(sink_ways.close(output, reports), 1);
	assert_int_equal(count_entries(config.export_binary), 0);
	assert_int_equal(reports[0].files, 0);
}

static void directory__when_taken__then_kept_or_replaced(void **state)
{
	(void)state;
	struct columns columns;
	struct way_row row = { .af = 2 };
	char *path = test_path("d"), file[600];

	snprintf(file, sizeof(file), "%s/af.B", path);
	assert_int_equal(columns_init(&columns), 0);
	for (unsigned replace = 0; replace < 2; replace++) {
		struct binary_dir *directory;
		uint64_t bytes;
		mkdir(path, 0755);
		file_write(file, "old");
		assert_int_equal(binary_dir_open("test", path, &directory), 0);
		columns_add(&columns, &row);
		assert_int_equal(binary_dir_append(directory, &columns), 0);
		messages_begin();
		int error = binary_dir_commit(directory, replace, true, &bytes);
		free(messages_end());
		assert_int_equal(error, replace ? 0 : -ENOTEMPTY);
		size_t size;
		char *text = file_read(file, &size);
		assert_int_equal(size, replace ? 1 : 3);
		free(text);
	}
	assert_int_equal(count_entries(scratch), 2); /* it, and the messages: nothing hidden */
	columns_free(&columns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(output__when_many_flows__then_columns_of_one_length, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(
			output__when_run_again__then_replaced_from_files_and_kept_live, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(output__when_nothing_ended__then_no_directory, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(directory__when_taken__then_kept_or_replaced, scratch_make, tree_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
