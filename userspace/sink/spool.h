/*
 * Flow records waiting to be written in order. Memory is bounded whatever the number of flows:
 *
 *   lane 0   buffer ──full──▶ sort ──▶ run | run | run       one unlinked temporary file per lane
 *   lane 1   buffer                                     ╲
 *               └── at the end: sort ────────────────────┴─▶ k-way merge ─▶ cursor ─▶ JSON, CSV ...
 *
 * The order is total (it ends with the bytes of the record), so it does not depend on lanes, runs or timing.
 *
 * spool_add: the lane's thread. spool_finish: once, when all lanes are done; then any number of cursors, each its own thread.
 */
#ifndef FLOWLANE_SPOOL_H
#define FLOWLANE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flowlane/flow.h"

enum spool_order {
	SPOOL_BY_BYTES, /* bytes_total descending, then key, first_ns, last_ns, the rest */
	SPOOL_BY_END,   /* end_ns ascending, then the same */
};

/* Per lane. 1.4 million records; reserved, but backed by memory only as far as it is used. Sorting takes a quarter of it
 * on top while it runs. */
#define SPOOL_BUFFER_BYTES ((size_t)256 << 20)

#define SPOOL_LANES_MAX 64

struct spool;

struct spool_lane {
	struct flow_record *records;
	uint32_t used;
	uint32_t capacity;
	struct spool *spool;
	uint32_t *order; /* of `records`, once sorted */
	int fd;          /* the runs; -1: none yet */
	uint64_t *run_records;
	unsigned runs;
	uint64_t run_total;
	const struct flow_record *mapped; /* the runs, once finished */
	uint64_t lost;
};

/* `what` is for messages; `near`: a path in whose directory runs may be written ("-": none). 0, or a negative errno, logged. */
int spool_open(const char *what, const char *near, enum spool_order order, size_t buffer_bytes, struct spool **spool);
/* Lane numbers are below SPOOL_LANES_MAX, each is attached once. 0, or a negative errno, logged. */
int spool_attach(struct spool *spool, unsigned lane, struct spool_lane **attached);
/* Slow path of spool_add: sorts the full buffer and writes it out as a run. */
void spool_spill(struct spool_lane *lane);

static inline void spool_add(struct spool_lane *lane, const struct flow_record *record)
{
	if (__builtin_expect(lane->used == lane->capacity, 0))
		spool_spill(lane);
	lane->records[lane->used++] = *record;
}

/* Sorts what is still in the buffers, several lanes at a time. */
void spool_finish(struct spool *spool);
uint64_t spool_count(const struct spool *spool); /* records that the cursors will give */
uint64_t spool_lost(const struct spool *spool);  /* records that could not be kept (logged) */
int spool_error(const struct spool *spool);      /* why: 0, or the first error */
void spool_close(struct spool *spool);           /* accepts NULL */

struct spool_cursor;
/* NULL: no memory (logged). */
struct spool_cursor *spool_cursor_open(const struct spool *spool);
/* The next record in order, NULL at the end. Valid until spool_close(). */
const struct flow_record *spool_cursor_next(struct spool_cursor *cursor);
void spool_cursor_close(struct spool_cursor *cursor); /* accepts NULL */

/* <0, 0, >0; 0 only for records with equal bytes. */
int spool_compare(enum spool_order order, const struct flow_record *x, const struct flow_record *y);

#endif
