/*
 * The largest flows by bytes_total: each lane keeps its N largest in a heap whose root is the smallest of them, so that a flow
 * that does not belong costs one comparison. Merged at the end; no file.
 */
#include "flowlane/top_flows.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "flowlane/sink.h"
#include "log.h"
#include "spool.h"

struct output {
	uint32_t max;
	pthread_mutex_t lock; /* detach of several lanes */
	struct flow_record *records;
	size_t count;
};

struct sink {
	struct output *output;
	uint32_t max;
	uint32_t count;
	struct flow_record heap[];
};

/* The result of the last run. A run has one top_flows output, and one control thread that asks for it. */
static struct {
	struct flow_record *records;
	size_t count;
} result;

static void top_flows_flows(struct sink *sink, const struct flow_record *records, unsigned n);

static bool top_flows_wanted(const struct config *config)
{
	return config->top_flows > 0;
}

static int top_flows_open(const struct config *config, const struct source_info *info, struct output **output)
{
	struct output *made = calloc(1, sizeof(*made));

	(void)info;
	if (!made) {
		log_error("top flows: no memory");
		return -ENOMEM;
	}
	made->max = config->top_flows;
	pthread_mutex_init(&made->lock, NULL);
	*output = made;
	return 0;
}

static int top_flows_attach(struct output *output, unsigned lane, struct sink **sink)
{
	struct sink *made = malloc(sizeof(*made) + (size_t)output->max * sizeof(made->heap[0]));

	if (!made) {
		log_error("top flows: lane %u: no memory for %u flows; ask for fewer with --top-flows", lane, output->max);
		return -ENOMEM;
	}
	made->output = output;
	made->max = output->max;
	made->count = 0;
	*sink = made;
	return 0;
}

static void top_flows_detach(struct sink *sink)
{
	struct output *output = sink->output;

	pthread_mutex_lock(&output->lock);
	struct flow_record *all = realloc(output->records, (output->count + sink->count + 1) * sizeof(*all));
	if (all) {
		memcpy(all + output->count, sink->heap, sink->count * sizeof(*all));
		output->records = all;
		output->count += sink->count;
	} else {
		log_error("top flows: no memory to merge the lanes; the table will be incomplete");
	}
	pthread_mutex_unlock(&output->lock);
	free(sink);
}

static int compare_records(const void *x, const void *y)
{
	return spool_compare(SPOOL_BY_BYTES, x, y);
}

static unsigned top_flows_close(struct output *output, struct output_report *reports)
{
	if (!reports)
		output->count = 0;
	if (output->count > 0)
		qsort(output->records, output->count, sizeof(*output->records), compare_records);
	free(result.records);
	result.records = output->records;
	result.count = output->count < output->max ? output->count : output->max;
	pthread_mutex_destroy(&output->lock);
	free(output);
	return 0;
}

unsigned top_flows_take(struct flow_record *records, unsigned max)
{
	unsigned n = result.count < max ? (unsigned)result.count : max;

	if (n > 0)
		memcpy(records, result.records, n * sizeof(*records));
	free(result.records);
	result.records = NULL;
	result.count = 0;
	return n;
}

const struct sink_ops sink_top_flows = {
	.name = "top_flows",
	.wants = SINK_FLOWS,
	.wanted = top_flows_wanted,
	.open = top_flows_open,
	.attach = top_flows_attach,
	.flows = top_flows_flows,
	.detach = top_flows_detach,
	.close = top_flows_close,
};

#include "poison.h"

static inline bool smaller(const struct flow_record *x, const struct flow_record *y)
{
	return spool_compare(SPOOL_BY_BYTES, x, y) > 0;
}

static void heap_rise(struct flow_record *heap, uint32_t at, const struct flow_record *record)
{
	for (uint32_t parent; at > 0 && smaller(record, &heap[parent = (at - 1) / 2]); at = parent)
		heap[at] = heap[parent];
	heap[at] = *record;
}

static void heap_replace_root(struct flow_record *heap, uint32_t count, const struct flow_record *record)
{
	uint32_t at = 0;

	for (uint64_t child; (child = 2 * (uint64_t)at + 1) < count; at = (uint32_t)child) {
		if (child + 1 < count && smaller(&heap[child + 1], &heap[child]))
			child++;
		if (!smaller(&heap[child], record))
			break;
		heap[at] = heap[child];
	}
	heap[at] = *record;
}

static void top_flows_flows(struct sink *sink, const struct flow_record *records, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (sink->count < sink->max)
			heap_rise(sink->heap, sink->count++, &records[i]);
		else if (smaller(&sink->heap[0], &records[i]))
			heap_replace_root(sink->heap, sink->count, &records[i]);
	}
}
