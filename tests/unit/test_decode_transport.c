/* Ports, lengths and TCP fields; ICMP identifiers; transport headers that are cut. */
#include "decode_case.h"

static void start4(struct packet_builder *b, const struct ends *e, uint8_t proto)
{
	pb_ethernet(b, 0x0800);
	pb_ipv4(b, e->src4, e->dst4, proto);
}

static void start6(struct packet_builder *b, const struct ends *e, uint8_t proto)
{
	pb_ethernet(b, 0x86dd);
	pb_ipv6(b, e->src6, e->dst6, proto);
}

static void tcp(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 6);
	pb_tcp(b, e->src_port, e->dst_port, 7, 8, 0x10);
}

static void tcp_options(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 6);
	pb_tcp_options(b, e->src_port, e->dst_port, 7, 8, 0x02, "\x02\x04\x05\xb4\x01\x01\x04\x02", 8);
	pb_fill(b, 5);
}

static void tcp_offset(struct packet_builder *b, const struct ends *e, uint8_t words)
{
	tcp(b, e);
	b->bytes[34 + 12] = (uint8_t)(words << 4);
}

static void tcp_offset_4(struct packet_builder *b, const struct ends *e)
{
	tcp_offset(b, e, 4);
}

static void tcp_offset_6(struct packet_builder *b, const struct ends *e)
{
	tcp_offset(b, e, 6);
}

static void tcp_runt(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 6);
	pb_fill(b, 19);
}

static void udp6(struct packet_builder *b, const struct ends *e)
{
	start6(b, e, 17);
	pb_udp(b, e->src_port, e->dst_port);
	pb_fill(b, 20);
}

static void udp_length(struct packet_builder *b, const struct ends *e, uint16_t length)
{
	start4(b, e, 17);
	pb_udp(b, e->src_port, e->dst_port);
	pb_fill(b, 20);
	pb_finish(b);
	b->bytes[34 + 4] = (uint8_t)(length >> 8);
	b->bytes[34 + 5] = (uint8_t)length;
}

static void udp_length_0(struct packet_builder *b, const struct ends *e)
{
	udp_length(b, e, 0);
}

static void udp_length_7(struct packet_builder *b, const struct ends *e)
{
	udp_length(b, e, 7);
}

static void udp_length_8(struct packet_builder *b, const struct ends *e)
{
	udp_length(b, e, 8);
}

static void udp_length_20(struct packet_builder *b, const struct ends *e)
{
	udp_length(b, e, 20);
}

static void udp_length_65535(struct packet_builder *b, const struct ends *e)
{
	udp_length(b, e, 65535);
}

static void udp_runt(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 17);
	pb_fill(b, 7);
}

static void udp_lite(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 136);
	pb_be16(b, e->src_port);
	pb_be16(b, e->dst_port);
	pb_be32(b, 8 << 16); /* checksum coverage: not a length */
	pb_fill(b, 9);
}

static void sctp(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 132);
	pb_be16(b, e->src_port);
	pb_be16(b, e->dst_port);
	pb_zero(b, 8);
	pb_fill(b, 16);
}

static void sctp_runt(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 132);
	pb_fill(b, 11);
}

static void dccp(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 33);
	pb_be16(b, e->src_port);
	pb_be16(b, e->dst_port);
	pb_u8(b, 4); /* header of 16 bytes */
	pb_zero(b, 11);
	pb_fill(b, 3);
}

static void dccp_runt(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 33);
	pb_zero(b, 12); /* data offset 0 */
}

static void icmp_echo(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 1);
	pb_icmp(b, e == &ENDS ? 8 : 0, 0, 0x1234, 3);
	pb_fill(b, 56);
}

static void icmp6_echo(struct packet_builder *b, const struct ends *e)
{
	start6(b, e, 58);
	pb_icmp(b, e == &ENDS ? 128 : 129, 0, 0x1234, 3);
	pb_fill(b, 56);
}

/* The flow is that of the error message, not of the packet it quotes. */
static void icmp_unreachable(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 1);
	pb_icmp(b, 3, 1, 0, 0);
	pb_ipv4(b, "1.1.1.1", "2.2.2.2", 17);
	pb_udp(b, 53, 5353);
}

