/* The inside of chunk_writer.h: one stream. Everything here on the writer's thread, unless it says otherwise. */
#ifndef FLOWLANE_CHUNK_STREAM_H
#define FLOWLANE_CHUNK_STREAM_H

#include <stdbool.h>

#include "chunk_writer.h"
#include "file_ring.h"

#define STREAM_PIECES 32 /* of chunks, in one write */
/* About as much goes into one write: enough that the pause between two does not count (1 ms at 4 GB/s), and not so much that lanes
 * wait long for the chunks in it. */
#define WRITE_BYTES ((size_t)4 << 20)

/* What a write holds of one chunk. */
struct chunk_piece {
	size_t end; /* bytes of the write up to here */
	uint64_t records;
	struct chunk *chunk; /* free when the piece is written; NULL: the rest of it follows, or it was copied */
};

struct chunk_pieces {
	unsigned count;
	struct chunk_piece piece[STREAM_PIECES];
};

/*
 * Direct writes: chunks are copied one behind the other, so that whole blocks can be written. While one buffer is on its way to the
 * disk the other is filled; it begins with what was left over of the first.
 *
 *   file  | ... written, whole blocks | base: the buffer ... | left over |
 */
struct chunk_stage {
	uint8_t *data;
	size_t fill;
	struct chunk_pieces pieces;
};

enum stream_barrier { BARRIER_NONE, BARRIER_NEXT, BARRIER_REOPEN }; /* what comes when all before it is in the file */

struct chunk_stream {
	struct chunk_writer *writer;
	struct file_ring *ring;
	const char *what;
	struct chunk_stream *next; /* of the writer; control thread */
	struct chunk_stream *next_active;
	bool active;
	struct chunk_stream_options options;
	struct outfile *file;
	int error;                   /* first one, read by lanes: atomic */
	int reopen_error;            /* first one that did not stop the stream */
	struct chunk reopen_message; /* in the queue, to keep its place */
	bool reopen_queued;          /* it is there: atomic */
	uint64_t records, lost, bytes_closed;

	struct chunk *first, *last; /* waiting */
	enum stream_barrier barrier;

	bool busy; /* a write is under way: the rest of this */
	struct file_write write;
	struct iovec iov[STREAM_PIECES];
	uint64_t write_start; /* offset in the file */
	size_t write_bytes, write_done;
	struct chunk_pieces pieces; /* of it, or of the one to come */

	bool staged;         /* the file at hand is written from the stages */
	bool direct_refused; /* but through the page cache after all; said */
	bool direct_proven;  /* a direct write has come to its end */
	bool flush;          /* what is no whole block shall go out, too */
	unsigned filling;    /* stage */
	struct chunk_stage stage[2];
	uint64_t base;    /* offset in the file of stage[filling] */
	size_t tail_done; /* bytes at its beginning that are in the file already */
};

/* Any thread, before the stream is used, or after. */
int stream_init(struct chunk_stream *stream);
void stream_free(struct chunk_stream *stream);

void stream_add(struct chunk_stream *stream, struct chunk *chunk);
/* Starts what can be started. `ending`: nothing follows. */
void stream_step(struct chunk_stream *stream, bool ending);
/* The write under way is done. */
void stream_done(struct chunk_stream *stream);
bool stream_idle(const struct chunk_stream *stream);

/* chunk_writer.c: gives a chunk back to its pool. */
void chunk_release(struct chunk *chunk);

#endif
