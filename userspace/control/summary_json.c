/* The summary as one JSON object. Names and order are promised by docs/summary.md. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "json_writer.h"
#include "log.h"
#include "options.h"
#include "outfile.h"
#include "summary.h"
#include "summary_streams.h"

static void put_verdicts(struct json *json, const struct ledger *ledger, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		if (ledger->verdicts[i])
			json_number(json, verdict_name((enum verdict)i), ledger->verdicts[i]);
	}
}

/* Keys packets_read to rtt_samples: the same in the total and per lane. */
static void put_ledger(struct json *json, const struct ledger *ledger)
{
	json_number(json, "packets_read", ledger->packets_read);
	json_number(json, "bytes_read", ledger->bytes_read);
	json_number(json, "packets_decoded", summary_packets_decoded(ledger));
	json_number(json, "packets_in_flows", ledger->verdicts[VERDICT_FLOW]);
	json_open(json, "no_flow", '{');
	put_verdicts(json, ledger, VERDICT_FIRST_NOFLOW, VERDICT_FIRST_DROP);
	json_close(json, '}');
	json_open(json, "drops", '{');
	json_number(json, "filter", ledger->dropped_filter);
	if (ledger->dropped_own)
		json_number(json, "own_stream", ledger->dropped_own);
	if (ledger->dropped_rules)
		json_number(json, "rules", ledger->dropped_rules);
	if (ledger->dropped_sample)
		json_number(json, "sample", ledger->dropped_sample);
	if (ledger->cut_off)
		json_number(json, "cut_off", ledger->cut_off);
	put_verdicts(json, ledger, VERDICT_FIRST_DROP, VERDICT_COUNT);
	json_close(json, '}');
	json_number(json, "flows_created", ledger->flows_created);
	json_open(json, "flows_ended", '{');
	for (unsigned i = 0; i < FLOW_END_COUNT; i++)
		json_number(json, flow_end_name((enum flow_end)i), ledger->flows_ended[i]);
	json_close(json, '}');
	json_number(json, "flows_alive", ledger->flows_alive);
	json_open(json, "rtt_samples", '{');
	for (unsigned i = 0; i < RTT_SOURCE_COUNT; i++)
		json_number(json, rtt_source_name((enum rtt_source)i), ledger->rtt_samples[i]);
	json_close(json, '}');
}

static void put_details(struct json *json, const struct output_report *output)
{
	if (!output->details[0].name)
		return;
	json_open(json, "details", '{');
	for (unsigned i = 0; i < OUTPUT_DETAILS_MAX && output->details[i].name; i++)
		json_number(json, output->details[i].name, output->details[i].count);
	json_close(json, '}');
}

