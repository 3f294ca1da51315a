/* Counting one packet into its flow. On the packet path, inlined there. */
#ifndef FLOWLANE_FLOW_UPDATE_H
#define FLOWLANE_FLOW_UPDATE_H

#include "flowlane/live.h"
#include "flowlane/packet.h"

/* Adds to the low 32 bits, and carries: once in 4 billion. */
static inline void flow_count32(uint32_t *low, uint8_t *carry, uint32_t n)
{
	if (__builtin_expect(__builtin_add_overflow(*low, n, low), 0))
		(*carry)++;
}

static inline void flow_update(struct flow *flow, const struct packet *packet)
{
	const struct frame *frame = packet->frame;
	unsigned dir = packet->dir;

	flow_count32(&flow->packets[dir], &flow->packets_carry[dir], 1);
	/* A frame that says it was shorter on the wire than what is captured has no overhead to count. */
	uint32_t overhead = frame->wire_len > packet->l3_len ? frame->wire_len - packet->l3_len : 0;
	flow_count32(&flow->overhead[dir], &flow->overhead_carry[dir], overhead);
	flow->bytes[dir] += frame->wire_len;
	if (__builtin_expect(frame->ts_ns >= flow->last_ns, 1))
		flow->last_ns = frame->ts_ns;
	else if (frame->ts_ns < flow->first_ns)
		flow->first_ns = frame->ts_ns; /* captures are not always in order */
}

#endif
