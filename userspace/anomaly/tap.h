/* A lane's end of the ring of events, and the ring. Private to anomaly/. */
#ifndef FLOWLANE_TAP_H
#define FLOWLANE_TAP_H

#include "anomaly.h"
#include "event.h"

/* A packet makes two events at most: so many a batch can need. */
#define TAP_BATCH_EVENTS (2 * FLOWLANE_BATCH)

struct anomaly_tap {
	/* the lane's */
	struct anomaly *anomaly;
	const struct engine *engine; /* its seed */
	struct anomaly_event *ring;
	uint64_t mask;
	uint64_t written;   /* events so far; published in `head` at the end of a batch */
	uint64_t tail_seen; /* `tail` as it was when last looked at */
	bool compat;
	bool live;
	bool alone;        /* the only lane, on a file */
	uint64_t taken_ns; /* when it last ran the engine */

	/* written by the lane, read by the engine's thread */
	uint64_t head __attribute__((aligned(64)));
	uint64_t progress; /* all events of an order before this are below head */
	uint64_t lost;

	/* written by the engine's thread, read by the lane */
	uint64_t tail __attribute__((aligned(64)));
};

/* Waits until a batch's events find room, running the engine if nobody else does. Files only. anomaly.c. */
void anomaly_make_room(struct anomaly_tap *tap);

#endif
