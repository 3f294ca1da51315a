/* Writes records to one output; complete or absent. */
#ifndef FLOWLANE_WRITER_H
#define FLOWLANE_WRITER_H

#include "record.h"

struct writer;

/* path: a file, or for binary a directory; "-": standard output, for the text formats. 0 or a negative errno, logged. */
int writer_open(
	const char *path, enum record_format format, enum nfcapd_compression compression, bool replace, struct writer **writer);
/* 0 or a negative errno, logged. */
int writer_put(struct writer *writer, const struct record *record);
/* Finishes and names it. 0 or a negative errno, logged. Frees. */
int writer_commit(struct writer *writer);
void writer_abort(struct writer *writer); /* nothing remains; accepts NULL */

#endif
