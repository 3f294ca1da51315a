#include "pcap_source.h"

#include <stdlib.h>
#include <string.h>

#include "byte_stream.h"
#include "counters.h"
#include "log.h"
#include "pcap_merge.h"

/* Hundreds of files (a rotated capture) share this; each has at least a small block. */
#define ALL_BLOCKS_BYTES ((size_t)32 << 20)
#define BLOCK_BYTES_MIN  ((size_t)16 << 10)

static struct pcap_source *pcap_source_of(const struct source *source)
{
	return (struct pcap_source *)source; /* its first member */
}

static void pcap_source_release(struct source *source, const struct frame *frames, unsigned n)
{
	(void)source, (void)frames, (void)n; /* the next rx_batch() takes all back */
}

static void pcap_source_stats(const struct source *source, struct source_stats *stats)
{
	struct pcap_source *self = pcap_source_of(source);
	bool known = true;

	*stats = (struct source_stats){ .frames = counter_read(&self->frames) };
	for (unsigned i = 0; i < self->count; i++) {
		const struct pcap_reader *reader = &self->inputs[i].reader;
		uint64_t total = byte_stream_total(reader->stream);

		known = known && total > 0;
		stats->bytes_total += total;
		stats->bytes_done += byte_stream_done(reader->stream);
		stats->truncated = stats->truncated || __atomic_load_n(&reader->truncated, __ATOMIC_RELAXED);
	}
	if (!known)
		stats->bytes_total = 0;
}

/* A batch lies within one block. */
static void pcap_source_place(const struct source *source, const struct frame *frames, unsigned n, struct batch_place *place)
{
	const struct pcap_reader *reader = &pcap_source_of(source)->inputs[0].reader;

	place->data = frames[0].data;
	place->position = pcap_reader_position(reader, frames[0].data);
	place->number = reader->frames - n + 1;
	place->count = n;
}

static void pcap_source_close(struct source *source)
{
	struct pcap_source *self = pcap_source_of(source);

	if (!self)
		return;
	for (unsigned i = 0; i < self->count; i++)
		pcap_reader_close(&self->inputs[i].reader);
	free(self->heap);
	free(self->empty);
	free(self);
}

static const struct source_ops one_ops = {
	.name = "pcap file",
	.rx_batch = pcap_merge_rx_one,
	.release = pcap_source_release,
	.stats = pcap_source_stats,
	.place = pcap_source_place,
	.close = pcap_source_close,
};

static const struct source_ops many_ops = {
	.name = "pcap files",
	.rx_batch = pcap_merge_rx_many,
	.release = pcap_source_release,
	.stats = pcap_source_stats,
	.close = pcap_source_close,
};

static size_t block_bytes_for(unsigned count, unsigned buffers)
{
	size_t bytes = ALL_BLOCKS_BYTES / count / buffers / BLOCK_BYTES_MIN * BLOCK_BYTES_MIN;

	if (bytes < BLOCK_BYTES_MIN)
		return BLOCK_BYTES_MIN;
	return bytes < PCAP_BLOCK_BYTES ? bytes : PCAP_BLOCK_BYTES;
}

static int files_check(char *const *files, unsigned count)
{
	unsigned standard_inputs = 0;

	for (unsigned i = 0; i < count; i++)
		standard_inputs += strcmp(files[i], "-") == 0;
	if (count == 0) {
		log_error("no capture file to read");
		return -EINVAL;
	}
	if (standard_inputs > 1) {
		log_error("\"-\" (standard input) is named %u times, and can be read only once", standard_inputs);
		return -EINVAL;
	}
	return 0;
}

static void info_add(struct source_info *info, const struct pcap_reader *reader, bool first)
{
	if (first)
		info->link = reader->link;
	else if (info->link != reader->link)
		info->link = -1;
	if (reader->snaplen > info->snaplen)
		info->snaplen = reader->snaplen;
	info->nanoseconds = info->nanoseconds || reader->nanoseconds;
}

int pcap_source_open(char *const *files, unsigned count, struct source **source)
{
	return pcap_source_open_ahead(files, count, 1, source);
}

int pcap_source_open_ahead(char *const *files, unsigned count, unsigned buffers, struct source **source)
{
	struct pcap_source *self;
	int error = files_check(files, count);

	if (error)
		return error;
	self = calloc(1, sizeof(*self) + count * sizeof(self->inputs[0]));
	if (!self)
		goto no_memory;
	self->heap = calloc(count, sizeof(struct pcap_input *));
	self->empty = calloc(count, sizeof(struct pcap_input *));
	if (!self->heap || !self->empty)
		goto no_memory;
	self->source.ops = count == 1 ? &one_ops : &many_ops;
	for (unsigned i = 0; i < count; i++) {
		struct pcap_reader *reader = &self->inputs[i].reader;

		error = pcap_reader_open(reader, files[i], block_bytes_for(count, buffers), buffers);
		if (error)
			goto fail;
		self->count++;
		self->empty[self->empty_size++] = &self->inputs[i];
		info_add(&self->source.info, reader, i == 0);
	}
	self->source.info.places = count == 1 && pcap_reader_has_positions(&self->inputs[0].reader);
	*source = &self->source;
	return 0;
no_memory:
	log_error("cannot open %u capture files: out of memory", count);
	error = -ENOMEM;
fail:
	pcap_source_close(self ? &self->source : NULL);
	return error;
}

int pcap_source_link(const struct source *source, unsigned file)
{
	return pcap_source_of(source)->inputs[file].reader.link;
}

const char *pcap_link_name(int link)
{
	return link_type_name((uint32_t)link);
}
