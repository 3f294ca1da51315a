/* What a key of a tally has in place of exact entries once there are many: amounts by pane, HyperLogLogs by four panes. */
#ifndef FLOWLANE_TALLY_SKETCH_H
#define FLOWLANE_TALLY_SKETCH_H

#include <stddef.h>

#include "hll.h"

#define SKETCH_PANES  16
#define SKETCH_COARSE 4 /* panes of one HyperLogLog */

struct sketch_elements {
	struct hll pane[SKETCH_PANES / SKETCH_COARSE];
	struct hll all; /* of the panes within the window */
	bool stale;     /* the estimate is of before the last insertion */
	uint32_t estimate;
};

struct sketch {
	uint64_t pane; /* number of the current one: time / (window / SKETCH_PANES) */
	uint64_t sum[2][SKETCH_PANES];
	struct sketch_elements elements[]; /* one for each kind */
};

static inline size_t sketch_bytes(unsigned elements)
{
	return (sizeof(struct sketch) + elements * sizeof(struct sketch_elements) + 63) & ~(size_t)63;
}

/* Empty, current pane `pane`. */
void sketch_start(struct sketch *sketch, unsigned elements, uint64_t pane);
/* Time moves on to `pane`: what is older than the window leaves. */
void sketch_rotate(struct sketch *sketch, unsigned elements, uint64_t pane);
/* Adds to the current pane. */
void sketch_add(struct sketch *sketch, unsigned elements, const uint32_t amount[2], const uint32_t element[2]);
/* What is within the window. */
void sketch_read(struct sketch *sketch, unsigned elements, uint64_t sum[2], uint32_t distinct[2]);

#endif
