#include "lanes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "counters.h"
#include "lane.h"
#include "log.h"
#include "pcap_source.h"

struct lanes {
	const struct config *config;
	atomic_bool stop;
	atomic_bool reopen;
	struct filter *filter;
	unsigned count;
	unsigned started;
	struct lane *lane; /* [count] */
	unsigned outputs_count;
	struct {
		const struct sink_ops *ops;
		struct output *output;
	} outputs[LANE_SINKS_MAX];
};

/* --- open ------------------------------------------------------------------------------------------------------------ */

static int lanes_open_outputs(struct lanes *lanes, const struct source_info *info)
{
	for (const struct sink_ops *const *ops = sink_registry; *ops; ops++) {
		if (!(*ops)->wanted(lanes->config))
			continue;
		struct output *output = NULL;
		int err = (*ops)->open(lanes->config, info, &output);
		if (err)
			return err;
		lanes->outputs[lanes->outputs_count].ops = *ops;
		lanes->outputs[lanes->outputs_count++].output = output;
	}
	return 0;
}

static int lane_attach(struct lane *lane, const struct sink_ops *ops, struct output *output, bool live)
{
	struct lane_sink *mine = &lane->sinks[lane->sinks_count];
	/* On files every lane reads every frame: lane 0 writes them all, so a copy is in the order of the original. */
	bool frames = ops->wants & SINK_FRAMES && (live || lane->number == 0);

	if (!frames && !(ops->wants & (SINK_FLOWS | SINK_RTT)))
		return 0;
	mine->ops = ops;
	mine->frames = frames;
	int err = ops->attach(output, lane->number, &mine->sink);
	if (!err)
		lane->sinks_count++;
	return err;
}

static bool wants_rtt(const struct config *config)
{
	for (const struct sink_ops *const *ops = sink_registry; *ops; ops++) {
		if ((*ops)->wants & SINK_RTT && (*ops)->wanted(config))
			return true;
	}
	return false;
}

static int lane_open_core(struct lanes *lanes, struct lane *lane)
{
	const struct config *config = lanes->config;
	struct core_options options = {
		.outer = config->outer,
		.key_vlan = config->key_vlan,
		.key_tunnel = config->key_tunnel,
		.seed = HASH_SEED_FIXED,
		.max_flows = (config->max_flows + lanes->count - 1) / lanes->count,
		.flow_timeout_ns = config->flow_timeout_ns ? config->flow_timeout_ns : FLOW_NO_TIMEOUT,
		.lane = lane->number,
		.lanes = lanes->count,
		.on_records = lane_records,
		.on_rtt_samples = wants_rtt(config) ? lane_rtt_samples : NULL,
		.context = lane,
	};
	int err = core_create(&options, &lane->core);

	if (err)
		log_error("lane %u: tables for %u flows: %s; lower --max-flows", lane->number, options.max_flows, strerror(-err));
	return err;
}

static int lane_attach_all(struct lanes *lanes, struct lane *lane)
{
	for (unsigned i = 0; i < lanes->outputs_count; i++) {
		int err = lane_attach(lane, lanes->outputs[i].ops, lanes->outputs[i].output, lane->source->info.live);
		if (err)
			return err;
	}
	return 0;
}

int lanes_open(const struct config *config, struct lanes **result)
{
	struct lanes *lanes = calloc(1, sizeof(*lanes));
	int err = -ENOMEM;

	if (!lanes)
		return -ENOMEM;
	lanes->config = config;
	lanes->lane = calloc(config->lanes, sizeof(*lanes->lane));
	if (!lanes->lane)
		goto fail;
	lanes->count = config->lanes;
	for (unsigned i = 0; i < lanes->count; i++) {
		struct lane *lane = &lanes->lane[i];
		lane->number = i;
		lane->count = config->count ? config->count : UINT64_MAX;
		lane->stop = &lanes->stop;
		log_mute(i > 0); /* lane 0 has said it */
		err = pcap_source_open(config->read_files, config->read_files_count, &lane->source);
		log_mute(false);
		if (err)
			goto fail;
	}
	const struct source_info *info = &lanes->lane[0].source->info;
	if (config->filter) {
		err = filter_create(config->filter, info, &lanes->filter);
		if (err)
			goto fail;
	}
	for (unsigned i = 0; i < lanes->count; i++) {
		lanes->lane[i].filter = lanes->filter;
		err = lane_open_core(lanes, &lanes->lane[i]);
		if (err)
			goto fail;
	}
	/* Outputs last: what can fail has not touched a file yet. */
	err = lanes_open_outputs(lanes, info);
	for (unsigned i = 0; i < lanes->count && !err; i++)
		err = lane_attach_all(lanes, &lanes->lane[i]);
	if (err)
		goto fail;
	*result = lanes;
	return 0;
fail:
	lanes_close(lanes);
	return err;
}

void lanes_close(struct lanes *lanes)
{
	if (!lanes)
		return;
	for (unsigned i = 0; i < lanes->outputs_count; i++)
		lanes->outputs[i].ops->close(lanes->outputs[i].output, NULL);
	for (unsigned i = 0; i < lanes->count; i++) {
		if (lanes->lane[i].source)
			lanes->lane[i].source->ops->close(lanes->lane[i].source);
		core_destroy(lanes->lane[i].core);
	}
	filter_destroy(lanes->filter);
	free(lanes->lane);
	free(lanes);
}

