/*
 * Files that grow by chunks of whole records, written by a thread of their own, so that a lane never waits for a disk.
 *
 *   lane 0  chunk_take ─▶ fill ─▶ chunk_submit ─┐ lock-free stack,          ┌─▶ stream: write ─▶ file, file, file ...
 *   lane 1  chunk_take ─▶ fill ─▶ chunk_submit ─┴─▶ taken as a whole ─▶ writer thread
 *     ▲                                             and turned round        └─▶ stream: write ─▶ file ...
 *     └───── the pool's free chunks (the last one freed first: it is still in the cache) ◀──────────────┘
 *
 * A stream is written in the order of submission, one write under way at a time; it takes all chunks that wait, so a fast disk is kept
 * busy by long writes rather than by many. Therefore a file has no holes: at each moment, and after a kill -9, it is a row of
 * whole chunks and at most one that is cut off. Streams are written side by side (file_ring.h).
 *
 * What cannot be written is counted: the first error of a stream is logged by its outfile, what a full disk cut off is taken back to
 * the last whole chunk, and the records behind it are lost.
 */
#ifndef FLOWLANE_CHUNK_WRITER_H
#define FLOWLANE_CHUNK_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outfile.h"

#define CHUNK_ALIGN ((size_t)4096) /* of the data of chunks; of all there is in direct writes */

struct chunk_writer; /* thread and ring */
struct chunk_stream; /* one file after another */
struct chunk_pool;   /* a lane's chunks */

struct chunk {
	uint8_t *data;    /* OUTFILE_CHUNK bytes */
	size_t bytes;     /* filled */
	uint64_t records; /* in them */
	bool flush;       /* with --direct-io: also what is no whole block shall be in the file soon */

	/* the writer's */
	struct chunk *next;
	struct chunk_stream *stream;
	struct chunk_pool *pool;
	size_t taken; /* bytes already on their way */
};

/* What the owner of a stream decides. Called on the writer's thread. */
struct chunk_stream_options {
	struct outfile *file; /* the first one, with its head in it; the stream's from now on. NULL: next() gives it */
	bool direct;          /* past the page cache where the file system does that; said where it does not */
	const void *head;     /* each file begins with it; stays where it is */
	size_t head_bytes;
	void *owner;
	/* How many of the bytes at `data` still belong into the file at hand: whole records, at least one of a file just begun. Their
	 * number goes to *records. NULL: all of them, there is one file. */
	size_t (*fit)(void *owner, const uint8_t *data, size_t bytes, uint64_t *records);
	/* So many bytes of the file at hand are whole records in the file. NULL: nobody wants to know. */
	void (*grew)(void *owner, uint64_t bytes);
	/* The file at hand is finished: the next one, with its head in it. 0 or a negative errno, logged. */
	int (*next)(void *owner, struct outfile **file);
};

struct chunk_stream_report {
	uint64_t records; /* in the files */
	uint64_t lost;
	uint64_t bytes; /* in the files, with heads */
	int error;      /* 0, or the first one */
};

/* `what` is for messages; `uring` false: without io_uring. No thread runs yet. 0 or a negative errno, logged. */
int chunk_writer_open(const char *what, bool uring, struct chunk_writer **writer);
/* Begins the thread, with the capabilities of the caller: before lanes run, and after privileges are given up. 0 or a negative errno,
 * logged. */
int chunk_writer_start(struct chunk_writer *writer);
/* Control thread, also while the writer runs. 0 or a negative errno, logged; the file is still the caller's then. */
int chunk_writer_add_stream(struct chunk_writer *writer, const struct chunk_stream_options *options, struct chunk_stream **stream);
/* `count` chunks, in memory from the start. `patient`: chunk_take() waits for one, and nothing is lost; else it has none then. */
int chunk_writer_add_pool(struct chunk_writer *writer, unsigned count, bool patient, struct chunk_pool **pool);

/* A lane's, of its own pool. NULL: all are on their way to the disk, and the pool is not patient. Lock-free unless it waits. */
struct chunk *chunk_take(struct chunk_pool *pool);
/* Hands it over, filled; `bytes` is not 0. Lock-free; a system call if the writer may be asleep. */
void chunk_submit(struct chunk_stream *stream, struct chunk *chunk);
/* Whether an error has ended the stream: then what is submitted is lost. Any thread. */
bool chunk_stream_failed(const struct chunk_stream *stream);
/* Any thread: records that are in the files by now, and those that could not be written. */
void chunk_stream_so_far(const struct chunk_stream *stream, uint64_t *records, uint64_t *lost);
/* Any thread: behind what was submitted so far, outfile_reopen(). Does not wait for it. */
void chunk_stream_reopen(struct chunk_stream *stream);

/* Writes what was submitted (if it was never started, on this thread), and ends the thread. No more calls but the following two, for each stream and for the writer. */
void chunk_writer_finish(struct chunk_writer *writer);
/* After chunk_writer_finish(). *file: the one at hand, the caller's again, or NULL. */
void chunk_stream_finish(struct chunk_stream *stream, struct chunk_stream_report *report, struct outfile **file);
void chunk_writer_close(struct chunk_writer *writer); /* finishes if that was not done; frees all. Accepts NULL */

#endif
