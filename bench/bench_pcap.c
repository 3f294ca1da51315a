#include "bench_pcap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "flowlane/sink.h"
#include "traffic.h"

/* Frames lie as in a UMEM: 16 MiB of buffers, more than an L2, handed out in no order. */
#define BUFFERS      8192
#define BUFFER_BYTES 2048

extern const struct sink_ops sink_pcap;

struct pcap_case {
	const char *name;
	const char *path; /* NULL: in the directory */
	uint32_t length;
	bool live, direct;
	bool paced; /* at 10 Gbit/s: with preamble, FCS and gap a packet takes 20 + 4 bytes more */
};

static struct frame *frames_make(uint8_t *buffers, uint32_t length)
{
	struct frame *frames = calloc(BUFFERS, sizeof(*frames));
	uint64_t random = 1;

	if (!frames)
		traffic_die("no memory");
	for (uint32_t i = 0; i < BUFFERS; i++)
		frames[i].data = buffers + (size_t)i * BUFFER_BYTES + 256;
	for (uint32_t i = BUFFERS - 1; i > 0; i--) {
		uint32_t j = (uint32_t)random_below(&random, i + 1);
		const uint8_t *data = frames[i].data;
		frames[i].data = frames[j].data;
		frames[j].data = data;
	}
	for (uint32_t i = 0; i < BUFFERS; i++) {
		frames[i].cap_len = frames[i].wire_len = length;
		frames[i].link = LINK_ETHERNET;
	}
	return frames;
}

/* A lane has read the headers of a batch before a sink gets it. */
static uint64_t batch_look(struct frame *frames, unsigned n, uint64_t *now_ns)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < n; i++) {
		frames[i].ts_ns = *now_ns += 67;
		seen += frames[i].data[0] + frames[i].data[12];
	}
	return seen;
}

static uint64_t packets_feed(struct sink *sink, struct frame *frames, uint64_t packets, double pace, uint64_t *cpu_ns)
{
	uint64_t now_ns = (uint64_t)1700000000 * 1000000000, seen = 0, spent = 0, start_cpu_ns = clock_thread_cpu_ns();
	uint64_t begin = __builtin_ia32_rdtsc();

	for (uint64_t i = 0; i < packets; i += FLOWLANE_BATCH) {
		struct frame *batch = &frames[i % BUFFERS];
		while (pace > 0 && (double)(__builtin_ia32_rdtsc() - begin) < pace * (double)i)
			__builtin_ia32_pause();
		seen += batch_look(batch, FLOWLANE_BATCH, &now_ns);
		uint64_t start = __builtin_ia32_rdtsc();
		sink_pcap.frames(sink, batch, FLOWLANE_BATCH);
		spent += __builtin_ia32_rdtsc() - start;
	}
	*cpu_ns = clock_thread_cpu_ns() - start_cpu_ns;
	return seen ? spent : 0;
}

static double tsc_per_ns(void)
{
	uint64_t start_ns = clock_monotonic_ns(), start = __builtin_ia32_rdtsc();

	while (clock_monotonic_ns() - start_ns < 20000000)
		;
	return (double)(__builtin_ia32_rdtsc() - start) / (double)(clock_monotonic_ns() - start_ns);
}

static void case_run(const struct pcap_case *it, const char *path, uint8_t *buffers, uint64_t packets, double tsc)
{
	struct config config = { .write_pcap = (char *)(uintptr_t)(it->path ? it->path : path), .direct_io = it->direct };
	struct source_info info = { .link = LINK_ETHERNET, .snaplen = 65535, .nanoseconds = true, .live = it->live };
	struct frame *frames = frames_make(buffers, it->length);
	struct output_report report;
	struct output *output;
	struct sink *sink;
	uint64_t lane_cpu_ns, start_ns, start_cpu_ns;

	if (sink_pcap.open(&config, &info, &output) || sink_pcap.attach(output, 0, &sink) || sink_pcap.start(output))
		exit(2);
	start_ns = clock_monotonic_ns();
	start_cpu_ns = clock_process_cpu_ns();
	uint64_t spent = packets_feed(sink, frames, packets, it->paced ? (it->length + 24) * 0.8 * tsc : 0, &lane_cpu_ns);
	sink_pcap.detach(sink);
	sink_pcap.close(output, &report);
	uint64_t all_ns = clock_monotonic_ns() - start_ns, cpu_ns = clock_process_cpu_ns() - start_cpu_ns;
	double n = (double)packets;

	printf("{\"bench\":\"sinks\",\"sink\":\"%s\",\"packet_bytes\":%u,\"live\":%s,\"direct\":%s,\"paced\":%s,\"packets\":%llu,"
	       "\"ns_per_packet\":%.1f,\"ns_per_packet_lane\":%.1f,\"cpu_ns_per_packet_lane\":%.1f,\"cpu_ns_per_packet\":%.1f,"
	       "\"gb_per_s\":%.2f,\"lost\":%llu}\n",
		it->name, it->length, it->live ? "true" : "false", it->direct ? "true" : "false", it->paced ? "true" : "false",
		(unsigned long long)packets, (double)all_ns / n, (double)spent / tsc / n, (double)lane_cpu_ns / n,
		(double)cpu_ns / n, (double)report.bytes / (double)all_ns, (unsigned long long)report.lost);
	fflush(stdout);
	if (report.records + report.lost != packets)
		traffic_die("%s holds %llu of %llu packets, %llu are lost", report.path, (unsigned long long)report.records,
			(unsigned long long)packets, (unsigned long long)report.lost);
	if (!it->path)
		unlink(path);
	free(frames);
}

void pcap_bench(const char *directory, uint64_t bytes)
{
	static const struct pcap_case cases[] = {
		{ .name = "pcap_null", .path = "/dev/null", .length = 64 },
		{ .name = "pcap_null", .path = "/dev/null", .length = 1500 },
		{ .name = "pcap", .length = 64 },
		{ .name = "pcap", .length = 1500 },
		{ .name = "pcap", .length = 64, .live = true, .paced = true },
		{ .name = "pcap", .length = 1500, .live = true, .paced = true },
		{ .name = "pcap", .length = 64, .live = true, .paced = true, .direct = true },
		{ .name = "pcap", .length = 1500, .live = true, .paced = true, .direct = true },
	};
	uint8_t *buffers = aligned_alloc(4096, (size_t)BUFFERS * BUFFER_BYTES);
	char path[512];
	double tsc = tsc_per_ns();

	if (!buffers)
		traffic_die("no memory for %u buffers", BUFFERS);
	memset(buffers, 0x5a, (size_t)BUFFERS * BUFFER_BYTES);
	snprintf(path, sizeof(path), "%s/bench_sinks.%d.pcap", directory, (int)getpid());
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t packets = bytes / (16 + cases[i].length) / FLOWLANE_BATCH * FLOWLANE_BATCH;
		case_run(&cases[i], path, buffers, packets ? packets : FLOWLANE_BATCH, tsc);
	}
	free(buffers);
}
