/* Opens and closes the lanes of a run. lanes_run.c lets them run, lanes_report.c adds up what they did. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "lanes_internal.h"
#include "log.h"
#include "pcap_source.h"
#include "shared_file.h"

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

	if (!frames && !(ops->wants & ~(unsigned)(SINK_FRAMES | SINK_ALERTS)))
		return 0;
	mine->ops = ops;
	mine->frames = frames;
	lane->places |= ops->place && lane->source->info.places;
	int err = ops->attach(output, lane->number, &mine->sink);
	if (!err)
		lane->sinks_count++;
	return err;
}

/* Is there an output for this? */
static bool wants(const struct config *config, enum sink_wants what)
{
	for (const struct sink_ops *const *ops = sink_registry; *ops; ops++) {
		if ((*ops)->wants & what && (*ops)->wanted(config))
			return true;
	}
	return false;
}

/* An alerts_fn. Called by whoever runs the detectors, one at a time. */
static void lanes_alerts(void *context, const struct alert *alerts, unsigned n)
{
	struct lanes *lanes = context;

	for (unsigned i = 0; i < lanes->outputs_count; i++) {
		if (lanes->outputs[i].ops->alerts)
			lanes->outputs[i].ops->alerts(lanes->outputs[i].output, alerts, n);
	}
}

/* --populate. What lanes make from here on is backed with memory at once. */
static int lanes_populate(const struct lanes *lanes)
{
	struct lanes_sizes sizes;

	if (!lanes->config->populate)
		return 0;
	lanes_sizes(lanes->config, lanes->count, &sizes);
	uint64_t needed = sizes.table_bytes + sizes.slab_bytes + sizes.timer_bytes + sizes.ways_bytes + sizes.anomaly_bytes;
	uint64_t available = arena_available();
	if (needed > available) {
		log_error("--populate: the tables take %llu MiB, and %llu MiB are available; lower --max-flows%s",
			(unsigned long long)needed >> 20, (unsigned long long)available >> 20,
			lanes->config->anomalies ? " or --anomaly-keys" : "");
		return -ENOMEM;
	}
	arena_back_all();
	return 0;
}

static int lanes_open_anomaly(struct lanes *lanes)
{
	const struct anomaly_options options = {
		.config = lanes->config,
		.lanes = lanes->count,
		.live = lanes->live,
		.seed = lanes->seed,
		.on_alerts = lanes_alerts,
		.context = lanes,
	};
	int err = lanes->config->anomalies ? anomaly_create(&options, &lanes->anomaly) : 0;

	if (err)
		log_error("anomalies: no memory for %u keys of each detector; lower --anomaly-keys", lanes->config->anomaly_keys);
	return err;
}

static int lane_open_core(struct lanes *lanes, struct lane *lane)
{
	const struct config *config = lanes->config;
	struct core_options options = {
		.outer = config->outer,
		.key_vlan = config->key_vlan,
		.key_tunnel = config->key_tunnel,
		.seed = lanes->seed,
		.max_flows = (config->max_flows + lanes->count - 1) / lanes->count,
		.flow_timeout_ns = config->flow_timeout_ns ? config->flow_timeout_ns : FLOW_NO_TIMEOUT,
		.populate = lanes->live,
		/* Live, what a lane receives is its own. */
		.lane = lanes->live ? 0 : lane->number,
		.lanes = lanes->live ? 1 : lanes->count,
		.on_records = lane_records,
		.on_rtt_samples = wants(config, SINK_RTT) ? lane_rtt_samples : NULL,
		.active_timeout_ns = config->active_timeout_ns ? config->active_timeout_ns : FLOW_NO_TIMEOUT,
		.ifindex = lane->source->info.ifindex,
		.on_ways = wants(config, SINK_WAYS) ? lane_ways : NULL,
		.on_pieces = wants(config, SINK_PIECES) ? lane_pieces : NULL,
		.on_packets = wants(config, SINK_PACKETS) ? lane_packets : NULL,
		.sample = config->sample ? &lanes->sample : NULL,
		.cutoff = lane->cuts ? &lane->cutoff : NULL,
		.tap = lanes->anomaly ? anomaly_tap(lanes->anomaly, lane->number) : NULL,
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

static int lanes_open_files(struct lanes *lanes)
{
	const struct config *config = lanes->config;

	if (lanes->count == 1)
		return pcap_source_open(config->read_files, config->read_files_count, &lanes->lane[0].source);
	int err = shared_file_open(config->read_files, config->read_files_count, lanes->count, &lanes->shared);
	for (unsigned i = 0; i < lanes->count && !err; i++)
		lanes->lane[i].source = shared_file_source(lanes->shared, i);
	return err;
}

static int lanes_open_sources(struct lanes *lanes)
{
	const struct config *config = lanes->config;
	uint64_t left = config->count ? config->count : LANE_NO_LIMIT;
	int err = config->interfaces_count ? lanes_open_capture(lanes) : 0;

	if (!err && config->listen)
		err = stream_receiver_open(config, wants(config, SINK_FRAMES), &lanes->receiver);
	if (err)
		return err;
	lanes->live = lanes->capture || lanes->receiver;
	lanes->seed = lanes->live ? hash_seed_random() : HASH_SEED_FIXED;
	lanes->count = lanes->capture ? capture_lanes(lanes->capture) : config->lanes;
	lanes->lane = aligned_alloc(64, (lanes->count * sizeof(*lanes->lane) + 63) & ~(size_t)63);
	if (!lanes->lane)
		return -ENOMEM;
	memset(lanes->lane, 0, lanes->count * sizeof(*lanes->lane));
	atomic_init(&lanes->left, left);
	for (unsigned i = 0; i < lanes->count; i++) {
		struct lane *lane = &lanes->lane[i];
		lane->number = i;
		atomic_init(&lane->own_left, left);
		lane->left = lanes->live ? &lanes->left : &lane->own_left;
		lane->stop = &lanes->stop;
		lane->leaves_out_own = lanes->capture && config->stream_grpc;
		if (lanes->capture)
			lane->source = capture_source(lanes->capture, i);
		else if (lanes->receiver)
			lane->source = stream_receiver_source(lanes->receiver, i);
	}
	return lanes->live ? 0 : lanes_open_files(lanes);
}

int lanes_open(const struct config *config, struct lanes **result)
{
	struct lanes *lanes = calloc(1, sizeof(*lanes));

	if (!lanes)
		return -ENOMEM;
	lanes->config = config;
	lanes->sample = config->sample;
	int err = lanes_open_sources(lanes);
	if (err)
		goto fail;
	const struct source_info *info = &lanes->lane[0].source->info;
	err = lanes_select(lanes);
	if (!err)
		err = lanes_populate(lanes);
	if (!err)
		err = lanes_open_anomaly(lanes);
	if (err)
		goto fail;
	for (unsigned i = 0; i < lanes->count; i++) {
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
	capture_detach(lanes->capture);
	for (unsigned i = 0; lanes->lane && i < lanes->count; i++) {
		if (lanes->lane[i].source)
			lanes->lane[i].source->ops->close(lanes->lane[i].source);
		core_destroy(lanes->lane[i].core);
	}
	shared_file_close(lanes->shared);
	capture_close(lanes->capture);
	anomaly_destroy(lanes->anomaly);
	stream_receiver_close(lanes->receiver);
	lanes_unselect(lanes);
	free(lanes->lane);
	free(lanes);
}
