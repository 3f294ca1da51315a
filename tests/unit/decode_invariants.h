/* What holds for every packet that the decoder made, whatever the frame was. Shared by the unit tests and the fuzz target. */
#ifndef DECODE_INVARIANTS_H
#define DECODE_INVARIANTS_H

#include <stddef.h>
#include <string.h>

#include "bytes.h"
#include "decode.h"

#define INVARIANT(condition)                                                                                                       \
	do {                                                                                                                       \
		if (!(condition))                                                                                                  \
			return #condition;                                                                                         \
	} while (0)

static inline const char *no_flow_broken(const struct packet *p)
{
	struct packet empty = { .verdict = p->verdict, .frame = p->frame, .vlan = p->vlan };

	INVARIANT(memcmp(p, &empty, offsetof(struct packet, unused)) == 0);
	return NULL;
}

static inline const char *key_broken(const struct decoder_options *options, const struct packet *p)
{
	static const uint8_t zero[16];
	const struct flow_key *key = &p->key;
	int order = memcmp(key->a_ip, key->b_ip, 16);

	INVARIANT(key->ip_version == 4 || key->ip_version == 6);
	INVARIANT(order < 0 || (order == 0 && key->a_port <= key->b_port));
	INVARIANT(key->ip_version == 6 || memcmp(key->a_ip, zero, FLOW_KEY_V4_OFFSET) == 0);
	INVARIANT(key->ip_version == 6 || memcmp(key->b_ip, zero, FLOW_KEY_V4_OFFSET) == 0);
	INVARIANT(options->key_vlan || key->vlan == FLOW_VLAN_NONE);
	INVARIANT(options->key_tunnel || key->tunnel == 0);
	INVARIANT(p->hash == flow_key_hash(&options->seed, key));
	INVARIANT(p->dir <= 1);
	INVARIANT(p->dir == 0 || order != 0 || key->a_port != key->b_port);
	return NULL;
}

static inline const char *lengths_broken(const struct packet *p)
{
	const struct frame *frame = p->frame;
	uint64_t wire = frame->wire_len > frame->cap_len ? frame->wire_len : frame->cap_len;
	bool later = p->flags & PACKET_FRAGMENT_LATER;

	INVARIANT(p->l3_len >= 20);
	INVARIANT((uint64_t)p->l3_off + p->l3_len <= wire);
	INVARIANT(p->payload_len <= p->l3_len - 20);
	INVARIANT(p->payload_off <= frame->cap_len);
	INVARIANT(p->l3_off + 20 <= p->payload_off);
	INVARIANT(later ? p->l4_off == 0 : p->l3_off + 20 <= p->l4_off && p->l4_off <= p->payload_off);
	INVARIANT(!later || p->flags & PACKET_FRAGMENT);
	INVARIANT(!(p->flags & PACKET_L4_CUT) == (p->l3_off + p->l3_len <= frame->cap_len));
	return NULL;
}

static inline bool is_asking_port(uint16_t port)
{
	return port == 53 || port == 443;
}

static inline const char *transport_broken(const struct packet *p)
{
	const uint8_t *l4 = p->frame->data + p->l4_off;
	uint8_t proto = p->key.proto;
	bool asks = proto == 1 || proto == 58 || (proto == 17 && (is_asking_port(p->key.a_port) || is_asking_port(p->key.b_port)));

	INVARIANT(!(p->flags & PACKET_ASKS) == (!asks || p->flags & PACKET_FRAGMENT_LATER));
	INVARIANT(!(p->flags & PACKET_SEGMENT) == (proto != 6 || p->flags & PACKET_FRAGMENT_LATER));
	if (p->flags & PACKET_FRAGMENT_LATER || p->key.proto != 6) {
		INVARIANT(p->tcp_flags == 0 && p->tcp_seq == 0 && p->tcp_ack == 0 && p->tcp_window == 0);
		return NULL;
	}
	INVARIANT(p->l4_off + 20U <= p->frame->cap_len);
	INVARIANT(p->tcp_seq == load_be32(l4 + 4) && p->tcp_ack == load_be32(l4 + 8) && p->tcp_flags == l4[13]);
	INVARIANT(load_be16(l4) == (p->dir ? p->key.b_port : p->key.a_port));
	return NULL;
}

/* The broken condition as text, or NULL. */
static inline const char *packet_broken(const struct decoder_options *options, const struct frame *frame, const struct packet *p)
{
	const char *broken;

	INVARIANT(p->verdict < VERDICT_COUNT);
	INVARIANT(p->frame == frame);
	if (p->verdict != VERDICT_FLOW)
		return no_flow_broken(p);
	broken = key_broken(options, p);
	broken = broken ? broken : lengths_broken(p);
	return broken ? broken : transport_broken(p);
}

#endif
