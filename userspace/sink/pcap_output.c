#include "pcap_output.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "flowlane/pcap_format.h"
#include "log.h"
#include "outfile.h"
#include "pcap_segments.h"

struct output {
	struct pcap_shape shape;
	struct pcap_file_header header;
	uint64_t rotate_bytes;
	uint64_t rotate_ns;
	struct pcap_segments *segments; /* NULL: one file */

	pthread_mutex_t lock; /* protects what follows */
	struct outfile *file; /* NULL with rotation: none begun, or failed */
	uint64_t file_bytes;  /* header and records given to it, as rotation counts them */
	uint64_t file_start_ns;
	bool file_started; /* file_start_ns is valid */
	uint64_t records;
	uint64_t closed_bytes; /* of the segments before */
	uint64_t lost;
	int error; /* first one */
};

static void output_fail(struct output *output, int error)
{
	if (!output->error)
		output->error = error;
}

static void output_destroy(struct output *output)
{
	outfile_abort(output->file);
	pcap_segments_close(output->segments);
	pthread_mutex_destroy(&output->lock);
	free(output);
}

static void output_shape(struct output *output, const struct config *config, const struct source_info *info)
{
	uint32_t input = info->snaplen ? info->snaplen : PCAP_CAP_LEN_MAX;
	uint32_t snaplen = config->snaplen && config->snaplen < input ? config->snaplen : input;

	output->shape = (struct pcap_shape){
		/* A file whose header says less than its packets have is cut only where readers would refuse it. */
		.snaplen = config->snaplen && config->snaplen < PCAP_CAP_LEN_MAX ? config->snaplen : PCAP_CAP_LEN_MAX,
		.link = (uint16_t)info->link,
		.nanoseconds = config->pcap_precision ? config->pcap_precision == 9 : info->nanoseconds,
		.live = info->live,
	};
	output->header = (struct pcap_file_header){
		.magic = output->shape.nanoseconds ? PCAP_MAGIC_NS : PCAP_MAGIC_US,
		.version_major = PCAP_VERSION_MAJOR_CURRENT,
		.version_minor = PCAP_VERSION_MINOR_CURRENT,
		.snaplen = snaplen,
		.network = output->shape.link,
	};
	output->rotate_bytes = config->write_pcap_rotate_bytes;
	output->rotate_ns = config->write_pcap_rotate_ns;
}

/* Ends the file at hand, if any, and begins one at `path`. */
static int file_begin(struct output *output, const char *path)
{
	if (output->file) {
		output->closed_bytes += outfile_bytes(output->file);
		int error = outfile_commit(output->file, NULL, 0);
		output->file = NULL;
		if (error)
			return error;
	}
	int error = path ? outfile_open("pcap", path, OUTFILE_DIRECT, &output->file) : -ENOMEM;
	if (!error)
		error = outfile_append(output->file, &output->header, sizeof(output->header));
	output->file_bytes = sizeof(output->header);
	output->file_started = false;
	return error;
}

int pcap_output_open(const struct config *config, const struct source_info *info, struct output **output)
{
	const char *path = config->write_pcap;
	bool rotates = config->write_pcap_rotate_bytes || config->write_pcap_rotate_ns;

	if (info->link < 0) {
		log_error("pcap: cannot write \"%s\": the inputs have different link types, and a pcap file has one; write a file "
			  "for "
			  "each input in a run of its own",
			path);
		return -EINVAL;
	}
	struct output *made = calloc(1, sizeof(*made));
	int error = 0;

	if (!made) {
		log_error("pcap: no memory");
		return -ENOMEM;
	}
	pthread_mutex_init(&made->lock, NULL);
	output_shape(made, config, info);
	if (rotates)
		error = pcap_segments_open(path, config->write_pcap_max_files, &made->segments);
	else
		error = file_begin(made, path);
	if (error)
		output_destroy(made);
	else
		*output = made;
	return error;
}

const struct pcap_shape *pcap_output_shape(const struct output *output)
{
	return &output->shape;
}

static void records_write(struct output *output, const uint8_t *data, size_t bytes, uint64_t records)
{
	if (records == 0)
		return;
	int error = output->error ? output->error : outfile_append(output->file, data, bytes);
	if (error) {
		output_fail(output, error);
		output->lost += records;
	} else {
		output->records += records;
	}
}

static uint64_t record_ns(const struct output *output, const struct pcap_record_header *header)
{
	return (uint64_t)header->seconds * 1000000000u + (uint64_t)header->fraction * (output->shape.nanoseconds ? 1 : 1000);
}

/* Before a record of this time: is it time for another file? Times that step back, as those of a second lane's chunk, are not. */
static bool rotation_due(const struct output *output, uint64_t ns)
{
	if (!output->file)
		return true;
	if (output->rotate_bytes && output->file_bytes >= output->rotate_bytes)
		return true;
	return output->rotate_ns && output->file_started && ns >= output->file_start_ns &&
	       ns - output->file_start_ns >= output->rotate_ns;
}

static void rotating_write(struct output *output, const uint8_t *chunk, size_t bytes)
{
	size_t start = 0, at = 0;
	uint64_t records = 0;

	while (at < bytes) {
		struct pcap_record_header header;
		memcpy(&header, chunk + at, sizeof(header));
		uint64_t ns = record_ns(output, &header);
		if (!output->error && rotation_due(output, ns)) {
			records_write(output, chunk + start, at - start, records);
			start = at;
			records = 0;
			if (!output->error) {
				int error = file_begin(output, pcap_segments_next(output->segments));
				if (error)
					output_fail(output, error);
			}
		}
		if (!output->file_started) {
			output->file_start_ns = ns;
			output->file_started = true;
		}
		at += sizeof(header) + header.cap_len;
		output->file_bytes += sizeof(header) + header.cap_len;
		records++;
	}
	records_write(output, chunk + start, at - start, records);
}

void pcap_output_append(struct output *output, const uint8_t *chunk, size_t bytes, uint64_t records)
{
	pthread_mutex_lock(&output->lock);
	if (output->segments)
		rotating_write(output, chunk, bytes);
	else
		records_write(output, chunk, bytes, records);
	pthread_mutex_unlock(&output->lock);
}

void pcap_output_reopen(struct output *output)
{
	if (output->segments) /* they are moved away without our help */
		return;
	pthread_mutex_lock(&output->lock);
	int error = outfile_reopen(output->file, &output->header, sizeof(output->header));
	if (error)
		output_fail(output, error);
	pthread_mutex_unlock(&output->lock);
}

unsigned pcap_output_close(struct output *output, struct output_report *reports)
{
	if (!reports) {
		output_destroy(output);
		return 0;
	}
	*reports = (struct output_report){
		.name = "pcap",
		.records = output->records,
		.lost = output->lost,
		.bytes = output->closed_bytes + (output->file ? outfile_bytes(output->file) : 0),
		.files = output->segments ? pcap_segments_made(output->segments) : 1,
	};
	if (output->file) {
		int error = outfile_commit(output->file, reports->path, sizeof(reports->path));
		output->file = NULL;
		if (error)
			output_fail(output, error);
	}
	if (output->segments)
		pcap_segments_describe(output->segments, reports->path, sizeof(reports->path));
	reports->error = output->error;
	output_destroy(output);
	return 1;
}
