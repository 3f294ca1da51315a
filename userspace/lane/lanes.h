/*
 * All lanes of a run: open, start, watch, finish. Called by the control thread only; lanes_stop() from a signal handler too.
 *
 *   lanes_open -> lanes_attach -> lanes_start -> (lanes_wait, lanes_progress)* -> lanes_finish -> lanes_close
 */
#ifndef FLOWLANE_LANES_H
#define FLOWLANE_LANES_H

#include <stdbool.h>
#include <stdint.h>

#include "capture.h"
#include "flowlane/config.h"
#include "flowlane/ledger.h"
#include "flowlane/sink.h"
#include "flowlane/streams.h"

struct lanes;

struct lanes_progress {
	uint64_t bytes_done;  /* of the input */
	uint64_t bytes_total; /* 0: unknown */
	struct ledger ledger; /* sum over the lanes, so far */
	uint64_t lost;        /* live: packets lost before a lane got them */
};

struct lane_report {
	struct ledger ledger;
	uint64_t cpu_ns; /* of the lane's thread */
};

#define LANES_MAX         64
#define LANES_OUTPUTS_MAX 128 /* 32 sinks of up to SINK_REPORTS_MAX files */

/* What the tables may take at most, and what one flow takes. */
struct lanes_sizes {
	uint32_t max_flows;
	uint64_t table_bytes; /* reserved for buckets, all lanes */
	uint64_t slab_bytes;  /* reserved for flow records */
	uint64_t timer_bytes;
	uint64_t anomaly_bytes;  /* for the detectors; 0: there are none */
	uint64_t ways_bytes;     /* for one-way records; 0: no output has them */
	uint32_t tcp_flow_bytes; /* one TCP flow's slab entry */
	uint32_t other_flow_bytes;
};

/* What a run came to. */
struct lanes_report {
	struct ledger total;
	unsigned lanes;
	struct lane_report lane[LANES_MAX];
	unsigned outputs;
	struct output_report output[LANES_OUTPUTS_MAX];
	bool truncated; /* an input ended inside a record */
	bool stopped;   /* by lanes_stop(), before the input's end */
	bool live;
	bool gone;                     /* live: an interface went away */
	struct capture_report capture; /* live */
	struct alert_report alerts;
	bool receiving;                /* live: from sensors */
	struct streams_report streams; /* of them */
	uint64_t flows_sampled;        /* finished TCP and UDP flows of two packets or more ... */
	uint64_t flows_oneway;         /* ... and those of them that only one side sent */
	unsigned rules;                /* in force at the end */
	unsigned rules_replaced;       /* times that others came into force */
	uint32_t sample;               /* N of 1/N at the end; 0: all */
	bool sample_changed;           /* it was another one before */
	int error;                     /* 0, or the first negative errno of a source */
	struct source_info source;
	struct lanes_sizes sizes;
};

void lanes_sizes(const struct config *config, unsigned lanes, struct lanes_sizes *sizes);

/* Opens inputs, outputs and tables for each lane. 0, or a negative errno that was logged as a sentence. */
int lanes_open(const struct config *config, struct lanes **lanes);
/* Live: frames begin to arrive; the last step that needs privileges. Else nothing. 0, or a negative errno, logged. */
int lanes_attach(struct lanes *lanes);
/* Closing will need CAP_NET_ADMIN, to put the NIC's settings back. */
bool lanes_need_admin(const struct lanes *lanes);
int lanes_start(struct lanes *lanes);
/* Waits up to timeout_ms for all lanes to reach their end. True: they have. */
bool lanes_wait(struct lanes *lanes, unsigned timeout_ms);
/* Asks the lanes to end after the batch at hand. Async-signal-safe. */
void lanes_stop(struct lanes *lanes);
/* Asks for outputs to be reopened under their names (SIGHUP, log rotation); the next lanes_wait() does it. Async-signal-safe. */
void lanes_reopen(struct lanes *lanes);
/* Reads the file of rules again, and puts it in force (live only). `said`: what came of it, a sentence. 0 or a negative errno: the old
 * rules stay. */
int lanes_reload_rules(struct lanes *lanes, char *said, size_t size);
/* One flow in `sample` from now on (live only). */
void lanes_flush(struct lanes *lanes); /* live: what waits in buffers goes out now */
int lanes_set_sample(struct lanes *lanes, uint32_t sample, char *said, size_t size);
/* A consistent enough picture while the lanes run (each counter is exact, but they are not read at one instant). */
void lanes_progress(const struct lanes *lanes, struct lanes_progress *progress);
/* The same as a report, with each lane's ledger and the stages before; without what only the end can tell (times, sizes; of
 * outputs there is what sink_ops.so_far gives). */
void lanes_report_so_far(const struct lanes *lanes, struct lanes_report *report);
/* Joins the threads, drains the tables into the outputs, finishes the files. Never fails: errors are in the report. */
void lanes_finish(struct lanes *lanes, struct lanes_report *report);
void lanes_close(struct lanes *lanes); /* accepts NULL and half-opened */

#endif
