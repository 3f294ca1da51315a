/*
 * The cutoff for files: which packets come after their flow has had its bytes, and how many they are. What the XDP program's maps do
 * live. One lane's thread. Each lane of several keeps the table of all flows, and decides alike.
 */
#ifndef FLOWLANE_CUTOFF_TABLE_H
#define FLOWLANE_CUTOFF_TABLE_H

#include "flowlane/cutoff.h"
#include "flowlane/packet.h"

struct cutoff_table;

/* cutoff_bytes: of a flow; idle_ns: after so much silence it is another flow, UINT64_MAX: never. 0 or -ENOMEM. */
int cutoff_table_create(uint64_t cutoff_bytes, uint64_t idle_ns, bool key_vlan, struct cutoff_table **table);
void cutoff_table_destroy(struct cutoff_table *table); /* accepts NULL */

/* Packet path. True: the packet is counted here, and is for nobody else. */
bool cutoff_table_cuts(struct cutoff_table *table, const struct frame *frame);

/* As struct cutoff wants it; context: the table. */
bool cutoff_table_get(void *table, const struct flow_key *key, bool take, struct cutoff_counts *counts);

#endif