static void put_outputs(struct json *json, const struct lanes_report *report)
{
	json_open(json, "outputs", '[');
	for (unsigned i = 0; i < report->outputs; i++) {
		const struct output_report *output = &report->output[i];
		json_open(json, NULL, '{');
		json_text(json, "name", output->name);
		json_text(json, "path", output->path);
		json_number(json, "records", output->records);
		json_number(json, "bytes", output->bytes);
		json_number(json, "lost", output->lost);
		json_number(json, "files", output->files);
		if (output->error)
			json_text(json, "error", strerror(-output->error));
		else
			json_null(json, "error");
		put_details(json, output);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void put_packet_time(struct json *json, const char *key, const struct ledger *ledger, uint64_t ns)
{
	if (ledger->packets_read)
		json_secs(json, key, ns);
	else
		json_null(json, key);
}

static void put_lanes(struct json *json, const struct lanes_report *report)
{
	json_open(json, "lanes", '[');
	for (unsigned i = 0; i < report->lanes; i++) {
		json_open(json, NULL, '{');
		put_ledger(json, &report->lane[i].ledger);
		json_secs(json, "cpu_secs", report->lane[i].cpu_ns);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void put_sizes(struct json *json, const struct lanes_sizes *sizes)
{
	json_open(json, "sizes", '{');
	json_number(json, "max_flows", sizes->max_flows);
	json_number(json, "table_bytes", sizes->table_bytes);
	json_number(json, "slab_bytes", sizes->slab_bytes);
	json_number(json, "timer_bytes", sizes->timer_bytes);
	json_number(json, "tcp_flow_bytes", sizes->tcp_flow_bytes);
	json_number(json, "other_flow_bytes", sizes->other_flow_bytes);
	json_close(json, '}');
}

static void put_interface(struct json *json, const struct capture_interface_report *interface)
{
	json_open(json, NULL, '{');
	json_text(json, "name", interface->name);
	json_text(json, "driver", interface->driver);
	json_text(json, "mode", interface->mode);
	json_text(json, "ts_source", interface->ts_source);
	json_text(json, "changed", interface->changed);
	json_number(json, "nic_packets", interface->nic_packets);
	json_number(json, "nic_dropped", interface->nic_dropped);
	json_number(json, "nic_missed", interface->nic_missed);
	json_number(json, "nic_errors", interface->nic_errors);
	json_bool(json, "symmetric_rss", interface->symmetric_rss);
	json_bool(json, "gone", interface->gone);
	json_close(json, '}');
}

static void put_queue(struct json *json, const struct capture_report *capture, const struct capture_queue_report *queue)
{
	json_open(json, NULL, '{');
	json_text(json, "interface", capture->interface[queue->interface].name);
	json_number(json, "queue", queue->queue);
	json_number(json, "lanes", queue->lanes);
	json_number(json, "seen", queue->seen);
	json_number(json, "filtered", queue->filtered);
	json_number(json, "no_socket", queue->no_socket);
	json_number(json, "received", queue->received);
	json_number(json, "rx_ring_full", queue->rx_ring_full);
	json_number(json, "fill_ring_empty", queue->fill_ring_empty);
	json_number(json, "invalid", queue->invalid);
	json_number(json, "refused", queue->refused);
	json_number(json, "too_long", queue->too_long);
	json_number(json, "bytes", queue->bytes);
	json_number(json, "denied", queue->denied);
	json_number(json, "unsampled", queue->unsampled);
	json_number(json, "cut_off", queue->cut_off);
	json_number(json, "cut_off_bytes", queue->cut_off_bytes);
	json_close(json, '}');
}

/* Live: the stages before the lanes. */
static void put_capture(struct json *json, const struct lanes_report *report)
{
	const struct capture_report *capture = &report->capture;

	json_open(json, "capture", '{');
	json_open(json, "interfaces", '[');
	for (unsigned i = 0; i < capture->interfaces; i++)
		put_interface(json, &capture->interface[i]);
	json_close(json, ']');
	json_open(json, "queues", '[');
	for (unsigned i = 0; i < capture->queues; i++)
		put_queue(json, capture, &capture->queue[i]);
	json_close(json, ']');
	if (report->flows_sampled)
		json_ratio(json, "oneway_flows_ratio", summary_oneway_ratio(report));
	else
		json_null(json, "oneway_flows_ratio");
	json_close(json, '}');
}

static void put_alerts(struct json *json, const struct alert_report *alerts)
{
	json_open(json, "anomalies", '{');
	json_open(json, "alerts", '{');
	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++)
		json_number(json, detector_info(i)->name, alerts->alerts[i]);
	json_close(json, '}');
	json_number(json, "events", alerts->events);
	json_number(json, "events_lost", alerts->events_lost);
	json_number(json, "keys_evicted", alerts->keys_evicted);
	json_number(json, "attempts_missed", alerts->attempts_missed);
	json_number(json, "entries_cut", alerts->entries_cut);
	json_number(json, "sketches_missed", alerts->sketches_missed);
	json_number(json, "bytes", alerts->bytes);
	json_close(json, '}');
}

/* What was asked for by --prefilter, --sample, --flow-cutoff, and came of it; only if one of them was. */
static void put_selection(struct json *json, const struct summary *summary)
{
	const struct config *config = summary->config;
	const struct lanes_report *report = summary->report;

	if (!config->prefilter && !config->sample && !config->flow_cutoff)
		return;
	json_open(json, "selection", '{');
	if (config->prefilter) {
		json_number(json, "rules", report->rules);
		json_number(json, "rules_replaced", report->rules_replaced);
	}
	if (config->sample) {
		json_number(json, "sample_factor", report->sample);
		json_bool(json, "sample_changed", report->sample_changed);
	}
	if (config->flow_cutoff) {
		json_number(json, "flow_cutoff_bytes", config->flow_cutoff);
		json_number(json, "cut_off_in_records", report->total.cut_off_recorded);
		json_number(json, "cut_off_unclaimed", summary_unclaimed(report));
	}
	json_close(json, '}');
}

void summary_print_json(const struct summary *summary, FILE *out)
{
	const struct lanes_report *report = summary->report;
	const struct config *config = summary->config;
	struct json json = { .out = out };

	json_open(&json, NULL, '{');
	json_text(&json, "version", flowlane_version());
	json_open(&json, "inputs", '[');
	for (unsigned i = 0; i < config->read_files_count; i++)
		json_text(&json, NULL, config->read_files[i]);
	for (unsigned i = 0; i < config->interfaces_count; i++)
		json_text(&json, NULL, config->interfaces[i]);
	if (config->listen)
		json_text(&json, NULL, config->listen);
	json_close(&json, ']');
	put_ledger(&json, &report->total);
	if (report->receiving)
		summary_put_streams(&json, &report->streams);
	else if (report->live)
		put_capture(&json, report);
	put_selection(&json, summary);
	json_number(&json, "rtt_ambiguous", report->total.rtt_ambiguous);
	json_number(&json, "rtt_unqueued", report->total.rtt_unqueued);
	if (report->alerts.enabled)
		put_alerts(&json, &report->alerts);
	put_outputs(&json, report);
	put_packet_time(&json, "first_packet", &report->total, report->total.first_packet_ns);
	put_packet_time(&json, "last_packet", &report->total, report->total.last_packet_ns);
	json_text(&json, "ts_source", summary_ts_source(report));
	json_bool(&json, "truncated", report->truncated);
	json_bool(&json, "stopped", report->stopped);
	json_secs(&json, "wall_secs", summary->wall_ns);
	json_secs(&json, "cpu_secs", summary->cpu_ns);
	put_lanes(&json, report);
	put_sizes(&json, &report->sizes);
	json_close(&json, '}');
	fputc('\n', out);
}

int summary_write_json(const struct summary *summary)
{
	struct outfile *file = NULL;
	char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);
	int error = -ENOMEM;

	if (!memory) {
		log_error("summary: out of memory");
		return error;
	}
	summary_print_json(summary, memory);
	if (fclose(memory) == 0)
		error = outfile_open("summary", summary->config->summary_json, OUTFILE_PART, &file);
	if (!error) {
		error = outfile_append(file, text, length);
		int commit_error = outfile_commit(file, NULL, 0);
		error = error ? error : commit_error;
	}
	free(text);
	return error;
}
