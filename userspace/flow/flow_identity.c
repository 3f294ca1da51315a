#include "flow_identity.h"

#include "poison.h"

#define ICMP_PROTO 1
#define TCP_PROTO 6
#define UDP_PROTO 17
#define ICMP6_PROTO 58

static enum flow_app packet_app(const struct packet *packet)
{
	const struct flow_key *key = &packet->key;

	if (key->proto == UDP_PROTO) {
		if (key->a_port == 53 || key->b_port == 53)
			return APP_DNS;
		if (key->a_port == 443 || key->b_port == 443)
			return APP_QUIC;
	} else if (key->proto == ICMP_PROTO || key->proto == ICMP6_PROTO) {
		return APP_ICMP_ECHO;
	}
	return APP_NONE;
}

void flow_init(struct flow *flow, const struct packet *packet)
{
	uint8_t flags = (flow->flags & FLOW_ARMED) | (packet->dir ? FLOW_FIRST_B : 0);

	if (packet->key.proto == TCP_PROTO) {
		struct tcp_flow *tcp = (struct tcp_flow *)flow;
		memset(tcp, 0, sizeof(*tcp));
		tcp->state = TCP_STATE_UNKNOWN;
	} else {
		memset(flow, 0, sizeof(*flow));
		flags |= (uint8_t)(packet_app(packet) << FLOW_APP_SHIFT);
	}
	flow->addresses = packet_addresses(packet);
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
