#include "frame_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "byte_stream.h"
#include "bytes.h"
#include "flowlane/source.h"
#include "log.h"
#include "pcap_reader.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define HEADER        sizeof(struct pcap_record_header)

/* Frames that are nearer than a gap are read together: 64 KiB take as long as a seek on a fast disk. Up to the window at once. */
#define GAP_BYTES    ((uint64_t)64 << 10)
#define WINDOW_BYTES ((uint64_t)1 << 20)
_Static_assert(WINDOW_BYTES >= HEADER + PCAP_CAP_LEN_MAX, "every frame fits");

struct copy {
	const char *path;
	const struct frame_list *list;
	uint64_t since_ns, until_ns;
	struct frame_output *output;

	/* pcap */
	int fd;
	bool swapped, nanoseconds;
	uint8_t *window;
};

static int frame_refuse(const struct copy *copy, const struct frame_ref *ref, const char *what)
{
	log_error("extract: \"%s\" is not the capture of this index, or was changed: at byte %" PRIu64 ", where frame %" PRIu32
		  " should begin, %s",
		copy->path, ref->offset, ref->number, what);
	return -EBADMSG;
}

/* --- pcap ------------------------------------------------------------------------------------------------------------ */

static uint32_t u32_at(const struct copy *copy, const uint8_t *p)
{
	return copy->swapped ? load_be32(p) : load_le32(p);
}

/* All of them, or -EIO, -EBADMSG (the file ends before), logged. */
static int bytes_read(const struct copy *copy, uint8_t *to, uint64_t bytes, uint64_t offset)
{
	while (bytes > 0) {
		ssize_t got = pread(copy->fd, to, bytes, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int error = -errno;
			log_error("extract: \"%s\": cannot read at byte %" PRIu64 ": %s", copy->path, offset, strerror(errno));
			return error;
		}
		if (got == 0) {
			log_error("extract: \"%s\" ends at byte %" PRIu64
				  ", and a frame of the index lies behind that: it is not the capture of this index, or was cut",
				copy->path, offset);
			return -EBADMSG;
		}
		to += got;
		offset += (uint64_t)got;
		bytes -= (uint64_t)got;
	}
	return 0;
}

static int record_put(const struct copy *copy, const struct frame_ref *ref, const uint8_t *record)
{
	struct pcap_record_header header = {
		.seconds = u32_at(copy, record),
		.fraction = u32_at(copy, record + 4),
		.cap_len = u32_at(copy, record + 8),
		.wire_len = u32_at(copy, record + 12),
	};
	uint64_t ts_ns = header.seconds * NS_PER_SECOND + (uint64_t)header.fraction * (copy->nanoseconds ? 1 : 1000);

	if (header.cap_len != ref->length || ts_ns / 1000000 != ref->time_ms)
		return frame_refuse(copy, ref, "the file has no frame of this length and time");
	if (ts_ns < copy->since_ns || ts_ns > copy->until_ns)
		return 0;
	return frame_output_put(copy->output, &header, record + HEADER);
}

/* The frames from the i-th on that are read together: how many, and up to where. */
static uint64_t window_of(const struct frame_list *list, uint64_t i, uint64_t *end)
{
	uint64_t start = list->frames[i].offset - HEADER, n = 0;

	*end = start;
	for (; i < list->count; i++, n++) {
		const struct frame_ref *ref = &list->frames[i];
		if (n > 0 && (ref->offset - HEADER > *end + GAP_BYTES || ref->offset + ref->length - start > WINDOW_BYTES))
			break;
		*end = ref->offset + ref->length > *end ? ref->offset + ref->length : *end;
	}
	return n;
}

static int records_copy(struct copy *copy)
{
	const struct frame_list *list = copy->list;
	int error = 0;

	for (uint64_t i = 0, n; i < list->count && !error; i += n) {
		uint64_t start = list->frames[i].offset - HEADER, end;
		for (uint64_t j = i; j < list->count; j++) {
			if (list->frames[j].offset < sizeof(struct pcap_file_header) + HEADER ||
				list->frames[j].length > PCAP_CAP_LEN_MAX)
				return frame_refuse(copy, &list->frames[j], "none can be");
			if (j > i && list->frames[j].offset > start + WINDOW_BYTES)
				break;
		}
		n = window_of(list, i, &end);
		error = bytes_read(copy, copy->window, end - start, start);
		for (uint64_t j = i; j < i + n && !error; j++)
			error = record_put(copy, &list->frames[j], copy->window + (list->frames[j].offset - HEADER - start));
	}
	return error;
}

