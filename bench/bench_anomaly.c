/*
 * What the anomaly detectors cost: the core without and with them, in turn, on the same frames. One JSON line per case.
 *
 *   load       the packets of 1 M flows, all alive (as bench_core)
 *   syn_flood  the same flows, but three of four packets are SYNs to one service, each from a source of its own: 3 M of them
 *   scan       three of four packets are SYNs of one source to random ports (65,536) of random hosts (65,536)
 *
 * The flow table has its default size. Flows that are evicted are counted: no flow of the load should be. Times are of the thread's
 * CPU clock; memory is what is resident before the attack, and at its end. With --populate all memory is taken before, as by
 * flowlane's option; without, the kernel clears pages for the flows of the attack, and that is part of the time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "all_detectors.h"
#include "anomaly.h"
#include "arena.h"
#include "bytes.h"
#include "clock.h"
#include "core.h"
#include "frame_store.h"

#define ROUNDS     3
#define GAP_NS     67
#define SLOT       FRAME_STORE_SLOT
#define SYN_FRAMES 3000000

enum attack { LOAD_ONLY, SYN_FLOOD, SCAN, ATTACKS };

struct bench {
	uint64_t flows;
	uint32_t max_flows;
	struct frame_store store;
	uint8_t *frames; /* those of the measured phase */
	uint64_t packets;
	enum attack attack;
	double normal_ns; /* per packet of the load, with detectors */
};

struct outcome {
	double ns; /* per packet of the measured phase */
	uint64_t alerts, events;
	uint64_t evicted, evicted_load;
	uint64_t rss_before, rss_after; /* of the attack */
	struct alert_report report;
};

