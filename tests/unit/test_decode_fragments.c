/* Fragments find the flow of their first one; the table is bounded and forgets. */
#include "decode_case.h"

#define SECOND_NS 1000000000ULL

struct fixture {
	struct decoder_options options;
	struct decoder *decoder;
	uint64_t now_ns;
};

static struct fixture fixture_new(bool key_vlan, bool key_tunnel)
{
	struct fixture f = { .options = { .key_vlan = key_vlan, .key_tunnel = key_tunnel, .seed = HASH_SEED_FIXED }, .now_ns = 1 };

	assert_int_equal(decoder_create(&f.options, &f.decoder), 0);
	return f;
}

/* Decodes a packet once (a second time could find what the first left). */
static struct packet decode_cut(struct fixture *f, struct packet_builder b, uint32_t cap_len)
{
	struct packet packet;

	pb_finish(&b);
	struct frame frame = pb_frame_cut(&b, LINK_ETHERNET, cap_len ? cap_len : b.len);
	frame.ts_ns = f->now_ns;
	decode_batch(f->decoder, &frame, &packet, 1);
	const char *broken = packet_broken(&f->options, &frame, &packet);
	if (broken)
		fail_msg("%s", broken);
	pb_frame_free(&frame);
	packet.frame = NULL;
	return packet;
}

static struct packet decode(struct fixture *f, struct packet_builder b)
{
	return decode_cut(f, b, 0);
}

static struct packet_builder first4(uint16_t id)
{
	struct packet_builder b = pb_new();

	pb_ethernet(&b, 0x0800);
	pb_ipv4_fragment(&b, "10.2.0.2", "10.1.0.1", 17, id, 0, true);
	pb_udp(&b, 5000, 53);
	pb_fill(&b, 32);
	return b;
}

static struct packet_builder later4(uint16_t id, uint16_t offset, bool more)
{
	struct packet_builder b = pb_new();

	pb_ethernet(&b, 0x0800);
	pb_ipv4_fragment(&b, "10.2.0.2", "10.1.0.1", 17, id, offset, more);
	pb_fill(&b, 24);
	return b;
}

static struct packet_builder first6(uint32_t id)
{
	struct packet_builder b = pb_new();

	pb_ethernet(&b, 0x86dd);
	pb_ipv6(&b, "fd00::1", "fd00::2", 44);
	pb_ipv6_fragment(&b, 60, id, 0, true);
	pb_ipv6_extension(&b, 17, 1);
	pb_udp(&b, 5000, 53);
	pb_fill(&b, 32);
	return b;
}

static struct packet_builder later6(uint32_t id)
{
	struct packet_builder b = pb_new();

	pb_ethernet(&b, 0x86dd);
	pb_ipv6(&b, "fd00::1", "fd00::2", 44);
	pb_ipv6_fragment(&b, 60, id, 48, false);
	pb_fill(&b, 24);
	return b;
}

static void fragments4__when_first_was_seen__then_later_ones_join_its_flow(void **state)
{
	(void)state;
	struct fixture f = fixture_new(false, false);
	struct packet first = decode(&f, first4(7));
	struct packet middle = decode(&f, later4(7, 40, true));
	struct packet last = decode(&f, later4(7, 64, false));

	assert_int_equal(first.verdict, VERDICT_FLOW);
	assert_int_equal(first.flags & ~PACKET_ASKS, PACKET_FRAGMENT);
	assert_int_equal(first.dir, 1);
	assert_int_equal(first.key.a_port, 53);
	assert_int_equal(first.key.b_port, 5000);
	assert_int_equal(first.payload_len, 32);
	assert_int_equal(middle.flags, PACKET_FRAGMENT | PACKET_FRAGMENT_LATER);
	assert_int_equal(middle.payload_len, 24);
	assert_int_equal(middle.l4_off, 0);
	assert_int_equal(middle.payload_off, 34);
	assert_int_equal(middle.dir, 1);
	assert_memory_equal(&middle.key, &first.key, sizeof(first.key));
	assert_memory_equal(&last.key, &first.key, sizeof(first.key));
	assert_true(last.hash == first.hash);
	assert_int_equal(decoder_fragments_unmatched(f.decoder), 0);
	decoder_destroy(f.decoder);
}

static void fragments6__when_extension_headers_are_fragmented__then_later_ones_join(void **state)
{
	(void)state;
	struct fixture f = fixture_new(false, false);
	struct packet first = decode(&f, first6(0x12345678));
	struct packet last = decode(&f, later6(0x12345678));
	struct packet other = decode(&f, later6(0x12345679));

	assert_int_equal(first.key.proto, 17);
	assert_int_equal(first.key.a_port, 5000);
	assert_memory_equal(&last.key, &first.key, sizeof(first.key));
	assert_int_equal(last.payload_len, 24);
	assert_int_equal(other.key.a_port, 0);
	assert_int_equal(decoder_fragments_unmatched(f.decoder), 1);
	decoder_destroy(f.decoder);
}

