/* An index that is read: its database, and the capture that it points into. One thread. */
#ifndef FLOWLANE_INDEX_READER_H
#define FLOWLANE_INDEX_READER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index_format.h"
#include "query.h"

struct index_reader;

/* 0 or a negative errno, logged. */
int index_reader_open(const char *path, struct index_reader **reader);
void index_reader_close(struct index_reader *reader); /* accepts NULL */

/* For what is found. Non-zero ends the search. `packets`: record->packets of them, or NULL if they are not wanted. */
typedef int index_found_fn(void *owner, const struct index_key *key, const struct index_flow *record,
	const struct index_packet *packets, uint32_t count);

/* The flows that the query names, or all that match it. 0, what `found` returned, or a negative errno, logged. */
int index_reader_find(struct index_reader *reader, const struct query *query, bool packets, index_found_fn *found, void *owner);

/* The capture: `given` (NULL: what the index says, or what lies beside it). Checks that it is the one. 0 or a negative errno, logged. */
int index_reader_capture(const struct index_reader *reader, const char *given, char path[PATH_MAX]);
const char *index_reader_path(const struct index_reader *reader);
uint64_t index_reader_first_ns(const struct index_reader *reader); /* time of the capture's first frame; 0: not known */

#endif
