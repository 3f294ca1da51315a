#include "sink_helper.h"

extern const struct sink_ops sink_flow_table;

static const char header[] =
	"protocol,endpoint_a_ip,endpoint_a_port,endpoint_b_ip,endpoint_b_port,first_seen,last_seen,duration_secs,"
	"packets_a_to_b,packets_b_to_a,bytes_a_to_b,bytes_b_to_a,packets_total,bytes_total,avg_bps,tcp_state,"
	"client,retransmissions,out_of_order,rtt_last_ms,rtt_min_ms,rtt_ewma_ms,rtt_samples\n";

static char *export_csv_file(const struct flow_record *records, unsigned n, bool extended, struct output_report *report)
{
	struct config config = { .export_csv = scratch_path("flows.csv"), .extended = extended };
	struct source_info info = { .link = LINK_ETHERNET };

	assert_int_equal(sink_run(&sink_flow_table, &config, &info, 2, records, n, report), 1);
	return file_read(scratch_path("flows.csv"), NULL);
}

static void csv__when_the_users_flow__then_the_users_row(void **state)
{
	struct flow_record record = record_sample();
	struct output_report report;
	char expected[1024];

	(void)state;
	snprintf(expected, sizeof(expected),
		"%stcp,192.168.1.42,54321,93.184.216.34,443,1706123400.123456,1706123460.654321,60.530865,150,200,12400,485000,350,"
		"497400,65738.363,established,a_to_b,2,0,15.200,12.800,14.100,45\n",
		header);
	for (unsigned extended = 0; extended < 2; extended++) { /* the columns stay 23 */
		char *text = export_csv_file(&record, 1, extended, &report);
		assert_string_equal(text, expected);
		assert_string_equal(report.name, "csv");
		assert_int_equal(report.records, 1);
		assert_int_equal(report.bytes, strlen(expected));
		free(text);
	}
}

static void csv__when_values_are_null__then_empty_fields(void **state)
{
	struct flow_record record = record_sample();
	struct output_report report;
	char expected[1024];

	(void)state;
	record.key.proto = 17;
	record.key.ip_version = 6;
	memcpy(record.key.a_ip, (uint8_t[16]){ 0x20, 1, 0xd, 0xb8, [15] = 1 }, 16);
	memcpy(record.key.b_ip, (uint8_t[16]){ 0x20, 1, 0xd, 0xb8, [15] = 2 }, 16);
	record.tcp_state = TCP_STATE_NONE;
	record.client = CLIENT_UNKNOWN;
	record.rtt.samples = 0;
	record.last_ns = record.first_ns;
	snprintf(expected, sizeof(expected),
		"%sudp,2001:db8::1,54321,2001:db8::2,443,1706123400.123456,1706123400.123456,0.000000,150,200,12400,485000,350,"
		"497400,"
		"0.000,,,2,0,,,,0\n",
		header);
	char *text = export_csv_file(&record, 1, false, &report);
	assert_string_equal(text, expected);
	free(text);
}

static void csv__when_there_are_no_flows__then_the_header_alone(void **state)
{
	struct output_report report;

	(void)state;
	char *text = export_csv_file(NULL, 0, false, &report);
	assert_string_equal(text, header);
	assert_int_equal(report.records, 0);
	free(text);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(csv__when_the_users_flow__then_the_users_row),
		TEST(csv__when_values_are_null__then_empty_fields),
		TEST(csv__when_there_are_no_flows__then_the_header_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
