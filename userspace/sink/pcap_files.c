#include "pcap_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "index_follow.h"
#include "log.h"
#include "pcap_segments.h"

struct pcap_files {
	struct pcap_file_header header;
	uint64_t rotate_bytes, rotate_ns;
	struct pcap_segments *segments; /* NULL: one file */
	struct chunk_stream *stream;
	struct index_follow *index; /* NULL: none is wanted */

	/* of the file at hand */
	uint64_t bytes; /* header and records given to it */
	uint64_t start_ns;
	bool started; /* it has a record, and start_ns is valid */
};

static int file_begin(struct pcap_files *files, const char *path, struct outfile **file)
{
	struct outfile *made;
	int error = outfile_open("pcap", path, OUTFILE_DIRECT, &made);

	if (error)
		return error;
	error = outfile_append(made, &files->header, sizeof(files->header));
	if (error) {
		outfile_abort(made);
		return error;
	}
	files->bytes = sizeof(files->header);
	files->started = false;
	if (files->index && !index_follow_begin(files->index, path))
		index_follow_grew(files->index, sizeof(files->header));
	*file = made;
	return 0;
}

static uint64_t record_ns(const struct pcap_files *files, const struct pcap_record_header *header)
{
	return (uint64_t)header->seconds * 1000000000u +
	       (uint64_t)header->fraction * (files->header.magic == PCAP_MAGIC_NS ? 1 : 1000);
}

/* Before a record of this time: is it time for another file? Times that step back, as those of a second lane's chunk, are not. */
static bool rotation_due(const struct pcap_files *files, uint64_t ns)
{
	if (!files->started)
		return false;
	if (files->rotate_bytes && files->bytes >= files->rotate_bytes)
		return true;
	return files->rotate_ns && ns >= files->start_ns && ns - files->start_ns >= files->rotate_ns;
}

static size_t files_fit(void *owner, const uint8_t *data, size_t bytes, uint64_t *records)
{
	struct pcap_files *files = owner;
	struct pcap_record_header header;
	size_t at = 0;
	uint64_t n = 0;

	for (; at < bytes; n++) {
		memcpy(&header, data + at, sizeof(header));
		uint64_t ns = record_ns(files, &header);
		if (rotation_due(files, ns))
			break;
		if (!files->started)
			files->start_ns = ns;
		files->started = true;
		at += sizeof(header) + header.cap_len;
		files->bytes += sizeof(header) + header.cap_len;
	}
	*records = n;
	return at;
}

static void files_grew(void *owner, uint64_t bytes)
{
	const struct pcap_files *files = owner;

	index_follow_grew(files->index, bytes);
}

static void file_removed(void *owner, const char *path)
{
	const struct pcap_files *files = owner;

	if (files->index)
		index_follow_remove(files->index, path);
}

static int files_next(void *owner, struct outfile **file)
{
	struct pcap_files *files = owner;
	const char *path = pcap_segments_next(files->segments);

	return path ? file_begin(files, path, file) : -ENOMEM;
}

int pcap_files_open(struct chunk_writer *writer, const struct config *config, const char *path,
	const struct pcap_file_header *header, struct index_follow *index, struct pcap_files **files)
{
	struct pcap_files *made = calloc(1, sizeof(*made));
	struct chunk_stream_options options = { .direct = config->direct_io, .head_bytes = sizeof(*header), .owner = made };
	int error;

	if (!made) {
		log_error("pcap: no memory");
		return -ENOMEM;
	}
	made->header = *header;
	made->rotate_bytes = config->write_pcap_rotate_bytes;
	made->rotate_ns = config->write_pcap_rotate_ns;
	made->index = index;
	options.head = &made->header;
	options.grew = index ? files_grew : NULL;
	if (made->rotate_bytes || made->rotate_ns) {
		options.fit = files_fit;
		options.next = files_next;
		error = pcap_segments_open(path, config->write_pcap_max_files, file_removed, made, &made->segments);
	} else {
		error = index ? index_follow_check(path) : 0;
		if (!error)
			error = file_begin(made, path, &options.file);
	}
	if (!error)
		error = chunk_writer_add_stream(writer, &options, &made->stream);
	if (error) {
		outfile_abort(options.file);
		pcap_files_free(made);
		return error;
	}
	*files = made;
	return 0;
}

struct chunk_stream *pcap_files_stream(const struct pcap_files *files)
{
	return files->stream;
}

bool pcap_files_rotate(const struct pcap_files *files)
{
	return files->segments != NULL;
}

void pcap_files_finish(struct pcap_files *files, struct pcap_files_report *report)
{
	struct outfile *file;
	int error = 0;

	if (!report) {
		chunk_stream_finish(files->stream, NULL, &file);
		outfile_abort(file);
		return;
	}
	memset(report, 0, sizeof(*report));
	chunk_stream_finish(files->stream, &report->stream, &file);
	if (file)
		error = outfile_commit(file, report->path, sizeof(report->path));
	if (!report->stream.error)
		report->stream.error = error;
	report->files = 1;
	if (files->segments) {
		report->files = pcap_segments_made(files->segments);
		pcap_segments_describe(files->segments, report->path, sizeof(report->path));
	}
}

void pcap_files_free(struct pcap_files *files)
{
	if (!files)
		return;
	pcap_segments_close(files->segments);
	free(files);
}
