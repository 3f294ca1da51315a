/* What stands for the index layer in a build without RocksDB: whoever wants an index is told. */
#include <errno.h>
#include <stddef.h>

#include "index_feed.h"
#include "index_follow.h"
#include "log.h"

static int absent(void)
{
	log_error("index: this flowlane was built without RocksDB; build it with -DFLOWLANE_ROCKSDB=ON");
	return -ENOTSUP;
}

int index_feed_open(
	const struct index_writer_options *options, bool outer, const char *path, const char *capture, struct index_feed **feed)
{
	(void)options, (void)outer, (void)path, (void)capture, (void)feed;
	return absent();
}

int index_follow_open(bool outer, struct index_follow **follow)
{
	(void)outer, (void)follow;
	return absent();
}

int index_follow_check(const char *capture)
{
	(void)capture;
	return absent();
}

/* None of what follows is ever called with something that was opened. */

int index_feed_start(struct index_feed *feed)
{
	(void)feed;
	return absent();
}

void index_feed_place(struct index_feed *feed, const struct batch_place *place)
{
	(void)feed, (void)place;
}

void index_feed_frames(struct index_feed *feed, const struct frame *frames, unsigned n)
{
	(void)feed, (void)frames, (void)n;
}

void index_feed_packets(struct index_feed *feed, const struct packet *const *packets, unsigned n)
{
	(void)feed, (void)packets, (void)n;
}

void index_feed_flush(struct index_feed *feed)
{
	(void)feed;
}

void index_feed_finish(struct index_feed *feed, struct index_report *report)
{
	(void)feed, (void)report;
}

void index_feed_close(struct index_feed *feed)
{
	(void)feed;
}

int index_follow_start(struct index_follow *follow, const struct index_writer_options *options)
{
	(void)follow, (void)options;
	return absent();
}

int index_follow_begin(struct index_follow *follow, const char *capture)
{
	(void)follow, (void)capture;
	return absent();
}

void index_follow_grew(struct index_follow *follow, uint64_t bytes)
{
	(void)follow, (void)bytes;
}

void index_follow_remove(struct index_follow *follow, const char *capture)
{
	(void)follow, (void)capture;
}

void index_follow_finish(struct index_follow *follow, struct index_report *report)
{
	(void)follow, (void)report;
}

void index_follow_close(struct index_follow *follow)
{
	(void)follow;
}
