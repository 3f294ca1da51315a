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

struct ncap_files;  /* of the run */
struct ncap_writer; /* a lane's */

struct ncap_files_options {
	const char *directory;
	const char *source; /* for the header */
	const char *version;
	uint64_t created_ns; /* 0: the time of the first record */
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

/* Lane. RECORD_MAX bytes for a record of the type, seen at ns. */
uint8_t *ncap_writer_begin(struct ncap_writer *writer, enum ncap_type type, uint64_t ns);
/* It has been written, up to `end`. */
void ncap_writer_commit(struct ncap_writer *writer, enum ncap_type type, uint8_t *end);
/* What waits of the type goes out. */
void ncap_writer_flush(struct ncap_writer *writer, enum ncap_type type);
/* Live: what waits for half a second goes out. */
void ncap_writer_tick(struct ncap_writer *writer, uint64_t now_ns);
/* Writes what is left, and frees. */
void ncap_writer_close(struct ncap_writer *writer);

#endif
