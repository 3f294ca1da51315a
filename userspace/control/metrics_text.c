/* The names of docs/summary.md, in the form that Prometheus has for them: a family of samples with labels for each. */
#include <inttypes.h>

#include "metrics.h"
#include "options.h"
#include "summary.h"

#define OFFSET(type, member) offsetof(struct type, member)

static void put_family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP flowlane_%s %s\n# TYPE flowlane_%s %s\n", name, help, name, type);
}

static uint64_t value_at(const void *object, size_t offset)
{
	return *(const uint64_t *)(const void *)((const char *)object + offset);
}

/* --- lanes --------------------------------------------------------------------------------------------------------------- */

static uint64_t decoded(const struct ledger *ledger)
{
	return summary_packets_decoded(ledger);
}

static void put_lane_numbers(const struct lanes_report *report, FILE *out)
{
	static const struct {
		const char *name, *type, *help;
		size_t offset;
	} families[] = {
		{ "packets_read_total", "counter", "Packets that were read, before the filter.", OFFSET(ledger, packets_read) },
		{ "bytes_read_total", "counter", "Their length on the wire.", OFFSET(ledger, bytes_read) },
		{ "packets_in_flows_total", "counter", "Packets that belong to a flow.", OFFSET(ledger, verdicts[VERDICT_FLOW]) },
		{ "flows_created_total", "counter", "Flows that began.", OFFSET(ledger, flows_created) },
		{ "flows_alive", "gauge", "Flows in the table.", OFFSET(ledger, flows_alive) },
		{ "rtt_ambiguous_total", "counter", "Segments acknowledged that give no RTT.", OFFSET(ledger, rtt_ambiguous) },
		{ "rtt_unqueued_total", "counter", "Segments not timed.", OFFSET(ledger, rtt_unqueued) },
	};

	for (unsigned i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		put_family(out, families[i].name, families[i].type, families[i].help);
		for (unsigned lane = 0; lane < report->lanes; lane++)
			fprintf(out, "flowlane_%s{lane=\"%u\"} %" PRIu64 "\n", families[i].name, lane,
				value_at(&report->lane[lane].ledger, families[i].offset));
	}
	put_family(out, "packets_decoded_total", "counter", "Packets that passed the filter and were understood.");
	for (unsigned lane = 0; lane < report->lanes; lane++)
		fprintf(out, "flowlane_packets_decoded_total{lane=\"%u\"} %" PRIu64 "\n", lane,
			decoded(&report->lane[lane].ledger));
}

static void put_verdicts(
	const struct lanes_report *report, const char *family, const char *label, unsigned from, unsigned to, FILE *out)
{
	for (unsigned lane = 0; lane < report->lanes; lane++) {
		for (unsigned i = from; i < to; i++)
			fprintf(out, "flowlane_%s{lane=\"%u\",%s=\"%s\"} %" PRIu64 "\n", family, lane, label,
				verdict_name((enum verdict)i), report->lane[lane].ledger.verdicts[i]);
	}
}

static void put_lane_kinds(const struct lanes_report *report, FILE *out)
{
	put_family(out, "no_flow_total", "counter", "Packets understood that are no IP.");
	put_verdicts(report, "no_flow_total", "kind", VERDICT_FIRST_NOFLOW, VERDICT_FIRST_DROP, out);
	put_family(out, "drops_total", "counter", "Packets that were not decoded, or did not match the filter.");
	for (unsigned lane = 0; lane < report->lanes; lane++)
		fprintf(out, "flowlane_drops_total{lane=\"%u\",reason=\"filter\"} %" PRIu64 "\n", lane,
			report->lane[lane].ledger.dropped_filter);
	for (unsigned lane = 0; lane < report->lanes; lane++) {
		const struct ledger *ledger = &report->lane[lane].ledger;
		fprintf(out, "flowlane_drops_total{lane=\"%u\",reason=\"rules\"} %" PRIu64 "\n", lane, ledger->dropped_rules);
		fprintf(out, "flowlane_drops_total{lane=\"%u\",reason=\"sample\"} %" PRIu64 "\n", lane, ledger->dropped_sample);
		fprintf(out, "flowlane_drops_total{lane=\"%u\",reason=\"cut_off\"} %" PRIu64 "\n", lane, ledger->cut_off);
	}
	put_verdicts(report, "drops_total", "reason", VERDICT_FIRST_DROP, VERDICT_COUNT, out);
	put_family(out, "flows_ended_total", "counter", "Flows that left the table.");
	for (unsigned lane = 0; lane < report->lanes; lane++) {
		for (unsigned i = 0; i < FLOW_END_COUNT; i++)
			fprintf(out, "flowlane_flows_ended_total{lane=\"%u\",reason=\"%s\"} %" PRIu64 "\n", lane,
				flow_end_name((enum flow_end)i), report->lane[lane].ledger.flows_ended[i]);
	}
	put_family(out, "rtt_samples_total", "counter", "Round-trip times taken.");
	for (unsigned lane = 0; lane < report->lanes; lane++) {
		for (unsigned i = 0; i < RTT_SOURCE_COUNT; i++)
			fprintf(out, "flowlane_rtt_samples_total{lane=\"%u\",source=\"%s\"} %" PRIu64 "\n", lane,
				rtt_source_name((enum rtt_source)i), report->lane[lane].ledger.rtt_samples[i]);
	}
}

