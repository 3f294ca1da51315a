/*
 * Where results go. An output is the file (or files) behind it, one per run; a sink is one lane's handle on it.
 *
 *   control thread   open ───────────────────────────────────────────────▶ close (sort, finish, rename)
 *   lane 0..N-1            attach ─▶ frames / flows ... ─▶ detach
 *
 * attach may be called by the control thread; detach by the lane's thread or any after it. All sinks of an output are detached
 * before it is closed. Paths were checked against each other and the inputs by control.
 *
 * frames() and flows() run on the packet path: no malloc, no lock but one per full chunk. An error (disk full) is logged once
 * by the output, counted, and never stops the lane: what cannot be written is in output_report.lost.
 */
#ifndef FLOWLANE_SINK_H
#define FLOWLANE_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/alert.h"
#include "flowlane/config.h"
#include "flowlane/flow.h"
#include "flowlane/packet.h"
#include "flowlane/source.h"

enum sink_wants {
	SINK_FRAMES = 1 << 0,  /* every frame that passed the filter, undecodable ones too, in the order of the source */
	SINK_RTT = 1 << 2,     /* every RTT sample */
	SINK_FLOWS = 1 << 1,   /* finished flows, and at the end those still alive (end == FLOW_ALIVE) */
	SINK_WAYS = 1 << 3,    /* finished directions of flows */
	SINK_PIECES = 1 << 4,  /* the same, cut by the active timeout */
	SINK_PACKETS = 1 << 5, /* every packet that belongs to a flow of this lane */
	SINK_ALERTS = 1 << 6,  /* what the anomaly detectors found; with --anomalies only */
};

struct output; /* private to each sink file */
struct sink;

/* How an output's records add up, where written and lost is not all there is to say. */
struct output_detail {
	const char *name; /* NULL: no more */
	uint64_t count;
};

#define OUTPUT_DETAILS_MAX 8

struct output_report {
	const char *name; /* "pcap", "json" ... */
	char path[512];   /* as the user will find it */
	uint64_t records; /* written */
	uint64_t bytes;   /* written */
	uint64_t lost;    /* records that could not be written */
	unsigned files;   /* with rotation: how many were begun */
	int error;        /* 0, or the first negative errno */
	struct output_detail details[OUTPUT_DETAILS_MAX];
};

struct sink_ops {
	const char *name;
	unsigned wants; /* enum sink_wants */
	bool (*wanted)(const struct config *config);
	/* 0, or a negative errno that was logged with path and reason. */
	int (*open)(const struct config *config, const struct source_info *info, struct output **output);
	int (*attach)(struct output *output, unsigned lane, struct sink **sink);
	/* Control thread, once, when all is attached and privileges are given up: the output's own threads begin here, because they
	 * keep the capabilities that there are when they begin. 0, or a negative errno, logged. NULL: it has none. */
	int (*start)(struct output *output);
	void (*frames)(struct sink *sink, const struct frame *frames, unsigned n);
	/* Before frames(), if there are any: where the frames of this batch lie in the file that is read. Frames that the filter left
	 * out count, too: frame.number is the place of a frame among them all. Not called unless source_info.places. */
	void (*place)(struct sink *sink, const struct batch_place *place);
	void (*flows)(struct sink *sink, const struct flow_record *records, unsigned n);
	void (*rtt)(struct sink *sink, const struct rtt_sample *samples, unsigned n);
	void (*ways)(struct sink *sink, const struct flow_way *ways, unsigned n);
	void (*pieces)(struct sink *sink, const struct flow_way *pieces, unsigned n);
	void (*packets)(struct sink *sink, const struct packet *const *packets, unsigned n);
	/* To the output, not to a lane's sink: alerts are about all lanes. Between start and close, from whichever thread runs the
	 * detectors, one at a time, while lanes may be in their sinks; the last ones come after all sinks are detached. An output
	 * that wants nothing but alerts has no attach and no detach. */
	void (*alerts)(struct output *output, const struct alert *alerts, unsigned n);
	/* Live only, about ten times a second, also while nothing arrives: what waits too long in a buffer goes out. now_ns: UNIX time. */
	void (*tick)(struct sink *sink, uint64_t now_ns);
	/* No more frames come; of those that came, flows may until detach. */
	void (*end)(struct sink *sink);
	void (*detach)(struct sink *sink);
	/* Finishes the files. `reports` has room for SINK_REPORTS_MAX (an output can be several files: JSON and CSV share one
	 * sorted spool); returns how many were filled. Frees the output. NULL: the run did not come about (another output could
	 * not be opened); nothing is finished, files from before stay. */
	unsigned (*close)(struct output *output, struct output_report *reports);
	/* Control thread, while lanes write: name, records and lost so far of what close() will report (the rest of `reports` is zero).
	 * Returns how many were filled. NULL: nothing is written before the end. */
	unsigned (*so_far)(const struct output *output, struct output_report *reports);
	/* Control thread, while lanes write: goes on in a new file of the same name, if the name no longer leads to the old one
	 * (log rotation moved it). NULL: the output has no use for it. */
	void (*reopen)(struct output *output);
};

#define SINK_REPORTS_MAX 4

/* All sinks of this build, NULL at the end. A new format is one file and one row in sink/registry.c. */
extern const struct sink_ops *const sink_registry[];

#endif
