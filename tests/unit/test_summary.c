/* The summary as text and as JSON, the table of top flows, the stats line and the progress bar. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor.h"
#include "options.h"
#include "summary.h"

static struct lanes_report report;
static char *inputs[] = { "a.pcap", "quote\" slash\\ tab\t bad\xff end\xc3\xa4" };
static struct config config = { .read_files = inputs, .read_files_count = 2 };
static struct summary summary;

static void fill_ledger(struct ledger *ledger)
{
	*ledger = (struct ledger){ .packets_read = 1000,
		.bytes_read = 64000,
		.dropped_filter = 100,
		.flows_created = 60,
		.flows_alive = 20,
		.rtt_ambiguous = 5,
		.rtt_unqueued = 6,
		.first_packet_ns = 1706123400123456789,
		.last_packet_ns = 1706123460654321987 };
	ledger->verdicts[VERDICT_FLOW] = 880;
	ledger->verdicts[VERDICT_NOFLOW_ARP] = 9;
	ledger->verdicts[VERDICT_NOFLOW_LLC] = 1;
	ledger->verdicts[VERDICT_DROP_IPV4_SHORT] = 7;
	ledger->verdicts[VERDICT_DROP_TUNNEL_SHORT] = 3; /* the last one */
	ledger->flows_ended[FLOW_END_TIMEOUT] = 30;
	ledger->flows_ended[FLOW_END_REUSE] = 10;
	ledger->rtt_samples[RTT_HANDSHAKE] = 4;
	ledger->rtt_samples[RTT_QUIC_SPIN] = 2;
}

static int fill(void **state)
{
	(void)state;
	memset(&report, 0, sizeof(report));
	fill_ledger(&report.total);
	report.lanes = 2;
	fill_ledger(&report.lane[0].ledger);
	report.lane[1].cpu_ns = 1500000999;
	report.outputs = 2;
	report.output[0] =
		(struct output_report){ .name = "pcap", .path = "copy.pcap", .records = 900, .bytes = 70000, .files = 1 };
	report.output[1] = (struct output_report){
		.name = "json", .path = "x\n.json.part", .records = 5, .lost = 3, .files = 1, .error = -ENOSPC
	};
	report.sizes = (struct lanes_sizes){ 1000, 2000, 3000, 4000, 0, 0, 320, 128 };
	summary = (struct summary){ .config = &config, .report = &report, .wall_ns = 2000000000, .cpu_ns = 1234567 };
	return 0;
}

static char *json_text(void)
{
	char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);

	summary_print_json(&summary, memory);
	fclose(memory);
	return text;
}

static char *plain_text(void)
{
	char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);

	summary_print(&summary, memory);
	fclose(memory);
	return text;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

/* The keys of the outermost object in their order: an interface (docs/summary.md). */
static void json__when_printed__then_keys_in_promised_order(void **state)
{
	static const char *const keys[] = { "version", "inputs", "packets_read", "bytes_read", "packets_decoded",
		"packets_in_flows", "no_flow", "drops", "flows_created", "flows_ended", "flows_alive", "rtt_samples",
		"rtt_ambiguous", "rtt_unqueued", "outputs", "first_packet", "last_packet", "ts_source", "truncated", "stopped",
		"wall_secs", "cpu_secs", "lanes", "sizes" };
	char *text = json_text(), *line_state = NULL;
	unsigned found = 0;
	(void)state;

	for (char *line = strtok_r(text, "\n", &line_state); line; line = strtok_r(NULL, "\n", &line_state)) {
		char key[64];
		if (sscanf(line, "  \"%63[a-z_]\":", key) != 1 || line[2] != '"')
			continue;
		assert_true(found < sizeof(keys) / sizeof(keys[0]));
		assert_string_equal(key, keys[found]);
		found++;
	}
	assert_int_equal(found, sizeof(keys) / sizeof(keys[0]));
	free(text);
}

