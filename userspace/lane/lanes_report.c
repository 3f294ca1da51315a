/* What the lanes did: while they run, and in the end. */
#include <pthread.h>
#include <string.h>

#include "counters.h"
#include "lanes_internal.h"

/* Every member of the ledger is a uint64_t counter that adds up, except the two times. */
static void ledger_add(struct ledger *sum, const struct ledger *ledger, bool live)
{
	struct ledger copy;
	const uint64_t *from = (const uint64_t *)ledger;
	uint64_t *to = (uint64_t *)sum, *snapshot = (uint64_t *)&copy;
	uint64_t first_ns = sum->first_packet_ns, last_ns = sum->last_packet_ns;

	for (unsigned i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++) {
		snapshot[i] = counter_read(&from[i]);
		to[i] += snapshot[i];
	}
	sum->first_packet_ns =
		first_ns && (!copy.first_packet_ns || first_ns < copy.first_packet_ns) ? first_ns : copy.first_packet_ns;
	sum->last_packet_ns = last_ns > copy.last_packet_ns ? last_ns : copy.last_packet_ns;
	/* Each lane decodes all fragments of a file, and counts the same. */
	if (!live)
		sum->fragments_unmatched = copy.fragments_unmatched;
}

/* What is certain while traffic runs: `refused` is a difference of counters read one after the other. */
static uint64_t capture_lost(const struct capture *capture)
{
	struct capture_report report;
	uint64_t lost = 0;

	capture_report(capture, &report);
	for (unsigned i = 0; i < report.interfaces; i++)
		lost += report.interface[i].nic_dropped + report.interface[i].nic_missed + report.interface[i].nic_errors;
	for (unsigned i = 0; i < report.queues; i++)
		lost += report.queue[i].rx_ring_full + report.queue[i].fill_ring_empty;
	return lost;
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
		ledger_add(&progress->ledger, core_ledger(lane->core), lanes->live);
	}
	if (lanes->capture)
		progress->lost = capture_lost(lanes->capture);
}

static void report_selection(const struct lanes *lanes, struct lanes_report *report)
{
	report->rules = lanes->rules ? lanes->rules->rules : 0;
	report->rules_replaced = lanes->rules_loaded;
	report->sample = lanes->sample;
	report->sample_changed = lanes->sample_changed;
}

void lanes_report_so_far(const struct lanes *lanes, struct lanes_report *report)
{
	memset(report, 0, sizeof(*report));
	report->lanes = lanes->count;
	report->live = lanes->capture != NULL;
	report_selection(lanes, report);
	for (unsigned i = 0; i < lanes->count; i++) {
		const struct lane *lane = &lanes->lane[i];
		ledger_add(&report->lane[i].ledger, core_ledger(lane->core), report->live);
		ledger_add(&report->total, &report->lane[i].ledger, report->live);
		report->flows_sampled += counter_read(&lane->flows_sampled);
		report->flows_oneway += counter_read(&lane->flows_oneway);
	}
	if (lanes->capture)
		capture_report(lanes->capture, &report->capture);
	for (unsigned i = 0; i < lanes->outputs_count; i++) {
		if (lanes->outputs[i].ops->so_far)
			report->outputs +=
				lanes->outputs[i].ops->so_far(lanes->outputs[i].output, report->output + report->outputs);
	}
}

static bool has_ways(const struct config *config)
{
	for (const struct sink_ops *const *ops = sink_registry; *ops; ops++) {
		if ((*ops)->wants & (SINK_WAYS | SINK_PIECES) && (*ops)->wanted(config))
			return true;
	}
	return false;
}

void lanes_sizes(const struct config *config, unsigned lanes, struct lanes_sizes *sizes)
{
	struct flow_table_sizes table;

	flow_table_sizes((config->max_flows + lanes - 1) / lanes, &table);
	*sizes = (struct lanes_sizes){
		.max_flows = config->max_flows,
		.table_bytes = table.bucket_bytes * lanes,
		.slab_bytes = table.slab_bytes * lanes,
		.timer_bytes = table.timer_bytes * lanes,
		.anomaly_bytes =
			config->anomalies ? anomaly_bytes(config, lanes, config->interfaces_count > 0 || config->listen) : 0,
		.ways_bytes = has_ways(config) ? table.ways_bytes * lanes : 0,
		.tcp_flow_bytes = sizeof(struct tcp_flow) + sizeof(struct tcp_cold),
		.other_flow_bytes = sizeof(struct flow) + sizeof(struct flow_cold),
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
		ledger_add(&report->total, core_ledger(lane->core), lanes->live);
		report->flows_sampled += counter_read(&lane->flows_sampled);
		report->flows_oneway += counter_read(&lane->flows_oneway);
	}
	report->stopped = atomic_load(&lanes->stop);
	report->gone = lanes->gone;
	report->live = lanes->live;
	report->receiving = lanes->receiver != NULL;
	if (lanes->receiver)
		stream_receiver_report(lanes->receiver, &report->streams);
	report_selection(lanes, report);
	if (lanes->capture)
		capture_report(lanes->capture, &report->capture);
	if (lanes->anomaly) {
		anomaly_finish(lanes->anomaly);
		anomaly_report(lanes->anomaly, &report->alerts);
	}
	for (unsigned i = 0; i < report->capture.interfaces; i++)
		report->gone |= report->capture.interface[i].gone;
	for (unsigned i = 0; i < lanes->outputs_count; i++)
		report->outputs += lanes->outputs[i].ops->close(lanes->outputs[i].output, report->output + report->outputs);
	lanes->outputs_count = 0;
	lanes_sizes(lanes->config, lanes->count, &report->sizes);
}
