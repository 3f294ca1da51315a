/*
 * The packets that `flowlane merge` holds back, to put inputs in order that are not: copies of the last ones that came. One thread.
 *
 *   in order so far:  append ─▶ [ queue, ascending ] ─┐
 *                                                     ├─▶ take: the earlier of the two fronts
 *   came late:          push ─▶ [ heap ] ─────────────┘
 *
 * An input in order never sees the heap: O(1) per packet; a late packet costs O(log window). Equal times leave in the order of arrival.
 */
#ifndef FLOWLANE_MERGE_WINDOW_H
#define FLOWLANE_MERGE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/packet.h"

struct merge_packet {
	uint64_t ts_ns;
	uint32_t cap_len;
	uint32_t wire_len;
	uint8_t data[];
};

struct merge_window;

/* Holds up to `packets`, and up to `bytes` of packet data (at least one packet). NULL: out of memory. */
struct merge_window *merge_window_new(uint32_t packets, uint64_t bytes);
void merge_window_free(struct merge_window *window); /* with the packets in it; accepts NULL */

bool merge_window_full(const struct merge_window *window); /* beyond its limits: take one before the next put */
/* Copies the frame. 0, or -ENOMEM. Not when full. */
int merge_window_put(struct merge_window *window, const struct frame *frame);
/* The earliest packet; the caller free()s it. NULL: none left. */
struct merge_packet *merge_window_take(struct merge_window *window);

#endif
