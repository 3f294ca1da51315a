/* IPv4 and IPv6 headers: options, extension headers, lengths that lie, and what is cut. */
#include "decode_case.h"

static void udp_payload(struct packet_builder *b, const struct ends *e)
{
	pb_udp(b, e->src_port, e->dst_port);
	pb_fill(b, 12);
}

static void ipv4_options(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x0800);
	pb_ipv4_full(b, e->src4, e->dst4, 17, 1, 0, "\x94\x04\x00\x00\x01\x01\x01\x00", 8);
	udp_payload(b, e);
}

static void ipv4_options_most(struct packet_builder *b, const struct ends *e)
{
	uint8_t options[40] = { 0 };

	pb_ethernet(b, 0x0800);
	pb_ipv4_full(b, e->src4, e->dst4, 17, 1, 0, options, sizeof(options));
	udp_payload(b, e);
}

static void ipv4(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x0800);
	pb_ipv4(b, e->src4, e->dst4, 17);
	udp_payload(b, e);
}

static void ipv4_total_length(struct packet_builder *b, const struct ends *e, uint16_t total)
{
	ipv4(b, e);
	pb_finish(b);
	b->bytes[16] = (uint8_t)(total >> 8);
	b->bytes[17] = (uint8_t)total;
}

static void ipv4_total_0(struct packet_builder *b, const struct ends *e)
{
	ipv4_total_length(b, e, 0);
}

static void ipv4_total_19(struct packet_builder *b, const struct ends *e)
{
	ipv4_total_length(b, e, 19);
}

static void ipv4_total_27(struct packet_builder *b, const struct ends *e)
{
	ipv4_total_length(b, e, 27);
}

static void ipv4_total_65535(struct packet_builder *b, const struct ends *e)
{
	ipv4_total_length(b, e, 65535);
}

static void ipv4_header_length_16(struct packet_builder *b, const struct ends *e)
{
	ipv4(b, e);
	b->bytes[14] = 0x44;
}

static void ipv4_header_length_60(struct packet_builder *b, const struct ends *e)
{
	ipv4(b, e);
	b->bytes[14] = 0x4f;
}

static void ipv4_says_6(struct packet_builder *b, const struct ends *e)
{
	ipv4(b, e);
	b->bytes[14] = 0x65;
}

static void ipv4_runt(struct packet_builder *b, const struct ends *e)
{
	ipv4(b, e);
	pb_finish(b);
	b->len = 14 + 19;
}

static void ipv4_authenticated(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x0800);
	pb_ipv4(b, e->src4, e->dst4, 51);
	pb_be32(b, 17 << 24 | 4 << 16); /* (4 + 2) * 4 bytes */
	pb_zero(b, 20);
	udp_payload(b, e);
}

static void ipv6(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, e->src6, e->dst6, 17);
	udp_payload(b, e);
}

static void ipv6_extensions(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, e->src6, e->dst6, 0);
	pb_ipv6_extension(b, 60, 1);
	pb_ipv6_extension(b, 43, 2);
	pb_ipv6_extension(b, 135, 1);
	pb_ipv6_extension(b, 139, 3);
	pb_ipv6_extension(b, 140, 1);
	pb_ipv6_extension(b, 51, 1);
	pb_be32(b, 17 << 24 | 2 << 16); /* AH: (2 + 2) * 4 bytes */
	pb_zero(b, 12);
	udp_payload(b, e);
}

static void ipv6_extensions_endless(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, e->src6, e->dst6, 60);
	for (unsigned i = 0; i < 8; i++)
		pb_ipv6_extension(b, 60, 1);
	pb_ipv6_extension(b, 17, 1);
	udp_payload(b, e);
}

static void ipv6_extension_long(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, e->src6, e->dst6, 60);
	pb_u8(b, 17);
	pb_u8(b, 200);
	pb_fill(b, 100);
}

static void ipv6_atomic_fragment(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, e->src6, e->dst6, 44);
	pb_ipv6_fragment(b, 17, 77, 0, false);
	udp_payload(b, e);
}

static void ipv6_nothing(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, e->src6, e->dst6, 59);
}

static void ipv6_esp(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, e->src6, e->dst6, 50);
	pb_fill(b, 24);
}

static void ipv6_says_4(struct packet_builder *b, const struct ends *e)
{
	ipv6(b, e);
	b->bytes[14] = 0x45;
}

