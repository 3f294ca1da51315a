/* What spool.c (filling, runs) and spool_merge.c (cursors) share. */
#ifndef FLOWLANE_SPOOL_PRIVATE_H
#define FLOWLANE_SPOOL_PRIVATE_H

#include "spool.h"

struct spool {
	const char *what;
	char *directory; /* for runs; NULL: TMPDIR or /tmp */
	enum spool_order order;
	size_t buffer_bytes;
	int error; /* the first one, set atomically: one sentence is enough */
	struct spool_lane *lanes[SPOOL_LANES_MAX];
};

#endif
