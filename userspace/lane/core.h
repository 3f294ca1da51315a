/*
 * The core of a lane: frames in, flows updated, finished flows out. No input, no output, no thread: lane.c gives it frames of
 * a source, bench/ frames of an array.
 *
 *   frames ─▶ decode, mine?, ask for buckets ─▶ match, ask for flows ─▶ count ─▶ TCP
 *                                                                          └─▶ DNS, ICMP, QUIC
 *
 * The batch goes through in chunks, as on an assembly line: memory that one station asks for arrives while the others work on
 * other chunks. And a loop that does one thing has few branches to mispredict (20 cycles each; TCP and UDP in one loop
 * made it three a packet).
 */
#ifndef FLOWLANE_CORE_H
#define FLOWLANE_CORE_H

#include "flowlane/ledger.h"
#include "flowlane/packet.h"
#include "flowlane/selection.h"
#include "flowlane/source.h"
#include "flow_table.h"

/* Takes the RTT samples of a batch; called on the packet path. */
typedef void rtt_samples_fn(void *context, const struct rtt_sample *samples, unsigned n);

/* Takes packets that belong to flows of this lane, in order; called on the packet path. */
typedef void core_packets_fn(void *context, const struct packet *const *packets, unsigned n);

struct core_options {
	bool outer;
	bool key_vlan;
	bool key_tunnel;
	struct hash_seed seed;
	uint32_t max_flows;       /* of this lane */
	uint64_t flow_timeout_ns; /* idle; FLOW_NO_TIMEOUT: never */
	bool populate;            /* live: memory that the first flows touch is there before they come */
	unsigned lane, lanes;     /* with lanes > 1: only the flows of this lane are kept, and no others' packets counted */
	flow_records_fn *on_records;
	rtt_samples_fn *on_rtt_samples; /* NULL: not wanted */
	uint64_t active_timeout_ns;     /* for one-way records; FLOW_NO_TIMEOUT: never cut */
	uint32_t ifindex;               /* for one-way records; 0: a file */
	flow_ways_fn *on_ways;          /* NULL: not wanted */
	flow_ways_fn *on_pieces;        /* NULL: not wanted */
	core_packets_fn *on_packets;    /* NULL: not wanted */
	const uint32_t *sample;         /* as in struct flow_table_options */
	const struct cutoff *cutoff;    /* NULL: no flow is cut off */
	struct anomaly_tap *tap;        /* of this lane; NULL: nobody looks for anomalies */
	void *context;
};

struct core;

int core_create(const struct core_options *options, struct core **core); /* 0 or a negative errno; nothing logged */
void core_destroy(struct core *core);                                    /* accepts NULL */

/* n <= FLOWLANE_BATCH frames, in the order of their capture. Packet path. */
void core_run(struct core *core, const struct frame *frames, unsigned n);

/* The same for a lane's own frames, whose `number` tells their place among `others`. Only before core_due_ns(). */
void core_run_mine(struct core *core, const struct frame *frames, unsigned n, const struct batch_others *others);
/* From this time on flows may end, and the core must see the frames of all lanes. */
uint64_t core_due_ns(const struct core *core);

/* Counts frames that the prefilter kept out, for one reason. */
void core_filtered(struct core *core, enum prefilter_verdict reason, unsigned n, uint64_t bytes);

/* Counts frames of our own stream to a collector. */
void core_own(struct core *core, const struct frame *frames, unsigned n);

/* Live, while no packets come: time has moved on to now_ns, flows may end. */
void core_idle(struct core *core, uint64_t now_ns);

/* Input has ended: hands out all flows. */
void core_drain(struct core *core);

/* Written by the lane's thread, readable by all (base/counters.h). */
const struct ledger *core_ledger(const struct core *core);

#endif
