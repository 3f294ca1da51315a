/* A folder for the tests that have RocksDB read what was written: a database in it, and a file to be taken in. */
#ifndef INDEX_FOLDER_H
#define INDEX_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"

static char folder[] = "/tmp/flowlane-index-XXXXXX";
static char db_path[64], file_path[64];

static inline int folder_make(void **context)
{
	(void)context;
	if (!mkdtemp(folder))
		return -1;
	snprintf(db_path, sizeof(db_path), "%s/db", folder);
	snprintf(file_path, sizeof(file_path), "%s/new", folder);
	log_set_quiet(1);
	return 0;
}

static inline int folder_remove(void **context)
{
	(void)context;
	return rmdir(folder);
}

#endif
