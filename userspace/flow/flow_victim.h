/*
 * Which flow leaves when there is no room for a new one. Looks only; the table ends the flow. Packet path, one owner.
 */
#ifndef FLOWLANE_FLOW_VICTIM_H
#define FLOWLANE_FLOW_VICTIM_H

#include <stdbool.h>

#include "flow_bucket.h"
#include "flow_table.h"

/* Where it looks. */
struct victim_search {
	const struct bucket *buckets;
	uint32_t buckets_count;
	const uint8_t *area; /* of the slabs */
	unsigned rests;      /* searches to come that do not look further than the two buckets */
};

/* Half-open (nothing but a SYN, or its answer) or over: worth less than others when memory is short. */
bool flow_expendable(const struct flow *flow);

/* The slot of the flow that makes room for one whose buckets are these two: of theirs if both are full, else anywhere near. There must be
 * a flow in the table. */
uint32_t victim_choose(struct victim_search *search, uint32_t first, uint32_t second);

#endif
