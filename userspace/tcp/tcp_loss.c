#include "tcp_loss.h"

#include <string.h>

#include "counters.h"
#include "rtt.h"
#include "tcp_samples.h"

#include "poison.h"

/* Reordering without a handshake to compare with: what tshark takes as well. */
#define REORDER_DEFAULT_TICKS ((uint32_t)(3 * 1000 * 1000 / RTT_TICK_NS))
/* A retransmission answers the third duplicate ACK at once. */
#define FAST_RETRANSMIT_MS 20
/* Numbers come round after 4 GiB. Holes that are older than about one are forgotten long before. */
#define HOLE_EPOCH_SHIFT 30
/* How far before the first segment seen a direction's unseen past reaches. Any number below 2^31 that no window reaches. */
#define UNSEEN_PAST (1u << 30)

/* --- holes ----------------------------------------------------------------------------------------------------------- */

static bool hole_is_open(const struct tcp_hole *hole)
{
	return hole->start != hole->end;
}

void tcp_holes_start(struct tcp_flow *tcp, unsigned dir, uint32_t seq, bool syn)
{
	struct tcp_cold *cold = tcp_cold(tcp);

	for (unsigned i = 0; tcp->flow.flags & FLOW_HOLES && i < TCP_HOLES; i++)
		cold->hole[dir][i] = (struct tcp_hole){ 0, 0 };
	if (!syn)
		tcp_hole_open(tcp, dir, seq - UNSEEN_PAST, seq);
}

/* Forgets holes that were opened more than one or two GiB of this direction's traffic ago. */
static void tcp_holes_age(struct tcp_flow *tcp, unsigned dir)
{
	struct tcp_cold *cold = tcp_cold(tcp);
	uint8_t epoch = (uint8_t)(flow_bytes(&tcp->flow, dir) >> HOLE_EPOCH_SHIFT);

	if ((uint8_t)(epoch - cold->hole_epoch[dir]) < 2)
		return;
	for (unsigned i = 0; i < TCP_HOLES; i++)
		cold->hole[dir][i] = (struct tcp_hole){ 0, 0 };
	cold->hole_epoch[dir] = epoch;
}

void tcp_hole_open(struct tcp_flow *tcp, unsigned dir, uint32_t start, uint32_t end)
{
	struct tcp_cold *cold = tcp_cold(tcp);
	struct tcp_hole *lowest = &cold->hole[dir][0];

	if (!(tcp->flow.flags & FLOW_HOLES)) {
		tcp->flow.flags |= FLOW_HOLES;
		memset(cold->hole, 0, sizeof(cold->hole));
	}
	tcp_holes_age(tcp, dir);
	for (unsigned i = 0; i < TCP_HOLES; i++) {
		struct tcp_hole *hole = &cold->hole[dir][i];
		if (!hole_is_open(hole)) {
			lowest = hole;
			break;
		}
		if (seq_before(hole->start, lowest->start))
			lowest = hole;
	}
	*lowest = (struct tcp_hole){ start, end };
}

/* Cuts [seq, seq_end) out of the holes. True if all of it lay in one hole: never seen before. */
static bool tcp_hole_fill(struct tcp_flow *tcp, unsigned dir, uint32_t seq, uint32_t seq_end)
{
	struct tcp_cold *cold = tcp_cold(tcp);
	bool unseen = false;

	if (!(tcp->flow.flags & FLOW_HOLES))
		return false;
	tcp_holes_age(tcp, dir);
	for (unsigned i = 0; i < TCP_HOLES; i++) {
		struct tcp_hole *hole = &cold->hole[dir][i];
		if (!hole_is_open(hole) || !seq_before(hole->start, seq_end) || !seq_before(seq, hole->end))
			continue;
		bool from_start = !seq_before(hole->start, seq), to_end = !seq_before(seq_end, hole->end);
		unseen |= !seq_before(seq, hole->start) && !seq_before(hole->end, seq_end);
		if (from_start && to_end) {
			hole->start = hole->end;
		} else if (from_start) {
			hole->start = seq_end;
		} else if (to_end) {
			hole->end = seq;
		} else {
			uint32_t end = hole->end;
			hole->end = seq;
			tcp_hole_open(tcp, dir, seq_end, end);
			break;
		}
	}
	return unseen;
}

