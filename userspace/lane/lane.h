/* One lane: its source, its core, its sinks, its thread. lanes.c makes it; lane_run() is the thread. */
#ifndef FLOWLANE_LANE_H
#define FLOWLANE_LANE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core.h"
#include "filter.h"
#include "flowlane/sink.h"
#include "flowlane/source.h"

#define LANE_SINKS_MAX 32

struct lane_sink {
	const struct sink_ops *ops;
	struct sink *sink;
	bool frames; /* frames go to this lane's sink: with several lanes on a file, to lane 0's alone, which reads them all */
};

struct lane {
	unsigned number;
	struct source *source;
	struct core *core;
	const struct filter *filter; /* NULL: all frames pass */
	uint64_t count;              /* frames to take at most */
	const atomic_bool *stop;     /* written by control and signal handlers */
	unsigned sinks_count;
	struct lane_sink sinks[LANE_SINKS_MAX];
	pthread_t thread;

	/* written by the lane, read by control */
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

#endif
