/* Tunnels over IP: the innermost packet is the flow; what cannot be followed inside falls back to the outer packet's flow. */
#include "decode_tunnel_case.h"

/* ---- IP in IP ---- */

static void ipip(struct packet_builder *b, const struct ends *e)
{
	outer(b, 4);
	inner4(b, e);
}

static void sixin4(struct packet_builder *b, const struct ends *e)
{
	outer(b, 41);
	inner6(b, e);
}

static void fourin6(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, "2001:db8::1", "2001:db8::2", 4);
	inner4(b, e);
}

static void sixin6(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, "2001:db8::1", "2001:db8::2", 60);
	pb_ipv6_extension(b, 41, 1);
	inner6(b, e);
}

static void ipip_wrong_version(struct packet_builder *b, const struct ends *e)
{
	outer(b, 4);
	inner6(b, e);
}

static void ipip_inner_runt(struct packet_builder *b, const struct ends *e)
{
	outer(b, 4);
	pb_ipv4(b, e->src4, e->dst4, 6);
	pb_fill(b, 12);
}

static void ipip_deep(struct packet_builder *b, const struct ends *e, unsigned layers)
{
	pb_ethernet(b, 0x0800);
	for (unsigned i = 1; i < layers; i++)
		pb_ipv4(b, OUTER_SRC, OUTER_DST, 4);
	inner4(b, e);
}

static void ipip_8(struct packet_builder *b, const struct ends *e)
{
	ipip_deep(b, e, 8);
}

static void ipip_9(struct packet_builder *b, const struct ends *e)
{
	ipip_deep(b, e, 9);
}

static void ipip_40(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x0800);
	for (unsigned i = 0; i < 40; i++)
		pb_ipv4_full(b, e->src4, e->dst4, 4, 1, 0, NULL, 0), b->fixups = 0;
}

/* ---- GRE ---- */

static void gre(struct packet_builder *b, uint16_t flags, uint16_t protocol)
{
	outer(b, 47);
	pb_be16(b, flags);
	pb_be16(b, protocol);
}

static void gre_plain(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0, 0x0800);
	inner4(b, e);
}

static void gre_ipv6(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0, 0x86dd);
	inner6(b, e);
}

static void gre_all(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0xb000, 0x0800);
	pb_be32(b, 0); /* checksum */
	pb_be32(b, 0xcafe);
	pb_be32(b, 1); /* sequence */
	inner4(b, e);
}

static void gre_routing(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0x4000, 0x0800);
	pb_be32(b, 0);
	pb_be32(b, 0x08000004);
	pb_be32(b, 0x0a000001);
	pb_be32(b, 0);
	inner4(b, e);
}

static void gre_bridged(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0x2000, 0x6558);
	pb_be32(b, 77);
	pb_ethernet(b, 0x8100);
	pb_vlan(b, 12, 0x0800);
	inner4(b, e);
}

static void gre_mpls(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0, 0x8847);
	pb_mpls(b, 33, true);
	inner6(b, e);
}

static void gre_erspan1(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0, 0x88be);
	inner_ethernet(b, e);
}

static void gre_erspan2(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0x1000, 0x88be);
	pb_be32(b, 1);
	pb_be32(b, 0x1000fc00 | 55);
	pb_be32(b, 0);
	inner_ethernet(b, e);
}

static void gre_erspan3(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0x1000, 0x22eb);
	pb_be32(b, 1);
	pb_be32(b, 0x2000fc00 | 56);
	pb_be32(b, 0);
	pb_be32(b, 0);
	inner_ethernet(b, e);
}

static void gre_erspan3_platform(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0x1000, 0x22eb);
	pb_be32(b, 1);
	pb_be32(b, 0x2000fc00 | 56);
	pb_be32(b, 0);
	pb_be32(b, 1);
	pb_zero(b, 8);
	inner_ethernet(b, e);
}

static void gre_eoip(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0x2001, 0x6400);
	pb_be16(b, 0);
	pb_length_field(b, b->len - 2, b->len + 2);
	pb_be16(b, 0x0700); /* 7, little-endian */
	inner_ethernet(b, e);
}

/* A checksum is announced, so that what looks like EoIP stands in the wrong place. */
static void gre_eoip_checksum(struct packet_builder *b, const struct ends *e)
{
	gre_eoip(b, e);
	b->bytes[34] |= 0x80; /* flags: behind Ethernet and IPv4 */
}

