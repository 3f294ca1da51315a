#include "bench_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "all_detectors.h"
#include "anomaly.h"
#include "clock.h"
#include "core.h"
#include "decode.h"
#include "floor.h"
#include "flowlane/live.h"
#include "frame_store.h"
#include "timers.h"

#define FLOW_TIMEOUT_NS   ((uint64_t)60 * 1000000000)
#define EXPIRE_STEP_FLOWS 8 /* flows that time out between two packets of the expiry phase: about what a batch sees under load */

/* One value per round. */
struct series {
	unsigned count;
	double value[BENCH_ROUNDS_MAX];
};

struct results {
	struct series core_setup, core_steady, core_all, core_expire;
	struct series floor_setup, floor_steady, floor_all;
	struct series decode;
	struct series detecting; /* the core with all detectors, steady */
	double rss_per_flow;
	struct ledger ledger; /* of the last round, before the expiry phase */
	uint64_t expired;
};

static void series_add(struct series *series, uint64_t ns, uint64_t packets)
{
	series->value[series->count++] = packets ? (double)ns / (double)packets : 0;
}

static int double_compare(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return (a > b) - (a < b);
}

/* Sorts in place. */
static double series_median(struct series *series)
{
	if (!series->count)
		return 0;
	qsort(series->value, series->count, sizeof(double), double_compare);
	return (series->value[(series->count - 1) / 2] + series->value[series->count / 2]) / 2;
}

static double series_min(struct series *series)
{
	series_median(series);
	return series->count ? series->value[0] : 0;
}

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

/* Finished flows come here, as they would to a sink: their bytes are read, nothing is kept. */
static void records_count(void *context, const struct flow_record *records, unsigned n)
{
	uint64_t *packets = context;

	for (unsigned i = 0; i < n; i++)
		*packets += records[i].packets[0] + records[i].packets[1];
}

static void core_frames(struct core *core, const struct frame_store *store, uint64_t first, uint64_t end)
{
	struct frame frames[FLOWLANE_BATCH];

	while (first < end) {
		unsigned n = end - first < FLOWLANE_BATCH ? (unsigned)(end - first) : FLOWLANE_BATCH;
		frame_store_batch(store, first, frames, n);
		core_run(core, frames, n);
		first += n;
	}
}

static void floor_frames(struct floor *floor, const struct frame_store *store, uint64_t first, uint64_t end)
{
	struct frame frames[FLOWLANE_BATCH];

	while (first < end) {
		unsigned n = end - first < FLOWLANE_BATCH ? (unsigned)(end - first) : FLOWLANE_BATCH;
		frame_store_batch(store, first, frames, n);
		floor_run(floor, frames, n);
		first += n;
	}
}

/*
 * All flows but one time out while packets of that one move time on: once over the whole time in which flows were last seen, one
 * timeout later. Costs of that one flow's packets are part of the result: one in EXPIRE_STEP_FLOWS.
 */
static void expire_run(struct core *core, const struct frame_store *store, struct results *results)
{
	const struct ledger *ledger = core_ledger(core);
	uint64_t last_ns = frame_store_ts_ns(store, store->packets - 1), span_ns = last_ns - FRAME_STORE_START_NS + 2000000000;
	uint64_t steps = store->flows / EXPIRE_STEP_FLOWS + 1, step_ns = span_ns / steps + 1;
	uint64_t alive = ledger->flows_alive, start_ns;
	struct frame frame;

	frame_store_batch(store, store->packets - 1, &frame, 1);
	frame.ts_ns = FRAME_STORE_START_NS + FLOW_TIMEOUT_NS;
	start_ns = clock_thread_cpu_ns();
	for (uint64_t i = 0; i < steps + 1000 || (ledger->flows_alive > 1 && i < 4 * steps + 100000); i++) {
		core_run(core, &frame, 1);
		frame.ts_ns += step_ns;
	}
	start_ns = clock_thread_cpu_ns() - start_ns;
	results->expired = alive - ledger->flows_alive;
	series_add(&results->core_expire, start_ns, results->expired);
}

/* Some more than there are: a full table would evict. */
static uint32_t max_flows(uint64_t flows)
{
	return (uint32_t)(flows + flows / 6 + 64);
}

