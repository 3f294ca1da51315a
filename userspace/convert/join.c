#include "join.h"

#include <stdlib.h>
#include <string.h>

#include "way_row.h"

#define NONE UINT32_MAX

/* A record that waits; in its hash chain, and in the row of all in the order they came. */
struct waiting {
	struct record record;
	uint32_t chain_next;
	uint32_t older, newer;
};

struct join {
	uint64_t inactive_ms;
	uint64_t candidate_s; /* records at least this long may have been cut */
	join_output_fn *output;
	void *context;
	struct join_report report;
	uint32_t capacity, buckets; /* buckets: a power of two */
	uint32_t fresh;             /* entries from here on were never used */
	uint32_t free_list;         /* through chain_next */
	uint32_t oldest, newest;
	uint32_t *bucket;
	struct waiting *entries;
};

struct join *join_create(uint64_t inactive_ms, uint64_t active_ms, uint32_t capacity, join_output_fn *output, void *context)
{
	struct join *join = calloc(1, sizeof(*join));

	if (!join)
		return NULL;
	*join = (struct join){
		.inactive_ms = inactive_ms,
		.candidate_s = active_ms > inactive_ms ? (active_ms - inactive_ms + 999) / 1000 : 0,
		.output = output,
		.context = context,
		.capacity = capacity,
		.buckets = 2,
		.free_list = NONE,
		.oldest = NONE,
		.newest = NONE,
	};
	while (join->buckets < capacity)
		join->buckets *= 2;
	join->bucket = malloc(join->buckets * sizeof(*join->bucket));
	join->entries = malloc(capacity * sizeof(*join->entries)); /* touched as far as it is used */
	if (!join->bucket || !join->entries) {
		join_destroy(join);
		return NULL;
	}
	memset(join->bucket, 0xff, join->buckets * sizeof(*join->bucket));
	return join;
}

void join_destroy(struct join *join)
{
	if (!join)
		return;
	free(join->bucket);
	free(join->entries);
	free(join);
}

const struct join_report *join_report(const struct join *join)
{
	return &join->report;
}

/* The key: all that the reference's first 14 fields are. */
static bool row_same_key(const struct way_row *x, const struct way_row *y)
{
	return x->af == y->af && x->prot == y->prot && x->sp == y->sp && x->dp == y->dp && x->inif == y->inif &&
	       x->outif == y->outif && !memcmp(x->sa, y->sa, sizeof(x->sa)) && !memcmp(x->da, y->da, sizeof(x->da));
}

static uint64_t mix(uint64_t h, uint64_t value)
{
	h = (h ^ value) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 32;
}

static uint32_t *row_bucket(const struct join *join, const struct way_row *row)
{
	uint64_t h = mix((uint64_t)row->af << 40 | (uint64_t)row->prot << 32 | (uint64_t)row->sp << 16 | row->dp, 0);

	for (unsigned i = 0; i < 4; i++)
		h = mix(h, (uint64_t)row->sa[i] << 32 | row->da[i]);
	return &join->bucket[mix(h, (uint64_t)row->inif << 32 | row->outif) & (join->buckets - 1)];
}

static uint32_t join_find(const struct join *join, const struct way_row *row)
{
	uint32_t at = *row_bucket(join, row);

	while (at != NONE && !row_same_key(&join->entries[at].record.row, row))
		at = join->entries[at].chain_next;
	return at;
}

static void join_remove(struct join *join, uint32_t at)
{
	struct waiting *entry = &join->entries[at];
	uint32_t *link = row_bucket(join, &entry->record.row);

	while (*link != at)
		link = &join->entries[*link].chain_next;
	*link = entry->chain_next;
	*(entry->older == NONE ? &join->oldest : &join->entries[entry->older].newer) = entry->newer;
	*(entry->newer == NONE ? &join->newest : &join->entries[entry->newer].older) = entry->older;
	entry->chain_next = join->free_list;
	join->free_list = at;
}

/* Takes it out and hands it on. */
static int join_release(struct join *join, uint32_t at)
{
	struct record record = join->entries[at].record;

	join_remove(join, at);
	return join->output(join->context, &record);
}

static int join_insert(struct join *join, const struct record *record)
{
	int error = 0;
	uint32_t at;

	if (join->free_list == NONE && join->fresh == join->capacity) {
		join->report.crowded++;
		error = join_release(join, join->oldest);
	}
	if (join->free_list != NONE) {
		at = join->free_list;
		join->free_list = join->entries[at].chain_next;
	} else {
		at = join->fresh++;
	}
	struct waiting *entry = &join->entries[at];
	uint32_t *bucket = row_bucket(join, &record->row);
	*entry = (struct waiting){ .record = *record, .chain_next = *bucket, .older = join->newest, .newer = NONE };
	*bucket = at;
	*(join->newest == NONE ? &join->oldest : &join->entries[join->newest].newer) = at;
	join->newest = at;
	return error;
}

/* As the reference: by whole seconds. */
static bool row_may_go_on(const struct join *join, const struct way_row *row)
{
	return row->last >= row->first && row->last - row->first >= join->candidate_s;
}

static int join_pass(struct join *join, const struct record *record)
{
	return row_may_go_on(join, &record->row) ? join_insert(join, record) : join->output(join->context, record);
}

/* y follows x: x becomes both. */
static void record_extend(struct record *x, const struct record *y)
{
	x->row.last = y->row.last;
	x->row.last_ms = y->row.last_ms;
	x->row.packets += y->row.packets;
	x->row.octets += y->row.octets;
	x->row.aggs = (x->row.aggs ? x->row.aggs : 1) + (y->row.aggs ? y->row.aggs : 1);
	x->row.tcp_flags |= y->row.tcp_flags;
	x->extra.received_ms = y->extra.received_ms;
	x->extra.end_reason = y->extra.end_reason;
}

int join_put(struct join *join, const struct record *given)
{
	struct record record = *given;
	int error;

	record.row.aggs = record.row.aggs ? record.row.aggs : 1;
	uint32_t at = join_find(join, &record.row);
	if (at == NONE)
		return join_pass(join, &record);
	struct record old = join->entries[at].record;
	join_remove(join, at);
	if (way_row_first_ms(&record.row) < way_row_last_ms(&old.row) &&
		way_row_first_ms(&old.row) >= way_row_last_ms(&record.row)) {
		struct record swap = old; /* they came in reverse */
		old = record;
		record = swap;
	}
	if (way_row_first_ms(&record.row) < way_row_last_ms(&old.row)) {
		join->report.overlaps++;
		error = join->output(join->context, &old);
		return error ? error : join->output(join->context, &record);
	}
	if (way_row_first_ms(&record.row) - way_row_last_ms(&old.row) > join->inactive_ms) {
		error = join->output(join->context, &old);
		return error ? error : join_pass(join, &record);
	}
	join->report.joined++;
	record_extend(&old, &record);
	/* Whether more may follow depends on the last piece alone. */
	return row_may_go_on(join, &record.row) ? join_insert(join, &old) : join->output(join->context, &old);
}

int join_finish(struct join *join)
{
	int error = 0;

	while (join->oldest != NONE && !error)
		error = join_release(join, join->oldest);
	return error;
}
