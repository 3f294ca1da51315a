#include "pcap_output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flowlane/pcap_format.h"
#include "index_options.h"
#include "counters.h"
#include "log.h"
#include "pcap_files.h"

/* Live, a lane must not wait, so chunks ride out what the disk does not: 32 MiB are 25 ms of 10 Gbit/s. On files they only let the
 * lane work on while the writer writes. */
#define LIVE_CHUNKS 64
#define FILE_CHUNKS 4

#define FILES_MAX 256 /* --pcap-per-lane: more lanes than there can be */

struct output {
	const struct config *config;
	struct pcap_file_header header;
	uint32_t snaplen; /* what is written of a packet at most */
	bool live;
	struct chunk_writer *writer;
	uint64_t no_chunk, refused; /* packets lost before they reached the writer; added up atomically */
	unsigned files_count;
	struct {
		unsigned lane;
		struct pcap_files *files;
		struct index_follow *index; /* NULL: none is wanted */
	} files[FILES_MAX];                 /* the first one is everyone's without --pcap-per-lane */
};

static void output_destroy(struct output *output)
{
	chunk_writer_close(output->writer);
	for (unsigned i = 0; i < output->files_count; i++) {
		index_follow_close(output->files[i].index);
		pcap_files_free(output->files[i].files);
	}
	free(output);
}

static void output_shape(struct output *output, const struct config *config, const struct source_info *info)
{
	uint32_t input = info->snaplen ? info->snaplen : PCAP_CAP_LEN_MAX;
	uint32_t snaplen = config->snaplen && config->snaplen < input ? config->snaplen : input;
	bool nanoseconds = config->pcap_precision ? config->pcap_precision == 9 : info->nanoseconds;

	output->config = config;
	output->live = info->live;
	/* A file whose header says less than its packets have is cut only where readers would refuse it. */
	output->snaplen = config->snaplen && config->snaplen < PCAP_CAP_LEN_MAX ? config->snaplen : PCAP_CAP_LEN_MAX;
	output->header = (struct pcap_file_header){
		.magic = nanoseconds ? PCAP_MAGIC_NS : PCAP_MAGIC_US,
		.version_major = PCAP_VERSION_MAJOR_CURRENT,
		.version_minor = PCAP_VERSION_MINOR_CURRENT,
		.snaplen = snaplen,
		.network = (uint16_t)info->link,
	};
}

static int output_add_files(struct output *output, unsigned lane, const char *path)
{
	struct pcap_files **files = &output->files[output->files_count].files;
	struct index_follow **index = &output->files[output->files_count].index;
	int error = output->config->index ? index_follow_open(output->config->outer, index) : 0;

	if (!error)
		error = pcap_files_open(output->writer, output->config, path, &output->header, *index, files);
	if (error) {
		index_follow_close(*index);
		*index = NULL;
	} else {
		output->files[output->files_count++].lane = lane;
	}
	return error;
}

int pcap_output_open(const struct config *config, const struct source_info *info, struct output **output)
{
	const char *path = config->write_pcap;

	if (info->link < 0) {
		log_error("pcap: cannot write \"%s\": the inputs have different link types, and a pcap file has one; write a file "
			  "for each input in a run of its own",
			path);
		return -EINVAL;
	}
	struct output *made = calloc(1, sizeof(*made));

	if (!made) {
		log_error("pcap: no memory");
		return -ENOMEM;
	}
	output_shape(made, config, info);
	int error = chunk_writer_open("pcap", true, &made->writer);
	if (!error && !config->pcap_per_lane)
		error = output_add_files(made, 0, path);
	if (error)
		output_destroy(made);
	else
		*output = made;
	return error;
}

/* Where the extension begins: "dir/capture.pcap" -> ".pcap"; "" if there is none. */
static const char *path_extension(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *point = strrchr(base, '.');

	return point && point != base ? point : base + strlen(base);
}

static int output_add_lane(struct output *output, unsigned lane)
{
	const char *path = output->config->write_pcap, *extension = path_extension(path);
	char *name;

	if (output->files_count == FILES_MAX ||
		asprintf(&name, "%.*s.lane%u%s", (int)(extension - path), path, lane, extension) < 0) {
		log_error("pcap: no memory for lane %u", lane);
		return -ENOMEM;
	}
	int error = output_add_files(output, lane, name);
	free(name);
	return error;
}

