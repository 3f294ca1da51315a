#include "sink_helper.h"

#include <errno.h>

#include "export_format.h"

extern const struct sink_ops sink_flow_table;

static const char sample_json[] = "[\n"
				  "  {\n"
				  "    \"protocol\": \"tcp\",\n"
				  "    \"endpoint_a\": { \"ip\": \"192.168.1.42\", \"port\": 54321 },\n"
				  "    \"endpoint_b\": { \"ip\": \"93.184.216.34\", \"port\": 443 },\n"
				  "    \"first_seen\": 1706123400.123456,\n"
				  "    \"last_seen\": 1706123460.654321,\n"
				  "    \"duration_secs\": 60.530865,\n"
				  "    \"packets_a_to_b\": 150,\n"
				  "    \"packets_b_to_a\": 200,\n"
				  "    \"bytes_a_to_b\": 12400,\n"
				  "    \"bytes_b_to_a\": 485000,\n"
				  "    \"packets_total\": 350,\n"
				  "    \"bytes_total\": 497400,\n"
				  "    \"avg_bps\": 65738.4,\n"
				  "    \"tcp_state\": \"established\",\n"
				  "    \"client\": \"a_to_b\",\n"
				  "    \"retransmissions\": 2,\n"
				  "    \"out_of_order\": 0,\n"
				  "    \"rtt_last_ms\": 15.200,\n"
				  "    \"rtt_min_ms\": 12.800,\n"
				  "    \"rtt_ewma_ms\": 14.100,\n"
				  "    \"rtt_samples\": 45\n"
				  "  }";

/* One record as the format writes it, in a buffer of exactly the promised size. free() it. */
static char *format_record(const struct export_format *format, bool extended, const struct flow_record *record)
{
	struct export_layout *layout = format->layout_new(extended);
	char *made = malloc(EXPORT_RECORD_MAX), *end = format->record(layout, record, 0, made);

	assert_true(end < made + EXPORT_RECORD_MAX);
	*end = '\0';
	free(layout);
	return made;
}

static char *export_json_file(
	struct config *config, const struct flow_record *records, unsigned n, unsigned lanes, struct output_report *reports)
{
	struct source_info info = { .link = LINK_ETHERNET };

	config->export_json = scratch_path("flows.json");
	assert_int_equal(sink_run(&sink_flow_table, config, &info, lanes, records, n, reports), 1);
	return file_read(scratch_path("flows.json"), NULL);
}

static void json__when_the_users_flow__then_the_users_text(void **state)
{
	struct flow_record record = record_sample();
	struct output_report report;
	char expected[1024];

	(void)state;
	char *text = export_json_file(&(struct config){ 0 }, &record, 1, 1, &report);
	snprintf(expected, sizeof(expected), "%s\n]\n", sample_json);
	assert_string_equal(text, expected);
	assert_string_equal(report.name, "json");
	assert_string_equal(report.path, scratch_path("flows.json"));
	assert_int_equal(report.records, 1);
	assert_int_equal(report.bytes, strlen(expected));
	assert_int_equal(report.lost, 0);
	assert_int_equal(report.files, 1);
	assert_int_equal(report.error, 0);
	free(text);
}

static void json__when_two_flows__then_a_comma_between_and_the_larger_first(void **state)
{
	struct flow_record records[2] = { record_sample(), record_sample() };
	struct output_report report;
	char start[1024];

	(void)state;
	records[0].bytes[0] = 1;
	char *text = export_json_file(&(struct config){ 0 }, records, 2, 1, &report);
	snprintf(start, sizeof(start), "%s,\n  {\n    \"protocol\": \"tcp\",\n", sample_json);
	assert_memory_equal(text, start, strlen(start));
	assert_int_equal(count_of(text, "\n  }"), 2);
	free(text);
}

static void json__when_there_are_no_flows__then_an_empty_array(void **state)
{
	struct output_report report;

	(void)state;
	char *text = export_json_file(&(struct config){ 0 }, NULL, 0, 2, &report);
	assert_string_equal(text, "[]\n");
	assert_int_equal(report.records, 0);
	free(text);
}