static void json__when_printed__then_values_are_those_of_the_report(void **state)
{
	static const char *const parts[] = {
		"{\n  \"version\": \"",
		"\"inputs\": [\n    \"a.pcap\",\n    \"quote\\\" slash\\\\ tab\\u0009 bad\\ufffd end\xc3\xa4\"\n  ],\n",
		"\n  \"packets_read\": 1000,\n  \"bytes_read\": 64000,\n  \"packets_decoded\": 890,\n  \"packets_in_flows\": "
		"880,\n",
		"\n  \"no_flow\": {\n    \"arp\": 9,\n    \"llc\": 1\n  },\n",
		"\n  \"drops\": {\n    \"filter\": 100,\n    \"ipv4_short\": 7,\n    \"tunnel_short\": 3\n  },\n",
		"\n  \"flows_ended\": {\n    \"timeout\": 30,\n    \"eviction\": 0,\n    \"reuse\": 10\n  },\n  \"flows_alive\": "
		"20,\n",
		"\"rtt_samples\": {\n    \"handshake\": 4,\n    \"seq_ack\": 0,\n    \"timestamp\": 0,\n    \"icmp_echo\": 0,\n    "
		"\"dns\": 0,\n    \"quic_spin\": 2\n  }",
		"\"rtt_ambiguous\": 5,\n  \"rtt_unqueued\": 6,\n",
		"\"path\": \"copy.pcap\",\n      \"records\": 900,\n      \"bytes\": 70000,\n      \"lost\": 0,\n      \"files\": "
		"1,\n      \"error\": null\n",
		"\"path\": \"x\\u000a.json.part\",",
		"\"lost\": 3,\n      \"files\": 1,\n      \"error\": \"No space left on device\"\n",
		"\"first_packet\": 1706123400.123456,\n  \"last_packet\": 1706123460.654321,\n  \"ts_source\": \"file\",\n",
		"\"truncated\": false,\n  \"stopped\": false,\n  \"wall_secs\": 2.000000,\n  \"cpu_secs\": 0.001234,\n",
		"\"no_flow\": {},\n      \"drops\": {\n        \"filter\": 0\n      },\n",
		"\"cpu_secs\": 1.500000\n    }\n  ],\n",
		"\"sizes\": {\n    \"max_flows\": 1000,\n    \"table_bytes\": 2000,\n    \"slab_bytes\": 3000,\n    "
		"\"timer_bytes\": 4000,\n",
		"\"timer_bytes\": 4000,\n    \"tcp_flow_bytes\": 320,\n    \"other_flow_bytes\": 128\n  }\n}\n",
	};
	char *text = json_text();
	(void)state;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		assert_has(text, parts[i]);
	free(text);
}

static void json__when_nothing_read__then_times_are_null(void **state)
{
	(void)state;
	memset(&report, 0, sizeof(report));
	report.truncated = report.stopped = true;
	char *text = json_text();

	assert_has(text, "\"first_packet\": null,\n  \"last_packet\": null,\n  \"ts_source\": \"file\",\n  \"truncated\": true,\n  "
			 "\"stopped\": true,\n");
	assert_has(text, "\"outputs\": [],\n");
	assert_has(text, "\"lanes\": [],\n");
	free(text);
}

static void write_json__when_file_and_when_disk_full__then_written_or_error(void **state)
{
	char folder[] = "/tmp/flowlane-summary-XXXXXX", path[64], content[64] = "";
	(void)state;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/summary.json", folder);
	config.summary_json = path;
	assert_int_equal(summary_write_json(&summary), 0);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fread(content, 1, 12, file), 12);
	fclose(file);
	assert_string_equal(content, "{\n  \"version");
	unlink(path);
	rmdir(folder);

	config.summary_json = "/nonexistent/summary.json";
	assert_int_equal(summary_write_json(&summary), -ENOENT);
	config.summary_json = NULL;
}

