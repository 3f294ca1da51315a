/*
 * Capture files for tests, byte by byte: classic pcap in each variant, pcapng, gzip'ed, cut, or broken on purpose; and a reader
 * that drains a source while it checks that each frame of a batch is still whole when the batch is.
 */
#ifndef FLOWLANE_CAPTURE_BUILDER_H
#define FLOWLANE_CAPTURE_BUILDER_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "bytes.h"
#include "flowlane/pcap_format.h"
#include "pcap_source.h"

#define SECOND_NS UINT64_C(1000000000)

struct capture {
	uint8_t *bytes;
	size_t size;
	size_t room;
	bool big_endian;
	uint64_t unit_ns; /* of the record's fraction */
};

static char capture_dir[] = "/tmp/flowlane-test-XXXXXX";
static char capture_said[8192]; /* what was logged since said_begin() */
static int said_saved = -1, said_file = -1;

static inline int capture_dir_make(void **state)
{
	(void)state;
	strcpy(capture_dir + strlen(capture_dir) - 6, "XXXXXX");
	return mkdtemp(capture_dir) ? 0 : -1;
}

/* A path in the scratch directory; 64 of them are valid at a time. */
static inline const char *capture_path(const char *name)
{
	static char paths[64][256];
	static unsigned used;
	char *path = paths[used++ % 64];

	snprintf(path, sizeof(paths[0]), "%s/%s", capture_dir, name);
	return path;
}

static inline int capture_dir_remove(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", capture_dir);
	return system(command);
}

