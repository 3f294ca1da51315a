/*
 * Cursors: a heap of the heads of all runs. One run alone (one lane, everything in memory: the usual case) never compares.
 */
#include <stdlib.h>

#include "log.h"
#include "spool_private.h"
#include "spool_sort.h"

#define PREFETCH_AHEAD 6

struct run {
	struct spool_entry prefix; /* of the head */
	const struct flow_record *head;
	const struct flow_record *records;
	const uint32_t *order; /* NULL: the records lie in order */
	uint64_t next;         /* the one behind the head */
	uint64_t count;
};

struct spool_cursor {
	enum spool_order order;
	unsigned runs; /* not yet at their end */
	struct run *heap[];
};

static const struct flow_record *run_record(const struct run *run, uint64_t i)
{
	return &run->records[run->order ? run->order[i] : i];
}

/* Moves on; false: at the end. */
static bool run_advance(struct run *run, enum spool_order order, bool alone)
{
	if (run->next == run->count)
		return false;
	if (run->order && run->next + PREFETCH_AHEAD < run->count) {
		const char *ahead = (const char *)run_record(run, run->next + PREFETCH_AHEAD);
		__builtin_prefetch(ahead);
		__builtin_prefetch(ahead + 64);
		__builtin_prefetch(ahead + 128);
	}
	run->head = run_record(run, run->next++);
	if (!alone)
		spool_prefix(order, run->head, &run->prefix);
	return true;
}

static bool run_before(enum spool_order order, const struct run *x, const struct run *y)
{
	if (x->prefix.high != y->prefix.high)
		return x->prefix.high < y->prefix.high;
	if (x->prefix.low != y->prefix.low)
		return x->prefix.low < y->prefix.low;
	return spool_compare(order, x->head, y->head) < 0;
}

static void heap_sink(struct spool_cursor *cursor, unsigned at)
{
	struct run *moving = cursor->heap[at];

	for (unsigned child; (child = 2 * at + 1) < cursor->runs; at = child) {
		if (child + 1 < cursor->runs && run_before(cursor->order, cursor->heap[child + 1], cursor->heap[child]))
			child++;
		if (!run_before(cursor->order, cursor->heap[child], moving))
			break;
		cursor->heap[at] = cursor->heap[child];
	}
	cursor->heap[at] = moving;
}

static bool cursor_add(struct spool_cursor *cursor, const struct flow_record *records, const uint32_t *order, uint64_t count)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		return false;
	run->records = records;
	run->order = order;
	run->count = count;
	run_advance(run, cursor->order, false);
	cursor->heap[cursor->runs++] = run;
	return true;
}

struct spool_cursor *spool_cursor_open(const struct spool *spool)
{
	size_t runs = 0;

	for (unsigned i = 0; i < SPOOL_LANES_MAX; i++) {
		const struct spool_lane *lane = spool->lanes[i];
		runs += lane ? lane->runs + (lane->used > 0) : 0;
	}
	struct spool_cursor *cursor = calloc(1, sizeof(*cursor) + runs * sizeof(cursor->heap[0]));
	if (!cursor)
		goto fail;
	cursor->order = spool->order;
	for (unsigned i = 0; i < SPOOL_LANES_MAX; i++) {
		const struct spool_lane *lane = spool->lanes[i];
		const struct flow_record *run = lane ? lane->mapped : NULL;
		for (unsigned j = 0; lane && j < lane->runs; run += lane->run_records[j++]) {
			if (!cursor_add(cursor, run, NULL, lane->run_records[j]))
				goto fail;
		}
		if (lane && lane->used > 0 && !cursor_add(cursor, lane->records, lane->order, lane->used))
			goto fail;
	}
	for (unsigned i = cursor->runs; i-- > 0;)
		heap_sink(cursor, i);
	return cursor;
fail:
	log_error("%s: no memory to merge %zu sorted runs", spool->what, runs);
	spool_cursor_close(cursor);
	return NULL;
}

const struct flow_record *spool_cursor_next(struct spool_cursor *cursor)
{
	if (cursor->runs == 0)
		return NULL;
	struct run *top = cursor->heap[0];
	const struct flow_record *record = top->head;
	if (!run_advance(top, cursor->order, cursor->runs == 1)) {
		free(top);
		cursor->heap[0] = cursor->heap[--cursor->runs];
	}
	if (cursor->runs > 1)
		heap_sink(cursor, 0);
	return record;
}

void spool_cursor_close(struct spool_cursor *cursor)
{
	if (!cursor)
		return;
	for (unsigned i = 0; i < cursor->runs; i++)
		free(cursor->heap[i]);
	free(cursor);
}
