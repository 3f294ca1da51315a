#include "flow_identity.h"

#include "clear.h"
#include "poison.h"

#define TCP_PROTO 6

void flow_init(struct flow *flow, const struct packet *packet)
{
	uint8_t flags = (flow->flags & FLOW_ARMED) | (packet->dir ? FLOW_FIRST_B : 0);

	if (packet->key.proto == TCP_PROTO) {
		struct tcp_flow *tcp = (struct tcp_flow *)flow;
		clear_plainly(tcp, sizeof(*tcp));
		tcp->state = TCP_STATE_UNKNOWN;
	} else {
		clear_plainly(flow, sizeof(*flow));
	}
	flow->addresses = packet->addresses;
	flow->key_tail = packet_key_tail(packet);
	flow->tunnel = packet->key.tunnel;
	if (packet->key.ip_version != 4) {
		memcpy(flow->a_ip, packet->key.a_ip, sizeof(flow->a_ip));
		memcpy(flow->b_ip, packet->key.b_ip, sizeof(flow->b_ip));
	}
	flow->first_ns = flow->last_ns = packet->frame->ts_ns;
	flow->tos = packet->tos;
	flow->flags = flags;
}