static void text__when_printed__then_accounts_for_every_packet(void **state)
{
	char *text = plain_text();
	(void)state;

	assert_has(text, "Capture complete.\n");
	assert_has(text, "Packets read:     1000 (64000 bytes on the wire)\n");
	assert_has(text, "in flows:       880\n");
	assert_has(text, "no IP:          10 (arp 9, llc 1)\n");
	assert_has(text, "filtered out:   100\n");
	assert_has(text, "not decoded:    10 (ipv4_short 7, tunnel_short 3)\n");
	assert_has(text, "Flows:            60 (alive at the end 20, ended by timeout 30, ended by reuse 10)\n");
	assert_has(text, "RTT samples:      6 (handshake 4, quic_spin 2)\n");
	assert_has(text, "not timed:      11 (ambiguous 5, queue full 6)\n");
	assert_has(text, "2024-01-24 19:10:00.123456 to 2024-01-24 19:11:00.654321 UTC, 60.530865 s\n");
	assert_has(text, "2.000 s, CPU 0.001 s (2000000 ns per packet), 2 lanes\n");
	assert_has(text, "Output pcap: copy.pcap, 900 records, 70000 bytes\n");
	assert_has(text, "3 records LOST, FAILED: No space left on device\n");
	free(text);
}

static void text__when_not_whole__then_heading_says_why(void **state)
{
	(void)state;
	report.stopped = true;
	summary.stop_signal = SIGTERM;
	char *text = plain_text();
	assert_has(text, "Stopped by SIGTERM;");
	free(text);

	report.stopped = false;
	report.truncated = true;
	text = plain_text();
	assert_has(text, "Truncated input");
	free(text);

	report.truncated = false;
	report.error = -EIO;
	text = plain_text();
	assert_has(text, "Input error: Input/output error");
	free(text);
}

static void exit_code__when_something_failed_or_was_lost__then_runtime(void **state)
{
	(void)state;
	assert_int_equal(summary_exit_code(&report), EXIT_RUNTIME); /* lost and error */
	report.output[1].error = 0;
	assert_int_equal(summary_exit_code(&report), EXIT_RUNTIME); /* lost alone */
	report.output[1].lost = 0;
	assert_int_equal(summary_exit_code(&report), 0);
	report.stopped = true;
	assert_int_equal(summary_exit_code(&report), 0);
	report.truncated = true;
	assert_int_equal(summary_exit_code(&report), EXIT_RUNTIME);
	report.truncated = false;
	report.error = -EIO;
	assert_int_equal(summary_exit_code(&report), EXIT_RUNTIME);
	report.error = 0;
	report.output[0].error = -ENOSPC;
	assert_int_equal(summary_exit_code(&report), EXIT_RUNTIME);
}

static void top__when_printed__then_columns_are_aligned(void **state)
{
	struct flow_record records[2] = {
		{ .key = { .proto = 6, .ip_version = 4, .a_port = 443, .b_port = 50000 },
			.tcp_state = TCP_STATE_ESTABLISHED,
			.packets = { 10, 5 },
			.bytes = { 1000000, 234567 },
			.rtt = { .min = 1600000, .ewma = 1762500, .samples = 3 },
			.retransmissions = 2,
			.out_of_order = 1 },
		{ .key = { .proto = 253, .ip_version = 6 }, .packets = { 1, 0 }, .bytes = { 99, 0 } },
	};
	char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);
	(void)state;

	memcpy(records[0].key.a_ip + 12, "\x0a\x00\x00\x01", 4);
	memcpy(records[0].key.b_ip + 12, "\xc0\xa8\x01\x2a", 4);
	memset(records[1].key.a_ip, 0xfd, 16);
	memset(records[1].key.b_ip, 0xfe, 16);
	summary_print_top(records, 2, memory);
	fclose(memory);
	assert_has(text, "Top 2 flows by bytes:\n");
	assert_has(text, " 10.0.0.1:443 ");
	assert_has(text, " 192.168.1.42:50000 ");
	assert_has(text, " 1234567  established      12.800       14.100                2             1\n");
	assert_has(text, " fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd ");
	assert_has(text, "  2  253 ");

	char *header = strstr(text, "\n") + 1, *first = strstr(header, "\n") + 1, *second = strstr(first, "\n") + 1;
	assert_int_equal(first - header, second - first);
	assert_int_equal(strlen(second), second - first);
	free(text);
}

