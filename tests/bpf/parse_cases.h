/*
 * Frames for tests of the XDP program, with what its parser must say of them; for the host's tests and those in the kernel.
 */
#ifndef PARSE_CASES_H
#define PARSE_CASES_H

#include <stddef.h>

#include "../../bpf/parse.bpf.h"
#include "packet_builder.h"

enum { TCP = 6, UDP = 17, GRE = 47, ICMPV6 = 58, SCTP = 132, FRAGMENT = 44, AH = 51, DSTOPTS = 60 };

struct ends {
	const char *src4, *dst4, *src6, *dst6;
	uint16_t src_port, dst_port;
};

static const struct ends THERE = { "10.1.0.1", "10.2.0.2", "fd00::1", "fd00:0:0:1::2", 1000, 443 };
static const struct ends BACK = { "10.2.0.2", "10.1.0.1", "fd00:0:0:1::2", "fd00::1", 443, 1000 };

struct parse_case {
	const char *name;
	void (*build)(struct packet_builder *b, const struct ends *ends);
	uint32_t ip_off;    /* 0: no IP */
	uint32_t ports_off; /* 0: no ports */
	uint16_t ether_type;
	uint16_t vlan;   /* 0: none */
	uint8_t version; /* 0: 4 */
	uint8_t proto;
	uint8_t flags; /* besides PARSE_IP and PARSE_PORTS */
};

static void tcp4(struct packet_builder *b, const struct ends *ends)
{
	pb_ipv4(b, ends->src4, ends->dst4, TCP);
	pb_tcp(b, ends->src_port, ends->dst_port, 1, 1, 16);
	pb_fill(b, 6);
}

static void udp6(struct packet_builder *b, const struct ends *ends)
{
	pb_ipv6(b, ends->src6, ends->dst6, UDP);
	pb_udp(b, ends->src_port, ends->dst_port);
	pb_fill(b, 6);
}

static void build_tcp(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x0800);
	tcp4(b, ends);
}

static void build_udp6(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x86dd);
	udp6(b, ends);
}

static void build_vlan(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x8100);
	pb_vlan(b, 0x6007, 0x0800);
	tcp4(b, ends);
}

static void build_qinq(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x88a8);
	pb_vlan(b, 0x0064, 0x8100);
	pb_vlan(b, 0x0007, 0x86dd);
	udp6(b, ends);
}

static void build_qinq_old(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x9100);
	pb_vlan(b, 0x0fff, 0x9100);
	pb_vlan(b, 0x0007, 0x8100);
	pb_vlan(b, 0x0001, 0x0800);
	tcp4(b, ends);
}

static void build_four_tags(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x8100);
	for (uint16_t i = 1; i <= 4; i++)
		pb_vlan(b, i, i < 4 ? 0x8100 : 0x0800);
	tcp4(b, ends);
}

static void build_options(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x0800);
	pb_ipv4_full(b, ends->src4, ends->dst4, UDP, 1, 0, "\x94\x04\x00\x00\x01\x01\x01\x01", 8);
	pb_udp(b, ends->src_port, ends->dst_port);
}

static void build_fragment_first(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x0800);
	pb_ipv4_fragment(b, ends->src4, ends->dst4, UDP, 7, 0, true);
	pb_udp(b, ends->src_port, ends->dst_port);
	pb_fill(b, 16);
}

static void build_fragment_later(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x0800);
	pb_ipv4_fragment(b, ends->src4, ends->dst4, UDP, 7, 24, false);
	pb_fill(b, 16);
}

static void build_fragment6_first(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, ends->src6, ends->dst6, FRAGMENT);
	pb_ipv6_fragment(b, UDP, 7, 0, true);
	pb_udp(b, ends->src_port, ends->dst_port);
}

static void build_fragment6_later(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, ends->src6, ends->dst6, 0);
	pb_ipv6_extension(b, FRAGMENT, 1);
	pb_ipv6_fragment(b, UDP, 7, 24, false);
	pb_fill(b, 16);
}

