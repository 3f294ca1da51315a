#include "ncap_walk.h"

#include <errno.h>
#include <stdlib.h>

#include "bytes.h"
#include "decode_internal.h"
#include "text.h"

enum { PROTO_IGMP = 2 };
enum { UDP_BYTES = 8, ARP_BYTES = 8 };
enum { APP_DNS = 53, APP_DHCP_SERVER = 67, APP_DHCP_CLIENT = 68, APP_NTP = 123 };
enum {
	TLS_RECORD_BYTES = 5,
	TLS_RECORDS = 4,
	TLS_CHANGE_CIPHER_SPEC = 20,
	TLS_HANDSHAKE = 22,
	TLS_CLIENT_HELLO = 1,
	TLS_SERVER_HELLO = 2,
	TLS_DRAFT_VERSION = 0x7f, /* as in record_tls.c */
};

struct ncap_walker {
	struct decoder *decoder;
};

int ncap_walker_create(bool outer, struct ncap_walker **result)
{
	struct decoder_options options = { .outer = outer, .seed = HASH_SEED_FIXED };
	struct ncap_walker *walker = calloc(1, sizeof(*walker));
	int error = walker ? decoder_create(&options, &walker->decoder) : -ENOMEM;

	if (error)
		ncap_walker_destroy(walker);
	else
		*result = walker;
	return error;
}

void ncap_walker_destroy(struct ncap_walker *walker)
{
	if (!walker)
		return;
	decoder_destroy(walker->decoder);
	free(walker);
}

#include "poison.h"

static uint32_t min32(uint32_t x, uint32_t y)
{
	return x < y ? x : y;
}

static void note(struct ncap_walk *out, enum ncap_type type, uint32_t off, uint32_t end, uint32_t header)
{
	if (out->layers_count == NCAP_WALK_LAYERS)
		return;
	struct ncap_layer *layer = &out->layers[out->layers_count++];
	layer->type = (uint8_t)type;
	layer->ip = (uint8_t)(out->ips_count - 1); /* none: NCAP_NO_IP */
	layer->off = off;
	layer->end = end;
	layer->header = header;
}

/* A layer below IP; the walk has gone from `from` to walk->off. */
static void note_link(struct ncap_walk *out, const struct walk *walk, enum layer layer, uint32_t from)
{
	uint32_t cap = walk->cap;

	switch (layer) {
	case LAYER_ETHERNET:
		if (walk->off > from)
			note(out, NCAP_ETHERNET, from, cap, 14);
		if (walk->frame->vlan_tpid && from == 0)
			note(out, NCAP_DOT1Q, NCAP_NO_OFFSET, cap, 0);
		break;
	case LAYER_VLAN:
		if (walk->off > from)
			note(out, NCAP_DOT1Q, from, cap, 4);
		break;
	case LAYER_MPLS:
		for (uint32_t at = from; at + 4 <= walk->off; at += 4) {
			note(out, NCAP_MPLS, at, cap, 4);
			if (walk->data[at + 2] & 1) /* the bottom of the stack */
				break;
		}
		break;
	default:
		break;
	}
}

/* ---- above IP ------------------------------------------------------------------------------------------------------ */

/* Of the handshake messages that begin a record: encrypted ones may look like it, but for the upper byte of the length and of the version. */
static bool is_hello(const uint8_t *record)
{
	bool version = record[9] == 3 || record[9] == TLS_DRAFT_VERSION;

	return (record[5] == TLS_CLIENT_HELLO || record[5] == TLS_SERVER_HELLO) && record[6] == 0 && version;
}

/*
 * A hello in the segment's first records. It is not always the first one: behind a HelloRetryRequest a client sends ChangeCipherSpec in
 * front of it (RFC 8446, appendix D.4).
 */
static void note_tls(struct ncap_walk *out, const uint8_t *data, uint32_t off, uint32_t end)
{
	for (unsigned i = 0; i < TLS_RECORDS && off < end && end - off >= TLS_RECORD_BYTES + 5; i++) {
		const uint8_t *record = data + off;
		if (record[0] < TLS_CHANGE_CIPHER_SPEC || record[0] > TLS_HANDSHAKE || record[1] != 3)
			return;
		if (record[0] == TLS_HANDSHAKE && is_hello(record)) {
			note(out, record[5] == TLS_CLIENT_HELLO ? NCAP_TLS_CLIENT_HELLO : NCAP_TLS_SERVER_HELLO, off, end, 0);
			return;
		}
		off += TLS_RECORD_BYTES + load_be16(record + 3);
	}
}

static bool either_port(const struct ncap_ip *ip, uint16_t port)
{
	return ip->src_port == port || ip->dst_port == port;
}

