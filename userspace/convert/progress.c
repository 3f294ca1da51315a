#include "progress.h"

#include <inttypes.h>
#include <stdio.h>

#include "clock.h"

#define REDRAW_NS 100000000ULL
#define BAR_CELLS 30

void progress_start(struct progress *progress, bool shown)
{
	*progress = (struct progress){ .shown = shown };
	if (!shown)
		return;
	progress->start_ns = clock_monotonic_ns();
	progress->due_ns = progress->start_ns + REDRAW_NS;
}

void progress_update(struct progress *progress, uint64_t bytes_done, uint64_t bytes_total, uint64_t records)
{
	if (!progress->shown)
		return;
	uint64_t now_ns = clock_monotonic_ns();
	if (now_ns < progress->due_ns)
		return;
	double secs = (double)(now_ns - progress->start_ns) / 1e9;
	double part = bytes_total ? (double)bytes_done / (double)bytes_total : 0;
	int filled = part < 1 ? (int)(part * BAR_CELLS) : BAR_CELLS;
	if (bytes_total)
		fprintf(stderr, "\r%3.0f %% [%.*s%*s]  %" PRIu64 " records  %.0f k/s  %.0f s left\033[K",
			part < 1 ? part * 100 : 100.0, filled, "==============================", BAR_CELLS - filled, "", records,
			(double)records / secs / 1000, part > 0 && part < 1 ? secs * (1 - part) / part : 0.0);
	else
		fprintf(stderr, "\r%" PRIu64 " records  %.0f k/s\033[K", records, (double)records / secs / 1000);
	fflush(stderr);
	progress->drawn = true;
	progress->due_ns = now_ns + REDRAW_NS;
}

void progress_clear(struct progress *progress)
{
	if (progress->drawn) {
		fputs("\r\033[K", stderr);
		fflush(stderr);
	}
	progress->drawn = false;
}
