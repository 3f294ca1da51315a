/*
 * The parser of the XDP program, compiled for the host. Each packet is parsed whole and cut at each length: what is beyond the cut
 * must not be read (ASan), and what is in front of it must still be known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../bpf/parse_cases.h"

static struct parse parse_cut(const struct packet_builder *b, uint32_t n)
{
	struct frame frame = pb_frame_cut(b, LINK_ETHERNET, n);
	struct parse parse;

	memset(&parse, 0xa5, sizeof(parse));
	parse_frame(&parse, frame.data, frame.data + n);
	pb_frame_free(&frame);
	return parse;
}

static void check_addresses(const struct parse_case *c, const struct parse *parse)
{
	uint8_t src[16] = { 0 }, dst[16] = { 0 };

	if (c->version == 6) {
		inet_pton(AF_INET6, THERE.src6, src);
		inet_pton(AF_INET6, THERE.dst6, dst);
	} else {
		inet_pton(AF_INET, THERE.src4, src + 12);
		inet_pton(AF_INET, THERE.dst4, dst + 12);
	}
	assert_memory_equal(parse->src, src, 16);
	assert_memory_equal(parse->dst, dst, 16);
	assert_int_equal(parse->ip_version, c->version == 6 ? 6 : 4);
}

/* What is known of the first n bytes: all fields that lie in them. */
static void check_cut(const struct parse_case *c, const struct packet_builder *b, uint32_t n)
{
	struct parse parse = parse_cut(b, n);
	bool ip = c->ip_off && n >= c->ip_off + (c->version == 6 ? 40 : 20);
	bool ports = c->ports_off && n >= c->ports_off + 4;

	assert_int_equal(!!(parse.flags & PARSE_IP), ip);
	assert_int_equal(!!(parse.flags & PARSE_PORTS), ports);
	assert_int_equal(parse.flags & PARSE_FRAGMENT & ~c->flags, 0);
	if (ip)
		check_addresses(c, &parse);
	assert_int_equal(parse.src_port, ports ? THERE.src_port : 0);
	assert_int_equal(parse.dst_port, ports ? THERE.dst_port : 0);
	assert_int_equal(parse.vlan, c->vlan && n >= 18 ? c->vlan : PARSE_VLAN_NONE);
	assert_int_equal(parse.unused, 0);
}

static void frame__when_whole_or_cut__then_all_that_is_in_it_is_known(void **context)
{
	(void)context;
	for (size_t i = 0; i < CASES_COUNT; i++) {
		const struct parse_case *c = &CASES[i];
		struct packet_builder b = case_build(c, &THERE);
		struct parse parse = parse_cut(&b, b.len);

		print_message("%s\n", c->name);
		assert_int_equal(parse.ether_type, c->ether_type);
		assert_int_equal(parse.proto, c->proto);
		assert_int_equal(parse.flags & PARSE_FRAGMENT, c->flags & PARSE_FRAGMENT);
		for (uint32_t n = 0; n <= b.len; n++)
			check_cut(c, &b, n);
	}
}

static void frame__when_garbage__then_nothing_beyond_it_is_read(void **context)
{
	uint64_t state = 1;

	(void)context;
	for (unsigned round = 0; round < 60000; round++) {
		struct packet_builder b = case_build(&CASES[round % (CASES_COUNT)], &THERE);

		for (unsigned i = 0; i < 1 + round % 4; i++) {
			state = state * 6364136223846793005u + 1442695040888963407u;
			b.bytes[12 + (state >> 33) % (b.len - 12)] = (uint8_t)(state >> 56);
		}
		struct parse parse = parse_cut(&b, round & 64 ? b.len : (uint32_t)(state >> 40) % (b.len + 1));
		assert_true(!(parse.flags & PARSE_PORTS) || (parse.flags & PARSE_IP));
		assert_false(parse.flags & PARSE_PORTS && parse.flags & PARSE_FRAGMENT);
	}
}

static void hash__when_other_direction__then_the_same(void **context)
{
	(void)context;
	for (size_t i = 0; i < CASES_COUNT; i++) {
		struct packet_builder there = case_build(&CASES[i], &THERE), back = case_build(&CASES[i], &BACK);
		struct parse x = parse_cut(&there, there.len), y = parse_cut(&back, back.len);

		print_message("%s\n", CASES[i].name);
		for (uint32_t by = XDP_SHARE_TCP_PORTS; by <= XDP_SHARE_ADDRESSES; by++) {
			for (uint64_t seed = 0; seed < 3; seed++)
				assert_int_equal(parse_hash(&x, by, seed), parse_hash(&y, by, seed));
		}
		if (!CASES[i].ip_off)
			assert_int_equal(parse_hash(&x, XDP_SHARE_PORTS, 1), 0);
		else
			assert_int_not_equal(parse_hash(&x, XDP_SHARE_PORTS, 1), parse_hash(&x, XDP_SHARE_PORTS, 2));
	}
}

static struct parse flow4(uint8_t proto, uint32_t src, uint32_t dst, uint16_t src_port, uint16_t dst_port)
{
	return (struct parse){ .src = { 0, 0, 0, htonl(src) },
		.dst = { 0, 0, 0, htonl(dst) },
		.src_port = src_port,
		.dst_port = dst_port,
		.proto = proto,
		.ip_version = 4,
		.flags = PARSE_IP | PARSE_PORTS };
}

