/*
 * The flow table of one lane: which flow a packet belongs to, and when flows end. Lane's thread only.
 *
 *   hash ─▶ bucket (64 B: eight 16-bit tags, eight slot numbers) ─▶ slab entry (include/flowlane/live.h)
 *             │ full
 *             └─▶ second bucket, for the few that found no room in the first
 *
 * A batch goes through in three passes, so that no pass waits for memory that an earlier one did not ask for:
 * flow_table_prefetch() for all packets, flow_table_match() for all, then flow_table_hit() or flow_table_get() for one after the other.
 *
 * Memory is reserved at creation and bounded by max_flows. A new flow that finds the table full evicts one: of the
 * flows in its bucket a half-open or closed one if there is, else the least recently used.
 */
#ifndef FLOWLANE_FLOW_TABLE_H
#define FLOWLANE_FLOW_TABLE_H

#include <stdint.h>

#include "flowlane/cutoff.h"
#include "flowlane/ledger.h"
#include "flowlane/live.h"
#include "flowlane/packet.h"
#include "flow_identity.h"
#include "flow_ways.h"
#include "hash.h"

#define FLOW_SLOT_NONE UINT32_MAX
#define FLOW_TABLE_MAX ((uint32_t)1 << 29) /* flows: slot numbers have 32 bits, and a TCP and another flow take seven */

/* Takes n finished flows; called on the packet path. */
typedef void flow_records_fn(void *context, const struct flow_record *records, unsigned n);

struct flow_table_options {
	uint32_t max_flows;  /* of this table */
	uint64_t timeout_ns; /* idle; FLOW_NO_TIMEOUT: never */
	bool populate;       /* live: memory that the first flows touch is there before they come */
	struct hash_seed seed;
	struct ledger *ledger; /* flows_created, flows_ended, flows_alive are kept here */
	flow_records_fn *on_records;
	void *context;
	const struct flow_ways_options *ways; /* NULL: no one-way records */
	const uint32_t *sample;               /* N: one flow in N is taken; relaxed atomic; NULL: all */
	const struct cutoff *cutoff;          /* what else was counted of a flow; NULL: nothing */
};

struct flow_table_sizes {
	uint64_t bucket_bytes; /* reserved */
	uint64_t slab_bytes;
	uint64_t timer_bytes;
	uint64_t ways_bytes; /* with one-way records */
};

struct flow_table;

/* 0 or a negative errno; nothing is logged. */
int flow_table_create(const struct flow_table_options *options, struct flow_table **table);
void flow_table_destroy(struct flow_table *table); /* accepts NULL */
void flow_table_sizes(uint32_t max_flows, struct flow_table_sizes *sizes);

/* NULL: no one-way records. The caller adds each packet to its direction. */
struct flow_ways *flow_table_ways(const struct flow_table *table);

/* Time begins: at the first packet of the input, whether or not it is of this table. Without it, with the first flow. */
void flow_table_start(struct flow_table *table, uint64_t now_ns);

/* First pass: asks for the packets' buckets. All packets have VERDICT_FLOW; n <= FLOWLANE_BATCH. */
void flow_table_prefetch(const struct flow_table *table, const struct packet *const *packets, unsigned n);

/* Second pass: what probably is each packet's flow, its lines asked for; NULL: probably new. */
void flow_table_match(const struct flow_table *table, const struct packet *const *packets, unsigned n, struct flow **flows);

/* Third pass, and nearly always its end: the match is the packet's flow, and saw its last packet at most quiet_ns before. */
static inline bool flow_table_hit_soon(const struct flow *match, const struct packet *packet, uint64_t quiet_ns)
{
	return match && flow_is(match, packet) && packet->frame->ts_ns - match->last_ns <= quiet_ns;
}

/* The match is the packet's flow, and it has not timed out. */
static inline bool flow_table_hit(const struct flow *match, const struct packet *packet, uint64_t timeout_ns)
{
	return match && flow_is(match, packet) && !flow_is_over(match, packet, timeout_ns);
}

/*
 * Else: a packet that has no flow yet begins one, if no other flow must end for it. NULL: flow_table_get() is to be asked. What was
 * said there about the result holds here too.
 */
struct flow *flow_table_begin(struct flow_table *table, const struct packet *packet);
/*
 * The same of a SYN without ACK, FIN and RST, and where there are no one-way records. It is counted into the flow, too, as by
 * flow_update(). NULL also where it takes a closer look: flow_table_begin() is to be asked.
 */
struct flow *flow_table_open(struct flow_table *table, const struct packet *packet);

/*
 * The flow of the packet, made if there is none, or if the one there had timed out (its record is written, and the packet
 * starts a new one). The packet is not counted yet. Never NULL. For TCP the result is the start of a struct tcp_flow. Flows
 * may end: pointers from flow_table_match() are to be compared again (flow_table_hit() does), others are void.
 */
struct flow *flow_table_get(struct flow_table *table, const struct packet *packet);

/* Ends the flow and starts a new one of the same key in its place. */
void flow_table_restart(struct flow_table *table, struct flow *flow, const struct packet *packet, enum flow_end end);

/* The time from which flow_table_expire() has work. */
uint64_t flow_table_due_ns(const struct flow_table *table);

/* Ends flows that had timed out by now_ns. Cost: that of the flows looked at, 15 in one go; never a sweep. */
void flow_table_expire(struct flow_table *table, uint64_t now_ns);

/* Hands out what is left: as timed out if it had by now_ns, else as FLOW_ALIVE. The table is empty then. */
void flow_table_drain(struct flow_table *table, uint64_t now_ns);

#endif