static void later_fragment__when_first_is_unknown__then_ports_0_and_counted(void **state)
{
	(void)state;
	struct fixture f = fixture_new(false, false);
	struct packet p = decode(&f, later4(7, 40, false));

	assert_int_equal(p.verdict, VERDICT_FLOW);
	assert_int_equal(p.key.proto, 17);
	assert_int_equal(p.key.a_port, 0);
	assert_int_equal(p.key.b_port, 0);
	assert_int_equal(p.dir, 1);
	assert_int_equal(decoder_fragments_unmatched(f.decoder), 1);

	/* Another number, protocol or direction is another datagram. */
	decode(&f, first4(7));
	assert_int_equal(decode(&f, later4(8, 40, false)).key.a_port, 0);
	struct packet_builder b = later4(7, 40, false);
	b.bytes[23] = 6;
	assert_int_equal(decode(&f, b).key.a_port, 0);
	assert_int_equal(decode(&f, later4(7, 40, false)).key.a_port, 53);
	assert_int_equal(decoder_fragments_unmatched(f.decoder), 3);
	decoder_destroy(f.decoder);
}

static void later_fragment__when_first_is_30_s_old__then_not_joined(void **state)
{
	(void)state;
	struct fixture f = fixture_new(false, false);

	f.now_ns = 100 * SECOND_NS;
	decode(&f, first4(7));
	f.now_ns = 130 * SECOND_NS;
	assert_int_equal(decode(&f, later4(7, 40, false)).key.a_port, 53);
	f.now_ns = 130 * SECOND_NS + 1;
	assert_int_equal(decode(&f, later4(7, 40, false)).key.a_port, 0);
	f.now_ns = 90 * SECOND_NS; /* time steps back a little */
	assert_int_equal(decode(&f, later4(7, 40, false)).key.a_port, 53);
	decoder_destroy(f.decoder);
}

static void first_fragment__when_number_is_used_again__then_newer_flow_counts(void **state)
{
	(void)state;
	struct fixture f = fixture_new(false, false);
	struct packet_builder b = first4(7);

	decode(&f, b);
	b.bytes[34] = 0x22; /* source port 0x2288 */
	decode(&f, b);
	assert_int_equal(decode(&f, later4(7, 40, false)).key.b_port, 0x2288);
	decoder_destroy(f.decoder);
}

static void first_fragment__when_l4_header_is_not_whole__then_3_tuple_flow_for_all(void **state)
{
	(void)state;
	struct fixture f = fixture_new(false, false);
	struct packet_builder b = pb_new(), c = pb_new();

	pb_ethernet(&b, 0x0800);
	pb_ipv4_fragment(&b, "10.1.0.1", "10.2.0.2", 6, 9, 0, true);
	pb_fill(&b, 16);
	struct packet first = decode(&f, b);
	pb_ethernet(&c, 0x0800);
	pb_ipv4_fragment(&c, "10.1.0.1", "10.2.0.2", 6, 9, 16, false);
	pb_fill(&c, 16);
	struct packet last = decode(&f, c);

	assert_int_equal(first.verdict, VERDICT_FLOW);
	assert_int_equal(first.flags, PACKET_FRAGMENT | PACKET_FRAGMENT_LATER);
	assert_int_equal(first.key.proto, 6);
	assert_int_equal(first.key.a_port, 0);
	assert_int_equal(first.l4_off, 0);
	assert_memory_equal(&last.key, &first.key, sizeof(first.key));
	assert_int_equal(decoder_fragments_unmatched(f.decoder), 0);

	/* The same when the capture cut the header, or IPv6's extension headers go on in the next fragment. */
	assert_int_equal(decode_cut(&f, first4(10), 38).verdict, VERDICT_FLOW);
	struct packet_builder six = first6(11);
	six.bytes[14 + 40 + 8 + 1] = 200;
	struct packet p = decode(&f, six);
	assert_int_equal(p.verdict, VERDICT_FLOW);
	assert_int_equal(p.key.proto, 60);
	decoder_destroy(f.decoder);
}

