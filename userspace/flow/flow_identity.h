/* Whether a packet belongs to a flow, and how a flow of a packet begins. Lane's thread, packet path. */
#ifndef FLOWLANE_FLOW_IDENTITY_H
#define FLOWLANE_FLOW_IDENTITY_H

#include <stdbool.h>
#include <string.h>

#include "flowlane/live.h"
#include "flowlane/packet.h"

static inline uint64_t packet_key_tail(const struct packet *packet)
{
	uint64_t tail;

	memcpy(&tail, &packet->key.a_port, sizeof(tail));
	return tail;
}

static inline bool flow_is(const struct flow *flow, const struct packet *packet)
{
	/* One branch, not three. */
	if ((flow->addresses ^ packet->addresses) | (flow->key_tail ^ packet_key_tail(packet)) |
		(flow->tunnel ^ packet->key.tunnel))
		return false;
	return packet->key.ip_version == 4 ||
	       (memcmp(flow->a_ip, packet->key.a_ip, 16) == 0 && memcmp(flow->b_ip, packet->key.b_ip, 16) == 0);
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
