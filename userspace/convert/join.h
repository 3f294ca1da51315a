/*
 * Joins what the active timeout cut apart, as flow_models.merge does it: a record that is so long that it may have been cut waits for
 * the next one with the same key, and takes it in if the gap between them is below the inactive timeout.
 *
 * Memory is bounded: when the cache is full, the record that waits longest (in the order of the input) goes on as it is.
 */
#ifndef FLOWLANE_JOIN_H
#define FLOWLANE_JOIN_H

#include "record.h"

#define JOIN_RECORDS (1u << 20) /* that wait at most: 230 MB */

struct join;

typedef int join_output_fn(void *context, const struct record *record);

struct join_report {
	uint64_t joined;   /* records that became part of another */
	uint64_t overlaps; /* records with the key of one that waits, at the same time: both go on as they are */
	uint64_t crowded;  /* records that had to go on before their time, for the cache was full */
};

/* Timeouts in ms. capacity: JOIN_RECORDS, or fewer in tests. NULL: no memory. */
struct join *join_create(uint64_t inactive_ms, uint64_t active_ms, uint32_t capacity, join_output_fn *output, void *context);
/* 0, or what output() returned. */
int join_put(struct join *join, const struct record *record);
/* Hands out what waits, in the order it came. */
int join_finish(struct join *join);
const struct join_report *join_report(const struct join *join);
void join_destroy(struct join *join); /* accepts NULL */

#endif
