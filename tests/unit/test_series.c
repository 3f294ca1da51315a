/* csv_series: each packet in its second, over midnight and over runs. */
#include <errno.h>

#include "series_days.h"
#include "way_helper.h"

extern const struct sink_ops sink_series;

#define MIDNIGHT_S (UINT64_C(19676) * DAY_SECONDS)

struct timed_packet {
	uint64_t ms_from_midnight; /* plus a day */
	uint32_t wire_len, l3_len;
};

static void packets_put(struct sink *sink, const struct timed_packet *packets, unsigned n)
{
	struct frame frames[16];
	struct packet made[16];
	const struct packet *pointers[16];

	memset(made, 0, sizeof(made));
	for (unsigned i = 0; i < n; i++) {
		uint64_t ms = (MIDNIGHT_S - DAY_SECONDS) * 1000 + packets[i].ms_from_midnight;
		frames[i] = (struct frame){ .ts_ns = ms * 1000000, .wire_len = packets[i].wire_len };
		made[i].frame = &frames[i];
		made[i].l3_len = packets[i].l3_len;
		pointers[i] = &made[i];
	}
	sink_series.packets(sink, pointers, n);
}

/* One line of a file; the file must have exactly 86400. */
static uint64_t line_of(const char *directory, const char *name, unsigned line)
{
	char path[700];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	char *text = file_read(path, NULL), *at = text;
	assert_non_null(text);
	assert_int_equal(count_of(text, "\n"), DAY_SECONDS);
	for (unsigned i = 0; i < line; i++)
		at = strchr(at, '\n') + 1;
	uint64_t value = strtoull(at, NULL, 10);
	free(text);
	return value;
}

static int series_run(const struct config *config, bool live, struct output_report *reports)
{
	static const struct timed_packet packets[] = {
		{ 86398999, 64, 46 },
		{ 86399000, 100, 80 },
		{ 86399999, 200, 180 },
		{ 86400000, 60, 90 /* lies */ },
		{ 86399500, 10, 5 },
	};
	const struct source_info info = { .link = LINK_ETHERNET, .live = live };
	struct flow_way way = way_sample();
	struct output *output;
	struct sink *sinks[2];
	int error = sink_series.open(config, &info, &output);

	if (error)
		return error;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(sink_series.attach(output, i, &sinks[i]), 0);
	packets_put(sinks[0], packets, 3);
	packets_put(sinks[1], packets + 3, 2);
	way.first_ns = MIDNIGHT_S * 1000000000 - 1;
	sink_series.ways(sinks[0], &way, 1);
	way.first_ns = MIDNIGHT_S * 1000000000;
	sink_series.ways(sinks[1], &way, 1);
	for (unsigned i = 0; i < 2; i++) {
		sink_series.tick(sinks[i], 0);
		sink_series.detach(sinks[i]);
	}
	return (int)sink_series.close(output, reports);
}

static void packets__when_over_midnight__then_two_days(void **state)
{
	(void)state;
	struct config config = { .export_series = test_path("s"), .rotate_ns = 300000000000 };
	const char *s = config.export_series;
	struct output_report reports[SINK_REPORTS_MAX];

	for (unsigned wire = 0; wire < 2; wire++) {
		config.octets = wire ? OCTETS_WIRE : OCTETS_L3;
		assert_int_equal(series_run(&config, false, reports), 1); /* the second run replaces the first */
		assert_int_equal(reports[0].records, 5);
		assert_int_equal(reports[0].files, 6);
		assert_int_equal(count_entries(s), 6);
		assert_int_equal(line_of(s, "19675.packets", 86398), 1);
		assert_int_equal(line_of(s, "19675.packets", 86399), 3);
		assert_int_equal(line_of(s, "19675.packets", 0), 0);
		assert_int_equal(line_of(s, "19675.octets", 86399), wire ? 310 : 265);
		assert_int_equal(line_of(s, "19675.flows", 86399), 1);
		assert_int_equal(line_of(s, "19676.packets", 0), 1);
		assert_int_equal(line_of(s, "19676.octets", 0), 60);
		assert_int_equal(line_of(s, "19676.flows", 0), 1);
	}
}

static void packets__when_live_runs_follow_each_other__then_added(void **state)
{
	(void)state;
	struct config config = { .export_series = test_path("s"), .rotate_ns = 300000000000 };
	struct output_report reports[SINK_REPORTS_MAX];

	for (unsigned run = 1; run <= 2; run++) {
		assert_int_equal(series_run(&config, true, reports), 1);
		assert_int_equal(line_of(config.export_series, "19675.packets", 86399), 3 * run);
		assert_int_equal(line_of(config.export_series, "19676.flows", 0), run);
	}
}

static void file__when_it_is_something_else__then_it_stays(void **state)
{
	(void)state;
	struct config config = { .export_series = test_path("s"), .rotate_ns = 300000000000 };
	struct output_report reports[SINK_REPORTS_MAX];
	char path[700];

	mkdir(config.export_series, 0755);
	snprintf(path, sizeof(path), "%s/19675.packets", config.export_series);
	file_write(path, "1\n2\nthree\n");
	messages_begin();
	assert_int_equal(series_run(&config, true, reports), 1);
	char *messages = messages_end();
	assert_int_equal(reports[0].error, -EINVAL);
	assert_non_null(strstr(messages, "86400"));
	free(messages);
	char *text = file_read(path, NULL);
	assert_string_equal(text, "1\n2\nthree\n");
	free(text);
}

/* A capture whose clock is broken must not take all memory. */
static void days__when_too_many__then_counted_as_lost(void **state)
{
	(void)state;
	struct series_days *days = series_days_create(scratch, false);

	assert_non_null(days);
	for (unsigned i = 0; i < DAYS_MAX; i++) {
		struct series_day *day = series_days_get(days, i * 977);
		assert_non_null(day);
		series_day_add(day, SERIES_PACKETS, i, 1);
		assert_ptr_equal(day, series_days_get(days, i * 977));
	}
	assert_null(series_days_get(days, 1));
	assert_non_null(series_days_get(days, 977));
	assert_int_equal(series_days_count(days), DAYS_MAX);
	series_days_destroy(days);
}

static void files__when_they_cannot_be_written__then_kept_for_the_next_time(void **state)
{
	(void)state;
	char *directory = test_path("later");
	struct series_days *days = series_days_create(directory, true);
	uint64_t bytes = 0;

	series_day_add(series_days_get(days, 5), SERIES_OCTETS, 7, 9);
	for (unsigned i = 0; i < 2; i++) {
		messages_begin();
		assert_int_equal(series_days_write(days, &bytes), -ENOENT);
		char *messages = messages_end();
		assert_int_equal(count_of(messages, "\n"), i ? 0 : 1); /* said once */
		free(messages);
	}
	mkdir(directory, 0755);
	assert_int_equal(series_days_write(days, &bytes), 0);
	assert_int_equal(line_of(directory, "5.octets", 7), 9);
	assert_int_equal(series_days_write(days, &bytes), 0); /* nothing new: nothing added */
	assert_int_equal(line_of(directory, "5.octets", 7), 9);
	series_days_destroy(days);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(packets__when_over_midnight__then_two_days, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(packets__when_live_runs_follow_each_other__then_added, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(file__when_it_is_something_else__then_it_stays, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(days__when_too_many__then_counted_as_lost, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(
			files__when_they_cannot_be_written__then_kept_for_the_next_time, scratch_make, tree_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
