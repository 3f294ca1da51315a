/*
 * The segments of a TCP flow that wait for their ACK: a set of eight, shared by both directions. The first four are in the line
 * that every segment touches; most flows never need more.
 *
 * The oldest stay and newer ones find no room: so with any window some segment of each round trip is timed, which a queue that
 * drops its oldest would not do once the window is longer than the queue.
 */
#ifndef FLOWLANE_TCP_SAMPLES_H
#define FLOWLANE_TCP_SAMPLES_H

#include <stdbool.h>

#include "flowlane/live.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* a < b in sequence space (RFC 9293 section 3.4): right while they are less than 2^31 apart. */
static inline bool seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline struct tcp_samples *tcp_samples_group(struct tcp_flow *tcp, unsigned i)
{
	return i < 4 ? &tcp->sample_hot : &tcp->sample_spill;
}

/* Which of the four an acknowledgement number covers, and at which it ends: four bits each. */
static inline void tcp_samples_compare(const struct tcp_samples *samples, uint32_t ack, unsigned *covered, unsigned *exact)
{
#ifdef __SSE2__
	__m128i ends = _mm_loadu_si128((const __m128i *)samples->seq_end);
	__m128i beyond = _mm_sub_epi32(_mm_set1_epi32((int)ack), ends);
	*covered = ~(unsigned)_mm_movemask_ps(_mm_castsi128_ps(beyond)) & 15;
	*exact = (unsigned)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(beyond, _mm_setzero_si128())));
#else
	*covered = *exact = 0;
	for (unsigned i = 0; i < 4; i++) {
		*covered |= (unsigned)!seq_before(ack, samples->seq_end[i]) << i;
		*exact |= (unsigned)(ack == samples->seq_end[i]) << i;
	}
#endif
}

/*
 * Adds a segment if `wanted`, without a branch on that. False: it was wanted, and there was no room. Slot 0..3 is written in
 * any case: a slot that is not marked as used holds nothing.
 */
static inline bool tcp_sample_put(struct tcp_flow *tcp, unsigned dir, uint32_t seq_end, uint32_t tick, bool wanted)
{
	unsigned i = (unsigned)__builtin_ctz(~(unsigned)(tcp->sample_used[0] | tcp->sample_used[1]));

	if (__builtin_expect(i >= TCP_SAMPLES, 0))
		return !wanted;
	struct tcp_samples *group = tcp_samples_group(tcp, i);
	group->seq_end[i & 3] = seq_end;
	group->sent_tick[i & 3] = tick;
	tcp->sample_used[dir] |= (uint8_t)((unsigned)wanted << i);
	return true;
}

#endif
