/*
 * Rounds of an index whose capture is a file: they wait in files of their own, and are joined key by key when all are there. That is
 * many times faster than to give each to the database and have it merge them, and nothing is lost with it: who breaks off
 * indexes the file again.
 *
 *   round 1: run.1  | key, record, items | key, record, items | ...    sorted by key
 *   round 2: run.2  | key, record, items | ...                          ─▶ index_runs_next(): the smallest key, of all runs
 *
 * One thread.
 */
#ifndef FLOWLANE_INDEX_RUNS_H
#define FLOWLANE_INDEX_RUNS_H

#include <stddef.h>

#include "index_table.h"

struct index_runs;

/* The files are made in `directory`. NULL: no memory. */
struct index_runs *index_runs_create(const char *directory);
/* Writes the round at hand of the table, of `count` flows. 0 or a negative errno, logged. */
int index_runs_add(struct index_runs *runs, const struct index_table *table, uint64_t count);
unsigned index_runs_count(const struct index_runs *runs);

/* After the last round, for each key in order: the sum of its records. 1; 0: no more; or a negative errno, logged. */
int index_runs_next(struct index_runs *runs, struct index_key *key, struct index_flow *record);
/* Its packets, of round after round: up to `n`, at most INDEX_COUNT_MAX in all. How many; 0: those were all, and not before is the next
 * key's turn; or a negative errno, logged. */
int index_runs_items(struct index_runs *runs, struct index_item *items, unsigned n);
void index_runs_destroy(struct index_runs *runs); /* removes the files; accepts NULL */

#endif
