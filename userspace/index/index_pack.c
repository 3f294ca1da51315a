#include "index_pack.h"

#include <stdbool.h>
#include <string.h>

#include "bytes.h"

#define PACKET       sizeof(struct index_packet)
#define PACKET_FRESH 19 /* bytes: number, length, offset, and of the time what changes within four hours */
#define FLOW         sizeof(struct index_flow)
#define FLOW_FRESH   23 /* octets, packets, first, and of last the same */
#define TIME_FRESH   24 /* bits of the time */
_Static_assert(INDEX_PACK_SHAPES == 1 << 6, "as many as the high bits of a hash say");

/* A record, and what may be read behind it. */
struct padded {
	union {
		struct index_packet packet;
		struct index_flow flow;
	};
	uint8_t slack[INDEX_SNAPPY_SLACK];
};

static inline bool in_reach(uint64_t before, uint64_t position, uint64_t reach)
{
	return before >= reach && position - before <= INDEX_SNAPPY_DISTANCE;
}

/* One whose shape is new: beside the one before it. */
static __attribute__((noinline)) uint8_t *packet_put(
	const struct index_pack *pack, uint8_t *to, const struct index_item *item, uint64_t position, uint64_t reach)
{
	struct padded now, before;

	index_item_expand(item, &now.packet);
	if (!in_reach(pack->item_position, position, reach))
		return index_snappy_literal(to, (const uint8_t *)&now, PACKET);
	index_item_expand(&pack->item, &before.packet);
	return index_snappy_beside(to, (const uint8_t *)&now, (const uint8_t *)&before, PACKET, position - pack->item_position);
}

static inline struct index_shape *shape_find(struct index_pack *pack, const struct index_item *item, struct index_shape *shape)
{
	const uint8_t *from = (const uint8_t *)&item->time_high;
	_Static_assert(
		offsetof(struct index_item, time_high) + 2 * sizeof(uint64_t) == sizeof(*item), "all that the ranges follow from");

	shape->low = load_le64(from);
	shape->high = load_le64(from + sizeof(uint64_t));
	shape->time = (uint8_t)(item->time_low >> TIME_FRESH);
	uint64_t hash = shape->low * 0x9e3779b97f4a7c15u + shape->high * 0xc2b2ae3d27d4eb4fu; /* odd, bits at random */
	return &pack->shapes[hash >> 58];
}

static inline uint8_t *item_put(
	struct index_pack *pack, uint8_t *to, const struct index_item *item, uint64_t position, uint64_t reach)
{
	struct index_shape shape, *found = shape_find(pack, item, &shape);
	bool same = !((found->low ^ shape.low) | (found->high ^ shape.high) | (uint64_t)(found->time ^ shape.time));
	uint64_t rest = position + PACKET_FRESH, distance = rest - found->position;

	same = same && in_reach(found->position, rest, reach);
	*found = shape;
	found->position = rest;
	if (__builtin_expect(!same, 0))
		return packet_put(pack, to, item, position, reach);
	*to++ = (PACKET_FRESH - 1) << 2;
	store_le32(to, item->number);
	store_le32(to + 4, item->length);
	store_le32(to + 8, item->offset_low);
	store_le32(to + 12, item->offset_high);
	store_le32(to + 16, item->time_low);
	return index_snappy_copy(to + PACKET_FRESH, distance, PACKET - PACKET_FRESH);
}

uint8_t *index_pack_packets(
	struct index_pack *pack, uint8_t *to, const struct index_item *items, unsigned n, uint64_t position, uint64_t reach)
{
	for (unsigned i = 0; i < n; i++, position += PACKET) {
		to = item_put(pack, to, &items[i], position, reach);
		pack->item = items[i];
		pack->item_position = position;
	}
	return to;
}

uint8_t *index_pack_flow(struct index_pack *pack, uint8_t *to, const struct index_flow *flow, uint64_t position, uint64_t reach)
{
	const struct index_flow *before = &pack->flow;
	uint64_t differ = (flow->last_ms ^ before->last_ms) >> TIME_FRESH | (flow->blocks ^ before->blocks) |
			  (flow->application ^ before->application) | (flow->reserved ^ before->reserved);
	bool same = !differ && in_reach(pack->flow_position, position, reach);
	uint64_t distance = position - pack->flow_position;

	pack->flow = *flow;
	pack->flow_position = position;
	if (__builtin_expect(!same, 0)) {
		struct padded padded = { .flow = *flow };
		return index_snappy_literal(to, (const uint8_t *)&padded, FLOW);
	}
	*to++ = (FLOW_FRESH - 1) << 2;
	memcpy(to, flow, FLOW_FRESH + 1);
	return index_snappy_copy(to + FLOW_FRESH, distance, FLOW - FLOW_FRESH);
}
