/* What a segment that does not simply come next says about loss and reordering: holes, duplicate ACKs, retransmissions. */
#ifndef FLOWLANE_TCP_LOSS_H
#define FLOWLANE_TCP_LOSS_H

#include "flowlane/live.h"
#include "flowlane/packet.h"
#include "rtt.h"

/* A direction's numbers start: without a SYN, what lies before the first segment was sent, but not seen. */
void tcp_holes_start(struct tcp_flow *tcp, unsigned dir, uint32_t seq, bool syn);

/* Never-seen bytes [start, end) appeared. */
void tcp_hole_open(struct tcp_flow *tcp, unsigned dir, uint32_t start, uint32_t end);

/* A segment with seq before next_seq: counts it as a retransmission, as out of order, or as neither (keep-alive). */
void tcp_segment_old(
	struct tcp_flow *tcp, const struct packet *packet, uint32_t seq_end, uint32_t tick, struct rtt_results *results);

/* An empty segment that acknowledges what was acknowledged before: a duplicate ACK, if nothing else is new. */
void tcp_ack_again(struct tcp_flow *tcp, const struct packet *packet);

/* Keeps the last acknowledgement and window of a segment with ACK. */
static inline void tcp_ack_note(struct tcp_flow *tcp, const struct packet *packet, uint32_t length)
{
	unsigned dir = packet->dir;

	if (tcp->half[dir].ack != packet->tcp_ack) {
		tcp->half[dir].ack = packet->tcp_ack;
		tcp->flow.dup_acks[dir] = 0;
	} else if (length == 0) {
		tcp_ack_again(tcp, packet);
	}
	tcp->window[dir] = packet->tcp_window;
}

#endif
