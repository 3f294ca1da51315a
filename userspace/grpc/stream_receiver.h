/*
 * Packets of many sensors as sources: a gRPC server with one completion queue per lane. A stream belongs to the lane that took it,
 * whose thread does all the work for it, from the socket to the flows; there is no thread between. A lane takes a new stream only while
 * no other lane has fewer, so streams spread evenly; any number of them share a lane.
 *
 *   sensor A ─┐                    ┌─ queue 0 ─▶ lane 0: streams A, C
 *   sensor B ─┼─▶ server (libgrpc) ┤
 *   sensor C ─┘                    └─ queue 1 ─▶ lane 1: stream B
 *
 *   open ─▶ source × lanes ─▶ attach ─▶ (lanes run) ─▶ detach ─▶ report ─▶ close
 *
 * All calls from the control thread, but for the sources, which belong to their lanes.
 */
#ifndef FLOWLANE_STREAM_RECEIVER_H
#define FLOWLANE_STREAM_RECEIVER_H

#include "flowlane/config.h"
#include "flowlane/source.h"
#include "flowlane/streams.h"

struct stream_receiver;

/* Listens; no stream is taken yet. ethernet_only: an output of the run cannot take packets of other link types. 0, or a negative errno,
 * logged. */
int stream_receiver_open(const struct config *config, bool ethernet_only, struct stream_receiver **receiver);
/* The source of a lane; the caller closes it by its ops, before stream_receiver_close(). */
struct source *stream_receiver_source(struct stream_receiver *receiver, unsigned lane);
/* From now on streams are taken. */
void stream_receiver_attach(struct stream_receiver *receiver);
/* Each source hands out what has arrived, then says SOURCE_END. Accepts NULL. */
void stream_receiver_detach(struct stream_receiver *receiver);
/* Once the lanes have ended. */
void stream_receiver_report(const struct stream_receiver *receiver, struct streams_report *report);
/* Tells the sensors that are still there, and closes. Accepts NULL. */
void stream_receiver_close(struct stream_receiver *receiver);

#endif
