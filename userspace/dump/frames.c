#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define INPUT_BYTES  ((size_t)256 << 10)
#define VARINT_BYTES 10

struct frames {
	int fd;
	bool gzip;
	bool started; /* the first bytes have been looked at */
	bool eof;     /* of the file */
	bool member;  /* within a gzip member */
	bool failed;  /* the gzip stream is broken; `error` is set */
	bool truncated;
	z_stream stream;
	bool stream_open;
	uint64_t input_offset; /* of the file, behind what was read */
	size_t input_at, input_bytes;
	uint8_t input[INPUT_BYTES];

	/* uncompressed: what is not yet taken */
	uint8_t *buffer;
	size_t room, at, bytes;
	uint64_t offset; /* of buffer[at] in the uncompressed bytes */
	uint64_t frame_offset;
	char error[256];
};

static int fail(struct frames *frames, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(frames->error, sizeof(frames->error), format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

int frames_open(const char *path, struct frames **result, char *error, size_t error_bytes)
{
	struct frames *frames = calloc(1, sizeof(*frames));
	bool is_stdin = !strcmp(path, "-");

	if (!frames)
		return -ENOMEM;
	frames->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (frames->fd < 0) {
		int err = -errno;
		snprintf(error, error_bytes, "cannot open %s: %s", path, strerror(-err));
		free(frames);
		return err;
	}
	*result = frames;
	return 0;
}

void frames_close(struct frames *frames)
{
	if (!frames)
		return;
	if (frames->stream_open)
		inflateEnd(&frames->stream);
	if (frames->fd > STDIN_FILENO)
		close(frames->fd);
	free(frames->buffer);
	free(frames);
}

bool frames_truncated(const struct frames *frames)
{
	return frames->truncated;
}

const char *frames_error(const struct frames *frames)
{
	return frames->error;
}

uint64_t frames_offset(const struct frames *frames)
{
	return frames->frame_offset;
}

/* ---- bytes --------------------------------------------------------------------------------------------------------- */

static int input_fill(struct frames *frames)
{
	ssize_t n;

	if (frames->eof || frames->input_at < frames->input_bytes)
		return 0;
	do
		n = read(frames->fd, frames->input, INPUT_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		fail(frames, "cannot read at offset %" PRIu64 ": %s", frames->input_offset, strerror(errno));
		return -EIO;
	}
	frames->input_at = 0;
	frames->input_bytes = (size_t)n;
	frames->input_offset += (uint64_t)n;
	frames->eof = n == 0;
	return 0;
}

/* gzip's two magic bytes cannot begin a file of records: a header frame of 31 bytes begins with a field number then. */
static int start(struct frames *frames)
{
	int error = input_fill(frames);

	if (error)
		return error;
	frames->started = true;
	frames->gzip = frames->input_bytes >= 2 && frames->input[0] == 0x1f && frames->input[1] == 0x8b;
	if (!frames->gzip)
		return 0;
	frames->stream_open = inflateInit2(&frames->stream, 15 + 16) == Z_OK;
	frames->member = true;
	return frames->stream_open ? 0 : fail(frames, "no memory");
}

/* The end of a member: another one follows, or the file ends. */
static int member_end(struct frames *frames)
{
	frames->member = false;
	int error = input_fill(frames);
	if (error || frames->input_at == frames->input_bytes)
		return error;
	frames->member = true;
	return inflateReset(&frames->stream) == Z_OK ? 0 : fail(frames, "no memory");
}

/* Up to `room` bytes; 0: the end. What was good before an error is given out first. */
static ssize_t uncompressed(struct frames *frames, uint8_t *out, size_t room)
{
	z_stream *stream = &frames->stream;

	stream->next_out = out;
	stream->avail_out = (uInt)room;
	while (stream->avail_out == room && frames->member && !frames->failed) {
		if (input_fill(frames))
			return -EIO;
		if (frames->input_at == frames->input_bytes) {
			frames->truncated = true;
			break;
		}
		stream->next_in = frames->input + frames->input_at;
		stream->avail_in = (uInt)(frames->input_bytes - frames->input_at);
		int code = inflate(stream, Z_SYNC_FLUSH);
		frames->input_at = frames->input_bytes - stream->avail_in;
		int error = code == Z_STREAM_END ? member_end(frames) : 0;
		if (error)
			return error;
		if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
			frames->failed = true;
			fail(frames, "the gzip stream is broken at offset %" PRIu64 " of the file: %s",
				frames->input_offset - stream->avail_in, stream->msg ? stream->msg : "damaged");
		}
	}
	return (ssize_t)(room - stream->avail_out);
}

static ssize_t plain(struct frames *frames, uint8_t *out, size_t room)
{
	if (input_fill(frames))
		return -EIO;
	size_t n = frames->input_bytes - frames->input_at;
	n = n < room ? n : room;
	memcpy(out, frames->input + frames->input_at, n);
	frames->input_at += n;
	return (ssize_t)n;
}

/* The buffer grows with what is there, not with what a length claims. */
static int grow(struct frames *frames, size_t n)
{
	size_t room = 2 * frames->room + INPUT_BYTES;

	room = room < n + INPUT_BYTES ? room : n + INPUT_BYTES;
	uint8_t *buffer = realloc(frames->buffer, room);
	if (!buffer)
		return fail(frames, "no memory for a frame of %zu bytes", n);
	frames->buffer = buffer;
	frames->room = room;
	return 0;
}

/* Has at least n bytes at buffer + at, if the file has. Returns how many there are, or a negative errno. */
static ssize_t need(struct frames *frames, size_t n)
{
	int error = frames->started ? 0 : start(frames);

	if (error)
		return error;
	if (n > frames->room - frames->at) {
		if (frames->bytes)
			memmove(frames->buffer, frames->buffer + frames->at, frames->bytes);
		frames->at = 0;
	}
	while (frames->bytes < n) {
		if (frames->at + frames->bytes == frames->room && grow(frames, n))
			return -ENOMEM;
		uint8_t *end = frames->buffer + frames->at + frames->bytes;
		size_t room = frames->room - frames->at - frames->bytes;
		ssize_t got = frames->gzip ? uncompressed(frames, end, room) : plain(frames, end, room);
		if (got < 0)
			return got;
		if (got == 0)
			break;
		frames->bytes += (size_t)got;
	}
	return (ssize_t)frames->bytes;
}

/* ---- frames -------------------------------------------------------------------------------------------------------- */

static void take(struct frames *frames, size_t n)
{
	frames->at += n;
	frames->bytes -= n;
	frames->offset += n;
}

/* The file stops here, inside a frame or before one. */
static int stop(struct frames *frames, bool inside)
{
	if (frames->failed)
		return -EBADMSG;
	frames->truncated |= inside;
	return 0;
}

int frames_next(struct frames *frames, const uint8_t **bytes, size_t *n)
{
	ssize_t there = need(frames, VARINT_BYTES);
	uint64_t length = 0;
	unsigned used = 0;

	frames->frame_offset = frames->offset;
	if (there < 0)
		return (int)there;
	for (uint8_t byte = 0x80; byte & 0x80; used++) {
		if (used == VARINT_BYTES)
			return fail(frames, "the length at offset %" PRIu64 " has more than ten bytes", frames->offset);
		if (used == (size_t)there)
			return stop(frames, used > 0);
		byte = frames->buffer[frames->at + used];
		length |= (uint64_t)(byte & 0x7f) << (7 * used);
	}
	if (length > FRAME_BYTES_MAX)
		return fail(frames, "the record at offset %" PRIu64 " claims %" PRIu64 " bytes, which no record has",
			frames->offset, length);
	there = need(frames, used + length);
	if (there < 0)
		return (int)there;
	if ((size_t)there < used + length)
		return stop(frames, true);
	take(frames, used);
	*bytes = frames->buffer + frames->at;
	*n = length;
	take(frames, length);
	return 1;
}
