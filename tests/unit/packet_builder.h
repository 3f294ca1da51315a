/*
 * Packets for tests, header by header. Length fields are filled in by pb_finish(), so that headers nest freely; checksums stay
 * zero. A builder is a plain value: copy it to vary a packet.
 *
 *   struct packet_builder b = pb_new();
 *   pb_ethernet(&b, 0x0800);
 *   pb_ipv4(&b, "10.0.0.1", "10.0.0.2", 6);
 *   pb_tcp(&b, 1234, 80, seq, ack, 0x10);
 *   pb_fill(&b, 100);
 *   pb_finish(&b);                              -> b.bytes, b.len
 */
#ifndef PACKET_BUILDER_H
#define PACKET_BUILDER_H

#include <arpa/inet.h>
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "flowlane/packet.h"

#define PB_BYTES_MAX  9216
#define PB_FIXUPS_MAX 32

struct packet_builder {
	uint8_t bytes[PB_BYTES_MAX];
	uint32_t len;
	unsigned fixups;
	struct {
		uint32_t at;   /* of the 16-bit length field */
		uint32_t from; /* what it counts starts here, and ends with the packet */
	} fixup[PB_FIXUPS_MAX];
};

static inline struct packet_builder pb_new(void)
{
	struct packet_builder b;

	memset(&b, 0, sizeof(b));
	return b;
}

static inline void pb_bytes(struct packet_builder *b, const void *bytes, uint32_t n)
{
	assert(b->len + n <= PB_BYTES_MAX);
	memcpy(b->bytes + b->len, bytes, n);
	b->len += n;
}

static inline void pb_u8(struct packet_builder *b, uint8_t v)
{
	pb_bytes(b, &v, 1);
}