static void build_fragment6_atomic(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, ends->src6, ends->dst6, FRAGMENT);
	pb_ipv6_fragment(b, TCP, 7, 0, false);
	pb_tcp(b, ends->src_port, ends->dst_port, 1, 1, 16);
}

static void build_extensions(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, ends->src6, ends->dst6, 0);
	pb_ipv6_extension(b, DSTOPTS, 1);
	pb_ipv6_extension(b, AH, 3);
	pb_u8(b, TCP); /* an authentication header of 24 bytes: its length counts words, minus 2 */
	pb_u8(b, 4);
	pb_zero(b, 22);
	pb_tcp(b, ends->src_port, ends->dst_port, 1, 1, 16);
}

static void build_extensions_too_many(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, ends->src6, ends->dst6, DSTOPTS);
	for (int i = 0; i <= PARSE_EXTENSIONS_MAX; i++)
		pb_ipv6_extension(b, i < PARSE_EXTENSIONS_MAX ? DSTOPTS : TCP, 1);
	pb_tcp(b, ends->src_port, ends->dst_port, 1, 1, 16);
}

static void build_extension_liar(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, ends->src6, ends->dst6, 0);
	pb_u8(b, TCP);
	pb_u8(b, 255); /* 2,048 bytes, which are not there */
	pb_zero(b, 40);
}

static void build_icmp6(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, ends->src6, ends->dst6, ICMPV6);
	pb_icmp(b, 128, 0, 7, 1);
}

static void build_sctp(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x0800);
	pb_ipv4(b, ends->src4, ends->dst4, SCTP);
	pb_be16(b, ends->src_port);
	pb_be16(b, ends->dst_port);
	pb_zero(b, 8);
}

static void build_gre(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x0800);
	pb_ipv4(b, ends->src4, ends->dst4, GRE);
	pb_be32(b, 0x0800);
	pb_ipv4(b, "1.1.1.1", "2.2.2.2", TCP);
	pb_tcp(b, 1, 2, 1, 1, 16);
}

static void build_mpls(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x8100);
	pb_vlan(b, 9, 0x8847);
	pb_mpls(b, ends == &THERE ? 100 : 200, false); /* each direction has its own labels */
	pb_mpls(b, 300, true);
	tcp4(b, ends);
}

static void build_mpls6(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x8848);
	pb_mpls(b, 2, true);
	udp6(b, ends);
}

static void build_mpls_wire(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x8847);
	pb_mpls(b, 16, true);
	pb_be32(b, 0); /* RFC 4385: an emulated Ethernet, no IP header */
	build_tcp(b, ends);
}

static void build_mpls_endless(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x8847);
	for (int i = 0; i <= PARSE_MPLS_LABELS_MAX; i++)
		pb_mpls(b, 16, i == PARSE_MPLS_LABELS_MAX);
	tcp4(b, ends);
}

static void build_pppoe(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x8864);
	pb_pppoe(b, 7, 0x0021);
	tcp4(b, ends);
}

static void build_pppoe6(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x8864);
	pb_pppoe(b, 7, 0x0057);
	udp6(b, ends);
}

static void build_pppoe_control(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x8864);
	pb_pppoe(b, 7, 0xc021);
	tcp4(b, ends);
}

static void build_arp(struct packet_builder *b, const struct ends *ends)
{
	(void)ends;
	pb_ethernet(b, 0x0806);
	pb_zero(b, 46);
}

static void build_llc(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 60);
	tcp4(b, ends);
}

static void build_wrong_version(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x0800);
	udp6(b, ends);
}

static void build_wrong_version6(struct packet_builder *b, const struct ends *ends)
{
	pb_ethernet(b, 0x86dd);
	tcp4(b, ends);
	pb_fill(b, 40);
}

