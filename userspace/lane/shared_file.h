/*
 * Captures that several lanes read together: each block is read, split into frames and sorted by lane once, by whichever lane gets to
 * it first; then each lane takes what is its own, in its own time.
 *
 *                    oldest in use             newest
 *   ring of slots      [ 5 ]  [ 6 ]  [ 7 ]  [ 4, free ]        a slot: up to SLOT_FRAMES frames, which point into the block
 *                        ▲             ▲                               and per lane the numbers of those that are its own
 *                      lane 1        lane 0
 *
 * A lane that is through with a slot first reads the next one, if few are there for it, one is free and nobody else is reading, and
 * then goes on. So the lanes share the reading as their other work lets them, no thread hands out anything, and a lane waits only if the
 * slot it needs is being read, or if another lane is a whole ring behind. One lock, taken twice per slot, guards who reads and who is
 * where; a slot itself is written by the lane that reads it before it counts as read, and then by nobody until all lanes are through
 * with it.
 *
 * Frames that cannot be told apart before decoding (shard.h) are in the list of each lane.
 */
#ifndef FLOWLANE_SHARED_FILE_H
#define FLOWLANE_SHARED_FILE_H

#include "flowlane/source.h"

struct shared_file;

/* As pcap_source_open(), for 2..LANES_MAX lanes. Before the lanes start. */
int shared_file_open(char *const *files, unsigned count, unsigned lanes, struct shared_file **shared);
/* The source of one lane, which has rx_mine(), too. It belongs to the file; its close() does nothing. */
struct source *shared_file_source(struct shared_file *shared, unsigned lane);
void shared_file_close(struct shared_file *shared); /* accepts NULL */

#endif
