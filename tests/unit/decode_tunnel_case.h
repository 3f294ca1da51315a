/* What the tests of tunnels share: the packet around, the packets inside, and what is expected of either. */
#ifndef DECODE_TUNNEL_CASE_H
#define DECODE_TUNNEL_CASE_H

#include "decode_case.h"

static inline void inner4(struct packet_builder *b, const struct ends *e)
{
	pb_ipv4(b, e->src4, e->dst4, 6);
	pb_tcp(b, e->src_port, e->dst_port, 1, 2, 0x18);
	pb_fill(b, 4);
}

static inline void inner6(struct packet_builder *b, const struct ends *e)
{
	pb_ipv6(b, e->src6, e->dst6, 6);
	pb_tcp(b, e->src_port, e->dst_port, 1, 2, 0x18);
	pb_fill(b, 4);
}

static inline void inner_ethernet(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x0800);
	inner4(b, e);
}

static inline void inner_arp(struct packet_builder *b)
{
	pb_ethernet(b, 0x0806);
	pb_zero(b, 28);
}

static inline void outer(struct packet_builder *b, uint8_t proto)
{
	pb_ethernet(b, 0x0800);
	pb_ipv4(b, OUTER_SRC, OUTER_DST, proto);
}

static inline void outer_udp(struct packet_builder *b, uint16_t port)
{
	outer(b, 17);
	pb_udp(b, 40000, port);
}

#define INNER4            .proto = 6, .payload_len = 4, .flags = PACKET_TUNNELLED
#define INNER6            .version = 6, .proto = 6, .payload_len = 4, .flags = PACKET_TUNNELLED
#define OUTER(number)     .outer_flow = true, .no_ports = true, .proto = (number)
#define OUTER_PORTS(port) .outer_flow = true, .proto = 17, .a_port = 40000, .b_port = (port)
#define KEY               .options.key_tunnel = true

#endif
