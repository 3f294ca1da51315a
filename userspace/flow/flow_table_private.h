/* What a flow table is made of, for flow_table.c and flow_table_setup.c. */
#ifndef FLOWLANE_FLOW_TABLE_PRIVATE_H
#define FLOWLANE_FLOW_TABLE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "flow_slab.h"
#include "flow_table.h"
#include "flow_victim.h"
#include "timers.h"

#define RECORDS_BATCH 64

struct flow_table {
	struct bucket *buckets;
	uint32_t buckets_count;
	uint32_t max_flows;
	uint32_t live;
	uint64_t timeout_ns; /* FLOW_NO_TIMEOUT: never */
	uint64_t early_ns;   /* connections that are opened are looked at so soon, in case memory is short by then */
	uint8_t *area;       /* of both slabs: TCP flows first */
	struct slab tcp, other;
	struct timers *timers; /* NULL: flows never time out */
	bool started;
	struct victim_search search;
	struct hash_seed seed;
	struct ledger *ledger;
	flow_records_fn *on_records;
	void *context;
	struct flow_ways *ways; /* NULL: no one-way records */
	const uint32_t *sample;
	const struct cutoff *cutoff; /* NULL: nothing is cut off */
	unsigned records_count;
	struct flow_record records[RECORDS_BATCH];
};

/* Under memory pressure, half-open and closed flows leave after this much silence. */
#define EXPENDABLE_NS ((uint64_t)5 * 1000 * 1000 * 1000)

#endif
