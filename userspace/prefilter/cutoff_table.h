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

/*
 * Packets are looked at ahead of the flow table, which asks what was counted of a flow when it sees that the flow is over. So between
 * the packet that may begin another flow and the first one that is counted for it, the flow table must have had its turn.
 */
enum cutoff_verdict {
	CUTOFF_PASS,
	CUTOFF_COUNTED, /* it is counted here, and is for nobody else */
	CUTOFF_LATER,   /* nothing was done: once what passed so far is in the flow table, cutoff_table_round(), and again */
};

/* Packet path. */
enum cutoff_verdict cutoff_table_look(struct cutoff_table *table, const struct frame *frame);
/* All that passed is in the flow table. */
void cutoff_table_round(struct cutoff_table *table);

/* As struct cutoff wants it; context: the table. */
bool cutoff_table_get(void *table, const struct flow_key *key, bool take, struct cutoff_counts *counts);

#endif