static void build_short_header_length(struct packet_builder *b, const struct ends *ends)
{
	build_tcp(b, ends);
	b->bytes[14] = 0x44;
}

static const struct parse_case CASES[] = {
	{ "TCP over IPv4", build_tcp, 14, 34, 0x0800, .proto = TCP },
	{ "UDP over IPv6", build_udp6, 14, 54, 0x86dd, .version = 6, .proto = UDP },
	{ "VLAN with priority", build_vlan, 18, 38, 0x0800, 7, .proto = TCP },
	{ "QinQ 802.1ad", build_qinq, 22, 62, 0x86dd, 100, 6, UDP, 0 },
	{ "three tags, 0x9100", build_qinq_old, 26, 46, 0x0800, 0xfff, .proto = TCP },
	{ "four tags are too many", build_four_tags, 0, 0, 0x8100, 1, .proto = 0 },
	{ "IPv4 options", build_options, 14, 42, 0x0800, .proto = UDP },
	{ "first fragment", build_fragment_first, 14, 0, 0x0800, .proto = UDP, .flags = PARSE_FRAGMENT },
	{ "later fragment", build_fragment_later, 14, 0, 0x0800, .proto = UDP, .flags = PARSE_FRAGMENT },
	{ "first fragment, IPv6", build_fragment6_first, 14, 0, 0x86dd, 0, 6, UDP, PARSE_FRAGMENT },
	{ "later fragment, IPv6", build_fragment6_later, 14, 0, 0x86dd, 0, 6, UDP, PARSE_FRAGMENT },
	{ "atomic fragment, IPv6", build_fragment6_atomic, 14, 62, 0x86dd, 0, 6, TCP, 0 },
	{ "extension headers", build_extensions, 14, 110, 0x86dd, 0, 6, TCP, 0 },
	{ "too many extension headers", build_extensions_too_many, 14, 0, 0x86dd, 0, 6, DSTOPTS, 0 },
	{ "extension header that lies", build_extension_liar, 14, 0, 0x86dd, 0, 6, TCP, 0 },
	{ "ICMPv6", build_icmp6, 14, 0, 0x86dd, 0, 6, ICMPV6, 0 },
	{ "SCTP", build_sctp, 14, 34, 0x0800, .proto = SCTP },
	{ "GRE: the outer header", build_gre, 14, 0, 0x0800, .proto = GRE },
	{ "VLAN, MPLS", build_mpls, 26, 46, 0x0800, 9, .proto = TCP },
	{ "MPLS, IPv6", build_mpls6, 18, 58, 0x86dd, 0, 6, UDP, 0 },
	{ "MPLS, Ethernet", build_mpls_wire, 0, 0, 0x8847, .proto = 0 },
	{ "MPLS, too many labels", build_mpls_endless, 0, 0, 0x8847, .proto = 0 },
	{ "PPPoE", build_pppoe, 22, 42, 0x0800, .proto = TCP },
	{ "PPPoE, IPv6", build_pppoe6, 22, 62, 0x86dd, 0, 6, UDP, 0 },
	{ "PPPoE, LCP", build_pppoe_control, 0, 0, 0x8864, .proto = 0 },
	{ "ARP", build_arp, 0, 0, 0x0806, .proto = 0 },
	{ "802.3 length", build_llc, 0, 0, 60, .proto = 0 },
	{ "EtherType IPv4, version 6", build_wrong_version, 0, 0, 0x0800, .proto = 0 },
	{ "EtherType IPv6, version 4", build_wrong_version6, 0, 0, 0x86dd, .proto = 0 },
	{ "IPv4 header length below 20", build_short_header_length, 0, 0, 0x0800, .proto = 0 },
};

#define CASES_COUNT (sizeof(CASES) / sizeof(CASES[0]))

static inline struct packet_builder case_build(const struct parse_case *c, const struct ends *ends)
{
	struct packet_builder b = pb_new();

	c->build(&b, ends);
	pb_finish(&b);
	return b;
}

#endif
