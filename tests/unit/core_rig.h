/*
 * A trace of frames in memory, and what the cores of 1..n lanes make of it: all records, sorted, and the sum of the ledgers.
 */
#ifndef CORE_RIG_H
#define CORE_RIG_H

#include <stdio.h>

#include "core.h"
#include "flow_table_rig.h"
#include "packet_builder.h"
#include "shard.h"

struct trace {
	struct frame *frames;
	unsigned count, room;
};

static inline void trace_add(struct trace *trace, struct packet_builder *b, uint64_t ts_ns)
{
	pb_finish(b);
	if (trace->count == trace->room) {
		trace->room = trace->room * 2 + 64;
		trace->frames = realloc(trace->frames, trace->room * sizeof(*trace->frames));
		assert_non_null(trace->frames);
	}
	trace->frames[trace->count] = pb_frame(b, LINK_ETHERNET);
	trace->frames[trace->count++].ts_ns = ts_ns;
}

static inline void trace_free(struct trace *trace)
{
	for (unsigned i = 0; i < trace->count; i++)
		pb_frame_free(&trace->frames[i]);
	free(trace->frames);
}

/* IPv4 with the last byte of each address. */
static inline void trace_tcp(
	struct trace *trace, uint64_t ts_ns, unsigned src, unsigned dst, uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len)
{
	struct packet_builder b = pb_new();
	char from[32], to[32];

	snprintf(from, sizeof(from), "10.0.%u.%u", src >> 8, src & 255);
	snprintf(to, sizeof(to), "10.0.%u.%u", dst >> 8, dst & 255);
	pb_ethernet(&b, 0x0800);
	pb_ipv4(&b, from, to, PROTO_TCP);
	pb_tcp(&b, src < dst ? 40000 : 443, src < dst ? 443 : 40000, seq, ack, flags);
	pb_fill(&b, len);
	trace_add(trace, &b, ts_ns);
}

struct core_run_options {
	unsigned lanes;
	unsigned batch; /* 0: of random sizes */
	uint32_t max_flows;
	uint64_t timeout_ns;
	bool key_vlan;
	bool outer;
	bool no_samples; /* nobody takes the RTT samples */
	bool mine;       /* with several lanes: frames of other lanes are left out before, as far as they may */
};

struct core_result {
	struct table_rig kept;              /* only its records are used */
	struct ledger ledger;               /* the sum */
	uint64_t samples[RTT_SOURCE_COUNT]; /* handed out */
	uint64_t samples_hash;              /* of all that were, in any order */
};

static inline void core_result_records(void *context, const struct flow_record *records, unsigned n)
{
	table_rig_keep(&((struct core_result *)context)->kept, records, n);
}

static inline void core_result_samples(void *context, const struct rtt_sample *samples, unsigned n)
{
	struct core_result *result = context;

	assert_in_range(n, 1, FLOWLANE_BATCH);
	for (unsigned i = 0; i < n; i++) {
		uint64_t words[sizeof(*samples) / 8], hash = 0;
		memcpy(words, &samples[i], sizeof(words));
		for (unsigned k = 0; k < ROWS(words); k++)
			hash = hash_fold(hash ^ words[k] ^ 0xbb67ae8584caa73b, 0x6a09e667f3bcc909);
		result->samples_hash += hash;
		result->samples[samples[i].source]++;
		assert_true(samples[i].ticks <= RTT_MAX_NS / RTT_TICK_NS);
	}
}

/* Members of the ledger that are times, or the same in each lane, are those of the last lane. */
static inline void core_result_add(struct core_result *result, const struct ledger *ledger)
{
	const uint64_t *from = (const uint64_t *)ledger;
	uint64_t *to = (uint64_t *)&result->ledger;

	for (unsigned i = 0; i < sizeof(*ledger) / sizeof(uint64_t); i++)
		to[i] += from[i];
	result->ledger.first_packet_ns = ledger->first_packet_ns;
	result->ledger.last_packet_ns = ledger->last_packet_ns;
	result->ledger.fragments_unmatched = ledger->fragments_unmatched;
}

/* As a shared source does: of the next `all` frames the lane's own. How many of them were given; 0: the core must see them all. */
static inline unsigned core_rig_mine(struct core *core, const struct frame *frames, unsigned all, unsigned lane, unsigned lanes)
{
	struct batch_others others = { .sure = true };
	struct frame mine[FLOWLANE_BATCH];
	unsigned n = 0;

	for (; others.all < all && n < FLOWLANE_BATCH; others.all++) {
		const struct frame *frame = &frames[others.all];
		uint32_t owner = shard_of_frame(frame, lanes);
		if (frame->ts_ns >= core_due_ns(core))
			break;
		others.latest_ns = frame->ts_ns > others.latest_ns ? frame->ts_ns : others.latest_ns;
		if (owner != lane && owner != SHARD_NOT_PLAIN)
			continue;
		others.sure &= owner == lane;
		mine[n] = *frame;
		mine[n++].number = (uint16_t)others.all;
	}
	if (others.all)
		core_run_mine(core, mine, n, &others);
	return others.all;
}

