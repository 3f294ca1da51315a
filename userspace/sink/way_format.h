/*
 * A one-way format, as ways_output.c drives it: one state per run, and writers on it. Live there is a writer per lane, and records
 * come as they end. From files there is one writer, at the end, which gets all records in the order of their end: so the result
 * does not depend on the number of lanes.
 */
#ifndef FLOWLANE_WAY_FORMAT_H
#define FLOWLANE_WAY_FORMAT_H

#include "flowlane/sink.h"

struct way_state; /* private to each format */
struct way_writer;

struct way_format {
	const char *name;                                                              /* of the report: "pipe" */
	const char *(*wanted)(const struct config *config);                            /* where to: its option; NULL: not wanted */
	int (*open)(const struct config *config, bool live, struct way_state **state); /* 0, or a negative errno, logged */
	int (*attach)(struct way_state *state, struct way_writer **writer);            /* the same */
	void (*put)(struct way_writer *writer, const struct flow_way *ways, unsigned n); /* packet path, if live */
	void (*tick)(struct way_writer *writer, uint64_t now_ns);                        /* live, as sink_ops.tick */
	void (*detach)(struct way_writer *writer);
	/* Finishes; report NULL: undoes. `error`: records are missing for that reason, which was logged. Frees the state. */
	void (*close)(struct way_state *state, int error, struct output_report *report);
	void (*reopen)(struct way_state *state); /* as sink_ops.reopen; NULL: no use for it */
	void (*so_far)(
		const struct way_state *state, struct output_report *report); /* live, as sink_ops.so_far; NULL: no file grows */
};

/* Those that take pieces, and those that take whole directions. */
extern const struct way_format way_pipe, way_nfcapd;
extern const struct way_format way_csv_flow, way_binary, way_hist;

#endif
