#include "byte_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "counters.h"
#include "log.h"

#define PIPE_WAIT_MS 100
#define PACKED_BYTES ((size_t)128 << 10)

enum gzip_state { GZIP_NONE, GZIP_MEMBER, GZIP_BETWEEN, GZIP_END };

struct byte_stream {
	char *name;
	int fd;
	bool regular;
	bool cut;
	int error;
	uint64_t done; /* written by the reader, read by any */
	uint64_t total;
	uint64_t limit; /* of the file as far as it may be read */
	uint64_t unpacked;

	uint8_t head[BYTE_STREAM_HEAD];
	size_t head_bytes;
	size_t head_given; /* of them, already handed out by byte_stream_read() */

	enum gzip_state gzip;
	z_stream zlib;
	uint8_t *packed;
};

/* As byte_stream_read(), but the bytes of the file as they are. */
static ssize_t raw_read(struct byte_stream *stream, void *to, size_t n)
{
	if (!stream->regular) {
		struct pollfd wanted = { .fd = stream->fd, .events = POLLIN };
		int ready = poll(&wanted, 1, PIPE_WAIT_MS);
		if (ready == 0 || (ready < 0 && errno == EINTR))
			return -EAGAIN;
	}
	ssize_t got;
	if (stream->done >= stream->limit)
		return -EAGAIN;
	n = stream->limit - stream->done < n ? (size_t)(stream->limit - stream->done) : n;
	do
		got = read(stream->fd, to, n);
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		if (errno == EAGAIN)
			return -EAGAIN;
		stream->error = -errno;
		log_error("%s: cannot read on at byte %llu: %s", stream->name, (unsigned long long)stream->done, strerror(errno));
		return stream->error;
	}
	counter_add(&stream->done, (uint64_t)got);
	return got;
}

/* More packed bytes for zlib, once it has used up what it had: 1, 0 at the end of the file, or negative. */
static int packed_fill(struct byte_stream *stream)
{
	ssize_t got = raw_read(stream, stream->packed, PACKED_BYTES);
	if (got <= 0)
		return (int)got;
	stream->zlib.next_in = stream->packed;
	stream->zlib.avail_in = (uInt)got;
	return 1;
}

/* A gzip file may hold several members, one after the other; what follows the last (padding) is ignored, as gzip does. */
static void gzip_next_member(struct byte_stream *stream)
{
	if (stream->zlib.next_in[0] == 0x1f) {
		inflateReset(&stream->zlib);
		stream->gzip = GZIP_MEMBER;
	} else {
		stream->gzip = GZIP_END;
	}
}

static int gzip_step(struct byte_stream *stream)
{
	int result = inflate(&stream->zlib, Z_NO_FLUSH);

	if (result == Z_STREAM_END) {
		stream->gzip = GZIP_BETWEEN;
	} else if (result != Z_OK && result != Z_BUF_ERROR) {
		const char *why = stream->zlib.msg ? stream->zlib.msg : zError(result);
		stream->error = result == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
		log_error("%s: the gzip data are damaged before byte %llu (%s); what comes before is processed", stream->name,
			(unsigned long long)(stream->done - stream->zlib.avail_in), why);
	}
	return stream->error;
}

static ssize_t gzip_read(struct byte_stream *stream, void *to, size_t n)
{
	z_stream *zlib = &stream->zlib;

	zlib->next_out = to;
	zlib->avail_out = (uInt)n;
	while (zlib->avail_out > 0 && stream->gzip != GZIP_END && !stream->error) {
		if (zlib->avail_in == 0) {
			int got = packed_fill(stream);
			if (got == -EAGAIN && zlib->avail_out < n)
				break;
			if (got == -EAGAIN)
				return got;
			if (got == 0) {
				stream->cut = stream->gzip == GZIP_MEMBER;
				stream->gzip = GZIP_END;
			}
			if (got <= 0)
				break;
		}
		if (stream->gzip == GZIP_BETWEEN)
			gzip_next_member(stream);
		if (stream->gzip == GZIP_MEMBER)
			gzip_step(stream);
	}
	if (zlib->avail_out == n)
		return stream->error;
	return (ssize_t)(n - zlib->avail_out);
}

static ssize_t unpacked_read(struct byte_stream *stream, void *to, size_t n)
{
	return stream->gzip == GZIP_NONE ? raw_read(stream, to, n) : gzip_read(stream, to, n);
}

