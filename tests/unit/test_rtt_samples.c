#include "sink_helper.h"

extern const struct sink_ops sink_rtt_samples;

static const struct rtt_sample sample = {
	.ts_ns = 1700000000019000000,
	.ticks = 12000000 / RTT_TICK_NS,
	.source = RTT_SEQ_ACK,
	.dir = 1,
	.key = { .proto = 6,
		.ip_version = 4,
		.a_port = 40000,
		.b_port = 80,
		.a_ip = { [12] = 192, 0, 2, 10 },
		.b_ip = { [12] = 203, 0, 113, 10 } },
};

static const char line[] =
	"{\"ts\":1700000000.019000000,\"protocol\":\"tcp\",\"endpoint_a\":{\"ip\":\"192.0.2.10\",\"port\":40000},"
	"\"endpoint_b\":{\"ip\":\"203.0.113.10\",\"port\":80},\"answered_by\":\"b\",\"source\":\"seq_ack\","
	"\"rtt_ns\":12000000}\n";

static void rtt_samples_tick__when_a_sample_has_waited__then_it_is_in_the_file_before_the_end(void **state)
{
	static const struct {
		uint64_t now_ns;
		const char *text;
	} ticks[] = { { 7000000000, "" }, { 7499999999, "" }, { 7500000000, line }, { 7600000000, line } };
	struct config config = { .rtt_samples_jsonl = scratch_path("rtt.jsonl") };
	struct source_info info = { .link = LINK_ETHERNET, .live = true };
	struct output_report report;
	struct output *output;
	struct sink *sink;

	(void)state;
	assert_int_equal(sink_rtt_samples.open(&config, &info, &output), 0);
	assert_int_equal(sink_rtt_samples.attach(output, 0, &sink), 0);
	sink_rtt_samples.tick(sink, 6000000000); /* nothing there: no clock starts */
	sink_rtt_samples.rtt(sink, &sample, 1);
	for (unsigned i = 0; i < sizeof(ticks) / sizeof(ticks[0]); i++) {
		sink_rtt_samples.tick(sink, ticks[i].now_ns);
		char *text = file_read(scratch_path("rtt.jsonl"), NULL);
		assert_string_equal(text, ticks[i].text);
		free(text);
	}
	sink_rtt_samples.detach(sink);
	assert_int_equal(sink_rtt_samples.close(output, &report), 1);
	assert_int_equal(report.records, 1);
	assert_int_equal(report.lost, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rtt_samples_tick__when_a_sample_has_waited__then_it_is_in_the_file_before_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