/* --- run ------------------------------------------------------------------------------------------------------------- */

int lanes_start(struct lanes *lanes)
{
	for (unsigned i = 0; i < lanes->count; i++) {
		int err = pthread_create(&lanes->lane[i].thread, NULL, lane_run, &lanes->lane[i]);
		if (err) {
			log_error("lane %u: starting its thread: %s", i, strerror(err));
			lanes_stop(lanes);
			while (lanes->started)
				pthread_join(lanes->lane[--lanes->started].thread, NULL);
			return -err;
		}
		lanes->started++;
	}
	return 0;
}

void lanes_stop(struct lanes *lanes)
{
	atomic_store_explicit(&lanes->stop, true, memory_order_relaxed);
}

void lanes_reopen(struct lanes *lanes)
{
	atomic_store_explicit(&lanes->reopen, true, memory_order_relaxed);
}

static void lanes_reopen_outputs(struct lanes *lanes)
{
	for (unsigned i = 0; i < lanes->outputs_count; i++) {
		if (lanes->outputs[i].ops->reopen)
			lanes->outputs[i].ops->reopen(lanes->outputs[i].output);
	}
}

static bool lanes_done(const struct lanes *lanes)
{
	for (unsigned i = 0; i < lanes->started; i++) {
		if (!atomic_load_explicit(&lanes->lane[i].done, memory_order_acquire))
			return false;
	}
	return true;
}

bool lanes_wait(struct lanes *lanes, unsigned timeout_ms)
{
	/* Looking every millisecond costs nothing that can be measured, and lanes need no lock to say that they are done. */
	struct timespec pause = { .tv_nsec = 1000000 };

	if (atomic_exchange_explicit(&lanes->reopen, false, memory_order_relaxed))
		lanes_reopen_outputs(lanes);
	for (unsigned waited_ms = 0; waited_ms < timeout_ms && !lanes_done(lanes); waited_ms++) {
		if (nanosleep(&pause, NULL) && errno == EINTR)
			break; /* a signal: the caller wants to know */
	}
	return lanes_done(lanes);
}

/* --- results --------------------------------------------------------------------------------------------------------- */

/* Every member of the ledger is a uint64_t counter that adds up, except the two times. */
static void ledger_add(struct ledger *sum, const struct ledger *ledger)
{
	struct ledger copy;
	const uint64_t *from = (const uint64_t *)ledger;
	uint64_t *to = (uint64_t *)sum, *snapshot = (uint64_t *)&copy;
	uint64_t first_ns = sum->first_packet_ns, last_ns = sum->last_packet_ns;

	for (unsigned i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++) {
		snapshot[i] = counter_read(&from[i]);
		to[i] += snapshot[i];
	}
	sum->first_packet_ns = first_ns ? first_ns : copy.first_packet_ns;
	sum->last_packet_ns = last_ns > copy.last_packet_ns ? last_ns : copy.last_packet_ns;
	/* Each lane decodes all fragments of a file, and counts the same. */
	sum->fragments_unmatched = copy.fragments_unmatched;
}

void lanes_progress(const struct lanes *lanes, struct lanes_progress *progress)
{
	memset(progress, 0, sizeof(*progress));
	for (unsigned i = 0; i < lanes->count; i++) {
		const struct lane *lane = &lanes->lane[i];
		struct source_stats stats = { 0 };
		lane->source->ops->stats(lane->source, &stats);
		/* The slowest lane is how far the run has come. */
		if (i == 0 || stats.bytes_done < progress->bytes_done)
			progress->bytes_done = stats.bytes_done;
		progress->bytes_total = stats.bytes_total;
		ledger_add(&progress->ledger, core_ledger(lane->core));
	}
}

void lanes_sizes(const struct config *config, struct lanes_sizes *sizes)
{
	unsigned lanes = config->lanes ? config->lanes : 1;
	struct flow_table_sizes table;

	flow_table_sizes((config->max_flows + lanes - 1) / lanes, &table);
	*sizes = (struct lanes_sizes){
		.max_flows = config->max_flows,
		.table_bytes = table.bucket_bytes * lanes,
		.slab_bytes = table.slab_bytes * lanes,
		.timer_bytes = table.timer_bytes * lanes,
		.tcp_flow_bytes = sizeof(struct tcp_flow),
		.other_flow_bytes = sizeof(struct flow),
	};
}

void lanes_finish(struct lanes *lanes, struct lanes_report *report)
{
	memset(report, 0, sizeof(*report));
	report->lanes = lanes->count;
	report->source = lanes->lane[0].source->info;
	for (unsigned i = 0; i < lanes->started; i++) {
		struct lane *lane = &lanes->lane[i];
		pthread_join(lane->thread, NULL);
		struct source_stats stats = { 0 };
		lane->source->ops->stats(lane->source, &stats);
		report->truncated |= stats.truncated;
		if (lane->error && !report->error)
			report->error = lane->error;
		report->lane[i].ledger = *core_ledger(lane->core);
		report->lane[i].cpu_ns = lane->cpu_ns;
		ledger_add(&report->total, core_ledger(lane->core));
	}
	report->stopped = atomic_load(&lanes->stop);
	for (unsigned i = 0; i < lanes->outputs_count; i++)
		report->outputs += lanes->outputs[i].ops->close(lanes->outputs[i].output, report->output + report->outputs);
	lanes->outputs_count = 0;
	lanes_sizes(lanes->config, &report->sizes);
}