/* Waits as long as it takes: without the first bytes nothing can be opened. */
static int head_fill(struct byte_stream *stream)
{
	while (stream->head_bytes < BYTE_STREAM_HEAD) {
		ssize_t got = unpacked_read(stream, stream->head + stream->head_bytes, BYTE_STREAM_HEAD - stream->head_bytes);
		if (got == 0)
			break;
		if (got < 0 && got != -EAGAIN)
			return (int)got;
		if (got > 0)
			stream->head_bytes += (size_t)got;
	}
	return 0;
}

/* What was read as head was packed: hand it to zlib, and fill the head with what it unpacks to. */
static int gzip_open(struct byte_stream *stream)
{
	stream->packed = malloc(PACKED_BYTES);
	if (!stream->packed || inflateInit2(&stream->zlib, 15 + 16) != Z_OK)
		return -ENOMEM;
	stream->gzip = GZIP_MEMBER;
	memcpy(stream->packed, stream->head, stream->head_bytes);
	stream->zlib.next_in = stream->packed;
	stream->zlib.avail_in = (uInt)stream->head_bytes;
	stream->head_bytes = 0;
	return head_fill(stream);
}

static int fd_open(struct byte_stream *stream, const char *path)
{
	struct stat about;

	stream->fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (stream->fd < 0 || fstat(stream->fd, &about) < 0) {
		int error = -errno;
		log_error("cannot open %s: %s", stream->name, strerror(errno));
		return error;
	}
	if (S_ISDIR(about.st_mode)) {
		log_error("%s is a directory; name the capture files in it", stream->name);
		return -EISDIR;
	}
	if (isatty(stream->fd)) {
		log_error("%s is a terminal; redirect a capture file into it, or pipe one", stream->name);
		return -EINVAL;
	}
	stream->regular = S_ISREG(about.st_mode);
	stream->total = stream->regular ? (uint64_t)about.st_size : 0;
	if (stream->regular)
		posix_fadvise(stream->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return 0;
}

int byte_stream_open(const char *path, struct byte_stream **result)
{
	struct byte_stream *stream = calloc(1, sizeof(*stream));
	int error = -ENOMEM;

	if (!stream)
		goto fail;
	stream->fd = -1;
	stream->limit = UINT64_MAX;
	stream->name = strdup(strcmp(path, "-") == 0 ? "standard input" : path);
	if (!stream->name)
		goto fail;
	error = fd_open(stream, path);
	if (error)
		goto said;
	error = head_fill(stream);
	if (error)
		goto said;
	if (stream->head_bytes >= 2 && stream->head[0] == 0x1f && stream->head[1] == 0x8b)
		error = gzip_open(stream);
	if (error == -ENOMEM)
		goto fail;
	if (error)
		goto said;
	*result = stream;
	return 0;
fail:
	log_error("cannot open %s: out of memory", path);
said:
	byte_stream_close(stream);
	return error;
}

const uint8_t *byte_stream_head(const struct byte_stream *stream, size_t *bytes)
{
	*bytes = stream->head_bytes;
	return stream->head;
}

ssize_t byte_stream_read(struct byte_stream *stream, void *to, size_t n)
{
	ssize_t got;

	if (stream->head_given < stream->head_bytes) {
		size_t left = stream->head_bytes - stream->head_given;
		got = (ssize_t)(n < left ? n : left);
		memcpy(to, stream->head + stream->head_given, (size_t)got);
		stream->head_given += (size_t)got;
	} else {
		if (stream->error)
			return stream->error;
		got = unpacked_read(stream, to, n);
	}
	if (got > 0)
		stream->unpacked += (uint64_t)got;
	return got;
}

void byte_stream_set_limit(struct byte_stream *stream, uint64_t limit)
{
	stream->limit = limit;
}

bool byte_stream_plain(const struct byte_stream *stream)
{
	return stream->regular && stream->gzip == GZIP_NONE;
}

const char *byte_stream_name(const struct byte_stream *stream)
{
	return stream->name;
}

bool byte_stream_cut(const struct byte_stream *stream)
{
	return stream->cut;
}

int byte_stream_error(const struct byte_stream *stream)
{
	return stream->error;
}

uint64_t byte_stream_unpacked(const struct byte_stream *stream)
{
	return stream->unpacked;
}

uint64_t byte_stream_done(const struct byte_stream *stream)
{
	return counter_read(&stream->done);
}

uint64_t byte_stream_total(const struct byte_stream *stream)
{
	return stream->total;
}

void byte_stream_close(struct byte_stream *stream)
{
	if (!stream)
		return;
	if (stream->gzip != GZIP_NONE)
		inflateEnd(&stream->zlib);
	if (stream->fd >= 0)
		close(stream->fd);
	free(stream->packed);
	free(stream->name);
	free(stream);
}
