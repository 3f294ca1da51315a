#include "sink_helper.h"

#include <errno.h>

extern const struct sink_ops sink_jsonl;

static const char sample_line[] =
	"{\"ts\":1706123520.654321,\"reason\":\"timeout\",\"protocol\":\"tcp\",\"endpoint_a\":{\"ip\":\"192.168.1.42\",\"port\":"
	"54321},"
	"\"endpoint_b\":{\"ip\":\"93.184.216.34\",\"port\":443},\"first_seen\":1706123400.123456,\"last_seen\":1706123460.654321,"
	"\"duration_secs\":60.530865,\"packets_a_to_b\":150,\"packets_b_to_a\":200,\"bytes_a_to_b\":12400,\"bytes_b_to_a\":485000,"
	"\"packets_total\":350,\"bytes_total\":497400,\"avg_bps\":65738.4,\"tcp_state\":\"established\",\"client\":\"a_to_b\","
	"\"retransmissions\":2,\"out_of_order\":0,\"rtt_last_ms\":15.200,\"rtt_min_ms\":12.800,\"rtt_ewma_ms\":14.100,"
	"\"rtt_samples\":45}\n";

static struct flow_record record_ended(enum flow_end end)
{
	struct flow_record record = record_sample();

	record.end = (uint8_t)end;
	record.end_ns = record.last_ns + 60000000000;
	return record;
}

static char *export_lines(const struct flow_record *records, unsigned n, unsigned lanes, bool live, struct output_report *report)
{
	struct config config = { .expired_flows_jsonl = scratch_path("expired.jsonl") };
	struct source_info info = { .link = LINK_ETHERNET, .live = live };

	assert_int_equal(sink_run(&sink_jsonl, &config, &info, lanes, records, n, report), 1);
	return file_read(scratch_path("expired.jsonl"), NULL);
}

static void jsonl__when_a_flow_timed_out__then_one_line_for_it(void **state)
{
	struct flow_record records[2] = { record_ended(FLOW_END_TIMEOUT), record_sample() }; /* the second is alive */
	struct output_report report;

	(void)state;
	for (unsigned live = 0; live < 2; live++) {
		char *text = export_lines(records, 2, 2, live, &report);
		assert_string_equal(text, sample_line);
		assert_string_equal(report.name, "expired_flows_jsonl");
		assert_string_equal(report.path, scratch_path("expired.jsonl"));
		assert_int_equal(report.records, 1);
		assert_int_equal(report.bytes, strlen(sample_line));
		free(text);
	}
}

static void jsonl__when_flows_end_for_other_reasons__then_the_reason_is_named(void **state)
{
	struct flow_record records[3] = { record_ended(FLOW_END_REUSE), record_ended(FLOW_END_EVICTION),
		record_ended(FLOW_END_TIMEOUT) };
	struct output_report report;

	(void)state;
	records[0].end_ns += 1;
	records[2].key.proto = 1; /* not without --all-protocols */
	char *text = export_lines(records, 3, 1, false, &report);
	char *eviction = strstr(text, "\"reason\":\"eviction\""), *reuse = strstr(text, "\"reason\":\"reuse\"");
	assert_true(eviction && reuse && eviction < reuse); /* by time of leaving */
	assert_int_equal(count_of(text, "\n"), 2);
	free(text);
}

static void jsonl__when_nothing_expired__then_an_empty_file(void **state)
{
	struct output_report report;

	(void)state;
	char *text = export_lines(NULL, 0, 1, false, &report);
	assert_string_equal(text, "");
	free(text);
}

#define MANY 3000

static void jsonl__when_the_lanes_differ__then_the_bytes_do_not(void **state)
{
	struct flow_record *records = malloc(MANY * sizeof(*records));
	uint64_t random = 7;
	char *first = NULL;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		records[i] = record_random(&random);
	for (unsigned lanes = 1; lanes <= 3; lanes++) {
		struct output_report report;
		char *text = export_lines(records, MANY, lanes, false, &report);
		if (first)
			assert_true(strcmp(first, text) == 0);
		else
			first = strdup(text);
		free(text);
	}
	free(first);
	free(records);
}

static void jsonl_tick__when_a_line_has_waited__then_it_is_in_the_file_before_the_end(void **state)
{
	struct config config = { .expired_flows_jsonl = scratch_path("expired.jsonl") };
	struct source_info info = { .link = LINK_ETHERNET, .live = true };
	struct flow_record record = record_ended(FLOW_END_TIMEOUT);
	struct output_report report;
	struct output *output;
	struct sink *sink;

	(void)state;
	assert_int_equal(sink_jsonl.open(&config, &info, &output), 0);
	assert_int_equal(sink_jsonl.attach(output, 0, &sink), 0);
	static const struct {
		uint64_t now_ns;
		const char *text;
	} ticks[] = { { 7000000000, "" }, { 7100000000, "" }, { 7499999999, "" }, { 6000000000, "" }, { 6500000000, sample_line } };
	sink_jsonl.flows(sink, &record, 1);
	for (unsigned i = 0; i < sizeof(ticks) / sizeof(ticks[0]); i++) {
		sink_jsonl.tick(sink, ticks[i].now_ns);
		char *text = file_read(scratch_path("expired.jsonl"), NULL);
		assert_string_equal(text, ticks[i].text);
		free(text);
	}
	sink_jsonl.detach(sink);
	assert_int_equal(sink_jsonl.close(output, &report), 1);
}

static void jsonl__when_the_disk_is_full__then_every_record_is_counted_as_lost(void **state)
{
	struct config config = { .expired_flows_jsonl = "/dev/full" };
	struct flow_record record = record_ended(FLOW_END_TIMEOUT);
	struct flow_record records[3] = { record, record, record };

	(void)state;
	for (unsigned live = 0; live < 2; live++) {
		struct source_info info = { .link = LINK_ETHERNET, .live = live };
		struct output_report report;
		messages_begin();
		int n = sink_run(&sink_jsonl, &config, &info, 1, records, 3, &report);
		char *messages = messages_end();
		assert_int_equal(n, 1);
		assert_int_equal(report.lost, 3);
		assert_int_equal(report.records, 0);
		assert_int_equal(report.error, -ENOSPC);
		assert_int_equal(count_of(messages, "\n"), 1);
		free(messages);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(jsonl__when_a_flow_timed_out__then_one_line_for_it),
		TEST(jsonl__when_flows_end_for_other_reasons__then_the_reason_is_named),
		TEST(jsonl__when_nothing_expired__then_an_empty_file),
		TEST(jsonl__when_the_lanes_differ__then_the_bytes_do_not),
		TEST(jsonl_tick__when_a_line_has_waited__then_it_is_in_the_file_before_the_end),
		TEST(jsonl__when_the_disk_is_full__then_every_record_is_counted_as_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