static void json__when_a_value_has_a_special_case__then_it_is_written_so(void **state)
{
	static const struct {
		const char *name;
		const char *expected;
		uint8_t proto, tcp_state, client;
		uint64_t first_ns, last_ns, bytes;
		struct rtt_stat rtt;
	} cases[] = {
		{ "udp has no state", "\"tcp_state\": null", 17, 0, 0, 0, 0, 0, { 0 } },
		{ "no SYN seen", "\"client\": null", 6, 1, CLIENT_UNKNOWN, 0, 0, 0, { 0 } },
		{ "server side is A", "\"client\": \"b_to_a\"", 6, 1, CLIENT_B_TO_A, 0, 0, 0, { 0 } },
		{ "no sample",
			"\"rtt_last_ms\": null,\n    \"rtt_min_ms\": null,\n    \"rtt_ewma_ms\": null,\n    \"rtt_samples\": 0\n",
			6, 1, 0, 0, 0, 0, { 1, 1, 1, 0 } },
		{ "rtt rounded down", "\"rtt_last_ms\": 0.001,", 6, 1, 0, 0, 0, 0, { 187, 0, 0, 1 } },
		{ "rtt rounded up", "\"rtt_last_ms\": 0.002,", 6, 1, 0, 0, 0, 0, { 188, 0, 0, 1 } },
		{ "longest rtt", "\"rtt_last_ms\": 34359.738,", 6, 1, 0, 0, 0, 0, { UINT32_MAX, 0, 0, 1 } },
		{ "time is cut, not rounded", "\"first_seen\": 1.999999,", 6, 1, 0, 1999999999, 1999999999, 0, { 0 } },
		{ "duration is that of the printed times", "\"duration_secs\": 0.000001,", 6, 1, 0, 1999, 2000, 0, { 0 } },
		{ "no duration, no rate", "\"avg_bps\": 0.0,", 6, 1, 0, 1000, 1999, 5000, { 0 } },
		{ "rate rounded up", "\"avg_bps\": 2.7,", 6, 1, 0, 0, 3000000000, 1, { 0 } },
		{ "rate rounded down", "\"avg_bps\": 1.1,", 6, 1, 0, 0, 7000000000, 1, { 0 } },
		{ "rate half up", "\"avg_bps\": 0.1,", 6, 1, 0, 0, 160000000000, 1, { 0 } },
		{ "rate beyond 64 bits inside", "\"avg_bps\": 8000000000000000.0,", 6, 1, 0, 0, 1000000000, 1000000000000000,
			{ 0 } },
		{ "time runs backwards", "\"duration_secs\": 0.000000,", 6, 1, 0, 2000000, 1000000, 0, { 0 } },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct flow_record record = record_sample();
		record.key.proto = cases[i].proto;
		record.tcp_state = cases[i].tcp_state;
		record.client = cases[i].client;
		record.first_ns = cases[i].first_ns;
		record.last_ns = cases[i].last_ns;
		record.bytes[0] = cases[i].bytes;
		record.bytes[1] = 0;
		record.rtt = cases[i].rtt;
		char *text = format_record(&export_json, false, &record);
		if (!strstr(text, cases[i].expected))
			fail_msg("%s: no %s in %s", cases[i].name, cases[i].expected, text);
		free(text);
	}
}

static void json__when_another_protocol__then_its_keyword_or_its_number_as_a_string(void **state)
{
	struct flow_record record = record_sample();

	(void)state;
	record.key.proto = 58;
	char *text = format_record(&export_json, false, &record);
	assert_non_null(strstr(text, "\"protocol\": \"icmp6\","));
	free(text);
	record.key.proto = 253;
	text = format_record(&export_json, false, &record);
	assert_non_null(strstr(text, "\"protocol\": \"253\","));
	free(text);
}