static void stats__when_printed__then_rates_of_the_interval(void **state)
{
	struct lanes_progress before = { .ledger = { .packets_read = 100, .bytes_read = 1000 }, .lost = 10 };
	struct lanes_progress now = { .ledger = { .packets_read = 1410322,
					      .bytes_read = 101551000,
					      .flows_alive = 18234,
					      .flows_created = 20000,
					      .first_packet_ns = 1000000000,
					      .last_packet_ns = 3000000000,
					      .dropped_filter = 50 },
		.lost = 14 };
	char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);
	(void)state;

	before.ledger.verdicts[VERDICT_DROP_TCP_SHORT] = 2;
	now.ledger.verdicts[VERDICT_DROP_TCP_SHORT] = 3;
	monitor_print_stats(memory, &before, &now, 1.0);
	monitor_print_total(memory, &now.ledger, 5);
	monitor_print_stats(memory, &now, &now, 0);
	fclose(memory);
	assert_string_equal(text,
		"[stats] 812.40 Mbps | 1410222 pps | 18234 flows | drops=5 (total=17)\n"
		"[stats] 406.20 Mbps | 705161 pps | 20000 flows | drops=8 (total=8) | whole run, 2.000 s of packet time\n"
		"[stats] 0.00 Mbps | 0 pps | 18234 flows | drops=0 (total=17)\n");
	free(text);
}

static void bar__when_formatted__then_fits_the_terminal(void **state)
{
	static const struct {
		const char *name;
		uint64_t done, total, packets;
		unsigned columns;
		const char *text;
	} cases[] = {
		{ "half", 1210000000, 2420000000, 20000000, 200,
			" 50 % [====================                    ]  1.21 GB of 2.42 GB  20.00 Mpackets  10.00 Mpps  0:02 "
			"left" },
		{ "begin", 0, 100, 0, 79, "  0 % [                            ]  0 B of 100 B  0 packets  0 pps  -:-- left" },
		{ "file that grows", 200, 100, 5, 60, "100 % [=======]  200 B of 100 B  5 packets  2 pps  0:00 left" },
		{ "pipe", 5000, 0, 1000, 79, "1.00 kpackets  500 pps" },
		{ "narrow", 50, 100, 10, 12, " 50 %  50 B " },
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lanes_progress progress = { .bytes_done = cases[i].done, .bytes_total = cases[i].total };
		char text[256];
		progress.ledger.packets_read = cases[i].packets;
		monitor_format_bar(text, sizeof(text), cases[i].columns, &progress, 2.0);
		assert_true(strlen(text) <= cases[i].columns);
		if (strcmp(text, cases[i].text))
			fail_msg("%s: \"%s\", not \"%s\"", cases[i].name, text, cases[i].text);
	}
}

/* Two queues, the second without a socket; the ring of the first was full for a while. */
static void fill_live(void)
{
	report.live = true;
	report.flows_sampled = 40;
	report.flows_oneway = 30;
	report.capture.interfaces = 1;
	report.capture.interface[0] = (struct capture_interface_report){ .name = "eth1",
		.driver = "veth",
		.mode = "copy",
		.ts_source = "xdp",
		.changed = "promiscuous mode on",
		.nic_packets = 1200,
		.nic_missed = 4 };
	report.capture.queues = 2;
	report.capture.queue[0] = (struct capture_queue_report){
		.lanes = 2, .seen = 1010, .received = 1000, .rx_ring_full = 6, .refused = 4, .bytes = 64640
	};
	report.capture.queue[1] = (struct capture_queue_report){ .queue = 1, .seen = 5, .no_socket = 5 };
}