static void core_round(const struct bench_options *options, const struct frame_store *store, struct results *results)
{
	uint64_t rss = rss_bytes(), seen = 0, start_ns, setup_ns, end_ns;
	struct core *core;
	struct core_options core_options = {
		.seed = HASH_SEED_FIXED,
		.max_flows = max_flows(options->flows),
		.flow_timeout_ns = FLOW_TIMEOUT_NS,
		.lanes = 1,
		.on_records = records_count,
		.context = &seen,
	};
	int err = core_create(&core_options, &core);

	if (err)
		traffic_die("cannot make a core for %llu flows: %s", (unsigned long long)options->flows, strerror(-err));
	start_ns = clock_thread_cpu_ns();
	core_frames(core, store, 0, store->setup_packets);
	setup_ns = clock_thread_cpu_ns();
	core_frames(core, store, store->setup_packets, store->packets);
	end_ns = clock_thread_cpu_ns();

	series_add(&results->core_setup, setup_ns - start_ns, store->setup_packets);
	series_add(&results->core_steady, end_ns - setup_ns, store->packets - store->setup_packets);
	series_add(&results->core_all, end_ns - start_ns, store->packets);
	results->rss_per_flow = (double)(rss_bytes() - rss) / (double)options->flows;
	results->ledger = *core_ledger(core);
	expire_run(core, store, results);
	core_drain(core);
	if (seen < store->packets)
		traffic_die("the core's records hold %llu of %llu packets", (unsigned long long)seen,
			(unsigned long long)store->packets);
	core_destroy(core);
}

static void alerts_ignore(void *context, const struct alert *alerts, unsigned n)
{
	(void)context;
	(void)alerts;
	(void)n;
}

/* The same with all detectors. */
static void detecting_round(const struct bench_options *options, const struct frame_store *store, struct results *results)
{
	const struct config config = all_detectors();
	const struct anomaly_options anomaly_options = {
		.config = &config, .lanes = 1, .seed = HASH_SEED_FIXED, .on_alerts = alerts_ignore
	};
	uint64_t seen = 0, start_ns;
	struct anomaly *anomaly;
	struct core *core;

	if (anomaly_create(&anomaly_options, &anomaly))
		traffic_die("no memory for the detectors");
	struct core_options core_options = { .seed = HASH_SEED_FIXED,
		.max_flows = max_flows(options->flows),
		.flow_timeout_ns = FLOW_TIMEOUT_NS,
		.lanes = 1,
		.on_records = records_count,
		.tap = anomaly_tap(anomaly, 0),
		.context = &seen };
	if (core_create(&core_options, &core))
		traffic_die("cannot make a core for %llu flows", (unsigned long long)options->flows);
	core_frames(core, store, 0, store->setup_packets);
	start_ns = clock_thread_cpu_ns();
	core_frames(core, store, store->setup_packets, store->packets);
	series_add(&results->detecting, clock_thread_cpu_ns() - start_ns, store->packets - store->setup_packets);
	core_drain(core);
	core_destroy(core);
	anomaly_destroy(anomaly);
}

static void floor_round(const struct bench_options *options, const struct frame_store *store, struct results *results)
{
	struct floor *floor = floor_create(options->flows);
	struct floor_totals totals;
	uint64_t start_ns, setup_ns, end_ns;

	if (!floor)
		traffic_die("no memory for the floor's table");
	start_ns = clock_thread_cpu_ns();
	floor_frames(floor, store, 0, store->setup_packets);
	setup_ns = clock_thread_cpu_ns();
	floor_frames(floor, store, store->setup_packets, store->packets);
	end_ns = clock_thread_cpu_ns();
	floor_totals(floor, &totals);
	floor_destroy(floor);
	series_add(&results->floor_setup, setup_ns - start_ns, store->setup_packets);
	series_add(&results->floor_steady, end_ns - setup_ns, store->packets - store->setup_packets);
	series_add(&results->floor_all, end_ns - start_ns, store->packets);
	if (totals.flows != options->flows || totals.packets != store->packets || totals.other)
		traffic_die("the floor counted %llu flows and %llu packets", (unsigned long long)totals.flows,
			(unsigned long long)totals.packets);
}

static void decode_round(const struct frame_store *store, struct results *results)
{
	struct decoder_options options = { .seed = HASH_SEED_FIXED };
	struct decoder *decoder;
	struct frame frames[FLOWLANE_BATCH];
	static struct packet packets[FLOWLANE_BATCH];
	uint64_t whole = store->packets / FLOWLANE_BATCH * FLOWLANE_BATCH, start_ns;

	if (decoder_create(&options, &decoder))
		traffic_die("no memory for a decoder");
	start_ns = clock_thread_cpu_ns();
	for (uint64_t first = 0; first < whole; first += FLOWLANE_BATCH) {
		frame_store_batch(store, first, frames, FLOWLANE_BATCH);
		decode_prefetch(frames, FLOWLANE_BATCH);
		decode_batch(decoder, frames, packets, FLOWLANE_BATCH);
	}
	series_add(&results->decode, clock_thread_cpu_ns() - start_ns, whole);
	decoder_destroy(decoder);
}

/*
 * What one more flow takes, all structures counted: its slab entry, its share of the buckets, its place in the timer wheel. The
 * measured bytes_per_flow is the mean over both kinds, and for few flows holds what is fixed (huge pages, the wheel).
 */
static double bytes_per_flow(const struct frame_store *store, uint64_t entry_bytes)
{
	struct flow_table_sizes sizes;

	flow_table_sizes(max_flows(store->flows), &sizes);
	return (double)entry_bytes + (double)sizes.bucket_bytes / (double)store->flows + 64.0 / TIMER_CHUNK_SLOTS;
}

