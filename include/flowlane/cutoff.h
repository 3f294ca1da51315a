/*
 * What was not captured of a flow that is cut off (--flow-cutoff): counted before the lane, by the XDP program or for files by the
 * prefilter, and asked for by the flow table when it wants to know how a flow stands. Lane's thread.
 */
#ifndef FLOWLANE_CUTOFF_H
#define FLOWLANE_CUTOFF_H

#include <stdbool.h>

#include "flowlane/abi.h"
#include "flowlane/flow_key.h"

struct cutoff {
	/* False: nothing of this flow was cut off. Times in *counts are UNIX ns. take: they are counted in a record now, and gone. */
	bool (*get)(void *context, const struct flow_key *key, bool take, struct cutoff_counts *counts);
	void *context;
};

/* The key without the tunnel: what a map has. */
static inline struct cutoff_key cutoff_key_of(const struct flow_key *key)
{
	struct cutoff_key cut;

	memcpy(&cut, key, sizeof(cut));
	return cut;
}

static inline uint64_t cutoff_last_ns(const struct cutoff_counts *counts)
{
	return counts->last_ns[0] > counts->last_ns[1] ? counts->last_ns[0] : counts->last_ns[1];
}

#endif
