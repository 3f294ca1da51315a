/*
 * Records of an index as elements of Snappy. Nothing is searched for: it is known what is likely to be the same.
 *
 *   packet | number 4 length 4 offset 8 time 8 | link network transport payload 32 |    19 bytes literal, 37 copied: 23 for 56
 *   flow   | octets 8 packets 4 first 8 last 8 | blocks application reserved 12    |    23 literal, 17 copied: 27 for 40
 *
 * The ranges of a packet follow from a few numbers, its shape. Where a packet of the same shape was is looked up, and the copy is of that
 * one. One file's records, one thread.
 */
#ifndef FLOWLANE_INDEX_PACK_H
#define FLOWLANE_INDEX_PACK_H

#include "index_entry.h"
#include "index_snappy.h"

#define INDEX_PACK_SHAPES 64 /* 2 KB; of a block of 16 KiB, which has 290 packets */
/* What a record becomes, at most. */
#define INDEX_PACK_PACKET_MAX (sizeof(struct index_packet) + 2)
#define INDEX_PACK_FLOW_MAX   (sizeof(struct index_flow) + 2)

/* Of a packet that is in the file: what its 37 last bytes follow from, and where those are. */
struct index_shape {
	uint64_t low, high; /* of the item, from time_high to its end */
	uint64_t position;
	uint8_t time; /* its fourth byte */
};

struct index_pack {
	struct index_shape shapes[INDEX_PACK_SHAPES];
	struct index_item item; /* the last one */
	uint64_t item_position;
	struct index_flow flow; /* the same */
	uint64_t flow_position;
};

/* The next records. `position`: uncompressed bytes before them, from 1 on; what lies before the position `reach` cannot be copied from.
 * Where they end. */
uint8_t *index_pack_packets(
	struct index_pack *pack, uint8_t *to, const struct index_item *items, unsigned n, uint64_t position, uint64_t reach);
uint8_t *index_pack_flow(struct index_pack *pack, uint8_t *to, const struct index_flow *flow, uint64_t position, uint64_t reach);

#endif
