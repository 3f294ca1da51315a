/* The arithmetic of one queue's ledger: from what the program, the sockets and the lanes counted. Pure. */
#ifndef FLOWLANE_QUEUE_LEDGER_H
#define FLOWLANE_QUEUE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "capture.h"
#include "flowlane/abi.h"

/* All of one queue; read in this order, so that what moves meanwhile is never counted before it came. */
struct queue_counts {
	uint64_t received;                                           /* by the lanes */
	uint64_t joined_too_long;                                    /* frames of more buffers than a lane could join */
	uint64_t waiting;                                            /* frames in the RX rings */
	uint64_t rx_dropped, rx_ring_full, fill_ring_empty, invalid; /* of the sockets: struct xsk_counts */
	struct xdp_counters program;
};

/*
 * Fills all but interface, queue and lanes. `ended`: no frame is on its way any more, so what is missing was refused; before, a
 * driver's poll may hold some, and they are pending.
 */
void queue_ledger_settle(
	struct capture_queue_report *report, const struct queue_counts *counts, bool zerocopy, bool sg, bool ended);

#endif