static void json__when_extended__then_the_extra_keys_follow_rtt_samples(void **state)
{
	static const char expected[] = "    \"rtt_samples\": 45,\n"
				       "    \"ip_version\": 4,\n"
				       "    \"protocol_number\": 6,\n"
				       "    \"vlan\": null,\n"
				       "    \"tunnel\": null,\n"
				       "    \"tos\": 16,\n"
				       "    \"initiator\": \"b_to_a\",\n"
				       "    \"end_reason\": \"reuse\",\n"
				       "    \"tcp_flags_a_to_b\": 27,\n"
				       "    \"tcp_flags_b_to_a\": 19,\n"
				       "    \"l3_bytes_a_to_b\": 10300,\n"
				       "    \"l3_bytes_b_to_a\": 482200,\n"
				       "    \"rtt_to_server_min_ms\": 1.000,\n"
				       "    \"rtt_to_server_ewma_ms\": 2.000,\n"
				       "    \"rtt_to_server_samples\": 3,\n"
				       "    \"rtt_to_client_min_ms\": null,\n"
				       "    \"rtt_to_client_ewma_ms\": null,\n"
				       "    \"rtt_to_client_samples\": 0\n"
				       "  }";
	struct flow_record record = record_sample();

	(void)state;
	record.tos = 16;
	record.first_dir = 1;
	record.end = FLOW_END_REUSE;
	record.leg[RTT_TO_SERVER] = (struct rtt_leg_stat){ 125000, 250000, 3 };
	char *text = format_record(&export_json, true, &record);
	assert_string_equal(strstr(text, "    \"rtt_samples\""), expected);
	free(text);
	record.key.vlan = 7;
	record.key.tunnel = UINT32_MAX;
	text = format_record(&export_json, true, &record);
	assert_non_null(strstr(text, "\"vlan\": 7,\n    \"tunnel\": 4294967295,"));
	free(text);
}

