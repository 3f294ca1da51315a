/*
 * The segments of a TCP flow that wait for their ACK: a set of eight, shared by both directions. The first three are in the
 * line that every segment touches; most flows never need more.
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

static inline struct tcp_sample tcp_sample(const struct tcp_flow *tcp, unsigned i)
{
	if (i < TCP_SAMPLES_HOT)
		return (struct tcp_sample){ tcp->seq_end[i], tcp->sent_tick[i] };
	return tcp_cold(tcp)->spill[i - TCP_SAMPLES_HOT];
}

#ifdef __SSE2__
/* Which of four numbers an acknowledgement number covers, and which it is: a bit each. */
static inline void tcp_compare4(__m128i ends, uint32_t ack, unsigned *covered, unsigned *exact)
{
	__m128i beyond = _mm_sub_epi32(_mm_set1_epi32((int)ack), ends);

	*covered = ~(unsigned)_mm_movemask_ps(_mm_castsi128_ps(beyond)) & 15;
	*exact = (unsigned)_mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(beyond, _mm_setzero_si128())));
}
#endif

/* Which of the first three samples an acknowledgement number covers, and at which it ends: a bit each. Bit 3 may be anything. */
static inline void tcp_samples_compare(const struct tcp_flow *tcp, uint32_t ack, unsigned *covered, unsigned *exact)
{
#ifdef __SSE2__
	_Static_assert(offsetof(struct tcp_flow, sent_tick) >= offsetof(struct tcp_flow, seq_end) + 12, "a fourth number is read");
	tcp_compare4(_mm_loadu_si128((const __m128i *)(const void *)tcp->seq_end), ack, covered, exact);
#else
	*covered = *exact = 0;
	for (unsigned i = 0; i < TCP_SAMPLES_HOT; i++) {
		*covered |= (unsigned)!seq_before(ack, tcp->seq_end[i]) << i;
		*exact |= (unsigned)(ack == tcp->seq_end[i]) << i;
	}
#endif
}

#define TCP_SAMPLES_HOT_BITS ((1u << TCP_SAMPLES_HOT) - 1)

/* The same of all eight. */
static inline void tcp_samples_compare_all(const struct tcp_flow *tcp, uint32_t ack, unsigned *covered, unsigned *exact)
{
	const struct tcp_sample *spill = tcp_cold(tcp)->spill;
	unsigned i = TCP_SAMPLES_HOT;

	tcp_samples_compare(tcp, ack, covered, exact);
	*covered &= TCP_SAMPLES_HOT_BITS;
	*exact &= TCP_SAMPLES_HOT_BITS;
#ifdef __SSE2__
	unsigned spill_covered, spill_exact;
	__m128 first = _mm_loadu_ps((const float *)(const void *)&spill[0]),
	       second = _mm_loadu_ps((const float *)(const void *)&spill[2]);
	tcp_compare4(_mm_castps_si128(_mm_shuffle_ps(first, second, _MM_SHUFFLE(2, 0, 2, 0))), ack, &spill_covered, &spill_exact);
	*covered |= spill_covered << i;
	*exact |= spill_exact << i;
	i += 4;
#endif
	for (; i < TCP_SAMPLES; i++) {
		uint32_t seq_end = spill[i - TCP_SAMPLES_HOT].seq_end;
		*covered |= (unsigned)!seq_before(ack, seq_end) << i;
		*exact |= (unsigned)(ack == seq_end) << i;
	}
}

/*
 * Adds a segment if `wanted`, without a branch on that. False: it was wanted, and there was no room. A free place is written in
 * any case: one that is not marked as used holds nothing.
 */
static inline bool tcp_sample_put(struct tcp_flow *tcp, unsigned dir, uint32_t seq_end, uint32_t tick, bool wanted)
{
	unsigned i = (unsigned)__builtin_ctz(~(unsigned)(tcp->sample_used[0] | tcp->sample_used[1]));

	if (__builtin_expect(i >= TCP_SAMPLES, 0))
		return !wanted;
	if (__builtin_expect(i < TCP_SAMPLES_HOT, 1)) {
		tcp->seq_end[i] = seq_end;
		tcp->sent_tick[i] = tick;
	} else {
		tcp_cold(tcp)->spill[i - TCP_SAMPLES_HOT] = (struct tcp_sample){ seq_end, tick };
	}
	tcp->sample_used[dir] |= (uint8_t)((unsigned)wanted << i);
	return true;
}

#endif
