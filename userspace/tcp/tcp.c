#include "tcp.h"

#include "counters.h"
#include "rtt.h"
#include "tcp_loss.h"
#include "tcp_samples.h"
#include "tcp_timestamp.h"

#include "poison.h"

/* --- state ----------------------------------------------------------------------------------------------------------- */

/*
 *   unknown ──SYN──▶ syn_sent ──SYN-ACK──▶ syn_ack ──ACK of the other side──▶ established ──FIN──▶ fin_wait ──FIN of the other──▶ closed
 *      └──────────────────── data with ACK (the handshake was not captured) ──────▲                     RST, from all but closed ──▶ reset
 */
static inline void tcp_state_update(struct tcp_flow *tcp, const struct packet *packet)
{
	unsigned dir = packet->dir;
	uint8_t flags = packet->tcp_flags;

	if (__builtin_expect(!(flags & (TCP_SYN | TCP_FIN | TCP_RST)), 1)) {
		if (tcp->state >= TCP_STATE_ESTABLISHED || !(flags & TCP_ACK))
			return;
		/* The SYN-ACK was sent by the side that the client is not. */
		unsigned client = tcp_cold(tcp)->client == CLIENT_B_TO_A;
		if (packet->payload_len || (tcp->state == TCP_STATE_SYN_ACK && dir == client))
			tcp->state = TCP_STATE_ESTABLISHED;
		return;
	}
	if (flags & TCP_RST) {
		if (tcp->state != TCP_STATE_CLOSED)
			tcp->state = TCP_STATE_RESET;
		tcp->sample_used[0] = tcp->sample_used[1] = 0; /* what comes after it answers nothing */
		return;
	}
	if (flags & TCP_SYN) {
		bool answer = (flags & TCP_ACK) != 0;
		struct tcp_cold *cold = tcp_cold(tcp);
		if (cold->client == CLIENT_UNKNOWN)
			cold->client = dir == answer ? CLIENT_A_TO_B : CLIENT_B_TO_A;
		if (tcp->state == TCP_STATE_UNKNOWN || (answer && tcp->state == TCP_STATE_SYN_SENT))
			tcp->state = answer ? TCP_STATE_SYN_ACK : TCP_STATE_SYN_SENT;
		return;
	}
	if (tcp->state == TCP_STATE_RESET)
		return;
	tcp->bits |= (uint8_t)(TCPF_FIN << dir);
	tcp->state = (tcp->bits & TCPF_FIN * 3) == TCPF_FIN * 3 ? TCP_STATE_CLOSED : TCP_STATE_FIN_WAIT;
}

/* A SYN with a number that is not that of the connection we know, of which the SYN itself may have been missed. */
static bool tcp_is_restart(const struct tcp_flow *tcp, const struct packet *packet)
{
	if (!(packet->tcp_flags & TCP_SYN))
		return false;
	uint32_t first_seq = tcp_cold(tcp)->first_seq[packet->dir];
	return packet->tcp_seq != first_seq && packet->tcp_seq + 1 != first_seq;
}

