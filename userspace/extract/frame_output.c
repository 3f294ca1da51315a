#include "frame_output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "flowlane/packet.h"
#include "log.h"
#include "outfile.h"

struct frame_output {
	struct outfile *file;
	uint8_t *chunk;
	size_t used;
	bool begun;
	uint32_t link;
	bool nanoseconds; /* of the file */
	bool input_nanoseconds;
	uint64_t count;
};

int frame_output_open(const char *path, struct frame_output **output)
{
	struct frame_output *made = calloc(1, sizeof(*made));

	if (made)
		made->chunk = malloc(OUTFILE_CHUNK);
	if (!made || !made->chunk) {
		log_error("extract: no memory");
		free(made);
		return -ENOMEM;
	}
	int error = outfile_open("extract", path, OUTFILE_PART, &made->file);
	if (error) {
		frame_output_abort(made);
		return error;
	}
	*output = made;
	return 0;
}

static int chunk_flush(struct frame_output *output)
{
	int error = output->used ? outfile_append(output->file, output->chunk, output->used) : 0;

	output->used = 0;
	return error;
}

static void chunk_put(struct frame_output *output, const void *data, size_t bytes)
{
	memcpy(output->chunk + output->used, data, bytes);
	output->used += bytes;
}

int frame_output_begin(struct frame_output *output, const char *name, uint32_t link, uint32_t snaplen, bool nanoseconds)
{
	output->input_nanoseconds = nanoseconds;
	if (output->begun && output->link != link) {
		log_error("extract: \"%s\" has link type %" PRIu32 ", and the frames before it %" PRIu32
			  "; a pcap file has one: extract them into files of their own",
			name, link, output->link);
		return -EINVAL;
	}
	if (output->begun)
		return 0;
	struct pcap_file_header header = {
		.magic = nanoseconds ? PCAP_MAGIC_NS : PCAP_MAGIC_US,
		.version_major = PCAP_VERSION_MAJOR_CURRENT,
		.version_minor = PCAP_VERSION_MINOR_CURRENT,
		.snaplen = snaplen,
		.network = link,
	};
	output->begun = true;
	output->link = link;
	output->nanoseconds = nanoseconds;
	chunk_put(output, &header, sizeof(header));
	return 0;
}

int frame_output_put(struct frame_output *output, const struct pcap_record_header *header, const uint8_t *data)
{
	struct pcap_record_header record = *header;
	int error = 0;

	_Static_assert(OUTFILE_CHUNK > sizeof(record) + PCAP_CAP_LEN_MAX, "any frame fits an empty chunk");
	if (output->used + sizeof(record) + record.cap_len > OUTFILE_CHUNK)
		error = chunk_flush(output);
	if (output->nanoseconds && !output->input_nanoseconds)
		record.fraction *= 1000;
	else if (!output->nanoseconds && output->input_nanoseconds)
		record.fraction /= 1000;
	chunk_put(output, &record, sizeof(record));
	chunk_put(output, data, record.cap_len);
	output->count++;
	return error;
}

uint64_t frame_output_count(const struct frame_output *output)
{
	return output->count;
}

int frame_output_commit(struct frame_output *output)
{
	if (!output->begun)
		frame_output_begin(output, "", LINK_ETHERNET, PCAP_CAP_LEN_MAX, false);
	chunk_flush(output); /* its error sticks */
	int error = outfile_commit(output->file, NULL, 0);
	output->file = NULL;
	frame_output_abort(output);
	return error;
}

void frame_output_abort(struct frame_output *output)
{
	if (!output)
		return;
	outfile_abort(output->file);
	free(output->chunk);
	free(output);
}