static void json__when_live__then_stages_before_the_lanes(void **state)
{
	static const char *const parts[] = {
		"\"capture\": {\n    \"interfaces\": [\n      {\n        \"name\": \"eth1\",\n",
		"\"mode\": \"copy\",\n        \"ts_source\": \"xdp\",\n        \"changed\": \"promiscuous mode on\",\n        "
		"\"nic_packets\": 1200,\n",
		"\"queue\": 0,\n        \"lanes\": 2,\n        \"seen\": 1010,\n        \"filtered\": 0,\n        \"no_socket\": "
		"0,\n "
		"       \"received\": 1000,\n        \"rx_ring_full\": 6,\n        \"fill_ring_empty\": 0,\n        \"invalid\": "
		"0,\n   "
		"     \"refused\": 4,\n        \"too_long\": 0,\n        \"bytes\": 64640,\n        \"denied\": 0,\n        "
		"\"unsampled\": 0,\n        \"cut_off\": 0,\n",
		"\"queue\": 1,\n        \"lanes\": 0,\n        \"seen\": 5,\n        \"filtered\": 0,\n        \"no_socket\": 5,\n",
		"\"oneway_flows_ratio\": 0.7500\n  },\n",
		"\"ts_source\": \"xdp\",\n",
	};
	(void)state;
	fill_live();
	char *text = json_text();

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		assert_has(text, parts[i]);
	free(text);
}

static void text__when_live__then_losses_are_named(void **state)
{
	(void)state;
	fill_live();
	char *text = plain_text();

	assert_has(text, "Interface eth1:    driver veth, copy mode, time stamps from xdp; promiscuous mode on\n");
	assert_has(text, "NIC: 4 LOST before XDP (dropped 0, missed 4, errors 0)\n");
	assert_has(text, "queue 0         1010 seen = 1000 received + 6 LOST, RX ring full + 4 LOST, refused (0.990 % lost)\n");
	assert_has(text, "queue 1         5 seen = 0 received + 5 no socket\n");
	assert_has(text, "One-way flows: 75 % of 40: traffic of one direction only, or a NIC that sends the two directions of a "
			 "flow to different queues");
	report.flows_oneway = 20; /* half of them is what a scan or a mirror of one direction looks like */
	char *other = plain_text();
	assert_null(strstr(other, "One-way flows"));
	free(other);
	free(text);
}

static void exit_code__when_interface_is_gone__then_runtime(void **state)
{
	(void)state;
	report.outputs = 0;
	assert_int_equal(summary_exit_code(&report), 0);
	report.gone = true;
	assert_int_equal(summary_exit_code(&report), EXIT_RUNTIME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(json__when_printed__then_keys_in_promised_order, fill),
		cmocka_unit_test_setup(json__when_live__then_stages_before_the_lanes, fill),
		cmocka_unit_test_setup(text__when_live__then_losses_are_named, fill),
		cmocka_unit_test_setup(exit_code__when_interface_is_gone__then_runtime, fill),
		cmocka_unit_test_setup(json__when_printed__then_values_are_those_of_the_report, fill),
		cmocka_unit_test_setup(json__when_nothing_read__then_times_are_null, fill),
		cmocka_unit_test_setup(write_json__when_file_and_when_disk_full__then_written_or_error, fill),
		cmocka_unit_test_setup(text__when_printed__then_accounts_for_every_packet, fill),
		cmocka_unit_test_setup(text__when_not_whole__then_heading_says_why, fill),
		cmocka_unit_test_setup(exit_code__when_something_failed_or_was_lost__then_runtime, fill),
		cmocka_unit_test_setup(top__when_printed__then_columns_are_aligned, fill),
		cmocka_unit_test(stats__when_printed__then_rates_of_the_interval),
		cmocka_unit_test(bar__when_formatted__then_fits_the_terminal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
