/* From a decoded packet to its entry in the index. Pure functions; packet path. */
#ifndef FLOWLANE_INDEX_ENTRY_H
#define FLOWLANE_INDEX_ENTRY_H

#include <stdbool.h>

#include "flowlane/packet.h"
#include "index_format.h"

/* A pointer to a packet in half of its 56 bytes, as long as it waits in memory. Numbers of 48 bits are in two parts: as bit fields,
 * compilers take them apart byte by byte. */
struct __attribute__((packed)) index_item {
	uint32_t number;     /* of the frame, from 1 */
	uint32_t offset_low; /* of the data in the file */
	uint32_t time_low;   /* UNIX milliseconds */
	uint16_t offset_high;
	uint16_t time_high;
	uint32_t length; /* captured */
	uint32_t network_count;
	uint16_t network;   /* offsets in the frame */
	uint16_t transport; /* 0: none */
	uint16_t payload;
};
_Static_assert(sizeof(struct index_item) == 30, "four of them and a link are two cache lines");

struct index_entry {
	struct index_key key;
	struct index_item item;
};

/* False: the packet belongs to no flow, and is not indexed. `number` and `offset` are of its frame in the file. */
bool index_entry_make(const struct packet *packet, uint64_t number, uint64_t offset, struct index_entry *entry);

static inline uint64_t index_item_offset(const struct index_item *item)
{
	return (uint64_t)item->offset_high << 32 | item->offset_low;
}

static inline uint64_t index_item_time_ms(const struct index_item *item)
{
	return (uint64_t)item->time_high << 32 | item->time_low;
}

static inline void index_item_expand(const struct index_item *item, struct index_packet *packet)
{
	int32_t end = (int32_t)(item->network + item->network_count);
	bool transport = item->transport != 0;
	/* Options that the snapshot cut off end where the capture does. */
	int32_t payload = item->payload < end ? item->payload : end;

	*packet = (struct index_packet){
		.number = item->number,
		.length = item->length,
		.offset = index_item_offset(item),
		.time_ms = index_item_time_ms(item),
		.link = { 0, (int32_t)item->length },
		.network = { item->network, (int32_t)item->network_count },
		.transport = { transport ? item->transport : 0, transport ? end - item->transport : 0 },
		.payload = { transport ? payload : 0, transport ? end - payload : 0 },
	};
}

#endif
