/* The part of the summary that live capture adds: what happened to packets before they reached a lane. */
#include <inttypes.h>
#include <string.h>

#include "summary.h"

#define ONEWAY_SUSPECT 0.5 /* more of the flows than this one-sided, on several queues: the NIC splits directions */
#define ONEWAY_FLOWS   10  /* fewer flows prove nothing */

const char *summary_ts_source(const struct lanes_report *report)
{
	const struct capture_report *capture = &report->capture;

	if (!report->live)
		return "file";
	if (report->receiving)
		return report->source.ts_source;
	for (unsigned i = 1; i < capture->interfaces; i++) {
		if (strcmp(capture->interface[i].ts_source, capture->interface[0].ts_source))
			return "mixed";
	}
	return capture->interface[0].ts_source;
}

double summary_oneway_ratio(const struct lanes_report *report)
{
	return report->flows_sampled ? (double)report->flows_oneway / (double)report->flows_sampled : 0;
}

static uint64_t queue_lost(const struct capture_queue_report *queue)
{
	return queue->rx_ring_full + queue->fill_ring_empty + queue->refused;
}

uint64_t summary_lost(const struct lanes_report *report)
{
	const struct capture_report *capture = &report->capture;
	uint64_t lost = 0;

	for (unsigned i = 0; i < capture->interfaces; i++)
		lost += capture->interface[i].nic_dropped + capture->interface[i].nic_missed + capture->interface[i].nic_errors;
	for (unsigned i = 0; i < capture->queues; i++)
		lost += queue_lost(&capture->queue[i]);
	return lost;
}

uint64_t summary_unclaimed(const struct lanes_report *report)
{
	uint64_t cut_off = report->total.cut_off;

	for (unsigned i = 0; i < report->capture.queues; i++)
		cut_off += report->capture.queue[i].cut_off;
	return cut_off - report->total.cut_off_recorded;
}

static void print_queue(const struct capture_queue_report *queue, FILE *out)
{
	const struct {
		const char *name;
		uint64_t count;
	} parts[] = {
		{ "not wanted", queue->filtered },
		{ "cut off", queue->cut_off },
		{ "no socket", queue->no_socket },
		{ "LOST, RX ring full", queue->rx_ring_full },
		{ "LOST, no free buffer", queue->fill_ring_empty },
		{ "LOST, too long for a buffer", queue->too_long },
		{ "LOST, refused", queue->refused - queue->too_long },
	};

	fprintf(out, "    queue %-10u%" PRIu64 " seen = %" PRIu64 " received", queue->queue, queue->seen, queue->received);
	for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].count)
			fprintf(out, " + %" PRIu64 " %s", parts[i].count, parts[i].name);
	}
	if (queue_lost(queue))
		fprintf(out, " (%.3f %% lost)", 100.0 * (double)queue_lost(queue) / (double)queue->seen);
	fputc('\n', out);
}

static void print_interface(const struct capture_report *capture, unsigned index, FILE *out)
{
	const struct capture_interface_report *interface = &capture->interface[index];

	fprintf(out, "  Interface %s:%*s driver %s, %s mode, time stamps from %s%s%s\n", interface->name,
		(int)(7 - strlen(interface->name) % 8), "", interface->driver, interface->mode, interface->ts_source,
		interface->changed[0] ? "; " : "", interface->changed);
	if (interface->nic_dropped || interface->nic_missed || interface->nic_errors)
		fprintf(out, "    NIC: %" PRIu64 " LOST before XDP (dropped %" PRIu64 ", missed %" PRIu64 ", errors %" PRIu64 ")\n",
			interface->nic_dropped + interface->nic_missed + interface->nic_errors, interface->nic_dropped,
			interface->nic_missed, interface->nic_errors);
	for (unsigned i = 0; i < capture->queues; i++) {
		if (capture->queue[i].interface == index)
			print_queue(&capture->queue[i], out);
	}
}

void summary_print_capture(const struct lanes_report *report, FILE *out)
{
	const struct capture_report *capture = &report->capture;
	double oneway = summary_oneway_ratio(report);

	for (unsigned i = 0; i < capture->interfaces; i++)
		print_interface(capture, i, out);
	if (report->lanes > 1 && report->flows_sampled >= ONEWAY_FLOWS && oneway > ONEWAY_SUSPECT)
		fprintf(out,
			"  One-way flows: %.0f %% of %" PRIu64 ": traffic of one direction only, or a NIC that sends the two "
			"directions of a flow to different queues: `flowlane doctor -i %s` tells which, and the fix; --fanout %u "
			"on one "
			"queue always works\n",
			100 * oneway, report->flows_sampled, capture->interface[0].name, report->lanes);
}
