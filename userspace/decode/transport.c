#include "decode_internal.h"

#include "bytes.h"
#include "poison.h"

#define TCP_BYTES  20
#define UDP_BYTES  8
#define SCTP_BYTES 12
#define DCCP_BYTES 12
#define ICMP_BYTES 8

/* ICMP types that carry an identifier and a sequence number: RFC 792, RFC 4443 section 4. */
enum { ICMP_ECHO_REPLY = 0, ICMP_ECHO = 8, ICMPV6_ECHO = 128, ICMPV6_ECHO_REPLY = 129 };

static void ports_read(struct walk *walk, uint32_t header_bytes)
{
	struct ip_view *ip = &walk->ip;
	const uint8_t *header = walk->data + walk->off;

	ip->src_port = load_be16(header);
	ip->dst_port = load_be16(header + 2);
	ip->payload_off = walk->off + header_bytes;
}

static enum verdict tcp_read(struct walk *walk)
{
	const uint8_t *tcp = walk->data + walk->off;
	struct ip_view *ip = &walk->ip;

	if (walk_captured(walk) < TCP_BYTES)
		return VERDICT_DROP_TCP_SHORT;
	uint32_t header_bytes = (tcp[12] >> 4) * 4U;
	if (header_bytes < TCP_BYTES || header_bytes > walk->end - walk->off)
		return VERDICT_DROP_TCP_OFFSET;
	ports_read(walk, header_bytes);
	ip->tcp_seq = load_be32(tcp + 4);
	ip->tcp_ack = load_be32(tcp + 8);
	ip->tcp_offset = tcp[12];
	ip->tcp_flags = tcp[13];
	ip->tcp_window = load_be16(tcp + 14);
	return VERDICT_FLOW;
}

static enum verdict udp_read(struct walk *walk)
{
	if (walk_captured(walk) < UDP_BYTES)
		return VERDICT_DROP_UDP_SHORT;
	uint16_t length = load_be16(walk->data + walk->off + 4);

	ports_read(walk, UDP_BYTES);
	/* Below 8 it is 0 (jumbogram, or the card fills it in) or a lie. */
	if (walk->ip.proto == PROTO_UDP && length >= UDP_BYTES)
		walk_clamp(walk, walk->off, length);
	return VERDICT_FLOW;
}

static enum verdict sctp_read(struct walk *walk)
{
	if (walk_captured(walk) < SCTP_BYTES)
		return VERDICT_DROP_SCTP_SHORT;
	ports_read(walk, SCTP_BYTES);
	return VERDICT_FLOW;
}

static enum verdict dccp_read(struct walk *walk)
{
	if (walk_captured(walk) < DCCP_BYTES)
		return VERDICT_DROP_DCCP_SHORT;
	uint32_t header_bytes = walk->data[walk->off + 4] * 4U;

	if (header_bytes < DCCP_BYTES || header_bytes > walk->end - walk->off)
		return VERDICT_DROP_DCCP_SHORT;
	ports_read(walk, header_bytes);
	return VERDICT_FLOW;
}

static enum verdict icmp_read(struct walk *walk)
{
	const uint8_t *icmp = walk->data + walk->off;
	struct ip_view *ip = &walk->ip;

	if (walk_captured(walk) < ICMP_BYTES)
		return VERDICT_DROP_ICMP_SHORT;
	ip->icmp_type = icmp[0];
	ip->icmp_code = icmp[1];
	bool echo = ip->proto == PROTO_ICMP ? icmp[0] == ICMP_ECHO || icmp[0] == ICMP_ECHO_REPLY
					    : icmp[0] == ICMPV6_ECHO || icmp[0] == ICMPV6_ECHO_REPLY;
	ip->src_port = load_be16(icmp + (echo ? 4 : 0));
	ip->dst_port = ip->src_port;
	if (echo)
		ip->echo_seq = load_be16(icmp + 6);
	ip->payload_off = walk->off + ICMP_BYTES;
	return VERDICT_FLOW;
}

static enum verdict transport_read(struct walk *walk)
{
	switch (walk->ip.proto) {
	case PROTO_TCP:
		return tcp_read(walk);
	case PROTO_UDP:
	case PROTO_UDPLITE:
		return udp_read(walk);
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		return icmp_read(walk);
	case PROTO_SCTP:
		return sctp_read(walk);
	case PROTO_DCCP:
		return dccp_read(walk);
	case PROTO_NONE:
		/* Teredo bubbles and the like: nothing in them but the tunnel's own business. */
		return walk->has_outer ? VERDICT_NOFLOW_TUNNEL_CONTROL : VERDICT_FLOW;
	default:
		return VERDICT_FLOW;
	}
}

static enum layer tunnel_enter(struct walk *walk)
{
	if (walk->decoder->options.outer)
		return LAYER_END;
	if (walk->ip.proto != PROTO_UDP)
		return tunnel_enter_ip(walk);
	walk->off += UDP_BYTES;
	return tunnel_enter_udp(walk);
}

enum layer transport_step(struct walk *walk)
{
	struct ip_view *ip = &walk->ip;

	if (walk->off > WALK_OFFSET_MAX)
		return walk_stop(walk, VERDICT_DROP_TOO_NESTED);
	ip->l3_len = walk->end - ip->l3_off;
	ip->l4_off = walk->off;
	ip->payload_off = walk->off;
	if (walk->cap < walk->end)
		ip->flags |= PACKET_L4_CUT;

	enum verdict verdict = transport_read(walk);
	if (verdict >= VERDICT_FIRST_DROP && ip->flags & PACKET_FRAGMENT) {
		ip->flags |= PACKET_FRAGMENT_LATER; /* the ports may come with the next fragment: the 3-tuple's flow */
		verdict = VERDICT_FLOW;
	}
	ip->payload_len = walk->end - ip->payload_off;
	if (verdict != VERDICT_FLOW || ip->flags & PACKET_FRAGMENT_LATER)
		return walk_stop(walk, verdict);

	enum layer inner = tunnel_enter(walk);
	if (inner == LAYER_END)
		return walk_stop(walk, VERDICT_FLOW);
	walk->outer = *ip;
	walk->has_outer = true;
	return inner;
}
