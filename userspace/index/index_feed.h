/*
 * Indexes a file while a lane reads it (-r). The lane notes where each packet lies; the rest is done by a thread.
 *
 *   lane  ─▶ packets ─▶ batch (entries) ─▶ ... batches ... ─▶ thread: index_writer ─▶ database
 *     ▲                                                        │
 *     └──────────────────── empty batches ◀────────────────────┘      the lane waits for one if there is none: nothing is lost
 */
#ifndef FLOWLANE_INDEX_FEED_H
#define FLOWLANE_INDEX_FEED_H

#include "flowlane/source.h"
#include "index_writer.h"

struct index_feed;

/* An index `path` of the capture file `capture`; `outer` as struct decoder_options has it. Nothing is touched yet, but checked. 0 or a
 * negative errno, logged. Control thread, as all but those of the lane. */
int index_feed_open(
	const struct index_writer_options *options, bool outer, const char *path, const char *capture, struct index_feed **feed);
int index_feed_start(struct index_feed *feed); /* begins the thread: 0 or a negative errno, logged */

/* The lane, which sees all frames: where the batch lies; its frames that are to be indexed, or packets of them that are decoded already
 * (both packet path). */
void index_feed_place(struct index_feed *feed, const struct batch_place *place);
void index_feed_frames(struct index_feed *feed, const struct frame *frames, unsigned n);
void index_feed_packets(struct index_feed *feed, const struct packet *const *packets, unsigned n);
/* There are no more: the thread finishes the index meanwhile. The lane; or not at all. */
void index_feed_end(struct index_feed *feed);

void index_feed_finish(struct index_feed *feed, struct index_report *report);
void index_feed_close(struct index_feed *feed); /* accepts NULL; if it was not finished, the index is incomplete */

#endif
