/*
 * The bytes of an input file, unpacked if they are gzip'ed: a file, a named pipe or standard input.
 *
 * Used by one thread; byte_stream_done() by any. Failures are logged here, with the name of the file.
 */
#ifndef FLOWLANE_BYTE_STREAM_H
#define FLOWLANE_BYTE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The size of a pcap file header: enough to tell the formats apart, and a live pipe has sent it before its first packet. */
#define BYTE_STREAM_HEAD 24

struct byte_stream;

/* "-" is standard input. 0 or a negative errno. Waits for the first BYTE_STREAM_HEAD bytes. */
int byte_stream_open(const char *path, struct byte_stream **stream);

/* The first bytes (unpacked), without consuming them: at most BYTE_STREAM_HEAD, fewer only if the input has no more. */
const uint8_t *byte_stream_head(const struct byte_stream *stream, size_t *bytes);

/*
 * Up to n bytes: their number; 0 at the end; -EAGAIN if a pipe has sent nothing for 100 ms (so that the caller can look
 * whether it should stop); or another negative errno, after all bytes before the failure.
 */
ssize_t byte_stream_read(struct byte_stream *stream, void *to, size_t n);

/* A file that grows: bytes from `limit` on are not there yet, and byte_stream_read() gives -EAGAIN for them. Not for gzip. */
void byte_stream_set_limit(struct byte_stream *stream, uint64_t limit);

const char *byte_stream_name(const struct byte_stream *stream);  /* for messages */
bool byte_stream_plain(const struct byte_stream *stream);        /* a regular file, not packed: its bytes have positions */
bool byte_stream_cut(const struct byte_stream *stream);          /* the gzip data ended too early; known at the end */
int byte_stream_error(const struct byte_stream *stream);         /* 0, or what byte_stream_read() failed with */
uint64_t byte_stream_unpacked(const struct byte_stream *stream); /* bytes that byte_stream_read() gave */
uint64_t byte_stream_done(const struct byte_stream *stream);     /* bytes read from the file (packed) */
uint64_t byte_stream_total(const struct byte_stream *stream);    /* size of the file (packed); 0: not a regular file */
void byte_stream_close(struct byte_stream *stream);              /* accepts NULL */

#endif
