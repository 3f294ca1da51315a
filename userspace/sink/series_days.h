/*
 * Counters per second, for any number of UTC days up to a limit. Lanes add, one thread writes the files; no lock but to find a day
 * for the first time.
 */
#ifndef FLOWLANE_SERIES_DAYS_H
#define FLOWLANE_SERIES_DAYS_H

#include <stdbool.h>
#include <stdint.h>

#define DAY_SECONDS 86400u
#define DAYS_MAX    4096 /* 8 GB of address space; memory only for the minutes that have packets */

enum series { SERIES_FLOWS, SERIES_PACKETS, SERIES_OCTETS, SERIES_COUNT };

struct series_day {
	uint64_t number;                 /* days since 1970-01-01 */
	uint64_t (*counts)[DAY_SECONDS]; /* [SERIES_COUNT]; atomic: lanes add, the writer takes */
};

struct series_days;

/* add: what is in the files already stays, and ours is added: for live runs, which continue the day. Otherwise they are replaced.
 * NULL: no memory. */
struct series_days *series_days_create(const char *directory, bool add);
void series_days_destroy(struct series_days *days); /* accepts NULL */

/* The day, made if it is not there; NULL: there are DAYS_MAX already, or no memory. Valid until the end. Any thread. */
struct series_day *series_days_get(struct series_days *days, uint64_t number);

/* Counts at a second of the day. Any thread. */
static inline void series_day_add(struct series_day *day, enum series series, uint32_t second, uint64_t n)
{
	__atomic_fetch_add(&day->counts[series][second], n, __ATOMIC_RELAXED);
}

/* Writes what came since the last time. One thread at a time. Returns 0 or the first negative errno, logged (once); what could not be
 * written is kept for the next time. *bytes: of the files written, added. */
int series_days_write(struct series_days *days, uint64_t *bytes);
unsigned series_days_count(const struct series_days *days);

#endif