static void gre_wccp(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0, 0x883e);
	inner4(b, e);
}

static void gre_wccp2(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0, 0x883e);
	pb_be32(b, 0x01020304);
	inner4(b, e);
}

static void gre_keepalive(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	gre(b, 0, 0);
}

static void gre_version_3(struct packet_builder *b, const struct ends *e)
{
	gre(b, 3, 0x0800);
	inner4(b, e);
}

static void gre_cut(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	gre(b, 0x2000, 0x0800);
	pb_be16(b, 0);
}

static void pptp(struct packet_builder *b, const struct ends *e)
{
	gre(b, 0x3081, 0x880b);
	pb_be16(b, 0);
	pb_length_field(b, b->len - 2, b->len + 10);
	pb_be16(b, 4242);
	pb_be32(b, 1);
	pb_be32(b, 0);
	pb_be16(b, 0xff03);
	pb_u8(b, 0x21);
	inner4(b, e);
}

static void pptp_ack(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	gre(b, 0x2081, 0x880b);
	pb_be32(b, 4242);
	pb_be32(b, 0);
}

static const struct decode_case tunnels[] = {
	{ "IPIP", ipip, INNER4 },
	{ "6in4", sixin4, INNER6 },
	{ "IPv4 in IPv6", fourin6, INNER4 },
	{ "IPv6 in IPv6, behind destination options", sixin6, INNER6 },
	{ "IPIP with an IPv6 packet", ipip_wrong_version, OUTER(4), .payload_len = 64 },
	{ "IPIP, inner TCP cut", ipip_inner_runt, OUTER(4), .payload_len = 32 },
	{ "8 IP headers", ipip_8, INNER4 },
	{ "9 IP headers", ipip_9, .verdict = VERDICT_DROP_TOO_NESTED },
	{ "40 IP headers", ipip_40, .verdict = VERDICT_DROP_TOO_NESTED },
	{ "IPIP, outer wanted", ipip, .options.outer = true, OUTER(4), .payload_len = 44 },
	{ "GRE", gre_plain, INNER4 },
	{ "GRE, IPv6", gre_ipv6, INNER6 },
	{ "GRE with checksum, key, sequence", gre_all, INNER4, KEY, .tunnel = 0xcafe },
	{ "GRE, key not wanted", gre_all, INNER4 },
	{ "GRE with routing", gre_routing, INNER4 },
	{ "GRE, Ethernet, tag inside", gre_bridged, INNER4, KEY, .options.key_vlan = true, .tunnel = 77, .key_vlan = 12 },
	{ "GRE, MPLS", gre_mpls, INNER6, KEY, .tunnel = 33 },
	{ "ERSPAN I", gre_erspan1, INNER4 },
	{ "ERSPAN II", gre_erspan2, INNER4, KEY, .tunnel = 55 },
	{ "ERSPAN III", gre_erspan3, INNER4, KEY, .tunnel = 56 },
	{ "ERSPAN III with platform header", gre_erspan3_platform, INNER4 },
	{ "WCCP", gre_wccp, INNER4 },
	{ "WCCP 2", gre_wccp2, INNER4 },
	{ "EoIP", gre_eoip, INNER4, KEY, .tunnel = 7 },
	{ "EoIP with a checksum", gre_eoip_checksum, OUTER(47), .payload_len = 66 },
	{ "GRE keepalive", gre_keepalive, OUTER(47), .payload_len = 4 },
	{ "GRE version 3", gre_version_3, OUTER(47), .payload_len = 48 },
	{ "GRE cut", gre_cut, OUTER(47), .payload_len = 6 },
	{ "GRE, outer wanted", gre_plain, .options.outer = true, OUTER(47), .payload_len = 48 },
	{ "PPTP", pptp, INNER4, KEY, .tunnel = 4242 },
	{ "PPTP acknowledgement", pptp_ack, KEY, OUTER(47), .payload_len = 12 },
};

static void tunnels__when_inside_is_good_or_not__then_inner_or_outer_flow(void **state)
{
	(void)state;
	RUN_CASES(tunnels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tunnels__when_inside_is_good_or_not__then_inner_or_outer_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