int pcap_output_attach(struct output *output, unsigned lane, struct pcap_lane *made)
{
	int error = output->config->pcap_per_lane ? output_add_lane(output, lane) : 0;

	if (!error)
		error = chunk_writer_add_pool(output->writer, output->live ? LIVE_CHUNKS : FILE_CHUNKS, !output->live, &made->pool);
	if (error)
		return error;
	made->snaplen = output->snaplen;
	made->nanoseconds = output->header.magic == PCAP_MAGIC_NS;
	made->stream = pcap_files_stream(output->files[output->config->pcap_per_lane ? output->files_count - 1 : 0].files);
	return 0;
}

int pcap_output_start(struct output *output)
{
	struct index_writer_options options = index_options(output->config, output->live);
	int error = chunk_writer_start(output->writer);

	options.memory /= output->files_count ? output->files_count : 1; /* of a lane each */
	for (unsigned i = 0; i < output->files_count && !error; i++)
		error = output->files[i].index ? index_follow_start(output->files[i].index, &options) : 0;
	return error;
}

void pcap_output_lost(struct output *output, uint64_t no_chunk, uint64_t refused)
{
	__atomic_fetch_add(&output->no_chunk, no_chunk, __ATOMIC_RELAXED);
	__atomic_fetch_add(&output->refused, refused, __ATOMIC_RELAXED);
}

void pcap_output_reopen(struct output *output)
{
	const struct config *config = output->config;

	if (config->index && !config->write_pcap_rotate_bytes && !config->write_pcap_rotate_ns) {
		log_warning("pcap: \"%s\" is not reopened: its index belongs to it; let flowlane rotate it instead, with "
			    "--write-pcap-rotate-mb or --write-pcap-rotate-s",
			config->write_pcap);
		return;
	}
	for (unsigned i = 0; i < output->files_count; i++)
		chunk_stream_reopen(pcap_files_stream(output->files[i].files));
}

unsigned pcap_output_so_far(const struct output *output, struct output_report *reports)
{
	*reports =
		(struct output_report){ .name = "pcap", .lost = counter_read(&output->no_chunk) + counter_read(&output->refused) };
	for (unsigned i = 0; i < output->files_count; i++) {
		uint64_t records, lost;
		chunk_stream_so_far(pcap_files_stream(output->files[i].files), &records, &lost);
		reports->records += records;
		reports->lost += lost;
	}
	return 1;
}

/* "dir/capture.lane0-3.pcap" */
static void output_describe(const struct output *output, char *text, size_t bytes)
{
	const char *path = output->config->write_pcap, *extension = path_extension(path);

	snprintf(text, bytes, "%.*s.lane%u-%u%s%s", (int)(extension - path), path, output->files[0].lane,
		output->files[output->files_count - 1].lane, pcap_files_rotate(output->files[0].files) ? ".*" : "", extension);
}

/* The indexes of the files, which are complete now. */
static void indexes_finish(struct output *output, const char *path, struct output_report *report)
{
	struct index_report index = { 0 };

	*report = (struct output_report){ .name = "index" };
	for (unsigned i = 0; i < output->files_count; i++) {
		index_follow_finish(output->files[i].index, &index);
		report->records += index.packets;
		report->lost += index.lost;
		report->bytes += index.bytes;
		report->files += index.indexes;
		if (!report->error)
			report->error = index.error;
	}
	snprintf(report->path, sizeof(report->path), "%.*s" INDEX_SUFFIX, (int)(sizeof(report->path) - sizeof(INDEX_SUFFIX)), path);
}

unsigned pcap_output_close(struct output *output, struct output_report *reports)
{
	struct pcap_files_report one;

	chunk_writer_finish(output->writer);
	if (reports)
		*reports = (struct output_report){ .name = "pcap", .lost = output->no_chunk + output->refused };
	for (unsigned i = 0; i < output->files_count; i++) {
		pcap_files_finish(output->files[i].files, reports ? &one : NULL);
		if (!reports)
			continue;
		reports->records += one.stream.records;
		reports->lost += one.stream.lost;
		reports->bytes += one.stream.bytes;
		reports->files += one.files;
		if (!reports->error)
			reports->error = one.stream.error;
		memcpy(reports->path, one.path, sizeof(reports->path));
	}
	if (reports && output->files_count > 1)
		output_describe(output, reports->path, sizeof(reports->path));
	if (reports && output->no_chunk)
		log_warning("pcap: %" PRIu64
			    " packets are not in \"%s\": the disk was too slow for them; write to a faster one, or "
			    "less: --snaplen, a filter",
			output->no_chunk, reports->path);
	if (reports && output->config->index)
		indexes_finish(output, reports->path, reports + 1);
	unsigned count = !reports ? 0 : output->config->index ? 2 : 1;
	output_destroy(output);
	return count;
}
