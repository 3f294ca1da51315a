/*
 * TCP of one flow: state, sequence spaces, loss and reordering, RTT. Lane's thread, packet path.
 *
 * The rules are in docs/design.md, "TCP". In short: an RTT sample is taken only when an ACK ends exactly at a segment that was
 * sent once, and no earlier byte that it covers was sent later (Karn; tcptrace); a segment that covers bytes already seen is a
 * retransmission; one that fills a hole soon after the hole appeared is out of order.
 */
#ifndef FLOWLANE_TCP_H
#define FLOWLANE_TCP_H

#include <stdbool.h>

#include "flowlane/live.h"
#include "flowlane/packet.h"
#include "rtt.h"

/* True if this packet opens a new connection on a flow that is over: a pure SYN with another ISN. */
bool tcp_is_reuse(const struct tcp_flow *tcp, const struct packet *packet);

/* A segment, and the flow that it was counted into. */
struct tcp_work {
	struct tcp_flow *tcp;
	const struct packet *packet;
};

/* Nothing that was sent before now can be timed any more: the flow was silent for so long that ticks wrap (rtt_is_void()). */
void tcp_forget(struct tcp_flow *tcp);

/* The first segment of a flow that has just begun, a SYN without FIN and RST: what tcp_update() would do, in short. */
static inline void tcp_open(struct tcp_flow *tcp, const struct packet *packet)
{
	struct tcp_cold *cold = tcp_cold(tcp);
	unsigned dir = packet->dir;
	uint32_t tick = rtt_tick(packet->frame->ts_ns), seq_end = packet->tcp_seq + packet->payload_len + 1;

	tcp->flow.tcp_flags[dir] = packet->tcp_flags;
	cold->client = dir ? CLIENT_B_TO_A : CLIENT_A_TO_B;
	tcp->state = TCP_STATE_SYN_SENT;
	tcp->bits = (uint8_t)(TCPF_SEEN << dir);
	cold->first_seq[dir] = packet->tcp_seq;
	tcp->half[dir].next_seq = seq_end;
	tcp->half[dir].advance_tick = tick;
	tcp->seq_end[0] = seq_end;
	tcp->sent_tick[0] = tick;
	tcp->sample_used[dir] = 1;
}

/* Segments in the order of their capture, each after its flow_update(). */
void tcp_update(const struct tcp_work *work, unsigned n, struct rtt_results *results);

#endif
