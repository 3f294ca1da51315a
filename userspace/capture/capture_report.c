/* The ledger of a capture, put together from what the NICs, the programs, the sockets and the lanes counted. */
#include "capture_internal.h"

#include <stdio.h>
#include <string.h>

#include "counters.h"
#include "queue_ledger.h"

static const char *const rung_names[RUNG_COUNT] = { "zero-copy", "copy", "generic" };

static const char *ts_source_name(unsigned kinds)
{
	switch (kinds) {
	case 1u << FRAME_TS_NONE:
		return "batch";
	case 1u << FRAME_TS_HARDWARE:
		return "hardware";
	case 1u << FRAME_TS_KTIME:
	case 0: /* no frame yet: it will be this */
		return "xdp";
	default:
		return "mixed";
	}
}

static unsigned interface_kinds(const struct capture *capture, const struct capture_interface *interface)
{
	unsigned kinds = 0;

	for (unsigned i = 0; i < interface->count * capture->fanout; i++)
		kinds |= __atomic_load_n(&capture->source[interface->first * capture->fanout + i].kinds, __ATOMIC_RELAXED);
	return kinds;
}

static void report_interface(
	const struct capture *capture, const struct capture_interface *interface, struct capture_interface_report *report)
{
	struct nic_counters now = interface->nic_last;

	if (capture->attached && !capture->ended && !interface->gone)
		nic_read_counters(interface->info.name, &now);
	memset(report, 0, sizeof(*report));
	snprintf(report->name, sizeof(report->name), "%s", interface->info.name);
	snprintf(report->driver, sizeof(report->driver), "%s", interface->info.driver);
	snprintf(report->mode, sizeof(report->mode), "%s", rung_names[interface->rung]);
	snprintf(report->ts_source, sizeof(report->ts_source), "%s", ts_source_name(interface_kinds(capture, interface)));
	snprintf(report->changed, sizeof(report->changed), "%s", nic_changes(interface->nic));
	report->nic_packets = now.packets - interface->nic_start.packets;
	report->nic_dropped = now.dropped - interface->nic_start.dropped;
	report->nic_missed = now.missed - interface->nic_start.missed;
	report->nic_errors = now.errors - interface->nic_start.errors;
	report->gone = interface->gone;
	report->symmetric_rss = interface->info.rx_queues == 1 || interface->info.rss_symmetric;
}

/* In the order that queue_counts asks for. */
static void report_queue(const struct capture *capture, unsigned index, struct capture_queue_report *report)
{
	const struct capture_queue *queue = &capture->queue[index];
	const struct capture_interface *interface = &capture->interface[queue->interface];
	struct queue_counts counts = { 0 };
	struct xsk_counts sockets;

	for (unsigned share = 0; share < capture->fanout; share++) {
		const struct afxdp_source *source = &capture->source[index * capture->fanout + share];
		counts.received += counter_read(&source->frames);
		counts.joined_too_long += counter_read(&source->too_long);
	}
	xsk_queue_count(&queue->sockets, &sockets);
	counts.waiting = sockets.waiting;
	counts.rx_dropped = sockets.rx_dropped;
	counts.rx_ring_full = sockets.rx_ring_full;
	counts.fill_ring_empty = sockets.fill_ring_empty;
	counts.invalid = sockets.invalid;
	xdp_read_counters(interface->xdp, queue->number, &counts.program);
	report->interface = queue->interface;
	report->queue = queue->number;
	report->lanes = capture->fanout;
	queue_ledger_settle(report, &counts, interface->rung == RUNG_ZEROCOPY, interface->frags, capture->ended);
}

static bool has_socket(const struct capture *capture, const struct capture_interface *interface, unsigned number)
{
	for (unsigned i = 0; i < interface->count; i++) {
		if (capture->queue[interface->first + i].number == number)
			return true;
	}
	return false;
}

/* Queues that received, but have no socket. */
static void report_others(const struct capture *capture, unsigned index, struct capture_report *report)
{
	const struct capture_interface *interface = &capture->interface[index];

	for (unsigned number = 0; number < interface->info.rx_queues; number++) {
		struct xdp_counters counters;
		if (has_socket(capture, interface, number) || xdp_read_counters(interface->xdp, number, &counters) ||
			!counters.packets[XDP_VERDICT_NO_SOCKET])
			continue;
		if (report->queues < CAPTURE_REPORTS_MAX)
			report->queue[report->queues++] = (struct capture_queue_report){ .interface = index, .queue = number };
		struct capture_queue_report *queue = &report->queue[report->queues - 1];
		queue->no_socket += counters.packets[XDP_VERDICT_NO_SOCKET];
		queue->seen += counters.packets[XDP_VERDICT_NO_SOCKET];
		queue->bytes += counters.bytes[XDP_VERDICT_NO_SOCKET];
	}
}

/* veth counts among its drops the frames that a socket did not take; the queues have them already. */
static void report_settle_veth(struct capture_report *report)
{
	for (unsigned i = 0; i < report->queues; i++) {
		const struct capture_queue_report *queue = &report->queue[i];
		struct capture_interface_report *interface = &report->interface[queue->interface];
		uint64_t lost = queue->rx_ring_full + queue->fill_ring_empty + queue->refused;
		bool twice = !strcmp(interface->driver, "veth") && !strcmp(interface->mode, rung_names[RUNG_COPY]);
		if (twice)
			interface->nic_dropped -= lost < interface->nic_dropped ? lost : interface->nic_dropped;
	}
}

/* The host drops what it has no use for of the frames that XDP left to it, and counts them among the interface's drops. Who dropped
 * one is not to be told; as a rule a driver that drops before XDP says "missed". */
static void report_settle_passed(const struct capture *capture, struct capture_report *report)
{
	for (unsigned i = 0; i < report->queues; i++) {
		const struct capture_queue_report *queue = &report->queue[i];
		struct capture_interface_report *interface = &report->interface[queue->interface];
		uint64_t passed = queue->no_socket + (capture->config->exclusive ? 0 : queue->filtered + queue->cut_off);
		interface->nic_dropped -= passed < interface->nic_dropped ? passed : interface->nic_dropped;
	}
}

void capture_report(const struct capture *capture, struct capture_report *report)
{
	memset(report, 0, sizeof(*report));
	report->interfaces = capture->interfaces;
	for (unsigned i = 0; i < capture->interfaces; i++)
		report_interface(capture, &capture->interface[i], &report->interface[i]);
	report->queues = capture->queues;
	for (unsigned i = 0; i < capture->queues; i++)
		report_queue(capture, i, &report->queue[i]);
	for (unsigned i = 0; i < capture->interfaces; i++)
		report_others(capture, i, report);
	report_settle_veth(report);
	report_settle_passed(capture, report);
}