static void icmp6_too_big(struct packet_builder *b, const struct ends *e)
{
	start6(b, e, 58);
	pb_icmp(b, 2, 0, 0, 1280);
	pb_ipv6(b, "::1", "::2", 17);
	pb_udp(b, 53, 5353);
}

/* Type 128 is an echo request of ICMPv6 only. */
static void icmp_type_128(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 1);
	pb_icmp(b, 128, 5, 0x1234, 3);
}

static void icmp_runt(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 1);
	pb_fill(b, 7);
}

static void ospf(struct packet_builder *b, const struct ends *e)
{
	start4(b, e, 89);
	pb_fill(b, 44);
}

#define ECHO                  .a_port = 0x1234, .b_port = 0x1234
#define TYPE_CODE(type, code) .a_port = (type) << 8 | (code), .b_port = (type) << 8 | (code)

static const struct decode_case transports[] = {
	{ "TCP without data", tcp, .proto = 6 },
	{ "TCP with options", tcp_options, .proto = 6, .payload_len = 5 },
	{ "TCP, data offset 16", tcp_offset_4, .verdict = VERDICT_DROP_TCP_OFFSET },
	{ "TCP, data offset beyond the segment", tcp_offset_6, .verdict = VERDICT_DROP_TCP_OFFSET },
	{ "TCP cut", tcp_runt, .verdict = VERDICT_DROP_TCP_SHORT },
	{ "UDP over IPv6", udp6, .version = 6, .proto = 17, .payload_len = 20 },
	{ "UDP, length 0", udp_length_0, .proto = 17, .payload_len = 20 },
	{ "UDP, length 7", udp_length_7, .proto = 17, .payload_len = 20 },
	{ "UDP, length 8", udp_length_8, .proto = 17, .payload_len = 0 },
	{ "UDP, length below that of IP", udp_length_20, .proto = 17, .payload_len = 12 },
	{ "UDP, length beyond that of IP", udp_length_65535, .proto = 17, .payload_len = 20 },
	{ "UDP cut", udp_runt, .verdict = VERDICT_DROP_UDP_SHORT },
	{ "UDP-Lite", udp_lite, .proto = 136, .payload_len = 9 },
	{ "SCTP", sctp, .proto = 132, .payload_len = 16 },
	{ "SCTP cut", sctp_runt, .verdict = VERDICT_DROP_SCTP_SHORT },
	{ "DCCP", dccp, .proto = 33, .payload_len = 3 },
	{ "DCCP cut", dccp_runt, .verdict = VERDICT_DROP_DCCP_SHORT },
	{ "ICMP echo request and reply", icmp_echo, .proto = 1, ECHO, .payload_len = 56 },
	{ "ICMPv6 echo request and reply", icmp6_echo, .version = 6, .proto = 58, ECHO, .payload_len = 56 },
	{ "ICMP unreachable", icmp_unreachable, .proto = 1, TYPE_CODE(3, 1), .payload_len = 28 },
	{ "ICMPv6 packet too big", icmp6_too_big, .version = 6, .proto = 58, TYPE_CODE(2, 0), .payload_len = 48 },
	{ "ICMP type 128 is no echo", icmp_type_128, .proto = 1, TYPE_CODE(128, 5) },
	{ "ICMP cut", icmp_runt, .verdict = VERDICT_DROP_ICMP_SHORT },
	{ "a protocol without ports", ospf, .proto = 89, .no_ports = true, .payload_len = 44 },
};

static void transports__when_whole_or_cut__then_flow_or_named_reason(void **state)
{
	(void)state;
	RUN_CASES(transports);
}

static struct packet decode_built(void (*build)(struct packet_builder *, const struct ends *), uint32_t cap_len)
{
	struct decoder_options options = { .seed = HASH_SEED_FIXED };
	struct packet_builder b = pb_new();
	struct decoder *decoder;

	build(&b, &ENDS);
	pb_finish(&b);
	struct frame frame = pb_frame_cut(&b, LINK_ETHERNET, cap_len ? cap_len : b.len);
	assert_int_equal(decoder_create(&options, &decoder), 0);
	struct packet packet = case_decode(decoder, &options, &frame);
	pb_frame_free(&frame);
	decoder_destroy(decoder);
	return packet;
}

