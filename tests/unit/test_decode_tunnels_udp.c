/* Tunnels over UDP: the innermost packet is the flow; what cannot be followed inside falls back to the outer packet's flow. */
#include "decode_tunnel_case.h"

static void vxlan_header(struct packet_builder *b, uint16_t port, uint8_t flags, uint32_t vni)
{
	outer_udp(b, port);
	pb_be32(b, (uint32_t)flags << 24);
	pb_be32(b, vni << 8);
}

static void vxlan(struct packet_builder *b, const struct ends *e)
{
	vxlan_header(b, 4789, 8, 123);
	inner_ethernet(b, e);
}

static void vxlan_8472(struct packet_builder *b, const struct ends *e)
{
	vxlan_header(b, 8472, 8, 0xffffff);
	inner_ethernet(b, e);
}

static void vxlan_no_vni(struct packet_builder *b, const struct ends *e)
{
	vxlan_header(b, 4789, 0, 123);
	inner_ethernet(b, e);
}

static void vxlan_arp(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	vxlan_header(b, 4789, 8, 123);
	inner_arp(b);
}

static void vxlan_vlan(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x8100);
	pb_vlan(b, 10, 0x0800);
	pb_ipv4(b, OUTER_SRC, OUTER_DST, 17);
	pb_udp(b, 40000, 4789);
	pb_be32(b, 8 << 24);
	pb_be32(b, 5 << 8);
	pb_ethernet(b, 0x8100);
	pb_vlan(b, 20, 0x0800);
	inner4(b, e);
}

static void vxlan_vlan_arp(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_ethernet(b, 0x8100);
	pb_vlan(b, 10, 0x0800);
	pb_ipv4(b, OUTER_SRC, OUTER_DST, 17);
	pb_udp(b, 40000, 4789);
	pb_be32(b, 8 << 24);
	pb_be32(b, 5 << 8);
	pb_ethernet(b, 0x8100);
	pb_vlan(b, 20, 0x0806);
	pb_zero(b, 28);
}

static void vxlan_gpe(struct packet_builder *b, const struct ends *e)
{
	outer_udp(b, 4790);
	pb_be32(b, 0x0c000002);
	pb_be32(b, 9 << 8);
	inner6(b, e);
}

static void vxlan_gpe_without_p(struct packet_builder *b, const struct ends *e)
{
	outer_udp(b, 4790);
	pb_be32(b, 0x08000001);
	pb_be32(b, 9 << 8);
	inner4(b, e);
}

static void vxlan_gpe_ethernet(struct packet_builder *b, const struct ends *e)
{
	outer_udp(b, 4790);
	pb_be32(b, 0x08000000);
	pb_be32(b, 9 << 8);
	inner_ethernet(b, e);
}

static void vxlan_gpe_oam(struct packet_builder *b, const struct ends *e)
{
	outer_udp(b, 4790);
	pb_be32(b, 0x0d000002);
	pb_be32(b, 9 << 8);
	inner6(b, e);
}

static void geneve(struct packet_builder *b, const struct ends *e)
{
	outer_udp(b, 6081);
	pb_be16(b, 0x0200);
	pb_be16(b, 0x6558);
	pb_be32(b, 321 << 8);
	pb_zero(b, 8);
	inner_ethernet(b, e);
}

static void geneve_ip(struct packet_builder *b, const struct ends *e)
{
	outer_udp(b, 6081);
	pb_be16(b, 0);
	pb_be16(b, 0x86dd);
	pb_be32(b, 321 << 8);
	inner6(b, e);
}

static void geneve_control(struct packet_builder *b, const struct ends *e)
{
	outer_udp(b, 6081);
	pb_be16(b, 0x0080);
	pb_be16(b, 0x86dd);
	pb_be32(b, 321 << 8);
	inner6(b, e);
}

static void gtpu_header(struct packet_builder *b, uint8_t flags, uint8_t message, uint32_t teid)
{
	outer_udp(b, 2152);
	pb_u8(b, flags);
	pb_u8(b, message);
	pb_be16(b, 0);
	pb_length_field(b, b->len - 2, b->len + 4);
	pb_be32(b, teid);
}

static void gtpu(struct packet_builder *b, const struct ends *e)
{
	gtpu_header(b, 0x30, 0xff, 0xdeadbeef);
	inner4(b, e);
}

static void gtpu_sequence(struct packet_builder *b, const struct ends *e)
{
	gtpu_header(b, 0x32, 0xff, 1);
	pb_be32(b, 0x00010000);
	inner6(b, e);
}

static void gtpu_extensions(struct packet_builder *b, const struct ends *e)
{
	gtpu_header(b, 0x34, 0xff, 1);
	pb_be32(b, 0x00000085); /* next: PDU session container */
	pb_be32(b, 0x01000140); /* 4 bytes; next: 0x40 */
	pb_be32(b, 0x02000000); /* 8 bytes */
	pb_be32(b, 0);
	inner4(b, e);
}

static void gtpu_extension_0(struct packet_builder *b, const struct ends *e)
{
	gtpu_header(b, 0x34, 0xff, 1);
	pb_be32(b, 0x00000085);
	pb_be32(b, 0x00000085); /* length 0: would never end */
	inner4(b, e);
}

static void gtpu_echo(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	gtpu_header(b, 0x32, 1, 0);
	pb_be32(b, 0);
}

static void gtp_prime(struct packet_builder *b, const struct ends *e)
{
	gtpu_header(b, 0x20, 0xff, 0);
	inner4(b, e);
}

static void teredo(struct packet_builder *b, const struct ends *e)
{
	outer_udp(b, 3544);
	inner6(b, e);
}

