/*
 * An index on its way to the disk. Flows come in rounds; a round is written as a sorted file per column family, which RocksDB then
 * takes in as a whole: no log, no second copy in memory. The first round of a key is a value, what comes later is merged with it.
 *
 *   table ─▶ round: packets.0.new, flows.0.new, ... ─▶ database ─▶ (after the last, if there were several) compaction: one value per key
 *
 * Packets go in before their flows' records: whatever moment the process dies at, the flows that are listed have their packets.
 * One thread.
 */
#ifndef FLOWLANE_INDEX_STORE_H
#define FLOWLANE_INDEX_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "index_runs.h"
#include "index_table.h"

struct index_store;

/* Whether `path` can become an index: there is nothing, an empty directory, or an older index of ours. 0 or a negative errno, logged. */
int index_store_check(const char *path);
/* Makes its directory, in place of an older index. The description of what it will be goes there first: it says that the directory is
 * ours, should the process die at once. 0 or a negative errno, logged. */
int index_store_prepare(const char *path);
/* Makes the database in it. `merges`: any number of rounds will come; else one. 0 or a negative errno, logged. */
int index_store_create(const char *path, bool merges, struct index_store **store);
/* While there is time, before the one round of an index that needs no merges: makes room on the disk for that many flows and packets, a
 * piece in each call. True: there is more to do. It never fails. */
bool index_store_reserve(struct index_store *store, uint64_t flows, uint64_t packets);
/* Writes the round at hand of the table, of `count` flows. 0 or a negative errno, logged: nothing of it is in the index, or, for lack
 * of space while its records were taken in, only packets. */
int index_store_write(struct index_store *store, const struct index_table *table, uint64_t count);
/* Instead, once and into an empty index: all that waits in runs. */
int index_store_write_runs(struct index_store *store, struct index_runs *runs);
uint64_t index_store_rounds(const struct index_store *store);
/* After the last round: values that were written in parts become one, so that readers need no merge operator. */
int index_store_finish(struct index_store *store);
uint64_t index_store_bytes(const char *path);      /* on disk, of all its files */
void index_store_close(struct index_store *store); /* accepts NULL */
/* Removes an index of ours, and nothing else. 0 or a negative errno, logged. */
int index_store_remove(const char *path);

#endif