static void note_tcp(struct ncap_walk *out, const struct walk *walk, struct ncap_ip *ip, uint32_t end)
{
	uint32_t payload = min32(walk->ip.payload_off, end);

	ip->transport = NCAP_TCP;
	ip->tcp_flags = walk->ip.tcp_flags;
	ip->window = walk->ip.tcp_window;
	note(out, NCAP_TCP, walk->ip.l4_off, end, walk->ip.payload_off - walk->ip.l4_off);
	if (payload == end)
		return;
	if (either_port(ip, APP_DNS))
		note(out, NCAP_DNS, payload, end, 0);
	else
		note_tls(out, walk->data, payload, end);
}

static void note_udp_payload(struct ncap_walk *out, const struct walk *walk, const struct ncap_ip *ip, uint32_t off, uint32_t end)
{
	const uint8_t *payload = walk->data + off;

	if (either_port(ip, APP_DNS))
		note(out, NCAP_DNS, off, end, 0);
	else if (either_port(ip, APP_NTP))
		note(out, NCAP_NTP, off, end, 0);
	else if (either_port(ip, APP_DHCP_SERVER) || either_port(ip, APP_DHCP_CLIENT))
		note(out, NCAP_DHCPV4, off, end, 0);
	else if ((either_port(ip, PORT_VXLAN) || either_port(ip, PORT_VXLAN_LINUX)) && end - off >= 8)
		note(out, NCAP_VXLAN, off, end, 8);
	else if (either_port(ip, PORT_GENEVE) && end - off >= 8 + (payload[0] & 0x3fU) * 4)
		note(out, NCAP_GENEVE, off, end, 8 + (payload[0] & 0x3fU) * 4);
}

static void note_udp(struct ncap_walk *out, const struct walk *walk, struct ncap_ip *ip, uint32_t end)
{
	uint32_t off = walk->ip.l4_off;
	uint16_t length = load_be16(walk->data + off + 4);

	ip->transport = NCAP_UDP;
	if (length >= UDP_BYTES)
		end = min32(end, off + length);
	note(out, NCAP_UDP, off, end, UDP_BYTES);
	if (end > off + UDP_BYTES)
		note_udp_payload(out, walk, ip, off + UDP_BYTES, end);
}

static void note_icmpv6(struct ncap_walk *out, const struct walk *walk, uint32_t end)
{
	uint32_t off = walk->ip.l4_off;

	note(out, NCAP_ICMPV6, off, end, 4);
	switch (walk->data[off]) {
	case 128: /* RFC 4443: echo request and reply */
	case 129:
		note(out, NCAP_ICMPV6_ECHO, off + 4, end, 4);
		break;
	case 135: /* RFC 4861, sections 4.3 and 4.4 */
		if (end - off >= 24)
			note(out, NCAP_ICMPV6_SOLICITATION, off + 4, end, 20);
		break;
	case 136:
		if (end - off >= 24)
			note(out, NCAP_ICMPV6_ADVERTISEMENT, off + 4, end, 20);
		break;
	default:
		break;
	}
}

/* The step has found the transport header whole. `end`: of the captured bytes of the IP packet. */
static void note_transport(struct ncap_walk *out, const struct walk *walk, struct ncap_ip *ip, uint32_t end)
{
	uint32_t off = walk->ip.l4_off;

	ip->payload = walk->ip.payload_len;
	switch (ip->proto) {
	case PROTO_TCP:
		note_tcp(out, walk, ip, end);
		break;
	case PROTO_UDP:
		note_udp(out, walk, ip, end);
		break;
	case PROTO_SCTP:
		ip->transport = NCAP_SCTP;
		note(out, NCAP_SCTP, off, end, 12);
		break;
	case PROTO_ICMP:
		note(out, NCAP_ICMPV4, off, end, 8);
		break;
	case PROTO_ICMPV6:
		note_icmpv6(out, walk, end);
		break;
	case PROTO_IGMP:
		if (end - off >= 8)
			note(out, NCAP_IGMP, off, end, 8);
		break;
	case PROTO_GRE:
		if (end - off >= 4)
			note(out, NCAP_GRE, off, end, 4);
		break;
	default:
		break;
	}
	ip->ports = ip->transport != NCAP_TYPES;
}

/* ---- IP ------------------------------------------------------------------------------------------------------------ */

