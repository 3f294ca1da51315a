/* The progress bar of a conversion, on standard error. */
#ifndef FLOWLANE_PROGRESS_H
#define FLOWLANE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool shown; /* at all: decided by the caller */
	bool drawn;
	uint64_t start_ns;
	uint64_t due_ns;
};

void progress_start(struct progress *progress, bool shown);
/* Redraws it ten times a second. bytes_total 0: unknown. */
void progress_update(struct progress *progress, uint64_t bytes_done, uint64_t bytes_total, uint64_t records);
void progress_clear(struct progress *progress);

#endif
