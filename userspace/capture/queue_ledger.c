#include "queue_ledger.h"

#define IN_FLIGHT 256 /* a few polls of a driver, 64 frames each */

static uint64_t less(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

/* Takes up to `want` from what is left to explain. */
static uint64_t take(uint64_t *left, uint64_t want)
{
	uint64_t taken = less(*left, want);

	*left -= taken;
	return taken;
}

void queue_ledger_settle(struct capture_queue_report *report, const struct queue_counts *counts, bool zerocopy, bool sg, bool ended)
{
	const struct xdp_counters *program = &counts->program;
	/*
	 * The kernel counts a frame without a buffer, and one too long for a buffer, both as rx_dropped. The former, when it copies
	 * and a frame is one buffer, it also counts on the fill ring. Where a frame may be several buffers, none is too long for it.
	 * In zero-copy mode the fill ring's count is of the driver's attempts: a frame that found no buffer did not reach XDP at all.
	 */
	uint64_t no_buffer = zerocopy ? 0 : sg ? counts->rx_dropped : less(counts->rx_dropped, counts->fill_ring_empty);
	uint64_t left = program->packets[XDP_VERDICT_CAPTURED];

	report->denied = program->packets[XDP_VERDICT_DENIED];
	report->unsampled = program->packets[XDP_VERDICT_UNSAMPLED];
	report->filtered = program->packets[XDP_VERDICT_FILTERED] + report->denied + report->unsampled;
	report->cut_off = program->packets[XDP_VERDICT_CUT_OFF];
	report->cut_off_bytes = program->bytes[XDP_VERDICT_CUT_OFF];
	report->no_socket = program->packets[XDP_VERDICT_NO_SOCKET];
	report->seen = left + report->filtered + report->cut_off + report->no_socket;
	report->bytes = 0;
	for (unsigned i = 0; i < XDP_VERDICT_COUNT; i++)
		report->bytes += program->bytes[i];
	report->invalid = counts->invalid;
	report->received = take(&left, counts->received);
	report->rx_ring_full = take(&left, counts->rx_ring_full);
	report->fill_ring_empty = take(&left, no_buffer);
	report->too_long = take(&left, counts->rx_dropped - no_buffer + counts->joined_too_long);
	report->pending = take(&left, counts->waiting + (ended ? 0 : IN_FLIGHT));
	report->refused = left + report->too_long;
}