static void ipv6_runt(struct packet_builder *b, const struct ends *e)
{
	ipv6(b, e);
	pb_finish(b);
	b->len = 14 + 39;
}

static void ipv6_payload_length(struct packet_builder *b, const struct ends *e, uint16_t length)
{
	ipv6(b, e);
	pb_finish(b);
	b->bytes[18] = (uint8_t)(length >> 8);
	b->bytes[19] = (uint8_t)length;
}

static void ipv6_length_65535(struct packet_builder *b, const struct ends *e)
{
	ipv6_payload_length(b, e, 65535);
}

static void ipv6_length_7(struct packet_builder *b, const struct ends *e)
{
	ipv6_payload_length(b, e, 7);
}

static void ipv6_jumbo(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, e->src6, e->dst6, 0);
	pb_be32(b, 17 << 24 | 0xc2 << 8 | 4);
	pb_be32(b, 8 + 8 + 12);
	pb_udp(b, e->src_port, e->dst_port);
	pb_fill(b, 12);
	pb_finish(b);
	b->bytes[18] = b->bytes[19] = 0; /* payload length */
	b->bytes[66] = b->bytes[67] = 0; /* UDP length */
}

/* A source route with one hop to go: the header's destination is that hop, the last address is the packet's. */
static void ipv6_route(struct packet_builder *b, const struct ends *e, uint8_t type)
{
	uint8_t final[16];

	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, e->src6, "fd00::ffff", 43);
	pb_be32(b, 17U << 24 | 2 << 16 | (uint32_t)type << 8 | 1);
	pb_be32(b, 0);
	if (inet_pton(AF_INET6, e->dst6, final) != 1)
		abort();
	pb_bytes(b, final, 16);
	udp_payload(b, e);
}

static void ipv6_route_0(struct packet_builder *b, const struct ends *e)
{
	ipv6_route(b, e, 0);
}

static void ipv6_route_2(struct packet_builder *b, const struct ends *e)
{
	ipv6_route(b, e, 2);
}

static void ipv6_route_4(struct packet_builder *b, const struct ends *e)
{
	ipv6_route(b, e, 4);
}

static void ipv6_home_address(struct packet_builder *b, const struct ends *e)
{
	uint8_t home[16];

	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, "fd00::ffff", e->dst6, 60);
	pb_be32(b, 17 << 24 | 2 << 16 | 1 << 8);
	pb_be16(b, 0x0000);
	pb_be16(b, 0xc910);
	if (inet_pton(AF_INET6, e->src6, home) != 1)
		abort();
	pb_bytes(b, home, 16);
	udp_payload(b, e);
}

#define UDP4 .proto = 17, .payload_len = 12
#define UDP6 .version = 6, .proto = 17, .payload_len = 12

static const struct decode_case networks[] = {
	{ "IPv4", ipv4, UDP4 },
	{ "IPv4 with options", ipv4_options, UDP4 },
	{ "IPv4 with 40 bytes of options", ipv4_options_most, UDP4 },
	{ "total length 0: the frame says", ipv4_total_0, UDP4 },
	{ "total length beyond the wire: the frame says", ipv4_total_65535, UDP4 },
	{ "total length below the header", ipv4_total_19, .verdict = VERDICT_DROP_IPV4_TOTAL_LENGTH },
	{ "total length inside the UDP header", ipv4_total_27, .verdict = VERDICT_DROP_UDP_SHORT },
	{ "header length 16", ipv4_header_length_16, .verdict = VERDICT_DROP_IPV4_HEADER_LENGTH },
	{ "header length beyond the packet", ipv4_header_length_60, .verdict = VERDICT_DROP_IPV4_HEADER_LENGTH },
	{ "IPv4 with version 6", ipv4_says_6, .verdict = VERDICT_DROP_IP_VERSION },
	{ "IPv4 header cut", ipv4_runt, .verdict = VERDICT_DROP_IPV4_SHORT },
	{ "IPv4, authentication header", ipv4_authenticated, UDP4 },
	{ "IPv6", ipv6, UDP6 },
	{ "IPv6, seven kinds of extension headers", ipv6_extensions, UDP6 },
	{ "IPv6, more extension headers than the limit", ipv6_extensions_endless, .verdict = VERDICT_DROP_TOO_NESTED },
	{ "IPv6, extension beyond the packet", ipv6_extension_long, .verdict = VERDICT_DROP_IPV6_EXTENSION_SHORT },
	{ "IPv6, atomic fragment is no fragment", ipv6_atomic_fragment, UDP6 },
	{ "IPv6, no next header", ipv6_nothing, .version = 6, .proto = 59, .no_ports = true },
	{ "IPv6, ESP", ipv6_esp, .version = 6, .proto = 50, .no_ports = true, .payload_len = 24 },
	{ "IPv6 with version 4", ipv6_says_4, .verdict = VERDICT_DROP_IP_VERSION },
	{ "IPv6 header cut", ipv6_runt, .verdict = VERDICT_DROP_IPV6_SHORT },
	{ "IPv6, payload length beyond the wire", ipv6_length_65535, UDP6 },
	{ "IPv6, payload length inside the UDP header", ipv6_length_7, .verdict = VERDICT_DROP_UDP_SHORT },
	{ "IPv6, jumbogram", ipv6_jumbo, UDP6 },
	{ "IPv6, source route of type 0 under way", ipv6_route_0, UDP6 },
	{ "IPv6, source route of type 2 under way", ipv6_route_2, UDP6 },
	{ "IPv6, segment route under way", ipv6_route_4, UDP6 },
	{ "IPv6, home address option", ipv6_home_address, UDP6 },
};