/* IPv6: the fragment header, if there is one. Up to `upper` the step has found the extension headers whole. */
static void note_fragment(struct ncap_walk *out, const uint8_t *data, uint32_t l3_off, uint32_t upper, uint32_t end)
{
	uint8_t proto = data[l3_off + 6];

	for (uint32_t off = l3_off + 40; off + 8 <= upper;) {
		switch (proto) {
		case PROTO_FRAGMENT:
			note(out, NCAP_IPV6_FRAGMENT, off, end, 8);
			proto = data[off];
			off += 8;
			break;
		case PROTO_HOPOPTS:
		case PROTO_ROUTING:
		case PROTO_DSTOPTS:
		case PROTO_MOBILITY:
		case PROTO_HIP:
		case PROTO_SHIM6:
			proto = data[off];
			off += (data[off + 1] + 1U) * 8;
			break;
		case PROTO_AH:
			proto = data[off];
			off += (data[off + 1] + 2U) * 4;
			break;
		default:
			return;
		}
	}
}

/* cap: captured bytes of the layer ended there before the step. */
static void note_ip(struct ncap_walk *out, const struct walk *walk, uint32_t cap)
{
	const struct ip_view *view = &walk->ip;
	const uint8_t *header = walk->data + view->l3_off;
	bool v4 = view->version == 4;
	uint32_t total = v4 ? load_be16(header + 2) : load_be16(header + 4) + 40U;
	bool open_end = v4 ? total == 0 : total == 40 && header[6] == PROTO_HOPOPTS;
	uint32_t end = open_end ? cap : min32(cap, view->l3_off + total);
	struct ncap_ip *ip;

	if (out->ips_count == NCAP_WALK_IPS)
		return;
	ip = &out->ips[out->ips_count++];
	/* Member by member: the texts need not be cleared. */
	ip->src = header + (v4 ? 12 : 8);
	ip->dst = header + (v4 ? 16 : 24);
	ip->version = view->version;
	ip->proto = view->proto;
	ip->transport = NCAP_TYPES;
	ip->tcp_flags = 0;
	ip->ports = false;
	ip->src_port = view->src_port;
	ip->dst_port = view->dst_port;
	ip->window = 0;
	ip->payload = 0;
	ip->src_bytes = 0;
	note(out, v4 ? NCAP_IPV4 : NCAP_IPV6, view->l3_off, end, v4 ? (header[0] & 0xfU) * 4 : 40);
	bool later = view->flags & PACKET_FRAGMENT_LATER;
	bool whole = walk->verdict < VERDICT_FIRST_DROP && view->l4_off && !later;
	if (!v4 && header[6] != view->proto)
		note_fragment(out, walk->data, view->l3_off, view->l4_off ? view->l4_off : min32(walk->off, cap), end);
	if (whole)
		note_transport(out, walk, ip, end);
	else
		ip->src_port = ip->dst_port = 0;
}

/* ---- frames -------------------------------------------------------------------------------------------------------- */

/* Behind the walk's end; of the two protocols with this verdict, the one that is ARP: its type stands before it, or its operation tells. */
static void note_arp(struct ncap_walk *out, const struct walk *walk)
{
	uint32_t captured = walk_captured(walk);
	const uint8_t *arp = walk->data + walk->off;

	if (captured < ARP_BYTES || captured < ARP_BYTES + 2U * arp[4] + 2U * arp[5])
		return;
	if (load_be16(arp + 6) == 3 || load_be16(arp + 6) == 4) /* RARP, RFC 903 */
		return;
	note(out, NCAP_ARP, walk->off, walk->cap, ARP_BYTES + 2U * arp[4] + 2U * arp[5]);
}

void ncap_walk_frame(struct ncap_walker *walker, const struct frame *frame, struct ncap_walk *out)
{
	struct walk walk;

	out->frame = frame;
	out->layers_count = 0;
	out->ips_count = 0;
	walk_begin(&walk, walker->decoder, frame);
	enum layer layer = link_start(&walk);
	while (layer != LAYER_END) {
		uint32_t from = walk.off, cap = walk.cap;
		uint8_t ip_layers = walk.ip_layers;
		if (++walk.headers > WALK_HEADERS_MAX || walk.off > WALK_OFFSET_MAX)
			return;
		enum layer next = walk_step(&walk, layer);
		if (walk.ip_layers > ip_layers)
			note_ip(out, &walk, cap);
		else
			note_link(out, &walk, layer, from);
		layer = next;
	}
	if (walk.verdict == VERDICT_NOFLOW_ARP)
		note_arp(out, &walk);
}

void ncap_ip_texts(struct ncap_ip *ip)
{
	if (ip->src_bytes)
		return;
	char *end = ip->version == 4 ? text_ipv4(ip->src_text, ip->src) : text_ipv6(ip->src_text, ip->src);
	*end = 0;
	ip->src_bytes = (uint8_t)(end - ip->src_text);
	end = ip->version == 4 ? text_ipv4(ip->dst_text, ip->dst) : text_ipv6(ip->dst_text, ip->dst);
	*end = 0;
	ip->dst_bytes = (uint8_t)(end - ip->dst_text);
}