static void hash__when_datagrams_of_a_flow_are_fragmented__then_all_the_same(void **context)
{
	struct parse_case udp = { .build = build_options }, first = { .build = build_fragment_first },
			  later = { .build = build_fragment_later };
	struct packet_builder b[3] = { case_build(&udp, &THERE), case_build(&first, &THERE), case_build(&later, &BACK) };
	static const uint32_t KEEPS[] = { XDP_SHARE_TCP_PORTS, XDP_SHARE_ADDRESSES };

	(void)context;
	struct parse p[3] = { parse_cut(&b[0], b[0].len), parse_cut(&b[1], b[1].len), parse_cut(&b[2], b[2].len) };
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(parse_hash(&p[0], KEEPS[i], 5), parse_hash(&p[1], KEEPS[i], 5));
		assert_int_equal(parse_hash(&p[0], KEEPS[i], 5), parse_hash(&p[2], KEEPS[i], 5));
	}
	assert_int_equal(parse_hash(&p[1], XDP_SHARE_PORTS, 5), parse_hash(&p[2], XDP_SHARE_PORTS, 5));
	assert_int_not_equal(parse_hash(&p[0], XDP_SHARE_PORTS, 5), parse_hash(&p[1], XDP_SHARE_PORTS, 5));
}

static void hash__when_tunnel_over_udp__then_its_ports_do_not_count(void **context)
{
	static const uint16_t PORTS[] = { 4789, 4790, 8472, 2152, 6081 };

	(void)context;
	for (unsigned i = 0; i < sizeof(PORTS) / sizeof(PORTS[0]); i++) {
		struct parse there = flow4(UDP, 1, 2, 50001, PORTS[i]), back = flow4(UDP, 2, 1, 61234, PORTS[i]);
		assert_int_equal(parse_hash(&there, XDP_SHARE_PORTS, 1), parse_hash(&back, XDP_SHARE_PORTS, 1));
		there.proto = back.proto = TCP;
		assert_int_not_equal(parse_hash(&there, XDP_SHARE_PORTS, 1), parse_hash(&back, XDP_SHARE_PORTS, 1));
	}
}

/* What generators and real networks do: one thing counts up, or two together. */
static struct parse spread_flow(unsigned pattern, uint32_t i)
{
	switch (pattern) {
	case 0: /* client ports */
		return flow4(TCP, 0x0a000001, 0x0a000002, (uint16_t)(1024 + i), 80);
	case 1: /* both addresses, together */
		return flow4(TCP, 0x0a000001 + i, 0x0b000001 + i, 1024, 80);
	case 2: /* clients of one server */
		return flow4(UDP, 0x0a000001 + i, 0x0b000001, 53, 53);
	case 3: /* both ports, together */
		return flow4(TCP, 0x0a000001, 0x0a000002, (uint16_t)(1024 + i), (uint16_t)(1024 + i));
	case 4: { /* hosts of two IPv6 networks */
		struct parse p = flow4(TCP, i, i * 2, 1024, 80);
		p.src[0] = p.dst[0] = 0xb80d0120;
		p.dst[1] = 1;
		return p;
	}
	default: /* networks, upper bits */
		return flow4(UDP, i << 16, 0x0b000001, 53, 53);
	}
}

static void share__when_many_flows__then_even(void **context)
{
	enum { FLOWS = 8000, FANOUT_MAX = 8 };

	(void)context;
	for (unsigned pattern = 0; pattern < 6; pattern++) {
		for (uint32_t fanout = 1; fanout <= FANOUT_MAX; fanout++) {
			unsigned shares[FANOUT_MAX] = { 0 };

			for (uint32_t i = 0; i < FLOWS; i++) {
				struct parse flow = spread_flow(pattern, i);
				uint32_t share = parse_share(parse_hash(&flow, XDP_SHARE_TCP_PORTS, 0x1234567), fanout);
				assert_true(share < fanout);
				shares[share]++;
			}
			/* 12 %: more than four standard deviations of 1,000 of 8,000 */
			for (uint32_t k = 0; k < fanout; k++)
				assert_in_range(shares[k], FLOWS / fanout * 88 / 100, FLOWS / fanout * 112 / 100);
		}
	}
}

static void share__when_hash_is_extreme__then_in_range(void **context)
{
	(void)context;
	assert_int_equal(parse_share(0, 7), 0);
	assert_int_equal(parse_share(UINT32_MAX, 7), 6);
	assert_int_equal(parse_share(UINT32_MAX, 1), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame__when_whole_or_cut__then_all_that_is_in_it_is_known),
		cmocka_unit_test(frame__when_garbage__then_nothing_beyond_it_is_read),
		cmocka_unit_test(hash__when_other_direction__then_the_same),
		cmocka_unit_test(hash__when_datagrams_of_a_flow_are_fragmented__then_all_the_same),
		cmocka_unit_test(hash__when_tunnel_over_udp__then_its_ports_do_not_count),
		cmocka_unit_test(share__when_many_flows__then_even),
		cmocka_unit_test(share__when_hash_is_extreme__then_in_range),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