static void teredo_indications(struct packet_builder *b, const struct ends *e)
{
	outer_udp(b, 3544);
	pb_be32(b, 0x00010203); /* client id of 2, authentication value of 3 */
	pb_zero(b, 5 + 8 + 1);
	pb_be32(b, 0x00001234); /* origin */
	pb_be32(b, 0x01020304);
	inner6(b, e);
}

static void teredo_bubble(struct packet_builder *b, const struct ends *e)
{
	outer_udp(b, 3544);
	pb_ipv6(b, e->src6, e->dst6, 59);
}

static void teredo_too_long(struct packet_builder *b, const struct ends *e)
{
	outer_udp(b, 3544);
	uint32_t at = b->len;
	inner6(b, e);
	pb_finish(b);
	b->bytes[at + 5]++;
}

static void gtpu_in_vxlan(struct packet_builder *b, const struct ends *e)
{
	vxlan_header(b, 4789, 8, 123);
	pb_ethernet(b, 0x0800);
	pb_ipv4(b, "203.0.113.1", "203.0.113.2", 17);
	pb_udp(b, 2152, 2152);
	pb_be16(b, 0x30ff);
	pb_be16(b, 0);
	pb_length_field(b, b->len - 2, b->len + 4);
	pb_be32(b, 42);
	inner6(b, e);
}

static const struct decode_case tunnels[] = {
	{ "VXLAN", vxlan, INNER4, KEY, .tunnel = 123 },
	{ "VXLAN on 8472", vxlan_8472, INNER4, KEY, .tunnel = 0xffffff },
	{ "VXLAN without a VNI", vxlan_no_vni, OUTER_PORTS(4789), .payload_len = 66 },
	{ "VXLAN with ARP", vxlan_arp, KEY, OUTER_PORTS(4789), .payload_len = 50 },
	{ "VXLAN, tags outside and inside", vxlan_vlan, INNER4, .options.key_vlan = true, .vlan = 10, .key_vlan = 20 },
	{ "VXLAN with ARP, tags outside and inside", vxlan_vlan_arp, OUTER_PORTS(4789), .payload_len = 54, .options.key_vlan = true,
		.vlan = 10, .key_vlan = 10 },
	{ "VXLAN, outer wanted", vxlan, .options.outer = true, KEY, OUTER_PORTS(4789), .payload_len = 66 },
	{ "VXLAN-GPE", vxlan_gpe, INNER6, KEY, .tunnel = 9 },
	{ "VXLAN-GPE, protocol without its flag", vxlan_gpe_without_p, INNER4 },
	{ "VXLAN-GPE, plain VXLAN", vxlan_gpe_ethernet, INNER4 },
	{ "VXLAN-GPE, OAM", vxlan_gpe_oam, OUTER_PORTS(4790), .payload_len = 72 },
	{ "Geneve with options", geneve, INNER4, KEY, .tunnel = 321 },
	{ "Geneve, IPv6", geneve_ip, INNER6, KEY, .tunnel = 321 },
	{ "Geneve, control", geneve_control, OUTER_PORTS(6081), .payload_len = 72 },
	{ "GTP-U", gtpu, INNER4, KEY, .tunnel = 0xdeadbeef },
	{ "GTP-U with sequence number", gtpu_sequence, INNER6 },
	{ "GTP-U with extension headers", gtpu_extensions, INNER4 },
	{ "GTP-U, extension header of length 0", gtpu_extension_0, OUTER_PORTS(2152), .payload_len = 60 },
	{ "GTP-U echo", gtpu_echo, OUTER_PORTS(2152), .payload_len = 12 },
	{ "GTP'", gtp_prime, OUTER_PORTS(2152), .payload_len = 52 },
	{ "Teredo", teredo, INNER6 },
	{ "Teredo with indications", teredo_indications, INNER6 },
	{ "Teredo bubble", teredo_bubble, OUTER_PORTS(3544), .payload_len = 40 },
	{ "Teredo, inner length beyond the datagram", teredo_too_long, OUTER_PORTS(3544), .payload_len = 64 },
	{ "GTP-U in VXLAN: innermost flow and id", gtpu_in_vxlan, INNER6, KEY, .tunnel = 42 },
};

static void tunnels__when_inside_is_good_or_not__then_inner_or_outer_flow(void **state)
{
	(void)state;
	RUN_CASES(tunnels);
}

static void ports__when_equal_to_a_tunnels_but_content_is_not__then_plain_udp(void **state)
{
	(void)state;
	static const uint16_t ports[] = { 2152, 3544, 4789, 4790, 6081, 8472 };
	struct decoder_options options = { .seed = HASH_SEED_FIXED };
	struct decoder *decoder;

	assert_int_equal(decoder_create(&options, &decoder), 0);
	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]) * 2; i++) {
		struct packet_builder b = pb_new();
		uint16_t port = ports[i / 2];

		outer(&b, 17);
		pb_udp(&b, i & 1 ? 9 : port, i & 1 ? port : 9);
		pb_fill(&b, 100);
		pb_finish(&b);
		struct frame frame = pb_frame(&b, LINK_ETHERNET);
		struct packet p = case_decode(decoder, &options, &frame);
		assert_int_equal(p.verdict, VERDICT_FLOW);
		assert_int_equal(p.key.proto, 17);
		assert_int_equal(p.payload_len, 100);
		assert_int_equal(p.flags, 0);
		pb_frame_free(&frame);
	}
	decoder_destroy(decoder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tunnels__when_inside_is_good_or_not__then_inner_or_outer_flow),
		cmocka_unit_test(ports__when_equal_to_a_tunnels_but_content_is_not__then_plain_udp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
