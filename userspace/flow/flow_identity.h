/* Whether a packet belongs to a flow, and how a flow of a packet begins. Lane's thread, packet path. */
#ifndef FLOWLANE_FLOW_IDENTITY_H
#define FLOWLANE_FLOW_IDENTITY_H

#include <stdbool.h>

#include "flowlane/live.h"
#include "flowlane/packet.h"

/* IPv4, and not in a tunnel that is part of the key. */
static inline bool packet_is_plain_key(const struct packet *packet)
{
	return !((packet->key.ip_version ^ 4) | packet->key.tunnel);
}

/* Both parts of IPv6 addresses, and the tunnel: what the first line cannot tell. */
bool flow_is_really(const struct flow *flow, const struct packet *packet);

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