static void results_print(const struct bench_options *options, const struct frame_store *store, struct results *r)
{
	uint64_t samples = 0;
	double core = series_median(&r->core_steady), floor = series_median(&r->floor_steady);

	for (unsigned i = 0; i < RTT_SOURCE_COUNT; i++)
		samples += r->ledger.rtt_samples[i];
	printf("{\"bench\":\"core\",\"flows\":%llu,\"packets\":%llu,\"ns_per_packet\":%.1f,", (unsigned long long)store->flows,
		(unsigned long long)store->packets, core);
	if (options->floor)
		printf("\"floor_ns_per_packet\":%.1f,\"ratio\":%.2f,", floor, core / floor);
	if (options->anomalies)
		printf("\"anomalies_ns_per_packet\":%.1f,\"anomalies_ratio\":%.3f,", series_median(&r->detecting),
			series_median(&r->detecting) / core);
	printf("\"bytes_per_flow\":%.0f,\"mpps\":%.2f,\"ns_per_packet_min\":%.1f,", r->rss_per_flow, 1000 / core,
		series_min(&r->core_steady));
	if (options->floor)
		printf("\"floor_ns_per_packet_min\":%.1f,\"ratio_min\":%.2f,", series_min(&r->floor_steady),
			series_min(&r->core_steady) / series_min(&r->floor_steady));
	printf("\"ns_per_packet_setup\":%.1f,\"ns_per_packet_all\":%.1f,", series_median(&r->core_setup),
		series_median(&r->core_all));
	if (options->floor)
		printf("\"floor_ns_per_packet_setup\":%.1f,\"floor_ns_per_packet_all\":%.1f,", series_median(&r->floor_setup),
			series_median(&r->floor_all));
	printf("\"decode_ns_per_packet\":%.1f,\"expire_ns_per_flow\":%.1f,\"flows_expired\":%llu,", series_median(&r->decode),
		series_median(&r->core_expire), (unsigned long long)r->expired);
	printf("\"bytes_per_tcp_flow\":%.0f,\"bytes_per_udp_flow\":%.0f,",
		bytes_per_flow(store, sizeof(struct tcp_flow) + sizeof(struct tcp_cold)),
		bytes_per_flow(store, sizeof(struct flow) + sizeof(struct flow_cold)));
	printf("\"tcp_flows\":%llu,\"rtt_samples\":%llu,\"flows_evicted\":%llu,\"setup_packets\":%llu,\"gap_ns\":%llu,\"rounds\":%"
	       "u}\n",
		(unsigned long long)store->tcp_flows, (unsigned long long)samples,
		(unsigned long long)r->ledger.flows_ended[FLOW_END_EVICTION], (unsigned long long)store->setup_packets,
		(unsigned long long)options->gap_ns, r->core_steady.count);
	printf("{\"bench\":\"decode\",\"flows\":%llu,\"packets\":%llu,\"ns_per_packet\":%.1f,\"ns_per_packet_min\":%.1f}\n",
		(unsigned long long)store->flows, (unsigned long long)store->packets, series_median(&r->decode),
		series_min(&r->decode));
	fflush(stdout);
}

static int results_check(const struct frame_store *store, const struct results *r)
{
	const struct ledger *ledger = &r->ledger;
	uint64_t evicted = ledger->flows_ended[FLOW_END_EVICTION];

	if (ledger->packets_read != store->packets || ledger->verdicts[VERDICT_FLOW] != store->packets ||
		ledger->flows_created < store->flows || ledger->flows_created > store->flows + evicted) {
		fprintf(stderr, "bench_core: the core counted %llu flows and %llu packets in flows, not %llu and %llu\n",
			(unsigned long long)ledger->flows_created, (unsigned long long)ledger->verdicts[VERDICT_FLOW],
			(unsigned long long)store->flows, (unsigned long long)store->packets);
		return 2;
	}
	return 0;
}

int bench_case(const struct bench_options *options)
{
	struct frame_store store;
	struct results results = { 0 };

	if (!options->json_only)
		fprintf(stderr, "bench_core: %llu flows, %llu packets, %u rounds: making frames\n",
			(unsigned long long)options->flows, (unsigned long long)options->packets, options->rounds);
	frame_store_fill(&store, options->flows, options->packets, options->gap_ns);
	for (unsigned round = 0; round < options->rounds; round++) {
		core_round(options, &store, &results);
		if (options->anomalies)
			detecting_round(options, &store, &results);
		if (options->floor)
			floor_round(options, &store, &results);
		decode_round(&store, &results);
		if (!options->json_only)
			fprintf(stderr, "  round %u: core %.1f, floor %.1f, decode %.1f ns per packet\n", round + 1,
				results.core_steady.value[round], options->floor ? results.floor_steady.value[round] : 0,
				results.decode.value[round]);
	}
	results_print(options, &store, &results);
	frame_store_free(&store);
	return results_check(&store, &results);
}
