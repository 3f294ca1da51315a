/* One lane: its source, its core, its sinks, its thread. lanes.c makes it; lane_run() is the thread. */
#ifndef FLOWLANE_LANE_H
#define FLOWLANE_LANE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core.h"
#include "flowlane/sink.h"
#include "flowlane/source.h"
#include "own_traffic.h"
#include "prefilter.h"

#define LANE_SINKS_MAX 32
#define LANE_NO_LIMIT  UINT64_MAX
#define LANE_TICK_NS   ((uint64_t)100 * 1000 * 1000) /* live: how often sinks may send what waits in buffers */

struct lane_sink {
	const struct sink_ops *ops;
	struct sink *sink;
	bool frames; /* frames go to this lane's sink: with several lanes on a file, to lane 0's alone, which reads them all */
};

struct lane {
	unsigned number;
	struct source *source;
	struct core *core;
	struct prefilter prefilter; /* which frames pass */
	struct cutoff cutoff;       /* what else was counted, if it `cuts` */
	bool cuts;
	/* Frames to take at most. Files: this lane's own count, for each lane reads every frame. Live: one count for all lanes. */
	atomic_uint_fast64_t *left;
	atomic_uint_fast64_t own_left;
	const atomic_bool *stop; /* written by control and signal handlers; live lanes go on to the end of their rings */
	unsigned sinks_count;
	struct lane_sink sinks[LANE_SINKS_MAX];
	bool places;         /* a sink wants to know where frames lie in the file */
	bool leaves_out_own; /* live: frames of our own stream to a collector are none of the traffic */
	struct own_view own;
	uint64_t tick_due_ns;
	atomic_bool flush; /* written by control: what waits in buffers goes out at once */
	pthread_t thread;

	/* written by the lane, read by control (base/counters.h) */
	uint64_t batches;       /* rounds of the loop: it stands still only in a lane that is stuck */
	uint64_t flows_sampled; /* finished TCP and UDP flows of two packets or more ... */
	uint64_t flows_oneway;  /* ... and those of them that only one side sent */
	atomic_bool done;
	int error;       /* valid once done */
	uint64_t cpu_ns; /* valid once done */
};

/* Thread function; argument: struct lane *. From the first frame to the detached sinks. */
void *lane_run(void *lane);

/* A flow_records_fn: passes finished flows to the lane's sinks. */
void lane_records(void *lane, const struct flow_record *records, unsigned n);

/* An rtt_samples_fn: passes RTT samples to the sinks that want them. */
void lane_rtt_samples(void *lane, const struct rtt_sample *samples, unsigned n);

/* The same for one-way records and for packets of flows. */
void lane_ways(void *lane, const struct flow_way *ways, unsigned n);
void lane_pieces(void *lane, const struct flow_way *pieces, unsigned n);
void lane_packets(void *lane, const struct packet *const *packets, unsigned n);

#endif
