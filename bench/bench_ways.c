#include "bench_ways.h"

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "flowlane/sink.h"
#include "traffic.h"

#define BATCH 16 /* about what one timer chunk hands out */

/* A plausible direction of a TCP or UDP flow; all end within one rotation interval. */
static void way_make(uint64_t number, struct flow_way *way)
{
	uint64_t random = number;

	memset(way, 0, sizeof(*way));
	way->key.ip_version = random_below(&random, 10) ? 4 : 6;
	way->key.proto = random_below(&random, 10) < 7 ? TRAFFIC_TCP : TRAFFIC_UDP;
	for (unsigned i = way->key.ip_version == 4 ? FLOW_KEY_V4_OFFSET : 0; i < 16; i++) {
		way->key.a_ip[i] = (uint8_t)random_next(&random);
		way->key.b_ip[i] = (uint8_t)random_next(&random);
	}
	way->key.a_port = (uint16_t)random_next(&random);
	way->key.b_port = (uint16_t)random_next(&random);
	way->key.vlan = way->vlan = FLOW_VLAN_NONE;
	way->dir = number & 1;
	way->first_ns = (uint64_t)1700000100 * 1000000000 + random_below(&random, UINT32_MAX) * (uint64_t)10;
	way->last_ns = way->end_ns = way->first_ns + random_below(&random, UINT32_MAX) * (uint64_t)10;
	way->packets = 1 + random_below(&random, 1000);
	way->bytes = way->packets * (60 + random_below(&random, 1400));
	way->l3_bytes = way->bytes - 14 * way->packets;
	way->pieces = 1;
	way->has_mac = 1;
	way->src_mac[5] = way->dst_mac[5] = (uint8_t)random_next(&random);
	if (way->key.proto == TRAFFIC_TCP) {
		way->tcp_flags = 0x1b;
		way->server_us = random_below(&random, 100000);
		way->client_us = random_below(&random, 1000);
	}
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static void way_bench(const struct sink_ops *ops, const struct config *config, bool live, const struct flow_way *ways, uint64_t n)
{
	struct source_info info = { .link = LINK_ETHERNET, .snaplen = 65535, .live = live };
	void (*feed)(struct sink *, const struct flow_way *, unsigned) = ops->pieces ? ops->pieces : ops->ways;
	struct output_report report;
	struct output *output;
	struct sink *sink;

	if (ops->open(config, &info, &output) || ops->attach(output, 0, &sink))
		exit(2);
	uint64_t start_ns = clock_monotonic_ns(), start_cpu_ns = clock_process_cpu_ns();
	for (uint64_t i = 0; i < n; i += BATCH)
		feed(sink, ways + i, n - i < BATCH ? (unsigned)(n - i) : BATCH);
	uint64_t lane_ns = clock_monotonic_ns() - start_ns;
	ops->detach(sink);
	ops->close(output, &report);
	uint64_t all_ns = clock_monotonic_ns() - start_ns, cpu_ns = clock_process_cpu_ns() - start_cpu_ns;

	printf("{\"bench\":\"sinks\",\"sink\":\"%s\",\"live\":%s,\"records\":%llu,\"ns_per_record\":%.0f,\"ns_per_record_lane\":%."
	       "0f,"
	       "\"cpu_ns_per_record\":%.0f,\"bytes_per_record\":%.1f}\n",
		report.name, live ? "true" : "false", (unsigned long long)n, (double)all_ns / (double)n,
		(double)lane_ns / (double)n, (double)cpu_ns / (double)n, (double)report.bytes / (double)n);
	if (report.records != n)
		traffic_die(
			"%s holds %llu of %llu records", report.path, (unsigned long long)report.records, (unsigned long long)n);
	nftw(report.path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void series_bench(const struct sink_ops *ops, const struct config *config, uint64_t n)
{
	struct source_info info = { .link = LINK_ETHERNET, .snaplen = 65535 };
	struct frame frames[FLOWLANE_BATCH];
	struct packet packets[FLOWLANE_BATCH];
	const struct packet *pointers[FLOWLANE_BATCH];
	struct output_report report;
	struct output *output;
	struct sink *sink;

	if (ops->open(config, &info, &output) || ops->attach(output, 0, &sink))
		exit(2);
	memset(packets, 0, sizeof(packets));
	n -= n % FLOWLANE_BATCH;
	for (unsigned i = 0; i < FLOWLANE_BATCH; i++) {
		frames[i] = (struct frame){ .wire_len = 64 };
		packets[i].frame = &frames[i];
		packets[i].l3_len = 46;
		pointers[i] = &packets[i];
	}
	uint64_t start_ns = clock_monotonic_ns();
	for (uint64_t i = 0; i < n; i += FLOWLANE_BATCH) {
		for (unsigned k = 0; k < FLOWLANE_BATCH; k++)
			frames[k].ts_ns = (uint64_t)1700000100 * 1000000000 + (i + k) * 1000;
		ops->packets(sink, pointers, FLOWLANE_BATCH);
	}
	uint64_t lane_ns = clock_monotonic_ns() - start_ns;
	ops->detach(sink);
	ops->close(output, &report);
	uint64_t all_ns = clock_monotonic_ns() - start_ns;

	printf("{\"bench\":\"sinks\",\"sink\":\"series\",\"live\":false,\"packets\":%llu,\"ns_per_packet\":%.2f,\"ns_per_packet_"
	       "lane\":%.2f}\n",
		(unsigned long long)n, (double)all_ns / (double)n, (double)lane_ns / (double)n);
	if (report.records != n)
		traffic_die("series holds %llu of %llu packets", (unsigned long long)report.records, (unsigned long long)n);
	nftw(report.path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void ways_bench(const char *directory, uint64_t n)
{
	char path[512];
	const uint64_t rotate_ns = (uint64_t)300 * 1000000000;
	const struct config configs[] = {
		{ .export_pipe = path },
		{ .export_csv_flow = path },
		{ .export_binary = path, .rotate_ns = rotate_ns },
		{ .export_nfcapd = path, .rotate_ns = rotate_ns, .nfcapd_compress = NFCAPD_LZ4 },
		{ .export_hist = path, .rotate_ns = rotate_ns, .hist_bins = 12 },
		{ .export_series = path },
	};
	struct flow_way *ways = malloc(n * sizeof(*ways));

	if (!ways)
		traffic_die("no memory for %llu records", (unsigned long long)n);
	for (uint64_t i = 0; i < n; i++)
		way_make(i, &ways[i]);
	snprintf(path, sizeof(path), "%s/bench_ways.%d", directory, (int)getpid());
	for (unsigned c = 0; c < sizeof(configs) / sizeof(configs[0]); c++) {
		for (const struct sink_ops *const *ops = sink_registry; *ops; ops++) {
			if (!((*ops)->wants & (SINK_WAYS | SINK_PIECES)) || !(*ops)->wanted(&configs[c]))
				continue;
			if ((*ops)->wants & SINK_PACKETS) {
				series_bench(*ops, &configs[c], n);
				continue;
			}
			way_bench(*ops, &configs[c], true, ways, n);
			way_bench(*ops, &configs[c], false, ways, n);
		}
	}
	free(ways);
}
