/* The database of an index as RocksDB has it: opened for writing or reading, with its two column families. One thread. */
#ifndef FLOWLANE_INDEX_DB_H
#define FLOWLANE_INDEX_DB_H

#include <rocksdb/c.h>
#include <stdbool.h>

#include "index_format.h"

enum index_family { FAMILY_DEFAULT, FAMILY_FLOWS, FAMILY_PACKETS };

struct index_db {
	rocksdb_t *db; /* NULL: not open */
	rocksdb_options_t *options[INDEX_FAMILIES];
	rocksdb_column_family_handle_t *family[INDEX_FAMILIES];
};

/* Makes it: there is none at `path`. `merges`: with the merge operators; and RocksDB tidies up while it is written. 0 or a negative errno,
 * logged. */
int index_db_create(struct index_db *db, const char *path, bool merges);
/* Opens one that is there, to read (any number of processes may) or to write. `merges`: with the merge operators. */
int index_db_open(struct index_db *db, const char *path, bool read_only, bool merges);
/* Whoever makes it was ended before all families were there: nothing is in it. RocksDB makes them one after the other. */
bool index_db_is_begun(const char *path);
void index_db_close(struct index_db *db); /* accepts one that is zero, or half open */
/* Removes a database and its directory, if nothing else is in it. 0 or a negative errno, logged. */
int index_db_remove(const char *path);

/* For RocksDB's errors: logs "index: <what> "<path>": <RocksDB's words>; <advice>", frees *error and sets it to NULL. The errno that it
 * most likely stands for; 0 if *error is NULL. */
int index_db_error(const char *what, const char *path, char **error);

#endif
