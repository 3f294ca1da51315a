/* How RocksDB joins what was written for one key at different times. Any thread. */
#ifndef FLOWLANE_INDEX_MERGE_H
#define FLOWLANE_INDEX_MERGE_H

#include <rocksdb/c.h>

/* Adds counters, first is the earliest, last the latest. Owned by the options that it is set in. */
rocksdb_mergeoperator_t *index_merge_flows(void);
/* Appends packets. */
rocksdb_mergeoperator_t *index_merge_packets(void);

#endif
