/*
 * Indexes capture files while they are written, by reading them behind the one who writes: a thread of its own, so that neither lanes
 * nor the writer of the capture wait for it or work for it. What is in the index is what is in the file.
 *
 *   writer of the capture  ─▶ begin "cap.pcap" ─▶ grew ─▶ grew ─▶ begin "next.pcap" ...
 *                                                 │
 *   this thread                 reads up to there, decodes ─▶ index_writer ─▶ cap.pcap.rdb
 *
 * If it is slower than the capture, it comes later, and the file is what waits. Calls from any one thread at a time.
 */
#ifndef FLOWLANE_INDEX_FOLLOW_H
#define FLOWLANE_INDEX_FOLLOW_H

#include "index_writer.h"

struct index_follow;

/* `outer`: as struct decoder_options has it. 0 or a negative errno, logged. */
int index_follow_open(bool outer, struct index_follow **follow);
/* Begins the thread. 0 or a negative errno, logged. */
int index_follow_start(struct index_follow *follow, const struct index_writer_options *options);

/* A capture file of ours has begun: pcap, its head is in it. The one before, if any, is finished. 0 or -ENOMEM, logged. */
int index_follow_begin(struct index_follow *follow, const char *capture);
/* So many bytes of it are whole records. */
void index_follow_grew(struct index_follow *follow, uint64_t bytes);
/* This one was removed: its index goes, too. */
void index_follow_remove(struct index_follow *follow, const char *capture);

/* The last file is finished: indexes what is left of it. */
void index_follow_finish(struct index_follow *follow, struct index_report *report);
void index_follow_close(struct index_follow *follow); /* accepts NULL; if it was not finished, the indexes are incomplete */

/* Whether `capture` is something that can have an index, and this can be written: 0 or a negative errno, logged. */
int index_follow_check(const char *capture);

#endif