static void tcp_fields__when_segment_has_options__then_all_set_and_options_between_offsets(void **state)
{
	(void)state;
	struct packet p = decode_built(tcp_options, 0);

	assert_int_equal(p.tcp_seq, 7);
	assert_int_equal(p.tcp_ack, 8);
	assert_int_equal(p.tcp_flags, TCP_SYN);
	assert_int_equal(p.tcp_window, 0x7210);
	assert_int_equal(p.l3_off, 14);
	assert_int_equal(p.l4_off, 34);
	assert_int_equal(p.payload_off, 62);
	assert_int_equal(p.l3_len, 53);
	assert_int_equal(p.echo_seq, 0);
}

static void tcp_options__when_cut_by_the_capture__then_flow_with_exact_payload_length(void **state)
{
	(void)state;
	struct packet p = decode_built(tcp_options, 58);

	assert_int_equal(p.verdict, VERDICT_FLOW);
	assert_int_equal(p.flags, PACKET_L4_CUT | PACKET_SEGMENT);
	assert_int_equal(p.payload_off, 58);
	assert_int_equal(p.payload_len, 5);
	assert_int_equal(decode_built(tcp_options, 53).verdict, VERDICT_DROP_TCP_SHORT);
}

static void icmp_fields__when_echo__then_type_code_and_sequence(void **state)
{
	(void)state;
	struct packet p = decode_built(icmp_echo, 0);

	assert_int_equal(p.icmp_type, 8);
	assert_int_equal(p.icmp_code, 0);
	assert_int_equal(p.echo_seq, 3);
	p = decode_built(icmp_unreachable, 0);
	assert_int_equal(p.icmp_type, 3);
	assert_int_equal(p.icmp_code, 1);
	assert_int_equal(p.echo_seq, 0);
}

static struct packet decode_ends(const char *src, const char *dst, uint16_t src_port, uint16_t dst_port)
{
	struct decoder_options options = { .seed = HASH_SEED_FIXED };
	struct packet_builder b = pb_new();
	struct ends ends = { src, dst, "::1", "::2", src_port, dst_port };
	struct decoder *decoder;

	tcp(&b, &ends);
	pb_finish(&b);
	struct frame frame = pb_frame(&b, LINK_ETHERNET);
	assert_int_equal(decoder_create(&options, &decoder), 0);
	struct packet packet = case_decode(decoder, &options, &frame);
	pb_frame_free(&frame);
	decoder_destroy(decoder);
	return packet;
}

static void canonical_order__when_addresses_or_ports_decide__then_a_is_the_smaller(void **state)
{
	(void)state;
	static const struct {
		const char *name, *src, *dst;
		uint16_t src_port, dst_port;
		uint8_t dir;
	} rows[] = {
		{ "address decides", "10.0.0.1", "10.0.0.2", 9, 1, 0 },
		{ "address decides, other way", "10.0.0.2", "10.0.0.1", 1, 9, 1 },
		{ "first byte weighs most", "9.255.255.255", "10.0.0.0", 1, 1, 0 },
		{ "unsigned", "200.0.0.1", "100.0.0.1", 1, 1, 1 },
		{ "port decides", "10.0.0.1", "10.0.0.1", 1, 256, 0 },
		{ "port decides, other way", "10.0.0.1", "10.0.0.1", 256, 1, 1 },
		{ "both the same", "10.0.0.1", "10.0.0.1", 5, 5, 0 },
		{ "highest", "255.255.255.255", "255.255.255.255", 65535, 65534, 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct packet p = decode_ends(rows[i].src, rows[i].dst, rows[i].src_port, rows[i].dst_port);

		print_message("  %s\n", rows[i].name);
		assert_int_equal(p.dir, rows[i].dir);
		assert_int_equal(p.dir ? p.key.b_port : p.key.a_port, rows[i].src_port);
		assert_int_equal(p.dir ? p.key.a_port : p.key.b_port, rows[i].dst_port);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transports__when_whole_or_cut__then_flow_or_named_reason),
		cmocka_unit_test(tcp_fields__when_segment_has_options__then_all_set_and_options_between_offsets),
		cmocka_unit_test(tcp_options__when_cut_by_the_capture__then_flow_with_exact_payload_length),
		cmocka_unit_test(icmp_fields__when_echo__then_type_code_and_sequence),
		cmocka_unit_test(canonical_order__when_addresses_or_ports_decide__then_a_is_the_smaller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
