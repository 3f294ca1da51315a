#include "flow_victim.h"

#include "flow_identity.h"
#include "flow_slab.h"

#include "poison.h"

#define TCP_PROTO 6

/* How many more buckets are looked at for an expendable flow before another one is evicted (8: about 32 flows, 2 us); and how many
 * evictions do without that look when it found none, so that a table full of real flows does not pay for it each time. */
#define SEARCH_BUCKETS 8
#define SEARCH_RESTS   64

bool flow_expendable(const struct flow *flow)
{
	if (flow_proto(flow) != TCP_PROTO)
		return false;
	uint8_t state = ((const struct tcp_flow *)flow)->state;
	return state == TCP_STATE_SYN_SENT || state == TCP_STATE_SYN_ACK || state == TCP_STATE_CLOSED || state == TCP_STATE_RESET;
}

static const struct flow *flow_in(const struct victim_search *search, uint32_t slot)
{
	return (const struct flow *)(search->area + (size_t)slot * SLAB_LINE);
}

/* The better one of `best` and the flows of the bucket: expendable before others, then the one that was silent longest. */
static uint32_t victim_in(const struct victim_search *search, uint32_t number, uint32_t best)
{
	const struct bucket *bucket = &search->buckets[number];

	for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
		if (!bucket->tags[i])
			continue;
		if (best == FLOW_SLOT_NONE) {
			best = bucket->slots[i];
			continue;
		}
		const struct flow *mine = flow_in(search, bucket->slots[i]), *other = flow_in(search, best);
		bool mine_expendable = flow_expendable(mine), other_expendable = flow_expendable(other);
		if (mine_expendable != other_expendable ? mine_expendable : mine->last_ns < other->last_ns)
			best = bucket->slots[i];
	}
	return best;
}

static uint32_t next_bucket(const struct victim_search *search, uint32_t number)
{
	return number + 1 == search->buckets_count ? 0 : number + 1;
}

/*
 * An expendable flow in the buckets behind this one, or FLOW_SLOT_NONE. Two buckets are too few to protect the other flows in a flood: of
 * a table half full of half-open flows one eviction in 20 would meet none there, and push out a real one.
 */
static uint32_t victim_near(struct victim_search *search, uint32_t number)
{
	if (search->rests) {
		search->rests--;
		return FLOW_SLOT_NONE;
	}
	for (unsigned n = 0; n < SEARCH_BUCKETS; n++) {
		number = next_bucket(search, number);
		uint32_t victim = victim_in(search, number, FLOW_SLOT_NONE);
		if (victim != FLOW_SLOT_NONE && flow_expendable(flow_in(search, victim)))
			return victim;
	}
	search->rests = SEARCH_RESTS;
	return FLOW_SLOT_NONE;
}

uint32_t victim_choose(struct victim_search *search, uint32_t first, uint32_t second)
{
	bool both_full = search->buckets[first].used == BUCKET_SLOTS && search->buckets[second].used == BUCKET_SLOTS;
	uint32_t victim = victim_in(search, second, victim_in(search, first, FLOW_SLOT_NONE));

	/* Goes on only while it meets empty buckets: in a full table, hardly ever. */
	for (uint32_t i = first; victim == FLOW_SLOT_NONE; i = next_bucket(search, i))
		victim = victim_in(search, i, FLOW_SLOT_NONE);
	if (both_full || flow_expendable(flow_in(search, victim)))
		return victim;
	uint32_t other = victim_near(search, second);
	return other != FLOW_SLOT_NONE ? other : victim;
}