/* --- what is before the lanes ---------------------------------------------------------------------------------------------- */

static void put_interfaces(const struct capture_report *capture, FILE *out)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} families[] = {
		{ "nic_packets_total", "Packets by the NIC's own counter.", OFFSET(capture_interface_report, nic_packets) },
		{ "nic_dropped_total", "Lost before XDP: dropped by the driver.", OFFSET(capture_interface_report, nic_dropped) },
		{ "nic_missed_total", "Lost before XDP: no descriptor was free.", OFFSET(capture_interface_report, nic_missed) },
		{ "nic_errors_total", "Lost before XDP: broken.", OFFSET(capture_interface_report, nic_errors) },
	};

	put_family(out, "interface_info", "gauge", "How frames come; always 1.");
	for (unsigned i = 0; i < capture->interfaces; i++) {
		const struct capture_interface_report *interface = &capture->interface[i];
		fprintf(out, "flowlane_interface_info{interface=\"%s\",driver=\"%s\",mode=\"%s\",ts_source=\"%s\"} 1\n",
			interface->name, interface->driver, interface->mode, interface->ts_source);
	}
	for (unsigned f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
		put_family(out, families[f].name, "counter", families[f].help);
		for (unsigned i = 0; i < capture->interfaces; i++)
			fprintf(out, "flowlane_%s{interface=\"%s\"} %" PRIu64 "\n", families[f].name, capture->interface[i].name,
				value_at(&capture->interface[i], families[f].offset));
	}
}

static void put_queues(const struct capture_report *capture, FILE *out)
{
	static const struct {
		const char *name, *type, *help;
		size_t offset;
	} families[] = {
#define QUEUE(member) OFFSET(capture_queue_report, member)
		{ "queue_seen_total", "counter", "Frames that the XDP program saw.", QUEUE(seen) },
		{ "queue_bytes_total", "counter", "Their bytes.", QUEUE(bytes) },
		{ "queue_filtered_total", "counter", "Frames not wanted.", QUEUE(filtered) },
		{ "queue_cut_off_total", "counter", "Frames of flows that are cut off: counted only.", QUEUE(cut_off) },
		{ "queue_no_socket_total", "counter", "Frames passed to the host: the queue has no socket.", QUEUE(no_socket) },
		{ "queue_received_total", "counter", "Frames handed to the lanes.", QUEUE(received) },
		{ "queue_pending", "gauge", "Frames on their way to a lane.", QUEUE(pending) },
		{ "queue_rx_ring_full_total", "counter", "Frames lost: the lane was too slow.", QUEUE(rx_ring_full) },
		{ "queue_fill_ring_empty_total", "counter", "Frames lost: no buffer was free.", QUEUE(fill_ring_empty) },
		{ "queue_refused_total", "counter", "Frames lost: the socket did not take them.", QUEUE(refused) },
		{ "queue_too_long_total", "counter", "Of these: longer than a buffer.", QUEUE(too_long) },
#undef QUEUE
	};

	for (unsigned f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
		put_family(out, families[f].name, families[f].type, families[f].help);
		for (unsigned i = 0; i < capture->queues; i++)
			fprintf(out, "flowlane_%s{interface=\"%s\",queue=\"%u\"} %" PRIu64 "\n", families[f].name,
				capture->interface[capture->queue[i].interface].name, capture->queue[i].queue,
				value_at(&capture->queue[i], families[f].offset));
	}
}

/* Of those that are written while the run goes on. */
static void put_outputs(const struct lanes_report *report, FILE *out)
{
	if (!report->outputs)
		return;
	put_family(out, "output_records_total", "counter", "Records that are written.");
	for (unsigned i = 0; i < report->outputs; i++)
		fprintf(out, "flowlane_output_records_total{output=\"%s\"} %" PRIu64 "\n", report->output[i].name,
			report->output[i].records);
	put_family(out, "output_lost_total", "counter", "Records that could not be written.");
	for (unsigned i = 0; i < report->outputs; i++)
		fprintf(out, "flowlane_output_lost_total{output=\"%s\"} %" PRIu64 "\n", report->output[i].name,
			report->output[i].lost);
}

void metrics_print(const struct lanes_report *report, FILE *out)
{
	put_family(out, "build_info", "gauge", "The version; always 1.");
	fprintf(out, "flowlane_build_info{version=\"%s\"} 1\n", flowlane_version());
	put_lane_numbers(report, out);
	put_lane_kinds(report, out);
	put_outputs(report, out);
	if (report->sample) {
		put_family(out, "sample_factor", "gauge", "One flow in so many is captured.");
		fprintf(out, "flowlane_sample_factor %" PRIu32 "\n", report->sample);
	}
	if (!report->live)
		return;
	put_interfaces(&report->capture, out);
	put_queues(&report->capture, out);
	put_family(out, "oneway_flows_ratio", "gauge", "Of the finished TCP and UDP flows, the part that only one side sent.");
	if (report->flows_sampled)
		fprintf(out, "flowlane_oneway_flows_ratio %.6f\n", summary_oneway_ratio(report));
}
