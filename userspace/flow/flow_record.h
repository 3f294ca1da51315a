/* From a live flow to the finished record that sinks get. */
#ifndef FLOWLANE_FLOW_RECORD_H
#define FLOWLANE_FLOW_RECORD_H

#include "flowlane/live.h"

/* The key of a live flow, as the decoder made it. */
void flow_live_key(const struct flow *flow, struct flow_key *key);

/* Asks for what flow_record_fill() will read; the first line of the flow is at hand. always_inline: see flow_prefetch(). */
static inline __attribute__((always_inline)) void flow_record_prefetch(const struct flow *flow)
{
	const struct flow_cold *cold = flow_cold(flow);

	__builtin_prefetch(cold);
	if (flow_proto(flow) != FLOW_PROTO_TCP)
		return;
	__builtin_prefetch((const uint8_t *)flow + offsetof(struct tcp_flow, half));
	__builtin_prefetch((const uint8_t *)cold + offsetof(struct tcp_cold, first_seq));
}

void flow_record_fill(struct flow_record *record, const struct flow *flow, enum flow_end end, uint64_t end_ns);

#endif
