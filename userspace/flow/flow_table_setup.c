/* Memory of a flow table: all of it is reserved here. */
#include <errno.h>
#include <stdlib.h>

#include "arena.h"
#include "flow_bucket.h"
#include "flow_table_private.h"

#define POPULATE_BYTES ((size_t)16 << 20) /* of each slab: 52,000 TCP flows */
#define BUCKET_LOAD    4 /* slots per bucket that max_flows fills, of 8: then hardly a flow finds both its buckets full */

static uint32_t buckets_for(uint32_t max_flows)
{
	return max_flows / BUCKET_LOAD + 2; /* two at least: the second bucket is another one */
}

static size_t area_bytes(uint32_t max_flows)
{
	return ((size_t)slab_blocks(max_flows, true) + slab_blocks(max_flows, false)) * FLOW_BLOCK_BYTES;
}

void flow_table_sizes(uint32_t max_flows, struct flow_table_sizes *sizes)
{
	sizes->bucket_bytes = (uint64_t)buckets_for(max_flows) * sizeof(struct bucket);
	sizes->slab_bytes = area_bytes(max_flows);
	sizes->ways_bytes = (uint64_t)max_flows * 2 * sizeof(struct flow_extra);
	sizes->timer_bytes = (uint64_t)max_flows * 2 / TIMER_CHUNK_SLOTS * 64 + TIMER_SLOTS * (64 + 8);
}

/* Buckets are touched all over from the first packet on; slabs from their beginning. */
static void flow_table_populate(struct flow_table *table)
{
	arena_populate(table->buckets, (size_t)table->buckets_count * sizeof(struct bucket));
	slab_populate(&table->tcp, POPULATE_BYTES);
	slab_populate(&table->other, POPULATE_BYTES);
	if (table->ways)
		flow_ways_populate(table->ways, POPULATE_BYTES);
}

int flow_table_create(const struct flow_table_options *options, struct flow_table **result)
{
	struct flow_table *table = calloc(1, sizeof(*table));
	int err = -ENOMEM;

	if (!table)
		return -ENOMEM;
	table->max_flows = options->max_flows ? options->max_flows : 1;
	table->timeout_ns = options->timeout_ns;
	table->early_ns = options->timeout_ns < EXPENDABLE_NS ? options->timeout_ns : EXPENDABLE_NS;
	table->seed = options->seed;
	table->ledger = options->ledger;
	table->on_records = options->on_records;
	table->context = options->context;
	table->cutoff = options->cutoff;
	table->sample = options->sample;
	table->buckets_count = buckets_for(table->max_flows);
	table->buckets = arena_map((size_t)table->buckets_count * sizeof(struct bucket));
	if (!table->buckets)
		goto fail;
	table->area = arena_map(area_bytes(table->max_flows));
	if (!table->area)
		goto fail;
	table->search =
		(struct victim_search){ .buckets = table->buckets, .buckets_count = table->buckets_count, .area = table->area };
	slab_place(&table->tcp, table->area, 0, table->max_flows, true);
	slab_place(&table->other, table->area, table->tcp.blocks, table->max_flows, false);
	if (options->ways) {
		err = flow_ways_create(options->ways, table->max_flows, table->tcp.start, table->other.start, &table->ways);
		if (err)
			goto fail;
	}
	if (options->timeout_ns != FLOW_NO_TIMEOUT) {
		/* Two slabs: a slot that was freed while in the wheel stays there until its time. */
		table->timers = timers_create(table->max_flows * 2);
		err = -ENOMEM;
		if (!table->timers)
			goto fail;
	}
	if (options->populate)
		flow_table_populate(table);
	*result = table;
	return 0;
fail:
	flow_table_destroy(table);
	return err;
}

void flow_table_destroy(struct flow_table *table)
{
	if (!table)
		return;
	timers_destroy(table->timers);
	flow_ways_destroy(table->ways);
	arena_unmap(table->area, area_bytes(table->max_flows));
	arena_unmap(table->buckets, (size_t)table->buckets_count * sizeof(struct bucket));
	free(table);
}
