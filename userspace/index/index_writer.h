/*
 * Makes the index of one capture file: entries go into the table, the table into the store, and what it is about into its
 * description. After an error (said once) entries are only counted, and the index is marked incomplete. One thread.
 */
#ifndef FLOWLANE_INDEX_WRITER_H
#define FLOWLANE_INDEX_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "index_entry.h"

struct index_writer;

struct index_writer_options {
	bool live;          /* flows that are over are written about every minute, not only when memory is used up */
	uint64_t memory;    /* bytes */
	uint64_t idle_ms;   /* UINT64_MAX: never */
	uint64_t active_ms; /* UINT64_MAX: never */
};

struct index_report {
	uint64_t packets; /* indexed */
	uint64_t lost;    /* not indexed after an error */
	uint64_t bytes;   /* on disk */
	unsigned indexes;
	int error; /* 0 or the first negative errno */
};

int index_writer_create(const struct index_writer_options *options, struct index_writer **writer); /* 0 or -ENOMEM, logged */
void index_writer_destroy(struct index_writer *writer);                                            /* accepts NULL */

/* Begins the index `path` of the capture file `capture`. 0 or a negative errno, logged; then entries are only counted. */
int index_writer_begin(struct index_writer *writer, const char *path, const char *capture);
void index_writer_add(struct index_writer *writer, const struct index_entry *entries, unsigned n);
/* Not live, when nothing waits to be added: does about a millisecond of what would be to do at the end. False: there is nothing. */
bool index_writer_idle(struct index_writer *writer);
/* `capture_bytes`, `frames`, `first_ns`: of the capture, as far as it was read. `whole`: all of it that should be was. Adds to *report. */
void index_writer_end(struct index_writer *writer, uint64_t capture_bytes, uint64_t frames, uint64_t first_ns, bool whole,
	struct index_report *report);

#endif
