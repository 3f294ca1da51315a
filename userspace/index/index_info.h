/*
 * What an index is about: the file "flowlane.index" in the database's directory, lines of "name value". Readers of RocksDB
 * do not know it and do not mind it. One thread.
 */
#ifndef FLOWLANE_INDEX_INFO_H
#define FLOWLANE_INDEX_INFO_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define INDEX_INFO_FILE "flowlane.index"

enum index_state {
	INDEX_WRITING,    /* or its writer was killed */
	INDEX_INCOMPLETE, /* packets are missing: `lost` of them, or all behind some point */
	INDEX_COMPLETE,
};

struct index_info {
	char capture[PATH_MAX]; /* absolute path of the capture file */
	uint64_t capture_bytes; /* its size, as far as it was read */
	uint64_t frames;        /* in it, so far */
	uint64_t first_ns;      /* time of its first frame; 0: it has none */
	uint64_t packets;       /* indexed */
	uint64_t lost;          /* should be in the index, and are not */
	enum index_state state;
};

/* Replaces the file at once. 0 or a negative errno, logged. */
int index_info_write(const char *directory, const struct index_info *info);
/* 0; -ENOENT, not logged: there is none; -EBADMSG, with a warning: it is not ours; or another negative errno, logged. */
int index_info_read(const char *directory, struct index_info *info);
bool index_info_exists(const char *directory);
void index_info_remove(const char *directory);

#endif
