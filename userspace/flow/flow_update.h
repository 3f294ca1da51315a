/* Counting one packet into its flow. On the packet path, inlined there. */
#ifndef FLOWLANE_FLOW_UPDATE_H
#define FLOWLANE_FLOW_UPDATE_H

#include "flowlane/live.h"
#include "flowlane/packet.h"

/* Into the cold part: packets have just become 0; overhead, bytes: so many times 2^16, 2^32. */
void flow_carry_packets(struct flow *flow, unsigned dir);
void flow_carry_overhead(struct flow *flow, unsigned dir, uint32_t n);
void flow_carry_bytes(struct flow *flow, unsigned dir, uint32_t n);

/* Adds what was counted elsewhere. */
void flow_add(struct flow *flow, unsigned dir, uint64_t packets, uint64_t bytes, uint64_t overhead);

static inline void flow_update(struct flow *flow, const struct packet *packet)
{
	const struct frame *frame = packet->frame;
	unsigned dir = packet->dir;

	if (__builtin_expect(++flow->packets[dir] == 0, 0))
		flow_carry_packets(flow, dir);
	/* A frame that says it was shorter on the wire than what is captured has no overhead to count. */
	uint32_t overhead = frame->wire_len > packet->l3_len ? frame->wire_len - packet->l3_len : 0;
	overhead += flow->overhead[dir];
	flow->overhead[dir] = (uint16_t)overhead;
	if (__builtin_expect(overhead >> 16, 0))
		flow_carry_overhead(flow, dir, overhead >> 16);
	if (__builtin_expect(__builtin_add_overflow(flow->bytes[dir], frame->wire_len, &flow->bytes[dir]), 0))
		flow_carry_bytes(flow, dir, 1);
	if (__builtin_expect(frame->ts_ns >= flow->last_ns, 1))
		flow->last_ns = frame->ts_ns;
	else if (frame->ts_ns < flow_cold(flow)->first_ns)
		flow_cold(flow)->first_ns = frame->ts_ns; /* captures are not always in order */
}

#endif
