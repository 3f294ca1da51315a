/*
 * The cost of the outputs through the sink contract as a lane uses it: of flows per record, the lane's part (flows, on the packet
 * path) and the rest at the end (sorting, formatting, writing); of pcap per packet. One JSON line per case on standard output.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_pcap.h"
#include "bench_ways.h"
#include "clock.h"
#include "flowlane/sink.h"
#include "traffic.h"

#define RECORDS_PER_CALL 16 /* about what one timer chunk hands out */

static const char usage[] =
	"Usage: bench_sinks [RECORDS] [DIRECTORY] [MIB]\n"
	"\n"
	"RECORDS (default 1000000) finished flows into each flow output, MIB (default 1024) of packets into pcap; 0 leaves either\n"
	"out. Files go to DIRECTORY (default TMPDIR or /tmp) and are removed.\n";

/* A plausible TCP or UDP flow; widely spread values, as formatting time depends on digits. */
static void record_make(uint64_t number, struct flow_record *record)
{
	uint64_t random = number;

	memset(record, 0, sizeof(*record));
	record->key.ip_version = random_below(&random, 10) ? 4 : 6;
	record->key.proto = random_below(&random, 10) < 7 ? TRAFFIC_TCP : TRAFFIC_UDP;
	for (unsigned i = record->key.ip_version == 4 ? FLOW_KEY_V4_OFFSET : 0; i < 16; i++) {
		record->key.a_ip[i] = (uint8_t)random_next(&random);
		record->key.b_ip[i] = (uint8_t)random_next(&random);
	}
	record->key.a_port = (uint16_t)random_next(&random);
	record->key.b_port = (uint16_t)random_next(&random);
	record->key.vlan = FLOW_VLAN_NONE;
	record->first_ns = (uint64_t)1700000000 * 1000000000 + random_below(&random, UINT32_MAX) * (uint64_t)1000;
	record->last_ns = record->end_ns = record->first_ns + random_below(&random, UINT32_MAX) * (uint64_t)10;
	for (unsigned dir = 0; dir < 2; dir++) {
		record->packets[dir] = 1 + random_below(&random, 1000);
		record->bytes[dir] = record->packets[dir] * (60 + random_below(&random, 1400));
		record->l3_bytes[dir] = record->bytes[dir] - 14 * record->packets[dir];
	}
	record->end = FLOW_END_TIMEOUT;
	if (record->key.proto == TRAFFIC_TCP) {
		record->tcp_state = TCP_STATE_ESTABLISHED;
		record->client = CLIENT_A_TO_B;
		record->retransmissions = random_below(&random, 20);
		record->rtt.samples = 1 + random_below(&random, 500);
		record->rtt.last = record->rtt.min = record->rtt.ewma = random_below(&random, 100000000);
	}
}

static void sink_feed(const struct sink_ops *ops, struct sink *sink, const struct flow_record *records, uint64_t n)
{
	for (uint64_t i = 0; i < n; i += RECORDS_PER_CALL)
		ops->flows(sink, records + i, n - i < RECORDS_PER_CALL ? (unsigned)(n - i) : RECORDS_PER_CALL);
}

static void sink_bench(const struct sink_ops *ops, const struct config *config, const struct flow_record *records, uint64_t n)
{
	struct source_info info = { .link = LINK_ETHERNET, .snaplen = 65535 };
	struct output_report reports[SINK_REPORTS_MAX];
	uint64_t start_ns, lane_ns, start_cpu_ns;
	struct output *output;
	struct sink *sink;

	if (ops->open(config, &info, &output) || ops->attach(output, 0, &sink))
		exit(2);
	start_ns = clock_monotonic_ns();
	start_cpu_ns = clock_process_cpu_ns();
	sink_feed(ops, sink, records, n);
	lane_ns = clock_monotonic_ns() - start_ns;
	ops->detach(sink);
	unsigned count = ops->close(output, reports);
	uint64_t all_ns = clock_monotonic_ns() - start_ns, cpu_ns = clock_process_cpu_ns() - start_cpu_ns;

	for (unsigned i = 0; i < count; i++) {
		printf("{\"bench\":\"sinks\",\"sink\":\"%s\",\"records\":%llu,\"ns_per_record\":%.0f,\"ns_per_record_lane\":%.0f,"
		       "\"cpu_ns_per_record\":%.0f,\"bytes_per_record\":%.0f}\n",
			reports[i].name, (unsigned long long)n, (double)all_ns / (double)n, (double)lane_ns / (double)n,
			(double)cpu_ns / (double)n, (double)reports[i].bytes / (double)n);
		if (reports[i].records != n)
			traffic_die("%s holds %llu of %llu records", reports[i].path, (unsigned long long)reports[i].records,
				(unsigned long long)n);
		unlink(reports[i].path);
	}
}

/* One flow output at a time: each has its own configuration. */
static void sinks_bench(const char *directory, const struct flow_record *records, uint64_t n)
{
	char path[512];
	const struct config configs[] = {
		{ .export_json = path },
		{ .export_csv = path },
		{ .expired_flows_jsonl = path },
	};

	snprintf(path, sizeof(path), "%s/bench_sinks.%d", directory, (int)getpid());
	for (unsigned c = 0; c < sizeof(configs) / sizeof(configs[0]); c++)
		for (const struct sink_ops *const *ops = sink_registry; *ops; ops++)
			if ((*ops)->wants & SINK_FLOWS && (*ops)->wanted(&configs[c]))
				sink_bench(*ops, &configs[c], records, n);
}

int main(int argc, char **argv)
{
	const char *directory = getenv("TMPDIR");
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	uint64_t mib = argc > 3 ? strtoull(argv[3], NULL, 10) : 1024;
	struct flow_record *records;

	if (argc > 4 || (!n && !mib)) {
		fputs(usage, stderr);
		return 1;
	}
	if (argc > 2)
		directory = argv[2];
	if (!directory)
		directory = "/tmp";
	if (mib)
		pcap_bench(directory, mib << 20);
	if (!n)
		return 0;
	records = malloc(n * sizeof(*records));
	if (!records)
		traffic_die("no memory for %llu records", (unsigned long long)n);
	for (uint64_t i = 0; i < n; i++)
		record_make(i, &records[i]);
	sinks_bench(directory, records, n);
	free(records);
	ways_bench(directory, n);
	return 0;
}
