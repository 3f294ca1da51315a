/*
 * One row of a decoder test: how to build a packet, and what must come out. decode_case_run() decodes it, the same packet in
 * the other direction, and every truncation of it, through the fast and the general path.
 */
#ifndef DECODE_CASE_H
#define DECODE_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "decode_internal.h"
#include "decode_invariants.h"
#include "packet_builder.h"

/* The end points of the innermost packet: A is "10.1.0.1" or "fd00::1", port 1000. */
struct ends {
	const char *src4;
	const char *dst4;
	const char *src6;
	const char *dst6;
	uint16_t src_port;
	uint16_t dst_port;
};

static const struct ends ENDS = { "10.1.0.1", "10.2.0.2", "fd00::1", "fd00::2", 1000, 80 };
static const struct ends ENDS_BACK = { "10.2.0.2", "10.1.0.1", "fd00::2", "fd00::1", 80, 1000 };

struct decode_case {
	const char *name;
	void (*build)(struct packet_builder *b, const struct ends *ends);
	struct decoder_options options; /* the seed is set by decode_case_run() */
	uint16_t link;                  /* 0: Ethernet. LINK_NULL is written as CASE_LINK_NULL */
	uint8_t verdict;
	/* with VERDICT_FLOW */
	uint8_t version; /* 0: 4 */
	uint8_t proto;
	uint8_t flags;
	bool outer_flow; /* the flow is the one of the outer header: OUTER_SRC, OUTER_DST; ports a_port, b_port */
	bool no_ports;   /* both 0 */
	uint16_t a_port; /* 0: 1000 and 80, or none */
	uint16_t b_port;
	uint16_t vlan;     /* packet.vlan; 0: untagged */
	uint16_t key_vlan; /* 0: none */
	uint32_t tunnel;
	uint32_t payload_len;
};

#define CASE_LINK_NULL 0xfffe

#define OUTER_SRC "192.0.2.1"
#define OUTER_DST "192.0.2.2"

static inline void address_text(const struct flow_key *key, const uint8_t *ip, char *text, size_t bytes)
{
	if (key->ip_version == 4)
		inet_ntop(AF_INET, ip + FLOW_KEY_V4_OFFSET, text, (socklen_t)bytes);
	else
		inet_ntop(AF_INET6, ip, text, (socklen_t)bytes);
}

static inline struct decoder *case_decoder(const struct decode_case *c, struct decoder_options *options)
{
	struct decoder *decoder;

	*options = c->options;
	options->seed = HASH_SEED_FIXED;
	assert_int_equal(decoder_create(options, &decoder), 0);
	return decoder;
}

/* Through decode_batch() and, unless fragments make it depend on history, through the general path: bit for bit the same. */
static inline struct packet case_decode(struct decoder *decoder, const struct decoder_options *options, const struct frame *frame)
{
	struct packet packet, general;

	memset(&packet, 0xa5, sizeof(packet));
	memset(&general, 0x5a, sizeof(general));
	decode_batch(decoder, frame, &packet, 1);
	decode_general(decoder, frame, &general);
	const char *broken = packet_broken(options, frame, &packet);
	if (broken)
		fail_msg("cap_len %u wire_len %u: %s", frame->cap_len, frame->wire_len, broken);
	assert_memory_equal(&packet, &general, offsetof(struct packet, unused));
	if (packet.verdict == VERDICT_FLOW)
		assert_int_equal(packet.tail, flow_key_tail(&packet.key) ^ (packet.key.tunnel ? FLOW_TAIL_TUNNEL : 0));
	return packet;
}

static inline uint16_t case_link(const struct decode_case *c)
{
	if (c->link == CASE_LINK_NULL)
		return LINK_NULL;
	return c->link ? c->link : LINK_ETHERNET;
}

static inline void case_expect_flow(const struct decode_case *c, const struct packet *p)
{
	const char *a = c->version == 6 ? "fd00::1" : "10.1.0.1";
	const char *b = c->version == 6 ? "fd00::2" : "10.2.0.2";
	bool given = c->a_port || c->b_port || c->no_ports;
	char text[INET6_ADDRSTRLEN];

	if (c->outer_flow) {
		a = OUTER_SRC;
		b = OUTER_DST;
	}
	assert_int_equal(p->key.ip_version, c->version ? c->version : 4);
	assert_int_equal(p->key.proto, c->proto);
	address_text(&p->key, p->key.a_ip, text, sizeof(text));
	assert_string_equal(text, a);
	address_text(&p->key, p->key.b_ip, text, sizeof(text));
	assert_string_equal(text, b);
	assert_int_equal(p->key.a_port, given ? c->a_port : 1000);
	assert_int_equal(p->key.b_port, given ? c->b_port : 80);
	assert_int_equal(p->key.vlan, c->key_vlan ? c->key_vlan : FLOW_VLAN_NONE);
	assert_int_equal(p->key.tunnel, c->tunnel);
	assert_int_equal(p->flags & ~(PACKET_SEGMENT | PACKET_ASKS), c->flags); /* those two: packet_broken() */
	assert_int_equal(p->payload_len, c->payload_len);
	assert_int_equal(p->tos, p->key.ip_version == 4 ? 0x10 : 0x12);
	assert_int_equal(p->ttl, p->key.ip_version == 4 ? 64 : 63);
}

/* Every prefix: cut by the capture (the wire had all of it), and really that short. Exact-size buffers: ASan sees overreads. */
static inline void case_truncate(const struct decode_case *c, const struct packet_builder *b)
{
	struct decoder_options options;
	struct decoder *decoder = case_decoder(c, &options);

	for (uint32_t n = 0; n <= b->len; n++) {
		struct frame frame = pb_frame_cut(b, case_link(c), n);

		case_decode(decoder, &options, &frame);
		frame.wire_len = n;
		case_decode(decoder, &options, &frame);
		pb_frame_free(&frame);
	}
	decoder_destroy(decoder);
}

static inline void decode_case_run(const struct decode_case *c)
{
	struct packet_builder there = pb_new(), back = pb_new();
	struct decoder_options options;
	struct decoder *decoder = case_decoder(c, &options);

	print_message("  %s\n", c->name);
	c->build(&there, &ENDS);
	pb_finish(&there);
	c->build(&back, &ENDS_BACK);
	pb_finish(&back);
	struct frame frame_there = pb_frame(&there, case_link(c)), frame_back = pb_frame(&back, case_link(c));
	struct packet p = case_decode(decoder, &options, &frame_there);
	struct packet q = case_decode(decoder, &options, &frame_back);

	assert_string_equal(verdict_name(p.verdict), verdict_name(c->verdict));
	assert_int_equal(p.vlan, c->vlan ? c->vlan : FLOW_VLAN_NONE);
	if (c->verdict == VERDICT_FLOW) {
		case_expect_flow(c, &p);
		assert_memory_equal(&p.key, &q.key, sizeof(p.key));
		assert_true(p.hash == q.hash);
		if (!c->outer_flow) {
			assert_int_equal(p.dir, 0);
			assert_int_equal(q.dir, 1);
		}
	}
	pb_frame_free(&frame_there);
	pb_frame_free(&frame_back);
	decoder_destroy(decoder);
	case_truncate(c, &there);
}

#define RUN_CASES(cases)                                                                                                           \
	do {                                                                                                                       \
		for (size_t case_index = 0; case_index < sizeof(cases) / sizeof((cases)[0]); case_index++)                         \
			decode_case_run(&(cases)[case_index]);                                                                     \
	} while (0)

#endif
