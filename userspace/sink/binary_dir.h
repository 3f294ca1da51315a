/*
 * A directory of flow-models' binary format: one file per field, NAME.CODE, an array of little-endian numbers; element i of each is
 * record i. Made under a hidden name, and renamed when it is complete: readers demand columns of equal length.
 */
#ifndef FLOWLANE_BINARY_DIR_H
#define FLOWLANE_BINARY_DIR_H

#include <stdbool.h>
#include <stddef.h>

#include "flowlane/fields.h"

#define COLUMN_ROWS 8192 /* 600 KB in all columns: 21 writes each, which do not count then */

/* Rows on their way into a directory. One owner. */
struct columns {
	unsigned rows;
	uint64_t clamped; /* values that did not fit their column, and became its largest; never set back */
	uint8_t *column[WAY_FIELDS];
};

/* 0 or a negative errno; nothing is logged. */
int columns_init(struct columns *columns);
void columns_free(struct columns *columns); /* accepts what is zero */
/* There is room: rows < COLUMN_ROWS. */
void columns_add(struct columns *columns, const struct way_row *row);

static inline unsigned column_width(char code)
{
	return code == 'B' ? 1 : code == 'H' ? 2 : code == 'I' ? 4 : 8;
}

struct binary_dir;

/* Will be `path`; made beside it. 0 or a negative errno, logged. */
int binary_dir_open(const char *what, const char *path, struct binary_dir **dir);
/* Appends all rows or none, and forgets them. 0, or a negative errno; the first is logged. Any thread. */
int binary_dir_append(struct binary_dir *dir, struct columns *columns);
/* Renames it. If `path` is there already: replace: that one goes, if it holds nothing else; else -EEXIST. An empty one is not
 * worth a name (numpy maps no empty files): removed, unless `empty`. *bytes: in all files. 0 or a negative errno, logged: then
 * it is removed. Frees. */
int binary_dir_commit(struct binary_dir *dir, bool replace, bool empty, uint64_t *bytes);
void binary_dir_abort(struct binary_dir *dir); /* removes it; accepts NULL */

#endif
