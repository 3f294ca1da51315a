#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metrics.h"

static void parse__when_address_and_port__then_both(void **state)
{
	static const struct {
		const char *text, *address;
		uint16_t port;
	} cases[] = {
		{ "127.0.0.1:9100", "127.0.0.1", 9100 },
		{ "9100", "127.0.0.1", 9100 },
		{ "[::1]:9100", "::1", 9100 },
		{ "[fe80::1%lo]:80", "fe80::1%lo", 80 },
		{ ":65535", "", 65535 },
		{ "*:1", "", 1 },
		{ "[::]:1", "::", 1 },
	};
	struct metrics_place place;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(metrics_parse(cases[i].text, &place));
		assert_string_equal(place.address, cases[i].address);
		assert_int_equal(place.port, cases[i].port);
	}
}

static void parse__when_it_is_none__then_refused(void **state)
{
	static const char *const texts[] = { "", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:-1",
		"127.0.0.1:+80", "127.0.0.1:80x", "127.0.0.1: 80", "::1:9100", "[::1]", "[::1]9100", "[]:x", "localhost:9100",
		"1.2.3:9100x", "256.0.0.1:80", "99999999999999999999", "-:80",
		"[00000000000000000000000000000000000000000000000000000000000000000000000000000001]:80" };
	struct metrics_place place;

	(void)state;
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (metrics_parse(texts[i], &place))
			fail_msg("'%s' was taken", texts[i]);
	}
}

static char *print(const struct lanes_report *report)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	assert_non_null(out);
	metrics_print(report, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* Each sample behind its family's TYPE line, each family once: what Prometheus insists on. */
static void check_form(char *text)
{
	char family[128] = "", seen[64][128], *rest = NULL;
	unsigned families = 0;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!strncmp(line, "# HELP ", 7))
			continue;
		if (sscanf(line, "# TYPE %127s", family) == 1) {
			for (unsigned i = 0; i < families; i++)
				assert_string_not_equal(seen[i], family);
			strcpy(seen[families++], family);
			continue;
		}
		size_t length = strcspn(line, "{ ");
		assert_int_equal(length, strlen(family));
		assert_memory_equal(line, family, length);
		assert_non_null(strrchr(line, ' '));
	}
	assert_in_range(families, 10, 64);
}

static void print__when_two_lanes_and_two_queues__then_each_has_its_samples(void **state)
{
	struct lanes_report *report = calloc(1, sizeof(*report));

	(void)state;
	assert_non_null(report);
	report->lanes = 2;
	report->live = true;
	report->lane[0].ledger.packets_read = 1000;
	report->lane[1].ledger.packets_read = 23;
	report->lane[1].ledger.dropped_filter = 7;
	report->lane[1].ledger.verdicts[VERDICT_FLOW] = 15;
	report->lane[1].ledger.verdicts[VERDICT_NOFLOW_ARP] = 1;
	report->sample = 8;
	report->flows_sampled = 4;
	report->flows_oneway = 1;
	report->capture.interfaces = 1;
	strcpy(report->capture.interface[0].name, "eth1");
	strcpy(report->capture.interface[0].driver, "ice");
	strcpy(report->capture.interface[0].mode, "zero-copy");
	strcpy(report->capture.interface[0].ts_source, "xdp");
	report->capture.interface[0].nic_missed = 5;
	report->outputs = 2;
	report->output[0] = (struct output_report){ .name = "pcap", .records = 990, .lost = 33 };
	report->output[1] = (struct output_report){ .name = "pipe", .records = 8 };
	report->capture.queues = 2;
	report->capture.queue[0].queue = 0;
	report->capture.queue[1].queue = 3;
	report->capture.queue[1].rx_ring_full = 18446744073709551615u;
	char *text = print(report);
	static const char *const lines[] = {
		"flowlane_packets_read_total{lane=\"0\"} 1000\n",
		"flowlane_packets_read_total{lane=\"1\"} 23\n",
		"flowlane_packets_decoded_total{lane=\"1\"} 16\n",
		"flowlane_packets_in_flows_total{lane=\"1\"} 15\n",
		"flowlane_drops_total{lane=\"1\",reason=\"filter\"} 7\n",
		"flowlane_output_records_total{output=\"pcap\"} 990\n",
		"flowlane_output_lost_total{output=\"pcap\"} 33\n",
		"flowlane_output_records_total{output=\"pipe\"} 8\n",
		"flowlane_no_flow_total{lane=\"1\",kind=\"arp\"} 1\n",
		"flowlane_nic_missed_total{interface=\"eth1\"} 5\n",
		"flowlane_interface_info{interface=\"eth1\",driver=\"ice\",mode=\"zero-copy\",ts_source=\"xdp\"} 1\n",
		"flowlane_queue_rx_ring_full_total{interface=\"eth1\",queue=\"3\"} 18446744073709551615\n",
		"flowlane_sample_factor 8\n",
		"flowlane_oneway_flows_ratio 0.250000\n",
	};
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (!strstr(text, lines[i]))
			fail_msg("missing: %sin\n%s", lines[i], text);
	}
	check_form(text);
	free(text);
	free(report);
}

static void print__when_a_file_is_read__then_nothing_of_interfaces(void **state)
{
	struct lanes_report *report = calloc(1, sizeof(*report));

	(void)state;
	assert_non_null(report);
	report->lanes = 1;
	char *text = print(report);
	assert_null(strstr(text, "flowlane_queue"));
	assert_null(strstr(text, "flowlane_interface"));
	assert_null(strstr(text, "sample_factor")); /* there is none */
	check_form(text);
	free(text);
	free(report);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse__when_address_and_port__then_both),
		cmocka_unit_test(parse__when_it_is_none__then_refused),
		cmocka_unit_test(print__when_two_lanes_and_two_queues__then_each_has_its_samples),
		cmocka_unit_test(print__when_a_file_is_read__then_nothing_of_interfaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
