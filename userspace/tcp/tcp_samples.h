/*
 * The segments of a TCP flow that wait for their ACK: a set of eight, shared by both directions.
 *
 * The oldest stay and newer ones find no room: so with any window some segment of each round trip is timed, which a queue that
 * drops its oldest would not do once the window is longer than the queue.
 */
#ifndef FLOWLANE_TCP_SAMPLES_H
#define FLOWLANE_TCP_SAMPLES_H

#include <stdbool.h>

#include "flowlane/live.h"

/* a < b in sequence space (RFC 9293 section 3.4): right while they are less than 2^31 apart. */
static inline bool seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline struct tcp_sample *tcp_sample_at(struct tcp_flow *tcp, unsigned i)
{
	return i < TCP_SAMPLES_HOT ? &tcp->sample_hot[i] : &tcp->sample_spill[i - TCP_SAMPLES_HOT];
}

/* One bit per waiting segment that was sent by dir. */
static inline unsigned tcp_samples_of(const struct tcp_flow *tcp, unsigned dir)
{
	return tcp->sample_used & (dir ? tcp->sample_dir : (uint8_t)~tcp->sample_dir);
}

/* False: there was no room. */
static inline bool tcp_sample_put(struct tcp_flow *tcp, unsigned dir, uint32_t seq_end, uint32_t tick)
{
	unsigned i = (unsigned)__builtin_ctz(~(unsigned)tcp->sample_used);

	if (i >= TCP_SAMPLES)
		return false;
	*tcp_sample_at(tcp, i) = (struct tcp_sample){ .seq_end = seq_end, .sent_tick = tick };
	tcp->sample_used |= (uint8_t)(1u << i);
	tcp->sample_dir = (uint8_t)((tcp->sample_dir & ~(1u << i)) | dir << i);
	return true;
}

#endif
