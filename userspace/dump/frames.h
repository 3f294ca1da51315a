/*
 * Reads a file of audit records frame by frame: plain or gzip'ed, which its first bytes tell. What is wrong is a sentence with the place.
 */
#ifndef FLOWLANE_DUMP_FRAMES_H
#define FLOWLANE_DUMP_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frames;

#define FRAME_BYTES_MAX ((size_t)64 << 20) /* a longer one is damage */

/* "-": standard input. 0, or a negative errno with a sentence in `error`. */
int frames_open(const char *path, struct frames **frames, char *error, size_t error_bytes);
void frames_close(struct frames *frames); /* accepts NULL */
/* 1: a frame, good until the next call; 0: the end; -EIO: cannot be read, another negative errno: broken; frames_error() says where. */
int frames_next(struct frames *frames, const uint8_t **bytes, size_t *n);
/* After the end: the file stopped inside a frame, or a gzip stream without its end. */
bool frames_truncated(const struct frames *frames);
const char *frames_error(const struct frames *frames);
/* Where the frame at hand begins, in the uncompressed bytes. */
uint64_t frames_offset(const struct frames *frames);

#endif