/* --- duplicate ACKs -------------------------------------------------------------------------------------------------- */

void tcp_ack_again(struct tcp_flow *tcp, const struct packet *packet)
{
	unsigned dir = packet->dir;

	if (packet->tcp_window == 0 || packet->tcp_window != tcp->window[dir] || packet->tcp_seq != tcp->half[dir].next_seq ||
		packet->tcp_flags & TCP_RST)
		return;
	tcp_cold(tcp)->dup_ack_ms = (uint16_t)(packet->frame->ts_ns / 1000000);
	if (tcp->flow.dup_acks[dir] < UINT8_MAX)
		tcp->flow.dup_acks[dir]++;
}

static bool tcp_is_fast_retransmission(const struct tcp_flow *tcp, const struct packet *packet)
{
	unsigned peer = !packet->dir;

	return tcp->flow.dup_acks[peer] >= 2 && tcp->half[peer].ack == packet->tcp_seq &&
	       (uint16_t)(packet->frame->ts_ns / 1000000 - tcp_cold(tcp)->dup_ack_ms) < FAST_RETRANSMIT_MS;
}

/* --- old segments ---------------------------------------------------------------------------------------------------- */

/*
 * Karn and tcptrace in one step: whatever waits for an ACK at or behind this segment can no longer be timed, for that ACK might
 * be the answer to this segment.
 */
static void tcp_samples_void(struct tcp_flow *tcp, unsigned dir, uint32_t seq, struct rtt_results *results)
{
	for (unsigned bits = tcp->sample_used[dir]; bits; bits &= bits - 1) {
		unsigned i = (unsigned)__builtin_ctz(bits);
		if (!seq_before(seq, tcp_sample(tcp, i).seq_end))
			continue;
		tcp->sample_used[dir] &= (uint8_t) ~(1u << i);
		counter_add(&results->ledger->rtt_ambiguous, 1);
	}
}

void tcp_segment_old(
	struct tcp_flow *tcp, const struct packet *packet, uint32_t seq_end, uint32_t tick, struct rtt_results *results)
{
	unsigned dir = packet->dir;
	struct tcp_half *half = &tcp->half[dir];
	uint32_t seq = packet->tcp_seq;
	bool control = packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST);

	/* One byte before the next: a keep-alive probe (RFC 9293 section 3.8.4), or the byte of a zero-window probe sent again. */
	if (seq + 1 == half->next_seq && seq_end == half->next_seq && !control) {
		tcp_samples_void(tcp, dir, seq, results); /* its ACK may answer either */
		return;
	}
	/* The byte of a zero-window probe, and at last the data behind it. */
	bool probe = seq + 1 == half->next_seq && seq_before(half->next_seq, seq_end) && packet->payload_len > 1;

	tcp_samples_void(tcp, dir, seq, results);
	bool unseen = tcp_hole_fill(tcp, dir, seq, seq_end);
	bool acknowledged = tcp->half[!dir].ack && !seq_before(tcp->half[!dir].ack, seq_end);
	struct tcp_cold *cold = tcp_cold(tcp);
	uint32_t threshold = cold->handshake_ticks ? cold->handshake_ticks : REORDER_DEFAULT_TICKS;
	bool soon = tick - half->advance_tick < threshold;
	/* Where only an empty segment told of bytes behind this one's, none of them came early: nothing is out of order. */
	bool early = seq_end != half->next_seq;

	if (unseen && early && !acknowledged && soon && !tcp_is_fast_retransmission(tcp, packet))
		cold->out_of_order++;
	else if (!probe)
		cold->retransmissions++;
	if (seq_before(half->next_seq, seq_end)) {
		half->next_seq = seq_end;
		half->advance_tick = tick;
	}
}