/* Between the two, messages go to capture_said instead of the test's log. */
static inline void said_begin(void)
{
	said_file = open(capture_path("said"), O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
	said_saved = dup(STDERR_FILENO);
	dup2(said_file, STDERR_FILENO);
}

static inline const char *said_end(void)
{
	ssize_t n = pread(said_file, capture_said, sizeof(capture_said) - 1, 0);

	capture_said[n > 0 ? n : 0] = 0;
	dup2(said_saved, STDERR_FILENO);
	close(said_saved);
	close(said_file);
	return capture_said;
}

static inline void assert_said(const char *part)
{
	if (!strstr(capture_said, part))
		fail_msg("\"%s\" is not in: %s", part, capture_said);
}

static inline void capture_add(struct capture *capture, const void *bytes, size_t n)
{
	if (capture->size + n > capture->room) {
		capture->room = (capture->size + n) * 2;
		capture->bytes = realloc(capture->bytes, capture->room);
		assert_non_null(capture->bytes);
	}
	if (n)
		memcpy(capture->bytes + capture->size, bytes, n);
	capture->size += n;
}

static inline void capture_add_u32(struct capture *capture, uint32_t value)
{
	if (capture->big_endian)
		value = __builtin_bswap32(value);
	capture_add(capture, &value, sizeof(value));
}

static inline void capture_add_u16(struct capture *capture, uint16_t value)
{
	if (capture->big_endian)
		value = __builtin_bswap16(value);
	capture_add(capture, &value, sizeof(value));
}

static inline void capture_header(struct capture *capture, uint32_t snaplen, uint32_t network)
{
	capture_add_u32(capture, capture->unit_ns == 1 ? PCAP_MAGIC_NS : PCAP_MAGIC_US);
	capture_add_u16(capture, 2);
	capture_add_u16(capture, 4);
	capture_add_u32(capture, 0);
	capture_add_u32(capture, 0);
	capture_add_u32(capture, snaplen);
	capture_add_u32(capture, network);
}

/* A little-endian Ethernet file with microseconds: what most tests want. */
static inline struct capture capture_new(void)
{
	struct capture capture = { .unit_ns = 1000 };

	capture_header(&capture, 65535, LINK_ETHERNET);
	return capture;
}

/* Byte i of a packet: from its time and length, so that a frame can be checked without knowing where it comes from. */
static inline uint8_t pattern_at(uint64_t ts_ns, uint32_t length, uint32_t i)
{
	return (uint8_t)(ts_ns / 1000 * 31 + length * 7 + i * 13 + (i >> 8));
}

static inline void capture_pattern(struct capture *capture, uint64_t ts_ns, uint32_t length)
{
	for (uint32_t i = 0; i < length; i++) {
		uint8_t byte = pattern_at(ts_ns, length, i);
		capture_add(capture, &byte, 1);
	}
}

static inline void capture_record(struct capture *capture, uint64_t ts_ns, uint32_t cap_len, uint32_t wire_len)
{
	capture_add_u32(capture, (uint32_t)(ts_ns / SECOND_NS));
	capture_add_u32(capture, (uint32_t)(ts_ns % SECOND_NS / capture->unit_ns));
	capture_add_u32(capture, cap_len);
	capture_add_u32(capture, wire_len);
	capture_pattern(capture, ts_ns, cap_len);
}

static inline void pcapng_section(struct capture *capture)
{
	capture_add_u32(capture, 0x0a0d0d0a);
	capture_add_u32(capture, 28);
	capture_add_u32(capture, 0x1a2b3c4d);
	capture_add_u16(capture, 1);
	capture_add_u16(capture, 0);
	capture_add_u32(capture, UINT32_MAX);
	capture_add_u32(capture, UINT32_MAX);
	capture_add_u32(capture, 28);
}

/* resolution: the byte of if_tsresol; 0: option absent, which means microseconds. */
static inline void pcapng_interface(struct capture *capture, uint16_t link, uint32_t snaplen, uint8_t resolution)
{
	uint32_t length = resolution ? 32 : 20;

	capture_add_u32(capture, 1);
	capture_add_u32(capture, length);
	capture_add_u16(capture, link);
	capture_add_u16(capture, 0);
	capture_add_u32(capture, snaplen);
	if (resolution) {
		capture_add_u16(capture, 9);
		capture_add_u16(capture, 1);
		capture_add(capture, (uint8_t[]){ resolution, 0, 0, 0 }, 4);
		capture_add_u32(capture, 0);
	}
	capture_add_u32(capture, length);
}

static inline void pcapng_packet(
	struct capture *capture, uint32_t interface, uint64_t ticks, uint64_t ts_ns, uint32_t cap_len, uint32_t wire_len)
{
	uint32_t padded = (cap_len + 3) & ~3u;

	capture_add_u32(capture, 6);
	capture_add_u32(capture, 32 + padded);
	capture_add_u32(capture, interface);
	capture_add_u32(capture, (uint32_t)(ticks >> 32));
	capture_add_u32(capture, (uint32_t)ticks);
	capture_add_u32(capture, cap_len);
	capture_add_u32(capture, wire_len);
	capture_pattern(capture, ts_ns, cap_len);
	capture_add(capture, "\0\0\0", padded - cap_len);
	capture_add_u32(capture, 32 + padded);
}

static inline void capture_free(struct capture *capture)
{
	free(capture->bytes);
	*capture = (struct capture){ 0 };
}

static inline void file_write(const char *path, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	size_t done = 0;

	assert_true(fd >= 0);
	while (done < n) {
		ssize_t got = write(fd, (const uint8_t *)bytes + done, n - done);
		assert_true(got > 0);
		done += (size_t)got;
	}
	close(fd);
}

/* Writes the first n bytes under this name; returns the path. */
static inline const char *capture_write_cut(const struct capture *capture, const char *name, size_t n)
{
	const char *path = capture_path(name);

	file_write(path, capture->bytes, n);
	return path;
}

static inline const char *capture_write(struct capture *capture, const char *name)
{
	const char *path = capture_write_cut(capture, name, capture->size);

	capture_free(capture);
	return path;
}

/* The gzip form of n bytes, appended. */
static inline void capture_add_gzip(struct capture *capture, const void *bytes, size_t n)
{
	z_stream zlib = { .next_in = (Bytef *)bytes, .avail_in = (uInt)n };

	assert_int_equal(deflateInit2(&zlib, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	size_t room = deflateBound(&zlib, (uLong)n);
	uint8_t *packed = malloc(room);
	zlib.next_out = packed;
	zlib.avail_out = (uInt)room;
	assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
	capture_add(capture, packed, room - zlib.avail_out);
	deflateEnd(&zlib);
	free(packed);
}

static inline struct capture capture_gzip(struct capture *capture)
{
	struct capture packed = { .unit_ns = capture->unit_ns };

	capture_add_gzip(&packed, capture->bytes, capture->size);
	capture_free(capture);
	return packed;
}

/* What a source gave, without the data. */
struct drained {
	struct frame *frames; /* .data is not valid */
	size_t count;
	int end; /* the last result of rx_batch() */
	struct source_info info;
	struct source_stats stats;
};

static inline void frame_check(const struct frame *frame)
{
	for (uint32_t i = 0; i < frame->cap_len; i++)
		if (frame->data[i] != pattern_at(frame->ts_ns, frame->cap_len, i))
			fail_msg("byte %u of a frame of %u at %llu ns is wrong", i, frame->cap_len,
				(unsigned long long)frame->ts_ns);
}

static inline void source_drain(struct source *source, struct drained *drained, bool check)
{
	struct frame batch[FLOWLANE_BATCH];
	int n;

	*drained = (struct drained){ .info = source->info };
	while ((n = source->ops->rx_batch(source, batch, FLOWLANE_BATCH)) >= 0) {
		drained->frames = realloc(drained->frames, (drained->count + (size_t)n + 1) * sizeof(batch[0]));
		for (int i = 0; i < n; i++) {
			if (check)
				frame_check(&batch[i]);
			drained->frames[drained->count++] = batch[i];
		}
		source->ops->release(source, batch, (unsigned)n);
	}
	drained->end = n;
	assert_int_equal(source->ops->rx_batch(source, batch, FLOWLANE_BATCH), n); /* the end stays the end */
	source->ops->stats(source, &drained->stats);
	assert_int_equal(drained->stats.frames, drained->count);
	source->ops->close(source);
}

/* Opens (0 or the error), drains; messages are in capture_said. */
static inline int files_drain(const char *const *files, unsigned count, struct drained *drained, bool check)
{
	struct source *source = NULL;

	*drained = (struct drained){ 0 };
	said_begin();
	int error = pcap_source_open((char *const *)files, count, &source);
	if (!error)
		source_drain(source, drained, check);
	said_end();
	return error;
}

static inline int file_drain(const char *file, struct drained *drained)
{
	return files_drain(&file, 1, drained, true);
}

#endif