/* A VXLAN datagram in two fragments: both belong to the flow inside, which only the first one shows. */
static void fragments__when_datagram_is_a_tunnels__then_later_ones_join_the_inner_flow(void **state)
{
	(void)state;
	struct fixture f = fixture_new(true, true);
	struct packet_builder b = pb_new(), c = pb_new();

	pb_ethernet(&b, 0x8100);
	pb_vlan(&b, 10, 0x0800);
	pb_ipv4_fragment(&b, "192.0.2.1", "192.0.2.2", 17, 3, 0, true);
	pb_udp(&b, 40000, 4789);
	pb_be32(&b, 8 << 24);
	pb_be32(&b, 5 << 8);
	pb_ethernet(&b, 0x0800);
	pb_ipv4(&b, "10.1.0.1", "10.2.0.2", 6);
	pb_tcp(&b, 1000, 80, 1, 2, 0x10);
	pb_fill(&b, 100);
	struct packet first = decode(&f, b);
	pb_ethernet(&c, 0x8100);
	pb_vlan(&c, 10, 0x0800);
	pb_ipv4_fragment(&c, "192.0.2.1", "192.0.2.2", 17, 3, 800, false);
	pb_fill(&c, 50);
	struct packet last = decode(&f, c);

	/* The inner header is no fragment: its flags are those of the inner packet. */
	assert_int_equal(first.flags, PACKET_TUNNELLED | PACKET_SEGMENT);
	assert_int_equal(first.key.proto, 6);
	assert_int_equal(first.key.tunnel, 5);
	assert_memory_equal(&last.key, &first.key, sizeof(first.key));
	assert_int_equal(last.flags, PACKET_FRAGMENT | PACKET_FRAGMENT_LATER | PACKET_TUNNELLED);
	assert_int_equal(last.payload_len, 50);

	/* On another VLAN it is another datagram. */
	c.bytes[15] = 11;
	assert_int_equal(decode(&f, c).key.proto, 17);
	decoder_destroy(f.decoder);
}

static void fragments__when_inside_a_tunnel__then_joined_by_the_inner_header(void **state)
{
	(void)state;
	struct fixture f = fixture_new(false, false);
	struct packet_builder b = pb_new(), c = pb_new();

	pb_ethernet(&b, 0x0800);
	pb_ipv4(&b, "192.0.2.1", "192.0.2.2", 4);
	c = b;
	pb_ipv4_fragment(&b, "10.1.0.1", "10.2.0.2", 17, 3, 0, true);
	pb_udp(&b, 1000, 80);
	pb_fill(&b, 8);
	pb_ipv4_fragment(&c, "10.1.0.1", "10.2.0.2", 17, 3, 16, false);
	pb_fill(&c, 8);
	struct packet first = decode(&f, b);
	struct packet last = decode(&f, c);

	assert_int_equal(first.flags, PACKET_FRAGMENT | PACKET_TUNNELLED);
	assert_int_equal(last.flags, PACKET_FRAGMENT | PACKET_FRAGMENT_LATER | PACKET_TUNNELLED);
	assert_memory_equal(&last.key, &first.key, sizeof(first.key));
	decoder_destroy(f.decoder);
}

static void fragment_table__when_full__then_oldest_gives_way_and_is_counted(void **state)
{
	(void)state;
	struct fixture f = fixture_new(false, false);
	const unsigned many = 60000;
	unsigned found = 0, newest = 0;

	f.now_ns = SECOND_NS;
	for (unsigned i = 0; i < many; i++) {
		f.now_ns++;
		decode(&f, first4((uint16_t)i));
	}
	for (unsigned i = 0; i < many; i++) {
		bool joined = decode(&f, later4((uint16_t)i, 40, false)).key.a_port == 53;
		found += joined;
		newest += joined && i >= many - FRAGMENT_SETS;
	}
	/* One a set on average: only where more than four met is one of them gone. */
	assert_in_range(newest, FRAGMENT_SETS * 95 / 100, FRAGMENT_SETS);
	assert_int_equal(found + decoder_fragments_unmatched(f.decoder), many);
	assert_int_equal(found + decoder_fragments_evicted(f.decoder), many);
	assert_in_range(found, FRAGMENT_SETS * FRAGMENT_WAYS * 9 / 10, FRAGMENT_SETS * FRAGMENT_WAYS);
	assert_int_equal(decode(&f, later4((uint16_t)(many - 1), 40, false)).key.a_port, 53);
	decoder_destroy(f.decoder);
}

static void truncated_fragments__when_any_length__then_sane(void **state)
{
	(void)state;
	struct fixture f = fixture_new(false, false);
	struct packet_builder packets[] = { first4(1), later4(1, 40, true), first6(2), later6(2) };

	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		for (uint32_t n = 1; n <= packets[i].len; n++)
			decode_cut(&f, packets[i], n);
	}
	decoder_destroy(f.decoder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments4__when_first_was_seen__then_later_ones_join_its_flow),
		cmocka_unit_test(fragments6__when_extension_headers_are_fragmented__then_later_ones_join),
		cmocka_unit_test(later_fragment__when_first_is_unknown__then_ports_0_and_counted),
		cmocka_unit_test(later_fragment__when_first_is_30_s_old__then_not_joined),
		cmocka_unit_test(first_fragment__when_number_is_used_again__then_newer_flow_counts),
		cmocka_unit_test(first_fragment__when_l4_header_is_not_whole__then_3_tuple_flow_for_all),
		cmocka_unit_test(fragments__when_datagram_is_a_tunnels__then_later_ones_join_the_inner_flow),
		cmocka_unit_test(fragments__when_inside_a_tunnel__then_joined_by_the_inner_header),
		cmocka_unit_test(fragment_table__when_full__then_oldest_gives_way_and_is_counted),
		cmocka_unit_test(truncated_fragments__when_any_length__then_sane),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
