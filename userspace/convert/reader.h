/*
 * Reads the records of one input, one after the other. What is wrong with an input is logged once: file, line or offset, reason.
 */
#ifndef FLOWLANE_READER_H
#define FLOWLANE_READER_H

#include <stdbool.h>

#include "record.h"

struct reader {
	const struct reader_ops *ops;
	const char *path;     /* as the user gave it */
	uint64_t bytes_total; /* 0: unknown */
	uint64_t bytes_done;
};

struct reader_ops {
	/* Up to n records: their number; 0: the end; or a negative errno, logged: then `records` are void. */
	int (*next)(struct reader *reader, struct record *records, unsigned n);
	void (*close)(struct reader *reader);
};

/* What the input probably is, by its first bytes: 0, or a negative errno, logged. "-" cannot be asked. */
int reader_detect(const char *path, enum record_format *format);
/* "-": standard input, for the text formats. 0, or a negative errno, logged. */
int reader_open(const char *path, enum record_format format, struct reader **reader);

/* Each format's own. */
int text_reader_open(const char *path, enum record_format format, struct reader **reader);
int binary_reader_open(const char *path, struct reader **reader);
bool binary_reader_knows(const char *path); /* a directory that holds a column */
int nfcapd_reader_open(const char *path, struct reader **reader);

#endif
