/* What shard_of_frame() says before decoding must be what shard_of_key() says after it; all it is not sure of it leaves open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "decode.h"
#include "packet_builder.h"
#include "shard.h"

enum { LANES = 5, UDP = 17, TCP = 6 };

static struct frame udp_frame(const char *src, const char *dst, uint16_t from, uint16_t to)
{
	struct packet_builder b = { 0 };

	pb_ethernet(&b, 0x0800);
	pb_ipv4(&b, src, dst, UDP);
	pb_udp(&b, from, to);
	pb_fill(&b, 16);
	pb_finish(&b);
	return pb_frame(&b, LINK_ETHERNET);
}

static struct frame tcp_frame(const char *src, const char *dst, uint16_t from, uint16_t to)
{
	struct packet_builder b = { 0 };

	pb_ethernet(&b, 0x0800);
	pb_ipv4(&b, src, dst, TCP);
	pb_tcp(&b, from, to, 1, 1, TCP_ACK);
	pb_finish(&b);
	return pb_frame(&b, LINK_ETHERNET);
}

static uint32_t lane_and_free(struct frame frame)
{
	uint32_t lane = shard_of_frame(&frame, LANES);

	pb_frame_free(&frame);
	return lane;
}

static void frame__when_plain__then_the_lane_of_its_key_in_both_directions(void **context)
{
	struct decoder_options options = { .seed = HASH_SEED_FIXED };
	struct decoder *decoder;
	unsigned lanes_seen[LANES] = { 0 };

	(void)context;
	assert_int_equal(decoder_create(&options, &decoder), 0);
	for (unsigned i = 0; i < 2000; i++) {
		char src[20], dst[20];
		uint16_t from = (uint16_t)(1024 + i * 7), to = (uint16_t)(i % 3 ? 80 : 443);
		snprintf(src, sizeof(src), "10.%u.3.%u", i % 200, i * 13 % 250 + 1);
		snprintf(dst, sizeof(dst), "192.168.%u.9", i % 100);
		bool tcp = i & 1;
		struct frame frame = tcp ? tcp_frame(src, dst, from, to) : udp_frame(src, dst, from, to);
		struct packet packet;
		decode_batch(decoder, &frame, &packet, 1);
		assert_int_equal(packet.verdict, VERDICT_FLOW);
		uint32_t lane = shard_of_frame(&frame, LANES);
		/* Only these three of them lead into tunnels; others have all but their upper bits in common with one that does. */
		bool tunnel = !tcp && (from == PORT_TEREDO || from == PORT_VXLAN_GPE || from == PORT_VXLAN_LINUX);
		assert_int_equal(lane == SHARD_NOT_PLAIN, tunnel);
		if (lane != SHARD_NOT_PLAIN) {
			assert_in_range(lane, 0, LANES - 1);
			assert_int_equal(lane, shard_of_key(&packet.key, LANES));
			assert_int_equal(lane, lane_and_free(tcp ? tcp_frame(dst, src, to, from) : udp_frame(dst, src, to, from)));
			lanes_seen[lane]++;
		}
		pb_frame_free(&frame);
	}
	for (unsigned i = 0; i < LANES; i++)
		assert_in_range(lanes_seen[i], 200, 600); /* about a fifth of nearly 2000 */
	decoder_destroy(decoder);
}

static void frame__when_a_port_may_lead_into_a_tunnel__then_left_to_the_decoder(void **context)
{
	static const uint16_t ports[] = { PORT_GTPU, PORT_TEREDO, PORT_VXLAN, PORT_VXLAN_GPE, PORT_GENEVE, PORT_VXLAN_LINUX };

	(void)context;
	for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		assert_int_equal(lane_and_free(udp_frame("10.0.0.1", "10.0.0.2", 1025, ports[i])), SHARD_NOT_PLAIN);
		assert_int_equal(lane_and_free(udp_frame("10.0.0.1", "10.0.0.2", ports[i], 1025)), SHARD_NOT_PLAIN);
		/* TCP has no tunnels behind these ports. */
		assert_int_not_equal(lane_and_free(tcp_frame("10.0.0.1", "10.0.0.2", 1025, ports[i])), SHARD_NOT_PLAIN);
	}
}

static void frame__when_not_plain__then_left_to_the_decoder(void **context)
{
	static const struct {
		const char *name;
		unsigned offset; /* of the byte that is changed */
		uint8_t value;
	} rows[] = {
		{ "VLAN", 12, 0x81 },
		{ "IPv4 options", 14, 0x46 },
		{ "IP version 6", 14, 0x65 },
		{ "more fragments", 20, 0x20 },
		{ "fragment offset", 21, 1 },
		{ "ICMP", 23, 1 },
		{ "IPIP", 23, 4 },
		{ "GRE", 23, 47 },
		{ "SCTP", 23, 132 },
	};

	(void)context;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct frame frame = tcp_frame("10.0.0.1", "10.0.0.2", 1025, 80);
		((uint8_t *)(uintptr_t)frame.data)[rows[i].offset] = rows[i].value;
		if (shard_of_frame(&frame, LANES) != SHARD_NOT_PLAIN)
			fail_msg("%s was taken for plain", rows[i].name);
		frame.link = LINK_RAW;
		assert_int_equal(shard_of_frame(&frame, LANES), SHARD_NOT_PLAIN);
		pb_frame_free(&frame);
	}
}

/* The buffers have exactly n bytes, so that a byte too far is seen by AddressSanitizer. */
static void frame__when_cut_anywhere__then_nothing_behind_it_is_read(void **context)
{
	struct packet_builder b = { 0 };

	(void)context;
	pb_ethernet(&b, 0x0800);
	pb_ipv4(&b, "10.0.0.1", "10.0.0.2", TCP);
	pb_tcp(&b, 1025, 80, 1, 1, TCP_ACK);
	pb_finish(&b);
	for (uint32_t n = 1; n <= b.len; n++) {
		struct frame frame = pb_frame_cut(&b, LINK_ETHERNET, n);
		assert_int_equal(shard_of_frame(&frame, LANES) == SHARD_NOT_PLAIN, n < 14 + 20 + 8);
		pb_frame_free(&frame);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame__when_plain__then_the_lane_of_its_key_in_both_directions),
		cmocka_unit_test(frame__when_a_port_may_lead_into_a_tunnel__then_left_to_the_decoder),
		cmocka_unit_test(frame__when_not_plain__then_left_to_the_decoder),
		cmocka_unit_test(frame__when_cut_anywhere__then_nothing_behind_it_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