static inline void core_result_lane(
	struct core_result *result, const struct trace *trace, const struct core_run_options *run, unsigned lane)
{
	struct core_options options = {
		.key_vlan = run->key_vlan,
		.outer = run->outer,
		.seed = HASH_SEED_FIXED,
		.max_flows = run->max_flows,
		.flow_timeout_ns = run->timeout_ns,
		.lane = lane,
		.lanes = run->lanes,
		.on_records = core_result_records,
		.on_rtt_samples = run->no_samples ? NULL : core_result_samples,
		.context = result,
	};
	struct core *core;
	uint64_t random = 11;

	assert_int_equal(core_create(&options, &core), 0);
	for (unsigned done = 0, n; done < trace->count; done += n) {
		n = run->batch ? run->batch : 1 + random_below(&random, FLOWLANE_BATCH);
		n = n < trace->count - done ? n : trace->count - done;
		unsigned given = 0, all = 3 * n < trace->count - done ? 3 * n : trace->count - done;
		if (run->mine && run->lanes > 1)
			given = core_rig_mine(core, trace->frames + done, all, lane, run->lanes);
		if (given) {
			n = given;
			continue;
		}
		/* Exactly so many: a sanitizer sees one too far. */
		struct frame *frames = malloc(n * sizeof(*frames));
		memcpy(frames, trace->frames + done, n * sizeof(*frames));
		core_run(core, frames, n);
		free(frames);
	}
	core_drain(core);
	core_result_add(result, core_ledger(core));
	core_destroy(core);
}

static inline void core_result_get(struct core_result *result, const struct trace *trace, const struct core_run_options *run)
{
	memset(result, 0, sizeof(*result));
	for (unsigned lane = 0; lane < (run->lanes ? run->lanes : 1); lane++)
		core_result_lane(result, trace, run, lane);
	if (result->kept.count)
		qsort(result->kept.records, result->kept.count, sizeof(*result->kept.records), record_compare);

	/* What always holds. */
	const struct ledger *ledger = &result->ledger;
	uint64_t verdicts = 0, ended = 0;
	for (unsigned i = 0; i < VERDICT_COUNT; i++)
		verdicts += ledger->verdicts[i];
	for (unsigned i = 0; i < FLOW_END_COUNT; i++)
		ended += ledger->flows_ended[i];
	for (unsigned i = 0; i < RTT_SOURCE_COUNT; i++)
		assert_int_equal(result->samples[i], run->no_samples ? 0 : ledger->rtt_samples[i]);
	assert_int_equal(ledger->packets_read, trace->count);
	assert_int_equal(verdicts, trace->count);
	assert_int_equal(table_rig_packets(&result->kept), ledger->verdicts[VERDICT_FLOW]);
	assert_int_equal(ledger->flows_created, ended + ledger->flows_alive);
	assert_int_equal(ledger->flows_created, result->kept.count);
}

static inline void core_result_free(struct core_result *result)
{
	free(result->kept.records);
}

/* False, and said: they differ. */
static inline bool core_result_same(const char *what, const struct core_result *x, const struct core_result *y)
{
	if (memcmp(&x->ledger, &y->ledger, sizeof(x->ledger)) != 0) {
		for (unsigned i = 0; i < sizeof(x->ledger) / sizeof(uint64_t); i++) {
			uint64_t a = ((const uint64_t *)&x->ledger)[i], b = ((const uint64_t *)&y->ledger)[i];
			if (a != b)
				print_error("%s: member %u of the ledger: %llu, %llu\n", what, i, (unsigned long long)a,
					(unsigned long long)b);
		}
		return false;
	}
	if (x->samples_hash && y->samples_hash && x->samples_hash != y->samples_hash) {
		print_error("%s: the RTT samples differ\n", what);
		return false;
	}
	for (size_t i = 0; i < x->kept.count; i++) {
		if (memcmp(&x->kept.records[i], &y->kept.records[i], sizeof(struct flow_record)) != 0) {
			print_error("%s: record %zu of %zu differs\n", what, i, x->kept.count);
			return false;
		}
	}
	return true;
}

#define MS ((uint64_t)1000000)

static const struct core_run_options plain = { .lanes = 1, .batch = FLOWLANE_BATCH, .max_flows = 1000, .timeout_ns = 60 * SEC };

/* Sizes of batches and numbers of lanes that must all give the same. */
static inline void runs_check(const struct trace *trace, const struct core_run_options *options)
{
	static const struct {
		unsigned lanes, batch;
		bool mine;
	} runs[] = { { 1, 1, false }, { 1, 5, false }, { 1, 16, false }, { 1, 17, false }, { 1, 0, false }, { 2, 64, false },
		{ 2, 1, false }, { 3, 64, false }, { 3, 7, false }, { 3, 0, false }, { 2, 64, true }, { 3, 5, true },
		{ 3, 0, true }, { 7, 64, true } };
	struct core_result want;
	unsigned wrong = 0;

	core_result_get(&want, trace, options);
	for (unsigned i = 0; i < ROWS(runs); i++) {
		struct core_run_options run = *options;
		struct core_result got;
		char what[64];
		run.lanes = runs[i].lanes;
		run.batch = runs[i].batch;
		run.mine = runs[i].mine;
		run.no_samples = i == 1;
		snprintf(what, sizeof(what), "%u lanes, batches of %u%s", run.lanes, run.batch, run.mine ? ", mine" : "");
		core_result_get(&got, trace, &run);
		wrong += !core_result_same(what, &want, &got);
		core_result_free(&got);
	}
	core_result_free(&want);
	if (wrong)
		fail_msg("%u runs came to something else than one lane with batches of %u", wrong, options->batch);
}

#endif
