#include "traffic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flowlane/packet.h"
#include "flowlane/pcap_format.h"

struct captured {
	uint64_t ts_ns;
	size_t offset; /* into capture.bytes */
	uint32_t cap_len;
	uint32_t wire_len;
};

struct capture {
	struct captured *packets;
	size_t count, room;
	uint8_t *bytes;
	size_t used, size;
};

struct pcap_writer {
	FILE *file;
	const char *path;
	bool nanoseconds;
};

static void *grow(void *area, size_t bytes)
{
	area = realloc(area, bytes);
	if (!area)
		traffic_die("no memory for %zu bytes of packets", bytes);
	return area;
}

struct capture *capture_create(void)
{
	return memset(grow(NULL, sizeof(struct capture)), 0, sizeof(struct capture));
}

void capture_free(struct capture *capture)
{
	if (!capture)
		return;
	free(capture->packets);
	free(capture->bytes);
	free(capture);
}

void capture_add(struct capture *capture, uint64_t ts_ns, const void *data, uint32_t cap_len, uint32_t wire_len)
{
	if (capture->count == capture->room) {
		capture->room = capture->room ? capture->room * 2 : 1024;
		capture->packets = grow(capture->packets, capture->room * sizeof(*capture->packets));
	}
	if (capture->used + cap_len > capture->size) {
		capture->size = (capture->size + cap_len) * 2;
		capture->bytes = grow(capture->bytes, capture->size);
	}
	memcpy(capture->bytes + capture->used, data, cap_len);
	capture->packets[capture->count++] = (struct captured){ ts_ns, capture->used, cap_len, wire_len };
	capture->used += cap_len;
}

void capture_add_frame(struct capture *capture, uint64_t ts_ns, const struct frame_builder *f)
{
	capture_add(capture, ts_ns, frame_bytes(f), frame_len(f), frame_len(f));
}

size_t capture_packets(const struct capture *capture)
{
	return capture->count;
}

/* Offsets grow in the order of adding: as second key they make the sort stable. */
static int captured_compare(const void *x, const void *y)
{
	const struct captured *a = x, *b = y;

	if (a->ts_ns != b->ts_ns)
		return a->ts_ns < b->ts_ns ? -1 : 1;
	return (a->offset > b->offset) - (a->offset < b->offset);
}

void capture_write(struct capture *capture, const char *path, bool nanoseconds)
{
	struct pcap_writer *writer = pcap_writer_open(path, nanoseconds, 65535);

	qsort(capture->packets, capture->count, sizeof(*capture->packets), captured_compare);
	for (size_t i = 0; i < capture->count; i++) {
		const struct captured *p = &capture->packets[i];
		pcap_writer_add(writer, p->ts_ns, capture->bytes + p->offset, p->cap_len, p->wire_len);
	}
	pcap_writer_close(writer);
}

struct pcap_writer *pcap_writer_open(const char *path, bool nanoseconds, uint32_t snaplen)
{
	struct pcap_writer *writer = grow(NULL, sizeof(*writer));
	struct pcap_file_header header = {
		.magic = nanoseconds ? PCAP_MAGIC_NS : PCAP_MAGIC_US,
		.version_major = PCAP_VERSION_MAJOR_CURRENT,
		.version_minor = PCAP_VERSION_MINOR_CURRENT,
		.snaplen = snaplen,
		.network = LINK_ETHERNET,
	};

	writer->path = path;
	writer->nanoseconds = nanoseconds;
	writer->file = fopen(path, "wb");
	if (!writer->file)
		traffic_die("cannot write '%s': %s", path, strerror(errno));
	setvbuf(writer->file, NULL, _IOFBF, (size_t)1 << 20);
	fwrite_unlocked(&header, sizeof(header), 1, writer->file);
	return writer;
}

void pcap_writer_add(struct pcap_writer *writer, uint64_t ts_ns, const void *data, uint32_t cap_len, uint32_t wire_len)
{
	uint64_t fraction_ns = ts_ns % 1000000000;
	struct pcap_record_header header = {
		.seconds = (uint32_t)(ts_ns / 1000000000),
		.fraction = (uint32_t)(writer->nanoseconds ? fraction_ns : fraction_ns / 1000),
		.cap_len = cap_len,
		.wire_len = wire_len,
	};

	fwrite_unlocked(&header, sizeof(header), 1, writer->file);
	fwrite_unlocked(data, cap_len, 1, writer->file);
}

void pcap_writer_close(struct pcap_writer *writer)
{
	bool failed = ferror(writer->file);

	if (fclose(writer->file) || failed)
		traffic_die("cannot write all of '%s': %s", writer->path,
			failed ? "write error, probably no space left" : strerror(errno));
	free(writer);
}
