/* Whether a packet belongs to a flow, and how a flow of a packet begins. Lane's thread, packet path. */
#ifndef FLOWLANE_FLOW_IDENTITY_H
#define FLOWLANE_FLOW_IDENTITY_H

#include <stdbool.h>
#include <string.h>

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

/* Makes the slab entry a fresh flow of this packet's key, not counting the packet. Keeps the slot's place in the timer wheel. */
void flow_init(struct flow *flow, const struct packet *packet);

#endif
