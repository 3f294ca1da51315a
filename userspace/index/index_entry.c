#include "index_entry.h"

#include <string.h>

#include "poison.h"

#define IPV6_BYTES     40
#define FRAGMENT_BYTES 8

enum { PROTO_TCP = 6, PROTO_UDP = 17, PROTO_DCCP = 33, PROTO_SCTP = 132, PROTO_UDPLITE = 136 };

static inline bool has_ports(uint32_t proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP || proto == PROTO_DCCP || proto == PROTO_UDPLITE;
}

static void addresses_set(struct index_key *key, const uint8_t *source, const uint8_t *destination, bool v4)
{
	size_t bytes = v4 ? 4 : INDEX_ADDRESS_BYTES;

	memset(key->source, 0, 2 * INDEX_ADDRESS_BYTES); /* destination follows */
	memcpy(key->source, source, bytes);
	memcpy(key->destination, destination, bytes);
	key->family = v4 ? INDEX_FAMILY_IPV4 : INDEX_FAMILY_IPV6;
}

/* The decoder gives a later fragment the flow of its first one, which may even be inside a tunnel. The index has what is in this
 * frame: the addresses of its IP header, and no ports. */
static __attribute__((noinline)) void fragment_key(const struct packet *packet, struct index_key *key)
{
	const uint8_t *ip = packet->frame->data + packet->l3_off;
	bool v4 = ip[0] >> 4 == 4;

	addresses_set(key, ip + (v4 ? 12 : 8), ip + (v4 ? 16 : 24), v4);
	if (v4)
		key->protocol = ip[9];
	else if (packet->flags & PACKET_TUNNELLED && packet->payload_off >= packet->l3_off + IPV6_BYTES + FRAGMENT_BYTES)
		key->protocol = packet->frame->data[packet->payload_off - FRAGMENT_BYTES]; /* what follows the fragment header */
	else
		key->protocol = packet->key.proto;
	key->source_port = key->destination_port = 0;
}

static inline void packet_key(const struct packet *packet, bool ports, struct index_key *index)
{
	const struct flow_key *key = &packet->key;
	bool v4 = key->ip_version == 4, b_to_a = packet->dir != 0;
	const uint8_t *source = b_to_a ? key->b_ip : key->a_ip, *destination = b_to_a ? key->a_ip : key->b_ip;
	size_t skip = v4 ? FLOW_KEY_V4_OFFSET : 0;

	index->protocol = key->proto;
	addresses_set(index, source + skip, destination + skip, v4);
	index->source_port = ports ? (b_to_a ? key->b_port : key->a_port) : 0;
	index->destination_port = ports ? (b_to_a ? key->a_port : key->b_port) : 0;
}

bool index_entry_make(const struct packet *packet, uint64_t number, uint64_t offset, struct index_entry *entry)
{
	const struct frame *frame = packet->frame;

	if (packet->verdict != VERDICT_FLOW)
		return false;
	bool later = packet->flags & PACKET_FRAGMENT_LATER, ports = !later && has_ports(packet->key.proto);
	uint32_t captured = frame->cap_len - packet->l3_off;
	uint64_t time_ms = frame->ts_ns / 1000000;

	if (__builtin_expect(later, 0))
		fragment_key(packet, &entry->key);
	else
		packet_key(packet, ports, &entry->key);
	entry->item = (struct index_item){
		.number = (uint32_t)number,
		.offset_low = (uint32_t)offset,
		.offset_high = (uint16_t)(offset >> 32),
		.time_low = (uint32_t)time_ms,
		.time_high = (uint16_t)(time_ms >> 32),
		.length = frame->cap_len,
		.network_count = packet->l3_len < captured ? packet->l3_len : captured,
		.network = packet->l3_off,
		.transport = ports ? packet->l4_off : 0,
		.payload = packet->payload_off,
	};
	return true;
}