static int pcap_copy(struct copy *copy, const struct pcap_reader *reader)
{
	uint8_t head[sizeof(struct pcap_file_header)];
	int error;

	copy->swapped = reader->variant == PCAP_US_SWAPPED || reader->variant == PCAP_NS_SWAPPED;
	copy->nanoseconds = reader->nanoseconds;
	copy->window = malloc(WINDOW_BYTES);
	copy->fd = open(copy->path, O_RDONLY | O_CLOEXEC);
	if (!copy->window || copy->fd < 0) {
		error = copy->window ? -errno : -ENOMEM;
		log_error("extract: cannot read \"%s\": %s", copy->path, strerror(-error));
		return error;
	}
	error = bytes_read(copy, head, sizeof(head), 0);
	if (!error)
		error = frame_output_begin(copy->output, copy->path, u32_at(copy, head + 20) & PCAP_LINK_MASK,
			u32_at(copy, head + 16), copy->nanoseconds);
	return error ? error : records_copy(copy);
}

/* --- pcapng ---------------------------------------------------------------------------------------------------------- */

static int frame_put(struct copy *copy, const struct pcap_reader *reader, const struct frame *frame)
{
	uint64_t seconds = frame->ts_ns / NS_PER_SECOND, fraction = frame->ts_ns % NS_PER_SECOND;
	struct pcap_record_header header = {
		.seconds = seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds,
		.fraction = (uint32_t)(reader->nanoseconds ? fraction : fraction / 1000),
		.cap_len = frame->cap_len,
		.wire_len = frame->wire_len,
	};

	if (frame->ts_ns < copy->since_ns || frame->ts_ns > copy->until_ns)
		return 0;
	int error = frame_output_begin(copy->output, copy->path, frame->link, reader->snaplen, reader->nanoseconds);
	return error ? error : frame_output_put(copy->output, &header, frame->data);
}

static int frames_copy(struct copy *copy, struct pcap_reader *reader)
{
	const struct frame_list *list = copy->list;
	struct frame frames[FLOWLANE_BATCH];
	uint64_t next = 0;
	int error = 0, filled = 1;

	while (next < list->count && filled > 0 && !error) {
		unsigned n = pcap_reader_take(reader, frames, FLOWLANE_BATCH);
		for (unsigned i = 0; i < n && next < list->count && !error; i++) {
			const struct frame_ref *ref = &list->frames[next];
			uint64_t position = pcap_reader_position(reader, frames[i].data);
			if (position < ref->offset)
				continue;
			if (position != ref->offset || frames[i].cap_len != ref->length ||
				frames[i].ts_ns / 1000000 != ref->time_ms)
				return frame_refuse(copy, ref, "the file has no frame of this length and time");
			error = frame_put(copy, reader, &frames[i]);
			next++;
		}
		if (n == 0)
			filled = pcap_reader_refill(reader);
	}
	if (!error && next < list->count)
		return frame_refuse(copy, &list->frames[next], "the file is at its end");
	return error;
}

int frame_copy(const char *path, const struct frame_list *list, uint64_t since_ns, uint64_t until_ns, struct frame_output *output)
{
	struct copy copy = { .path = path, .list = list, .since_ns = since_ns, .until_ns = until_ns, .output = output, .fd = -1 };
	struct pcap_reader reader;
	int error = pcap_reader_open(&reader, path, PCAP_BLOCK_BYTES, 1);

	if (error)
		return error;
	if (!pcap_reader_has_positions(&reader)) {
		log_error("extract: \"%s\" is compressed, or of an old kind of pcap: nothing can point into it", path);
		error = -EINVAL;
	} else if (reader.variant == PCAP_NG) {
		error = frames_copy(&copy, &reader);
	} else {
		error = pcap_copy(&copy, &reader);
	}
	pcap_reader_close(&reader);
	free(copy.window);
	if (copy.fd >= 0)
		close(copy.fd);
	return error;
}