static void ip_headers__when_valid_or_lying__then_flow_or_named_reason(void **state)
{
	(void)state;
	RUN_CASES(networks);
}

static struct packet decode_with_lengths(uint32_t cap_len, uint32_t wire_len, uint16_t total)
{
	struct decoder_options options = { .seed = HASH_SEED_FIXED };
	struct packet_builder b = pb_new();
	struct decoder *decoder;

	pb_ethernet(&b, 0x0800);
	pb_ipv4(&b, ENDS.src4, ENDS.dst4, 6);
	pb_tcp(&b, 1, 2, 3, 4, 5);
	pb_fill(&b, 1000);
	pb_finish(&b);
	b.bytes[16] = (uint8_t)(total >> 8);
	b.bytes[17] = (uint8_t)total;
	struct frame frame = pb_frame_cut(&b, LINK_ETHERNET, cap_len);
	frame.wire_len = wire_len;
	assert_int_equal(decoder_create(&options, &decoder), 0);
	struct packet packet = case_decode(decoder, &options, &frame);
	pb_frame_free(&frame);
	decoder_destroy(decoder);
	return packet;
}

static void lengths__when_capture_wire_and_header_disagree__then_header_within_wire(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint32_t cap_len, wire_len;
		uint16_t total;
		uint32_t l3_len, payload_len, payload_off;
		bool cut;
	} rows[] = {
		{ "whole", 1054, 1054, 1040, 1040, 1000, 54, false },
		{ "padded on the wire", 1054, 1054, 500, 500, 460, 54, false },
		{ "cut by the capture", 100, 1054, 1040, 1040, 1000, 54, true },
		{ "cut at the payload", 54, 1054, 1040, 1040, 1000, 54, true },
		{ "cut in the padding", 520, 1054, 500, 500, 460, 54, false },
		{ "header lies", 1054, 1054, 2000, 1040, 1000, 54, false },
		{ "header lies, and cut", 100, 800, 2000, 786, 746, 54, true },
		{ "wire length below the captured one", 1054, 60, 1040, 1040, 1000, 54, false },
		{ "wire length 0", 1054, 0, 2000, 1040, 1000, 54, false },
		{ "total length 0", 60, 9000, 0, 8986, 8946, 54, true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct packet p = decode_with_lengths(rows[i].cap_len, rows[i].wire_len, rows[i].total);

		print_message("  %s\n", rows[i].name);
		assert_int_equal(p.verdict, VERDICT_FLOW);
		assert_int_equal(p.l3_len, rows[i].l3_len);
		assert_int_equal(p.payload_len, rows[i].payload_len);
		assert_int_equal(p.payload_off, rows[i].payload_off);
		assert_int_equal(p.flags, PACKET_SEGMENT | (rows[i].cut ? PACKET_L4_CUT : 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip_headers__when_valid_or_lying__then_flow_or_named_reason),
		cmocka_unit_test(lengths__when_capture_wire_and_header_disagree__then_header_within_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
