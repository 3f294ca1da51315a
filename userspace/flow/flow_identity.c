#include "flow_identity.h"

#include <string.h>

#include "clear.h"
#include "poison.h"

void flow_init(struct flow *flow, const struct packet *packet)
{
	uint8_t flags = (flow->flags & FLOW_ARMED) | (packet->dir ? FLOW_FIRST_B : 0);
	bool is_tcp = packet->key.proto == FLOW_PROTO_TCP;
	struct flow_cold *cold = flow_cold_of(flow, is_tcp);

	if (is_tcp) {
		struct tcp_flow *tcp = (struct tcp_flow *)flow;
		clear_plainly(tcp, sizeof(*tcp));
		clear_plainly(cold, offsetof(struct tcp_cold, spill[1])); /* what is behind it counts when it is said to */
		tcp->state = TCP_STATE_UNKNOWN;
	} else {
		clear_plainly(flow, sizeof(*flow));
		clear_plainly(cold, sizeof(*cold));
	}
	flow->addresses = packet->addresses;
	flow->key_tail = packet->tail;
	flow->last_ns = packet->frame->ts_ns;
	flow->tos = packet->tos;
	flow->flags = flags;
	cold->first_ns = packet->frame->ts_ns;
	cold->tunnel = packet->key.tunnel;
	if (packet->key.ip_version != 4) {
		memcpy(cold->a_ip, packet->key.a_ip, sizeof(cold->a_ip));
		memcpy(cold->b_ip, packet->key.b_ip, sizeof(cold->b_ip));
	}
}
