/* --export-rocksdb: an index of the file that is read, made by index/index_feed.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "flowlane/sink.h"
#include "index_feed.h"
#include "index_options.h"
#include "log.h"

/* Only one lane takes part, so the output is its sink, too: the only one, which has decoded the packets; or of several the first, as all
 * read all frames, but decode only their own. */
struct output {
	const char *path;
	struct index_feed *feed;
};

struct sink {
	struct output output;
};

static bool index_wanted(const struct config *config)
{
	return config->export_rocksdb && config->lanes > 1;
}

static bool index_wanted_by_one(const struct config *config)
{
	return config->export_rocksdb && config->lanes == 1;
}

static int index_open(const struct config *config, const struct source_info *info, struct output **output)
{
	struct index_writer_options options = index_options(config, false);
	const char *capture = config->read_files[0];

	if (!info->places) {
		log_error("index: \"%s\" is compressed, a pipe, or of an old kind of pcap: there is nothing that pointers could "
			  "point "
			  "to; unpack it, or write a copy and index that: -w COPY.pcap --index",
			capture);
		return -EINVAL;
	}
	struct output *made = calloc(1, sizeof(*made));
	if (!made) {
		log_error("index: no memory");
		return -ENOMEM;
	}
	made->path = config->export_rocksdb;
	int error = index_feed_open(&options, config->outer, made->path, capture, &made->feed);
	if (error)
		free(made);
	else
		*output = made;
	return error;
}

static int index_attach(struct output *output, unsigned lane, struct sink **sink)
{
	(void)lane;
	*sink = (struct sink *)output;
	return 0;
}

static int index_start(struct output *output)
{
	return index_feed_start(output->feed);
}

static void index_place(struct sink *sink, const struct batch_place *place)
{
	index_feed_place(sink->output.feed, place);
}

static void index_frames(struct sink *sink, const struct frame *frames, unsigned n)
{
	index_feed_frames(sink->output.feed, frames, n);
}

static void index_packets(struct sink *sink, const struct packet *const *packets, unsigned n)
{
	index_feed_packets(sink->output.feed, packets, n);
}

/* What is left to do is done while the lane's flows go to the other outputs. */
static void index_end(struct sink *sink)
{
	index_feed_end(sink->output.feed);
}

static void index_detach(struct sink *sink)
{
	(void)sink;
}

static unsigned index_close(struct output *output, struct output_report *reports)
{
	struct index_report report = { 0 };

	if (reports) {
		index_feed_finish(output->feed, &report);
		*reports = (struct output_report){
			.name = "index",
			.records = report.packets,
			.bytes = report.bytes,
			.lost = report.lost,
			.files = 1,
			.error = report.error,
		};
		snprintf(reports->path, sizeof(reports->path), "%s", output->path);
	}
	index_feed_close(output->feed);
	free(output);
	return reports ? 1 : 0;
}

#define INDEX_OPS                                                                                                                  \
	.name = "index", .open = index_open, .attach = index_attach, .start = index_start, .place = index_place, .end = index_end, \
	.detach = index_detach, .close = index_close

const struct sink_ops sink_index = { .wants = SINK_FRAMES, .wanted = index_wanted, .frames = index_frames, INDEX_OPS };
const struct sink_ops sink_index_by_one = {
	.wants = SINK_PACKETS, .wanted = index_wanted_by_one, .packets = index_packets, INDEX_OPS
};