static inline void pb_be16(struct packet_builder *b, uint16_t v)
{
	pb_bytes(b, (uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static inline void pb_be32(struct packet_builder *b, uint32_t v)
{
	pb_be16(b, (uint16_t)(v >> 16));
	pb_be16(b, (uint16_t)v);
}

/* n bytes of payload: 'a', 'b', 'c' ... */
static inline void pb_fill(struct packet_builder *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		pb_u8(b, (uint8_t)('a' + i % 26));
}

static inline void pb_zero(struct packet_builder *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		pb_u8(b, 0);
}

/* The 16-bit field at `at` shall hold the number of bytes from `from` to the end of the packet. */
static inline void pb_length_field(struct packet_builder *b, uint32_t at, uint32_t from)
{
	assert(b->fixups < PB_FIXUPS_MAX);
	b->fixup[b->fixups].at = at;
	b->fixup[b->fixups].from = from;
	b->fixups++;
}

static inline void pb_finish(struct packet_builder *b)
{
	for (unsigned i = 0; i < b->fixups; i++) {
		uint32_t length = b->len - b->fixup[i].from;

		b->bytes[b->fixup[i].at] = (uint8_t)(length >> 8);
		b->bytes[b->fixup[i].at + 1] = (uint8_t)length;
	}
	b->fixups = 0;
}

/* ---- link ---- */

static inline void pb_ethernet(struct packet_builder *b, uint16_t type)
{
	pb_bytes(b, "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01", 12);
	pb_be16(b, type);
}

/* The tag behind a TPID that was given as the EtherType before it. */
static inline void pb_vlan(struct packet_builder *b, uint16_t tci, uint16_t type)
{
	pb_be16(b, tci);
	pb_be16(b, type);
}

static inline void pb_mpls(struct packet_builder *b, uint32_t label, bool bottom)
{
	pb_be32(b, label << 12 | (bottom ? 0x100U : 0) | 64);
}

/* PPPoE session header and the PPP protocol. */
static inline void pb_pppoe(struct packet_builder *b, uint16_t session, uint16_t ppp_protocol)
{
	pb_be16(b, 0x1100);
	pb_be16(b, session);
	pb_be16(b, 0);
	pb_length_field(b, b->len - 2, b->len);
	pb_be16(b, ppp_protocol);
}

/* ---- network ---- */

static inline void pb_ipv4_full(struct packet_builder *b, const char *src, const char *dst, uint8_t proto, uint16_t id,
	uint16_t fragment, const void *options, uint32_t options_bytes)
{
	uint32_t start = b->len;
	uint8_t address[4];

	assert(options_bytes % 4 == 0 && options_bytes <= 40);
	pb_u8(b, (uint8_t)(0x40 | (5 + options_bytes / 4)));
	pb_u8(b, 0x10); /* TOS */
	pb_be16(b, 0);
	pb_length_field(b, start + 2, start);
	pb_be16(b, id);
	pb_be16(b, fragment);
	pb_u8(b, 64);
	pb_u8(b, proto);
	pb_be16(b, 0);
	if (inet_pton(AF_INET, src, address) != 1)
		abort();
	pb_bytes(b, address, 4);
	if (inet_pton(AF_INET, dst, address) != 1)
		abort();
	pb_bytes(b, address, 4);
	if (options_bytes)
		pb_bytes(b, options, options_bytes);
}

static inline void pb_ipv4(struct packet_builder *b, const char *src, const char *dst, uint8_t proto)
{
	pb_ipv4_full(b, src, dst, proto, 1, 0x4000, NULL, 0);
}

/* offset_bytes: a multiple of 8. */
static inline void pb_ipv4_fragment(
	struct packet_builder *b, const char *src, const char *dst, uint8_t proto, uint16_t id, uint16_t offset_bytes, bool more)
{
	pb_ipv4_full(b, src, dst, proto, id, (uint16_t)(offset_bytes / 8 | (more ? 0x2000 : 0)), NULL, 0);
}

static inline void pb_ipv6(struct packet_builder *b, const char *src, const char *dst, uint8_t next_header)
{
	uint32_t start = b->len;
	uint8_t address[16];

	pb_be32(b, 0x61200000); /* traffic class 0x12 */
	pb_be16(b, 0);
	pb_length_field(b, start + 4, start + 40);
	pb_u8(b, next_header);
	pb_u8(b, 63);
	if (inet_pton(AF_INET6, src, address) != 1)
		abort();
	pb_bytes(b, address, 16);
	if (inet_pton(AF_INET6, dst, address) != 1)
		abort();
	pb_bytes(b, address, 16);
}

/* An extension header of 8 * units bytes, filled with padding: hop-by-hop, destination options ... */
static inline void pb_ipv6_extension(struct packet_builder *b, uint8_t next_header, uint8_t units)
{
	pb_u8(b, next_header);
	pb_u8(b, (uint8_t)(units - 1));
	pb_zero(b, units * 8U - 2);
}

static inline void pb_ipv6_fragment(struct packet_builder *b, uint8_t next_header, uint32_t id, uint16_t offset_bytes, bool more)
{
	pb_u8(b, next_header);
	pb_u8(b, 0);
	pb_be16(b, (uint16_t)(offset_bytes | more));
	pb_be32(b, id);
}

/* ---- transport ---- */

static inline void pb_tcp_options(struct packet_builder *b, uint16_t src_port, uint16_t dst_port, uint32_t seq, uint32_t ack,
	uint8_t flags, const void *options, uint32_t options_bytes)
{
	assert(options_bytes % 4 == 0 && options_bytes <= 40);
	pb_be16(b, src_port);
	pb_be16(b, dst_port);
	pb_be32(b, seq);
	pb_be32(b, ack);
	pb_u8(b, (uint8_t)((5 + options_bytes / 4) << 4));
	pb_u8(b, flags);
	pb_be16(b, 0x7210); /* window */
	pb_be32(b, 0);
	if (options_bytes)
		pb_bytes(b, options, options_bytes);
}

static inline void pb_tcp(struct packet_builder *b, uint16_t src_port, uint16_t dst_port, uint32_t seq, uint32_t ack, uint8_t flags)
{
	pb_tcp_options(b, src_port, dst_port, seq, ack, flags, NULL, 0);
}

static inline void pb_udp(struct packet_builder *b, uint16_t src_port, uint16_t dst_port)
{
	uint32_t start = b->len;

	pb_be16(b, src_port);
	pb_be16(b, dst_port);
	pb_be16(b, 0);
	pb_be16(b, 0);
	pb_length_field(b, start + 4, start);
}

/* ICMP or ICMPv6; rest: identifier and sequence number of an echo. */
static inline void pb_icmp(struct packet_builder *b, uint8_t type, uint8_t code, uint16_t identifier, uint16_t sequence)
{
	pb_u8(b, type);
	pb_u8(b, code);
	pb_be16(b, 0);
	pb_be16(b, identifier);
	pb_be16(b, sequence);
}

/* ---- frames ---- */

/* A copy of exactly n bytes, so that ASan sees one byte too far; wire_len stays that of the whole packet. Free .data. */
static inline struct frame pb_frame_cut(const struct packet_builder *b, uint16_t link, uint32_t n)
{
	uint8_t *data = malloc(n);

	if (!data)
		abort();
	memcpy(data, b->bytes, n);
	return (struct frame){ .data = data, .ts_ns = 1000000000, .cap_len = n, .wire_len = b->len, .link = link };
}

static inline struct frame pb_frame(const struct packet_builder *b, uint16_t link)
{
	return pb_frame_cut(b, link, b->len);
}

static inline void pb_frame_free(struct frame *frame)
{
	free((void *)(uintptr_t)frame->data);
	frame->data = NULL;
}

#endif
