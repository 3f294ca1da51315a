/* What the files of lanes_*.c share. Private to lane/. */
#ifndef FLOWLANE_LANES_INTERNAL_H
#define FLOWLANE_LANES_INTERNAL_H

#include "anomaly.h"
#include "capture.h"
#include "lane.h"
#include "lanes.h"
#include "stream_receiver.h"

struct lanes {
	const struct config *config;
	atomic_bool stop;
	atomic_bool reopen;
	struct filter *filter;   /* NULL: none */
	struct rules_set *rules; /* NULL: none; those in force */
	unsigned rules_loaded;   /* times that others came into force */
	uint32_t sample;         /* as it is now */
	bool sample_changed;     /* so no one factor is right for all flows */
	struct hash_seed seed;   /* of flows, on all lanes, and of what detectors watch */
	unsigned count;
	unsigned started;
	struct lane *lane;          /* [count] */
	struct shared_file *shared; /* NULL: one lane, or live */
	struct anomaly *anomaly;    /* NULL: nobody looks for anomalies */
	unsigned outputs_count;
	struct {
		const struct sink_ops *ops;
		struct output *output;
	} outputs[LANE_SINKS_MAX];

	/* live */
	struct capture *capture;          /* NULL: files, or streams */
	struct stream_receiver *receiver; /* NULL: files, or interfaces */
	bool live;                        /* what a lane receives is its own; else each lane reads all */
	atomic_uint_fast64_t left;        /* frames that all lanes together may still take */
	bool detached;                    /* no more frames come; the lanes empty their rings */
	bool gone;                        /* an interface went away */
	uint64_t end_ns;                  /* monotonic time of --duration; 0: none */
	uint64_t watch_due_ns;
	uint64_t batches_seen[LANES_MAX]; /* by the watchdog */
	unsigned still_secs[LANES_MAX];
};

/* --- lanes_select.c ------------------------------------------------------------------------------------------------------- */

/* The capture, with what its program selects by. 0 or a negative errno, logged. */
int lanes_open_capture(struct lanes *lanes);
/* Once sources are open: what each lane selects by, or asks the program for. 0 or a negative errno, logged. */
int lanes_select(struct lanes *lanes);
void lanes_unselect(struct lanes *lanes);

#endif
