/*
 * The files of the audit records: one per type, begun with its first record.
 *
 *   lane 0  chunk of TCP ─┐ full, or half a second old: compressed as a gzip member,
 *   lane 1  chunk of TCP ─┴─▶ appended under the lock of the type ─▶ TCP.ncap.gz
 *
 * A file is whole at each moment, up to the last chunk. Rotation is by the time of the records: a chunk holds records of one interval,
 * and the first chunk of the next one begins a new file; a chunk that comes later than that from another lane goes into the new file too.
 */
#ifndef FLOWLANE_NCAP_FILES_H
#define FLOWLANE_NCAP_FILES_H

#include "flowlane/sink.h"
#include "ncap_types.h"

struct ncap_files; /* of the run */

/* 128 KiB: four types and their hash tables stay in the second-level cache while they are filled and compressed. */
#define NCAP_CHUNK_BYTES ((size_t)128 << 10)

/* Records of a type that wait, one behind the other. */
struct ncap_chunk {
	uint8_t *bytes; /* NCAP_CHUNK_BYTES, and room for one record more */
	uint8_t *at;
	uint64_t records;
	uint64_t first_ns;
	uint64_t slot_ns, slot_end_ns; /* records of these times go into it */
	uint64_t since_ns;             /* when a tick saw it first */
};

/* A lane's. Only the functions here look into it. */
struct ncap_writer {
	struct ncap_files *files;
	struct gzip_member *gzip;
	uint8_t *packed;
	struct ncap_chunk chunks[NCAP_TYPES];
};

struct ncap_files_options {
	const char *directory;
	const char *source; /* for the header */
	const char *version;
	bool live;           /* from a file: the same input gives the same files */
	uint64_t created_ns; /* live; else it is the time of the first record */
	uint64_t rotate_ns;  /* 0: never */
	uint64_t types;      /* that may have records, by enum ncap_type */
	bool gzip;
	bool payloads;
	enum ncap_schema schema;
};

/* Control thread; 0 or a negative errno, logged. Strings stay the caller's, and where they are. */
int ncap_files_open(const struct ncap_files_options *options, struct ncap_files **files);
int ncap_writer_open(struct ncap_files *files, struct ncap_writer **writer);
/* NULL: the run did not come about, and nothing was written. */
void ncap_files_close(struct ncap_files *files, struct output_report *report);
void ncap_files_reopen(struct ncap_files *files);

/* Lane. What waits of the type goes out. */
void ncap_writer_flush(struct ncap_writer *writer, enum ncap_type type);
/* The first record of a chunk, or one of another interval: then what there is goes out first. */
void ncap_writer_chunk(struct ncap_writer *writer, enum ncap_type type, uint64_t ns);

/* RECORD_MAX bytes for a record of the type, seen at ns. Times that jump back a little stay in the interval at hand. */
static inline uint8_t *ncap_writer_begin(struct ncap_writer *writer, enum ncap_type type, uint64_t ns)
{
	struct ncap_chunk *chunk = &writer->chunks[type];

	if (__builtin_expect(!chunk->records || ns >= chunk->slot_end_ns, 0))
		ncap_writer_chunk(writer, type, ns);
	return chunk->at;
}

/* It has been written, up to `end`. */
static inline void ncap_writer_commit(struct ncap_writer *writer, enum ncap_type type, uint8_t *end)
{
	struct ncap_chunk *chunk = &writer->chunks[type];

	chunk->at = end;
	chunk->records++;
	if (__builtin_expect((size_t)(end - chunk->bytes) >= NCAP_CHUNK_BYTES, 0))
		ncap_writer_flush(writer, type);
}

/* Live: what waits for half a second goes out. */
void ncap_writer_tick(struct ncap_writer *writer, uint64_t now_ns);
/* Writes what is left, and frees. */
void ncap_writer_close(struct ncap_writer *writer);

#endif
