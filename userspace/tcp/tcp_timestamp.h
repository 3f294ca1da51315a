/*
 * RTT from TCP timestamps (RFC 7323), where SEQ/ACK gives nothing: segments that were retransmitted, or found no room among
 * the waiting ones.
 *
 * An echo tells the time of the first segment that carried the value. So a value is timed only when a lower one was seen
 * before it in the same direction:
 *
 *   nothing ──untimed segment──▶ floor (its TSval) ──segment with a higher TSval──▶ timed ──echoed, or passed──▶ nothing
 */
#ifndef FLOWLANE_TCP_TIMESTAMP_H
#define FLOWLANE_TCP_TIMESTAMP_H

#include <stdbool.h>

#include "flowlane/live.h"
#include "flowlane/packet.h"

/* A segment of packet->dir that was not queued for SEQ/ACK, or any, also an empty one, while a floor is set. */
void tcp_timestamp_sent(struct tcp_flow *tcp, const struct packet *packet, uint32_t tick);

/* An ACK, while a value of the other direction is timed. True: it echoed the value, *ticks is the RTT. */
bool tcp_timestamp_echoed(struct tcp_flow *tcp, const struct packet *packet, uint32_t tick, uint32_t *ticks);

#endif
