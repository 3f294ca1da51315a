#include "series_days.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "log.h"
#include "small_file.h"
#include "text.h"

#define WHAT        "series export"
#define DAY_BYTES   (sizeof(uint64_t) * SERIES_COUNT * DAY_SECONDS)
#define TABLE_SLOTS (2 * DAYS_MAX)

static const char *const series_names[SERIES_COUNT] = { "flows", "packets", "octets" };

struct series_days {
	const char *directory;
	bool add;
	bool warned;
	pthread_mutex_t lock; /* of making days */
	unsigned count;       /* grows last: the writer reads it, and the days before it */
	struct series_day days[DAYS_MAX];
	uint16_t table[TABLE_SLOTS];              /* open addressing by number: index + 1; 0: free */
	uint64_t take[SERIES_COUNT][DAY_SECONDS]; /* the writer's, as what follows */
	uint64_t old[DAY_SECONDS];
	struct small_file file;
};

struct series_days *series_days_create(const char *directory, bool add)
{
	struct series_days *days = calloc(1, sizeof(*days));

	if (!days)
		return NULL;
	days->directory = directory;
	days->add = add;
	pthread_mutex_init(&days->lock, NULL);
	return days;
}

void series_days_destroy(struct series_days *days)
{
	if (!days)
		return;
	for (unsigned i = 0; i < days->count; i++)
		munmap(days->days[i].counts, DAY_BYTES);
	pthread_mutex_destroy(&days->lock);
	free(days);
}

unsigned series_days_count(const struct series_days *days)
{
	return __atomic_load_n(&days->count, __ATOMIC_ACQUIRE);
}

/* Small pages: a capture with a few packets on each of many days shall not take 2 MiB for each of them. */
static void *day_map(void)
{
	void *area = mmap(NULL, DAY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (area == MAP_FAILED)
		return NULL;
	madvise(area, DAY_BYTES, MADV_NOHUGEPAGE);
	return area;
}

struct series_day *series_days_get(struct series_days *days, uint64_t number)
{
	struct series_day *day = NULL;
	unsigned at = (unsigned)(number * 0x9e3779b97f4a7c15u >> 40) % TABLE_SLOTS;

	pthread_mutex_lock(&days->lock);
	while (days->table[at] && days->days[days->table[at] - 1].number != number)
		at = (at + 1) % TABLE_SLOTS;
	if (days->table[at]) {
		day = &days->days[days->table[at] - 1];
	} else if (days->count < DAYS_MAX) {
		void *counts = day_map();
		if (counts) {
			day = &days->days[days->count];
			*day = (struct series_day){ .number = number, .counts = counts };
			days->table[at] = (uint16_t)(days->count + 1);
			__atomic_store_n(&days->count, days->count + 1, __ATOMIC_RELEASE);
		}
	}
	pthread_mutex_unlock(&days->lock);
	return day;
}

/* --- files ----------------------------------------------------------------------------------------------------------- */

/* The numbers of a file from before. No file: nothing. -EINVAL: it is none of ours. */
static int file_read(const char *path, uint64_t counts[DAY_SECONDS])
{
	FILE *file = fopen(path, "re");
	char line[32];
	unsigned n = 0;

	if (!file)
		return errno == ENOENT ? 0 : -errno;
	while (n <= DAY_SECONDS && fgets(line, sizeof(line), file)) {
		char *end;
		uint64_t value = strtoull(line, &end, 10);
		if (end == line || *end != '\n' || n == DAY_SECONDS) {
			n = DAY_SECONDS + 1;
			break;
		}
		counts[n++] += value;
	}
	fclose(file);
	return n == DAY_SECONDS ? 0 : -EINVAL;
}

/* Takes what was counted: true if there is anything. */
static bool day_take(struct series_day *day, enum series series, uint64_t counts[DAY_SECONDS])
{
	bool any = false;

	for (unsigned i = 0; i < DAY_SECONDS; i++) {
		uint64_t *count = &day->counts[series][i];
		counts[i] = __atomic_load_n(count, __ATOMIC_RELAXED);
		if (counts[i])
			counts[i] = __atomic_exchange_n(count, 0, __ATOMIC_RELAXED);
		any |= counts[i] != 0;
	}
	return any;
}

static void day_put_back(struct series_day *day, enum series series, const uint64_t counts[DAY_SECONDS])
{
	for (unsigned i = 0; i < DAY_SECONDS; i++) {
		if (counts[i])
			series_day_add(day, series, i, counts[i]);
	}
}

/* Puts `counts`, and with `add` what the file has already, into the file. */
static int file_update(struct series_days *days, const char *name, const uint64_t counts[DAY_SECONDS], uint64_t *bytes)
{
	char path[4096];

	memset(days->old, 0, sizeof(days->old));
	snprintf(path, sizeof(path), "%s/%s", days->directory, name);
	int error = days->add ? file_read(path, days->old) : 0;
	if (error)
		return error;
	small_file_open(&days->file, days->directory, name);
	for (unsigned i = 0; i < DAY_SECONDS; i++) {
		char *out = text_u64(small_file_room(&days->file, TEXT_U64_MAX + 1), days->old[i] + counts[i]);
		*out = '\n';
		small_file_wrote(&days->file, out + 1);
	}
	return small_file_commit(&days->file, bytes);
}

/* All three files of a day, zeros too; while nothing new is there, no file is touched. */
static int day_update(struct series_days *days, struct series_day *day, uint64_t *bytes)
{
	bool any = false;
	int error = 0;

	for (unsigned series = 0; series < SERIES_COUNT; series++)
		any |= day_take(day, series, days->take[series]);
	for (unsigned series = 0; series < SERIES_COUNT && any; series++) {
		char name[48];
		snprintf(name, sizeof(name), "%" PRIu64 ".%s", day->number, series_names[series]);
		int failed = file_update(days, name, days->take[series], bytes);
		if (failed)
			day_put_back(day, series, days->take[series]);
		error = error ? error : failed;
	}
	return error;
}

int series_days_write(struct series_days *days, uint64_t *bytes)
{
	unsigned count = series_days_count(days);
	int error = 0;

	for (unsigned i = 0; i < count; i++) {
		int failed = day_update(days, &days->days[i], bytes);
		error = error ? error : failed;
	}
	if (error && !days->warned) {
		log_error("%s: cannot write the files in \"%s\": %s", WHAT, days->directory,
			error == -EINVAL ? "there is one with other content than 86400 numbers; move it away" : strerror(-error));
		days->warned = true;
	}
	return error;
}