bool tcp_is_reuse(const struct tcp_flow *tcp, const struct packet *packet)
{
	if ((packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN)
		return false;
	if (tcp->state != TCP_STATE_CLOSED && tcp->state != TCP_STATE_RESET && tcp->state != TCP_STATE_FIN_WAIT)
		return false;
	return !(tcp->bits & TCPF_SEEN << packet->dir) || tcp_is_restart(tcp, packet);
}

/* --- RTT ------------------------------------------------------------------------------------------------------------- */

static inline void tcp_rtt_sample(
	struct tcp_flow *tcp, const struct packet *packet, uint32_t ticks, enum rtt_source source, struct rtt_results *results)
{
	/* What was measured is the path to the side that sent the ACK. */
	struct tcp_leg *leg = tcp_leg(tcp, packet->dir);
	uint8_t *samples = &tcp->flow.leg_samples[packet->dir];
	bool first = !(tcp->flow.leg_samples[0] | tcp->flow.leg_samples[1]);

	tcp->flow.rtt_last = ticks;
	tcp->flow.rtt_ewma = first ? ticks : rtt_ewma(tcp->flow.rtt_ewma, ticks);
	leg->ewma = *samples ? rtt_ewma(leg->ewma, ticks) : ticks;
	leg->min = !*samples || ticks < leg->min ? ticks : leg->min;
	if (__builtin_expect(++*samples == 0, 0)) {
		*samples = TCP_LEG_CARRY;
		tcp_cold(tcp)->leg_samples_carry[packet->dir]++;
	}
	rtt_result(results, packet, ticks, source);
}

/* The ACK ends exactly at waiting segment i. False: it had waited too long. */
static bool tcp_rtt_exact(struct tcp_flow *tcp, const struct packet *packet, unsigned i, uint32_t tick, struct rtt_results *results)
{
	uint32_t ticks = tick - tcp_sample(tcp, i).sent_tick;
	bool handshake = packet->tcp_flags & TCP_SYN || tcp->state == TCP_STATE_SYN_ACK;

	if (ticks > RTT_MAX_TICKS)
		return false;
	if (handshake)
		tcp_cold(tcp)->handshake_ticks += ticks;
	tcp_rtt_sample(tcp, packet, ticks, handshake ? RTT_HANDSHAKE : RTT_SEQ_ACK, results);
	return true;
}

/*
 * Takes out all waiting segments of the other direction that this ACK covers; the one it ends at gives the sample. Segments
 * that became ambiguous were taken out when that happened (tcp_loss.c). Returns whether there was a sample.
 *
 * Ages are ticks that wrap after 34 s: a segment would have to wait that long in a flow that is never silent for 17 s, without
 * being sent again, and then be acknowledged exactly, to give a wrong sample.
 */
static inline bool tcp_ack_samples(struct tcp_flow *tcp, const struct packet *packet, uint32_t tick, struct rtt_results *results)
{
	unsigned waiting = tcp->sample_used[!packet->dir], covered, exact;

	if (__builtin_expect(waiting > TCP_SAMPLES_HOT_BITS, 0))
		tcp_samples_compare_all(tcp, packet->tcp_ack, &covered, &exact);
	else
		tcp_samples_compare(tcp, packet->tcp_ack, &covered, &exact);
	exact &= waiting;
	tcp->sample_used[!packet->dir] = (uint8_t)(waiting & ~covered);
	return exact && tcp_rtt_exact(tcp, packet, (unsigned)__builtin_ctz(exact), tick, results);
}

/* --- sequence space -------------------------------------------------------------------------------------------------- */

/* The first segment of a direction, or a SYN that starts its numbers anew. */
static void tcp_half_start(struct tcp_flow *tcp, const struct packet *packet, uint32_t seq_end, uint32_t tick)
{
	unsigned dir = packet->dir;

	tcp->bits |= (uint8_t)(TCPF_SEEN << dir);
	tcp_cold(tcp)->first_seq[dir] = packet->tcp_seq;
	tcp->half[dir].next_seq = seq_end;
	tcp->half[dir].advance_tick = tick;
	tcp_holes_start(tcp, dir, packet->tcp_seq, (packet->tcp_flags & TCP_SYN) != 0);
}

/* A segment that does not simply come next. True: it may be timed. */
static bool tcp_segment_apart(
	struct tcp_flow *tcp, const struct packet *packet, uint32_t seq_end, uint32_t tick, struct rtt_results *results)
{
	unsigned dir = packet->dir;
	struct tcp_half *half = &tcp->half[dir];

	if (!(tcp->bits & TCPF_SEEN << dir)) {
		tcp_half_start(tcp, packet, seq_end, tick);
	} else if (tcp_is_restart(tcp, packet)) {
		tcp->sample_used[dir] = 0;
		tcp_half_start(tcp, packet, seq_end, tick);
	} else if (seq_before(half->next_seq, packet->tcp_seq)) {
		tcp_hole_open(tcp, dir, half->next_seq, packet->tcp_seq);
		half->next_seq = seq_end;
		half->advance_tick = tick;
	} else {
		tcp_segment_old(tcp, packet, seq_end, tick, results);
		return false;
	}
	return true;
}

/* An empty segment that is not where the last one ended: it tells where its sender is. */
static void tcp_segment_empty(struct tcp_flow *tcp, const struct packet *packet, uint32_t tick)
{
	unsigned dir = packet->dir;
	struct tcp_half *half = &tcp->half[dir];

	if (packet->tcp_flags & TCP_RST)
		return;
	if (!(tcp->bits & TCPF_SEEN << dir)) {
		tcp_half_start(tcp, packet, packet->tcp_seq, tick);
	} else if (seq_before(half->next_seq, packet->tcp_seq)) {
		tcp_hole_open(tcp, dir, half->next_seq, packet->tcp_seq);
		half->next_seq = packet->tcp_seq;
		half->advance_tick = tick;
	}
}

/*
 * Data or not is a coin toss, so an empty segment takes the way of one in sequence: it moves next_seq by nothing, and leaves a
 * sample that is not marked as used. What remains of branches is predictable, or rare.
 */
static inline void tcp_segment(
	struct tcp_flow *tcp, const struct packet *packet, uint32_t length, uint32_t tick, struct rtt_results *results)
{
	unsigned dir = packet->dir;
	struct tcp_half *half = &tcp->half[dir];
	uint32_t seq_end = packet->tcp_seq + length;
	bool timed = length != 0;

	if (__builtin_expect(packet->tcp_seq == half->next_seq && tcp->bits & TCPF_SEEN << dir, 1)) {
		half->next_seq = seq_end;
		half->advance_tick = length ? tick : half->advance_tick;
	} else if (!length) {
		tcp_segment_empty(tcp, packet, tick);
		return;
	} else {
		timed = tcp_segment_apart(tcp, packet, seq_end, tick, results);
		if (!timed)
			tcp_timestamp_sent(tcp, packet, tick);
	}
	if (__builtin_expect(!tcp_sample_put(tcp, dir, seq_end, tick, timed), 0)) {
		counter_add(&results->ledger->rtt_unqueued, 1);
		tcp_timestamp_sent(tcp, packet, tick);
	} else if (__builtin_expect(tcp->bits & TCPF_TS_FLOOR << dir, 0)) {
		tcp_timestamp_sent(tcp, packet, tick);
	}
}

/* Any segment. */
static __attribute__((noinline)) void tcp_update_any(struct tcp_flow *tcp, const struct packet *packet, struct rtt_results *results)
{
	unsigned dir = packet->dir;
	uint32_t tick = rtt_tick(packet->frame->ts_ns);
	uint32_t length = packet->payload_len + (packet->tcp_flags >> 1 & 1) + (packet->tcp_flags & 1); /* SYN, FIN */

	tcp->flow.tcp_flags[dir] |= packet->tcp_flags;
	if (__builtin_expect(packet->tcp_flags & TCP_ACK, 1)) {
		bool sampled = tcp_ack_samples(tcp, packet, tick, results);
		if (__builtin_expect(tcp->bits & TCPF_TS_TIMED << !dir, 0)) {
			uint32_t ticks;
			if (tcp_timestamp_echoed(tcp, packet, tick, &ticks) && !sampled)
				tcp_rtt_sample(tcp, packet, ticks, RTT_TIMESTAMP, results);
		}
		tcp_ack_note(tcp, packet, length);
	}
	tcp_state_update(tcp, packet);
	tcp_segment(tcp, packet, length, tick, results);
}

void tcp_forget(struct tcp_flow *tcp)
{
	tcp->sample_used[0] = tcp->sample_used[1] = 0;
	tcp->bits &= (uint8_t) ~(TCPF_TS_FLOOR * 15);
}

/* --- the plain segment ----------------------------------------------------------------------------------------------- */

/*
 * Nearly all segments are of an established connection without loss, and come next in their direction: what tcp_update_any() does
 * with those, without branches on what is a coin toss (data or not, a sample or not). Samples are put on a list, and counted
 * after the others, in the same order.
 */
struct tcp_answer {
	const struct tcp_work *work;
	uint32_t ticks;
};

#define TCP_ANSWERS 64

/* state, bits and sample_used, as one number: established, both directions seen, and nothing else going on. */
#define TCP_PLAIN_STATUS (TCP_STATE_ESTABLISHED | (TCPF_SEEN * 3) << 8)
#define TCP_PLAIN_MASK   0xf8f8ffffu /* all samples are in the line at hand */
_Static_assert(offsetof(struct tcp_flow, bits) == offsetof(struct tcp_flow, state) + 1, "one number");
_Static_assert(offsetof(struct tcp_flow, sample_used) == offsetof(struct tcp_flow, state) + 2, "one number");

static inline uint16_t rotate16(uint16_t x, unsigned bits)
{
	return (uint16_t)(x << bits | x >> (16 - bits));
}

/* False, and nothing done: not plain. Writes *answer in any case; it counts if *answered. */
static inline bool tcp_update_plain(const struct tcp_work *work, struct tcp_answer *answer, unsigned *answered)
{
	struct tcp_flow *tcp = work->tcp;
	const struct packet *packet = work->packet;
	unsigned dir = packet->dir, covered, exact;
	struct tcp_half *half = &tcp->half[dir];
	uint32_t status, length = packet->payload_len, ack = packet->tcp_ack, tick = rtt_tick(packet->frame->ts_ns);

	memcpy(&status, &tcp->state, sizeof(status));
	if ((status & TCP_PLAIN_MASK) != TCP_PLAIN_STATUS || packet->tcp_seq != half->next_seq || tcp->flow.dup_acks[dir] ||
		(packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) != TCP_ACK)
		return false;
	/* sample_used, the sender's in the lower half. */
	unsigned used = rotate16((uint16_t)(status >> 16), 8 * dir);
	tcp_samples_compare(tcp, ack, &covered, &exact);
	exact &= used >> 8;
	used &= ~(covered << 8);
	unsigned slot = (unsigned)__builtin_ctz(~(used | used >> 8));
	if (__builtin_expect(slot >= TCP_SAMPLES_HOT || ((half->ack ^ ack) | length) == 0, 0))
		return false; /* no room, or a duplicate ACK */

	uint32_t has_data = length != 0, ticks = tick - tcp->sent_tick[__builtin_ctz(exact | 4)];
	*answer = (struct tcp_answer){ work, ticks };
	*answered = (exact != 0) & (ticks <= RTT_MAX_TICKS);
	uint32_t seq_end = half->next_seq + length;
	half->next_seq = seq_end;
	half->ack = ack;
	half->advance_tick += (tick - half->advance_tick) & -has_data;
	tcp->window[dir] = packet->tcp_window;
	tcp->seq_end[slot] = seq_end;
	tcp->sent_tick[slot] = tick;
	used = rotate16((uint16_t)(used | has_data << slot), 8 * dir);
	memcpy(tcp->sample_used, &used, sizeof(tcp->sample_used));
	tcp->flow.tcp_flags[dir] |= packet->tcp_flags;
	return true;
}

static void tcp_answers_count(const struct tcp_answer *answers, unsigned n, struct rtt_results *results)
{
	for (unsigned i = 0; i < n; i++)
		tcp_rtt_sample(answers[i].work->tcp, answers[i].work->packet, answers[i].ticks, RTT_SEQ_ACK, results);
}

void tcp_update(const struct tcp_work *work, unsigned n, struct rtt_results *results)
{
	struct tcp_answer answers[TCP_ANSWERS];
	unsigned count = 0, answered;

	for (unsigned i = 0; i < n; i++) {
		if (__builtin_expect(tcp_update_plain(&work[i], &answers[count], &answered), 1)) {
			count += answered;
			if (__builtin_expect(count < TCP_ANSWERS, 1))
				continue;
			tcp_answers_count(answers, count, results);
		} else {
			tcp_answers_count(answers, count, results);
			tcp_update_any(work[i].tcp, work[i].packet, results);
		}
		count = 0;
	}
	tcp_answers_count(answers, count, results);
}
