/*
 * The ledger: every packet is counted exactly once. One per lane (written by the lane, read by control with relaxed
 * atomics, see base/counters.h); the summary adds them up.
 */
#ifndef FLOWLANE_LEDGER_H
#define FLOWLANE_LEDGER_H

#include <stdint.h>

#include "flowlane/flow.h"
#include "flowlane/verdict.h"

struct ledger {
	uint64_t packets_read;     /* by this lane; with several lanes on a file: only those this lane is accountable for */
	uint64_t bytes_read;       /* wire length of those */
	uint64_t dropped_filter;   /* did not match the filter expression */
	uint64_t dropped_rules;    /* files: denied by the rules; live, here and below, the XDP program has counted them */
	uint64_t dropped_sample;   /* files: of a flow that is not in the sample */
	uint64_t cut_off;          /* files: of a flow that has had its bytes */
	uint64_t cut_off_recorded; /* of these, and those that XDP cut off: in records of flows */
	uint64_t dropped_own;      /* live: of the connection over which this process streams packets to a collector */
	uint64_t verdicts[VERDICT_COUNT];

	uint64_t flows_created;
	uint64_t flows_ended[FLOW_END_COUNT];
	uint64_t flows_alive; /* at this moment */

	uint64_t rtt_samples[RTT_SOURCE_COUNT];
	uint64_t rtt_ambiguous;       /* acknowledged, but sent more than once, or reordered: no sample (Karn, tcptrace) */
	uint64_t rtt_unqueued;        /* segments not timed: the outstanding list was full */
	uint64_t fragments_unmatched; /* non-initial fragments whose first one was not seen: counted to the 3-tuple flow */

	uint64_t first_packet_ns; /* packet time; 0: none yet */
	uint64_t last_packet_ns;  /* the highest so far */
};

#endif