static uint64_t rss_bytes(void)
{
	unsigned long long total, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%llu %llu", &total, &resident) != 2)
		resident = 0;
	if (file)
		fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t mix(uint64_t x)
{
	x = (x + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 29) * 0x94d049bb133111ebu;
	return x ^ x >> 32;
}

/* A SYN in 60 bytes. */
static void syn_frame(uint8_t *frame, uint32_t src, uint32_t dst, uint16_t src_port, uint16_t dst_port)
{
	static const uint8_t head[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6 };

	memset(frame, 0, SLOT);
	memcpy(frame, head, sizeof(head));
	store_be32(frame + 26, src);
	store_be32(frame + 30, dst);
	store_be16(frame + 34, src_port);
	store_be16(frame + 36, dst_port);
	frame[46] = 0x50;
	frame[47] = TCP_SYN;
	store_be16(frame + 48, 1024);
}

/* The load after all its flows are open; of an attack, three of four packets are its SYNs. None of the load is left out: to do so
 * would be loss, and the core's time for that. */
static void bench_fill(struct bench *bench)
{
	const struct frame_store *store = &bench->store;
	const uint8_t *load = store->frames + store->setup_packets * SLOT;
	uint64_t attacking = 0;

	bench->packets = bench->attack == LOAD_ONLY ? store->packets - store->setup_packets : SYN_FRAMES / 3 * 4;
	bench->frames = arena_map(bench->packets * SLOT);
	if (!bench->frames)
		traffic_die("no memory for frames");
	for (uint64_t i = 0; i < bench->packets; i++) {
		uint8_t *frame = bench->frames + i * SLOT;
		uint64_t random = mix(i);
		if (bench->attack == LOAD_ONLY || i % 4 == 3)
			memcpy(frame, load + (bench->attack == LOAD_ONLY ? i : i / 4) * SLOT, SLOT);
		else if (bench->attack == SYN_FLOOD)
			syn_frame(frame, 0x40000000 + (uint32_t)attacking++ * 7, 0xc0000201, (uint16_t)random, 443);
		else
			syn_frame(frame, 0xc6336407, 0x30000000 | (uint16_t)(random >> 20), 40000, (uint16_t)random);
	}
}

static void alerts_count(void *context, const struct alert *alerts, unsigned n)
{
	(void)alerts;
	*(uint64_t *)context += n;
}

/* The load's addresses are in 10/8 and the like: not those of attackers. */
static bool is_attack(const struct flow_key *key)
{
	uint32_t a = load_be32(key->a_ip + FLOW_KEY_V4_OFFSET), b = load_be32(key->b_ip + FLOW_KEY_V4_OFFSET);

	return a == 0xc0000201 || b == 0xc0000201 || a == 0xc6336407 || b == 0xc6336407;
}

static void records_count(void *context, const struct flow_record *records, unsigned n)
{
	struct outcome *outcome = context;

	for (unsigned i = 0; i < n; i++) {
		bool evicted = records[i].end == FLOW_END_EVICTION;
		outcome->evicted += evicted;
		outcome->evicted_load += evicted && !is_attack(&records[i].key);
	}
}

static void run_frames(struct core *core, const uint8_t *data, uint64_t packets, uint64_t ts_ns)
{
	struct frame frames[FLOWLANE_BATCH];

	for (uint64_t first = 0; first < packets; first += FLOWLANE_BATCH) {
		unsigned n = packets - first < FLOWLANE_BATCH ? (unsigned)(packets - first) : FLOWLANE_BATCH;
		for (unsigned i = 0; i < n; i++, ts_ns += GAP_NS)
			frames[i] = (struct frame){ .data = data + (first + i) * SLOT,
				.ts_ns = ts_ns,
				.cap_len = LOAD_FRAME_MIN - 4,
				.wire_len = LOAD_FRAME_MIN - 4,
				.link = LINK_ETHERNET };
		core_run(core, frames, n);
	}
}

static void bench_run(const struct bench *bench, bool detect, struct outcome *outcome)
{
	const struct config config = all_detectors();
	const struct anomaly_options options = {
		.config = &config, .lanes = 1, .seed = HASH_SEED_FIXED, .on_alerts = alerts_count, .context = &outcome->alerts
	};
	struct core_options core_options = { .seed = HASH_SEED_FIXED,
		.max_flows = bench->max_flows,
		.flow_timeout_ns = 60000000000u,
		.lanes = 1,
		.on_records = records_count,
		.context = outcome };
	const struct frame_store *store = &bench->store;
	uint64_t ts_ns = FRAME_STORE_START_NS, start_ns;
	struct anomaly *anomaly = NULL;
	struct core *core;

	*outcome = (struct outcome){ 0 };
	if (detect && anomaly_create(&options, &anomaly))
		traffic_die("no memory for the detectors");
	core_options.tap = anomaly ? anomaly_tap(anomaly, 0) : NULL;
	if (core_create(&core_options, &core))
		traffic_die("no memory for the core");
	run_frames(core, store->frames, store->setup_packets, ts_ns);
	ts_ns += store->setup_packets * GAP_NS;
	outcome->rss_before = rss_bytes();
	start_ns = clock_thread_cpu_ns();
	run_frames(core, bench->frames, bench->packets, ts_ns);
	outcome->ns = (double)(clock_thread_cpu_ns() - start_ns) / (double)bench->packets;
	outcome->rss_after = rss_bytes();
	if (anomaly) {
		anomaly_finish(anomaly);
		anomaly_report(anomaly, &outcome->report);
	}
	core_destroy(core);
	anomaly_destroy(anomaly);
}

static int compare(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return (a > b) - (a < b);
}

static void bench_case(struct bench *bench)
{
	static const char *const names[] = { "load", "syn_flood", "scan" };
	double without[ROUNDS], with[ROUNDS], ratio[ROUNDS];
	struct outcome plain, detecting;

	bench_fill(bench);
	for (unsigned i = 0; i < ROUNDS; i++) {
		bench_run(bench, false, &plain);
		bench_run(bench, true, &detecting);
		without[i] = plain.ns;
		with[i] = detecting.ns;
		ratio[i] = detecting.ns / plain.ns;
	}
	qsort(without, ROUNDS, sizeof(double), compare);
	qsort(with, ROUNDS, sizeof(double), compare);
	qsort(ratio, ROUNDS, sizeof(double), compare);
	if (bench->attack == LOAD_ONLY)
		bench->normal_ns = with[ROUNDS / 2];
	printf("{\"bench\":\"anomaly\",\"case\":\"%s\",\"flows\":%llu,\"packets\":%llu,\"ns_per_packet_without\":%.1f,"
	       "\"ns_per_packet_with\":%.1f,\"ratio\":%.3f,\"to_normal\":%.2f,\"events\":%llu,\"alerts\":%llu,",
		names[bench->attack], (unsigned long long)bench->flows, (unsigned long long)bench->packets, without[ROUNDS / 2],
		with[ROUNDS / 2], ratio[ROUNDS / 2], with[ROUNDS / 2] / bench->normal_ns,
		(unsigned long long)detecting.report.events, (unsigned long long)detecting.alerts);
	printf("\"evicted\":%llu,\"evicted_of_load\":%llu,\"rss_mib_before\":%.1f,\"rss_mib_after\":%.1f,"
	       "\"keys_evicted\":%llu,\"attempts_missed\":%llu}\n",
		(unsigned long long)detecting.evicted, (unsigned long long)detecting.evicted_load,
		(double)detecting.rss_before / 1048576, (double)detecting.rss_after / 1048576,
		(unsigned long long)detecting.report.keys_evicted, (unsigned long long)detecting.report.attempts_missed);
	fflush(stdout);
	arena_unmap(bench->frames, bench->packets * SLOT);
}

int main(int argc, char **argv)
{
	bool populate = argc > 1 && !strcmp(argv[1], "--populate");
	const char *number = argc > 1 + populate ? argv[1 + populate] : "1000000";
	uint64_t flows = strtoull(number, NULL, 10);

	if (argc > 2 + populate || flows < 1000 || flows > 4000000) {
		fputs("Usage: bench_anomaly [--populate] [FLOWS]   1000 to 4000000, default 1000000\n", stderr);
		return 1;
	}
	struct bench bench = { .flows = flows, .max_flows = 4194304 };
	frame_store_fill(&bench.store, flows, 3 * flows + 5000000, GAP_NS);
	if (populate)
		arena_back_all();
	for (bench.attack = LOAD_ONLY; bench.attack < ATTACKS; bench.attack++)
		bench_case(&bench);
	frame_store_free(&bench.store);
	return 0;
}
