/* Whether a packet belongs to a flow, and how a flow of a packet begins. Lane's thread, packet path. */
#ifndef FLOWLANE_FLOW_IDENTITY_H
#define FLOWLANE_FLOW_IDENTITY_H

#include <stdbool.h>
#include <string.h>

#include "clear.h"
#include "flowlane/live.h"
#include "flowlane/packet.h"

/* IPv4, and not in a tunnel that is part of the key. */
static inline bool packet_is_plain_key(const struct packet *packet)
{
	return !((packet->key.ip_version ^ 4) | packet->key.tunnel);
}

/* What the first line cannot tell: the addresses of IPv6, and the tunnel. */
static inline bool flow_is_really(const struct flow *flow, const struct packet *packet)
{
	const struct flow_cold *cold =
		flow_cold_of(flow, packet->key.proto == FLOW_PROTO_TCP); /* its own: the tails are the same */
	uint64_t mine[4], its[4];

	_Static_assert(offsetof(struct flow_cold, b_ip) == 16 && offsetof(struct flow_key, b_ip) == 16, "32 bytes in one go");
	memcpy(mine, cold, sizeof(mine));
	memcpy(its, &packet->key, sizeof(its));
	uint64_t differ = (mine[0] ^ its[0]) | (mine[1] ^ its[1]) | (mine[2] ^ its[2]) | (mine[3] ^ its[3]);
	return !((differ & -(uint64_t)(packet->key.ip_version != 4)) | (cold->tunnel ^ packet->key.tunnel));
}

static inline bool flow_is(const struct flow *flow, const struct packet *packet)
{
	/* One branch, not two. */
	if ((flow->addresses ^ packet->addresses) | (flow->key_tail ^ packet->tail))
		return false;
	return __builtin_expect(packet_is_plain_key(packet), 1) || flow_is_really(flow, packet);
}

#define FLOW_NO_TIMEOUT UINT64_MAX

/* Silent for longer than the timeout when this packet came: the packet belongs to another flow. */
static inline bool flow_is_over(const struct flow *flow, const struct packet *packet, uint64_t timeout_ns)
{
	return packet->frame->ts_ns > flow->last_ns && packet->frame->ts_ns - flow->last_ns > timeout_ns;
}

/*
 * Makes the slab entry a fresh flow of this packet's key. Keeps the slot's place in the timer wheel; addresses of IPv4, and TCP's last
 * line, stay what they were, for nobody reads them. opening: a constant; the packet opens a TCP connection, and is counted, too, as by
 * flow_update().
 */
static inline __attribute__((always_inline)) void flow_begin(struct flow *flow, const struct packet *packet, const bool opening)
{
	const bool is_tcp = opening || packet->key.proto == FLOW_PROTO_TCP;
	const struct frame *frame = packet->frame;
	struct flow_cold *cold = flow_cold_of(flow, is_tcp);
	unsigned dir = packet->dir, other = dir ^ 1; /* no branch: under a flood of forged sources it is a coin toss */
	uint32_t wire_len = opening ? frame->wire_len : 0;
	uint32_t overhead = opening && wire_len > packet->l3_len ? wire_len - packet->l3_len : 0;

	flow->addresses = packet->addresses;
	flow->key_tail = packet->tail;
	flow->last_ns = frame->ts_ns;
	flow->bytes[dir] = wire_len;
	flow->bytes[other] = 0;
	flow->packets[dir] = opening;
	flow->packets[other] = 0;
	flow->overhead[dir] = (uint16_t)overhead;
	flow->overhead[other] = 0;
	flow->pending_tick = 0; /* TCP: its flags, and no duplicate ACKs */
	flow->flags = (uint8_t)((flow->flags & FLOW_ARMED) | dir * FLOW_FIRST_B);
	flow->tos = packet->tos;
	flow->app_id = 0; /* TCP: no RTTs */
	clear_plainly(&flow->rtt, sizeof(flow->rtt));
	clear_plainly((uint8_t *)cold + offsetof(struct flow_cold, first_ns), sizeof(*cold) - offsetof(struct flow_cold, first_ns));
	cold->first_ns = frame->ts_ns;
	cold->tunnel = packet->key.tunnel;
	if (__builtin_expect(overhead >> 16, 0))
		cold->overhead_carry[dir] = overhead >> 16;
	if (__builtin_expect(packet->key.ip_version != 4, 0)) {
		memcpy(cold->a_ip, packet->key.a_ip, sizeof(cold->a_ip));
		memcpy(cold->b_ip, packet->key.b_ip, sizeof(cold->b_ip));
	}
	if (is_tcp) {
		struct tcp_flow *tcp = (struct tcp_flow *)flow;
		clear_plainly(tcp->half, sizeof(*tcp) - offsetof(struct tcp_flow, half));
		clear_plainly(cold + 1,
			offsetof(struct tcp_cold, spill[1]) - sizeof(*cold)); /* what is behind it counts when it is said to */
		tcp->state = TCP_STATE_UNKNOWN;
	}
}

/* flow_begin(), not counting the packet. */
void flow_init(struct flow *flow, const struct packet *packet);

#endif
