#include "flow_cutoff.h"

#include "flow_record.h"
#include "flow_update.h"

#include "poison.h"

/* The cutoff is for TCP and UDP. */
static bool cutoff_ask(const struct cutoff *cutoff, const struct flow *flow, bool take, struct cutoff_counts *counts)
{
	struct flow_key key;

	if (!cutoff || (flow_proto(flow) != 6 && flow_proto(flow) != 17))
		return false;
	flow_live_key(flow, &key);
	return cutoff->get(cutoff->context, &key, take, counts);
}

static void flow_move_on(struct flow *flow, const struct cutoff_counts *counts)
{
	uint64_t last_ns = cutoff_last_ns(counts);

	flow->last_ns = last_ns > flow->last_ns ? last_ns : flow->last_ns;
	flow->flags |= FLOW_CUT_OFF;
}

void flow_cutoff_refresh(const struct cutoff *cutoff, struct flow *flow)
{
	struct cutoff_counts counts;

	if (cutoff_ask(cutoff, flow, false, &counts))
		flow_move_on(flow, &counts);
}

uint64_t flow_cutoff_take(const struct cutoff *cutoff, struct flow_ways *ways, struct flow *flow)
{
	struct cutoff_counts counts;

	if (!cutoff_ask(cutoff, flow, true, &counts))
		return 0;
	flow_move_on(flow, &counts);
	for (unsigned dir = 0; dir < 2; dir++) {
		if (!counts.packets[dir])
			continue;
		if (ways)
			flow_ways_cut_off(ways, flow, dir, counts.last_ns[dir]);
		flow_add(flow, dir, counts.packets[dir], counts.bytes[dir], counts.bytes[dir] - counts.l3_bytes[dir]);
	}
	return counts.packets[0] + counts.packets[1];
}