/* Every member at its longest: ASan sees a record that outgrows EXPORT_RECORD_MAX, a buffer of exactly that size. */
static void export_record__when_every_value_is_as_long_as_it_can_be__then_it_fits(void **state)
{
	static const struct export_format *const formats[] = { &export_json, &export_csv, &export_jsonl };
	struct flow_record record;

	(void)state;
	memset(&record, 0xff, sizeof(record));
	record.key.ip_version = 6;
	record.key.proto = 134;
	record.tcp_state = TCP_STATE_ESTABLISHED;
	record.client = CLIENT_A_TO_B;
	record.end = FLOW_END_EVICTION;
	record.first_ns = 0;
	record.key.vlan = 0xfffe;
	for (unsigned i = 0; i < 3; i++) {
		char *text = format_record(formats[i], true, &record);
		assert_non_null(strstr(text, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
		free(text);
	}
}

static void flow_table__when_other_protocols_or_scopes__then_only_what_was_asked_for(void **state)
{
	static const struct {
		bool all_protocols;
		enum export_scope scope;
		unsigned expected;
	} cases[] = {
		{ false, SCOPE_ALL, 4 },
		{ true, SCOPE_ALL, 6 },
		{ false, SCOPE_LIVE, 2 },
		{ true, SCOPE_LIVE, 3 },
	};
	static const uint8_t protocols[] = { 6, 17, 1 };
	struct flow_record records[6];

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		records[i] = record_sample();
		records[i].key.proto = protocols[i % 3];
		records[i].end = i < 3 ? FLOW_ALIVE : FLOW_END_TIMEOUT;
	}
	for (unsigned i = 0; i < 4; i++) {
		struct config config = { .all_protocols = cases[i].all_protocols, .export_scope = cases[i].scope };
		struct output_report report;
		char *text = export_json_file(&config, records, 6, 1, &report);
		assert_int_equal(report.records, cases[i].expected);
		assert_int_equal(count_of(text, "\"protocol\""), cases[i].expected);
		free(text);
	}
}

#define MANY 5000 /* several chunks of JSON */

static void flow_table__when_the_lanes_differ__then_the_bytes_do_not(void **state)
{
	struct flow_record *records = malloc(MANY * sizeof(*records));
	uint64_t random = 1;
	char *first = NULL;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		records[i] = record_random(&random);
	for (unsigned lanes = 1; lanes <= 4; lanes++) {
		struct config config = { 0 };
		struct output_report report;
		char *text = export_json_file(&config, records, MANY, lanes, &report);
		assert_int_equal(report.records, MANY);
		assert_int_equal(report.bytes, strlen(text));
		if (first)
			assert_true(strcmp(first, text) == 0);
		else
			first = strdup(text);
		free(text);
	}
	free(first);
	free(records);
}

static void flow_table__when_the_disk_is_full__then_said_once_and_all_lost(void **state)
{
	struct flow_record *records = malloc(MANY * sizeof(*records));
	struct config config = { .export_json = "/dev/full", .export_csv = scratch_path("flows.csv") };
	struct source_info info = { .link = LINK_ETHERNET };
	struct output_report reports[SINK_REPORTS_MAX];
	uint64_t random = 1;

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		records[i] = record_random(&random);
	messages_begin();
	int n = sink_run(&sink_flow_table, &config, &info, 2, records, MANY, reports);
	char *messages = messages_end();
	assert_int_equal(n, 2);
	assert_int_equal(count_of(messages, "No space left"), 1);
	assert_int_equal(reports[0].error, -ENOSPC);
	assert_int_equal(reports[0].records, 0);
	assert_int_equal(reports[0].lost, MANY);
	assert_string_equal(reports[0].path, "/dev/full");
	assert_int_equal(reports[1].error, 0);
	assert_int_equal(reports[1].records, MANY);
	assert_string_equal(reports[1].name, "csv");
	free(messages);
	free(records);
}

static void flow_table_open__when_a_path_is_bad__then_refused_and_nothing_stays(void **state)
{
	struct config config = { .export_json = scratch_path("flows.json"), .export_csv = scratch_path("nowhere/flows.csv") };
	struct source_info info = { .link = LINK_ETHERNET };
	struct output_report report;

	(void)state;
	messages_begin();
	int error = sink_run(&sink_flow_table, &config, &info, 1, NULL, 0, &report);
	char *messages = messages_end();
	assert_int_equal(error, -ENOENT);
	assert_int_equal(count_of(messages, "\n"), 1);
	assert_non_null(strstr(messages, config.export_csv));
	assert_false(file_exists(scratch_path("flows.json")));
	assert_false(file_exists(scratch_path("flows.json.part")));
	free(messages);
}

static void flow_table_close__when_the_run_did_not_come_about__then_the_old_file_stays(void **state)
{
	struct config config = { .export_json = scratch_path("flows.json") };
	struct source_info info = { .link = LINK_ETHERNET };
	struct flow_record record = record_sample();

	(void)state;
	file_write(scratch_path("flows.json"), "old");
	assert_int_equal(sink_run(&sink_flow_table, &config, &info, 1, &record, 1, NULL), 0);
	char *text = file_read(scratch_path("flows.json"), NULL);
	assert_string_equal(text, "old");
	assert_false(file_exists(scratch_path("flows.json.part")));
	free(text);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(json__when_the_users_flow__then_the_users_text),
		TEST(json__when_two_flows__then_a_comma_between_and_the_larger_first),
		TEST(json__when_there_are_no_flows__then_an_empty_array),
		TEST(json__when_a_value_has_a_special_case__then_it_is_written_so),
		TEST(json__when_another_protocol__then_its_keyword_or_its_number_as_a_string),
		TEST(json__when_extended__then_the_extra_keys_follow_rtt_samples),
		TEST(export_record__when_every_value_is_as_long_as_it_can_be__then_it_fits),
		TEST(flow_table__when_other_protocols_or_scopes__then_only_what_was_asked_for),
		TEST(flow_table__when_the_lanes_differ__then_the_bytes_do_not),
		TEST(flow_table__when_the_disk_is_full__then_said_once_and_all_lost),
		TEST(flow_table_open__when_a_path_is_bad__then_refused_and_nothing_stays),
		TEST(flow_table_close__when_the_run_did_not_come_about__then_the_old_file_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
