#include "index_runs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define BUFFER_BYTES ((size_t)1 << 20)
#define RUNS_MAX     1000 /* open files; of a memory of 256 MiB each, 5 billion packets */

/* In the file, followed by record.packets items. */
struct head {
	struct index_key key;
	struct index_flow record;
};
_Static_assert(sizeof(struct head) == 80, "written as it is");

struct run {
	FILE *file;
	struct head head; /* the next one */
	uint64_t left;    /* of its items, still in the file */
	bool over;
};

struct index_runs {
	char *directory;
	unsigned count;
	struct run run[RUNS_MAX];
	bool begun;           /* reading */
	struct index_key key; /* the one at hand */
	unsigned at;          /* the run that has its next items */
	uint64_t left;        /* how many may still come */
};

static void run_path(const struct index_runs *runs, unsigned i, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/run.%u", runs->directory, i);
}

struct index_runs *index_runs_create(const char *directory)
{
	struct index_runs *runs = calloc(1, sizeof(*runs));

	if (runs)
		runs->directory = strdup(directory);
	if (runs && runs->directory)
		return runs;
	free(runs);
	return NULL;
}

unsigned index_runs_count(const struct index_runs *runs)
{
	return runs->count;
}

void index_runs_destroy(struct index_runs *runs)
{
	char path[PATH_MAX];

	if (!runs)
		return;
	for (unsigned i = 0; i < runs->count; i++) {
		if (runs->run[i].file)
			fclose(runs->run[i].file);
		run_path(runs, i, path);
		unlink(path);
	}
	free(runs->directory);
	free(runs);
}

static int runs_fail(const struct index_runs *runs, const char *what)
{
	int error = errno ? -errno : -EIO;

	log_error("index: cannot %s \"%s/run.*\": %s; free some space there, or give more memory with --index-memory-mb", what,
		runs->directory, strerror(-error));
	return error;
}

/* --- writing --------------------------------------------------------------------------------------------------------- */

static bool flow_write(FILE *file, const struct index_table *table, uint64_t i)
{
	const struct index_item *items;
	struct index_round_flow flow;
	struct index_round_walk walk;
	bool good;
	unsigned n;

	index_round_flow(table, i, &flow);
	index_round_walk(table, &flow, &walk);
	struct head head = { .key = *flow.key, .record = flow.record };
	good = fwrite(&head, sizeof(head), 1, file) == 1;
	while (good && (items = index_round_walk_next(&walk, &n)))
		good = fwrite(items, sizeof(*items), n, file) == n;
	return good;
}

int index_runs_add(struct index_runs *runs, const struct index_table *table, uint64_t count)
{
	char path[PATH_MAX];

	errno = 0;
	if (runs->count == RUNS_MAX) {
		errno = EMFILE;
		return runs_fail(runs, "write");
	}
	run_path(runs, runs->count, path);
	FILE *file = fopen(path, "w+e");
	if (!file)
		return runs_fail(runs, "write");
	runs->run[runs->count++].file = file;
	setvbuf(file, NULL, _IOFBF, BUFFER_BYTES);
	for (uint64_t i = 0; i < count; i++) {
		if (!flow_write(file, table, i))
			return runs_fail(runs, "write");
	}
	return fflush(file) ? runs_fail(runs, "write") : 0;
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

static int run_advance(struct index_runs *runs, struct run *run)
{
	run->over = fread(&run->head, sizeof(run->head), 1, run->file) != 1;
	run->left = run->over ? 0 : run->head.record.packets;
	return run->over && ferror(run->file) ? runs_fail(runs, "read") : 0;
}

static int runs_begin(struct index_runs *runs)
{
	int error = 0;

	runs->begun = true;
	for (unsigned i = 0; i < runs->count && !error; i++) {
		rewind(runs->run[i].file);
		error = run_advance(runs, &runs->run[i]);
	}
	return error;
}

/* There are few runs: of a capture of a billion packets a hundred. */
static const struct index_key *smallest(const struct index_runs *runs)
{
	const struct index_key *least = NULL;

	for (unsigned i = 0; i < runs->count; i++) {
		const struct run *run = &runs->run[i];
		if (!run->over && (!least || memcmp(&run->head.key, least, sizeof(*least)) < 0))
			least = &run->head.key;
	}
	return least;
}

static bool run_has(const struct run *run, const struct index_key *key)
{
	return !run->over && memcmp(&run->head.key, key, sizeof(*key)) == 0;
}

int index_runs_next(struct index_runs *runs, struct index_key *key, struct index_flow *record)
{
	int error = runs->begun ? 0 : runs_begin(runs);
	const struct index_key *least = error ? NULL : smallest(runs);

	if (!least)
		return error;
	*key = runs->key = *least;
	memset(record, 0, sizeof(*record));
	for (unsigned i = 0; i < runs->count; i++) {
		if (run_has(&runs->run[i], key))
			index_flow_add(record, &runs->run[i].head.record);
	}
	runs->at = 0;
	runs->left = record->packets < INDEX_COUNT_MAX ? record->packets : INDEX_COUNT_MAX;
	return 1;
}

/* The next of the run's items, or, where no more may come, past them. How many; or a negative errno, logged. */
static int run_read(struct index_runs *runs, struct run *run, struct index_item *items, unsigned n)
{
	uint64_t take = n < run->left ? n : run->left;
	int error = 0;

	if (runs->left == 0) {
		if (fseeko(run->file, (off_t)(run->left * sizeof(*items)), SEEK_CUR) < 0)
			return runs_fail(runs, "read");
		run->left = take = 0;
	} else {
		take = take < runs->left ? take : runs->left;
		errno = 0;
		if (fread(items, sizeof(*items), take, run->file) != take)
			return runs_fail(runs, "read");
		run->left -= take;
		runs->left -= take;
	}
	if (run->left == 0) {
		error = run_advance(runs, run);
		runs->at++;
	}
	return error ? error : (int)take;
}

int index_runs_items(struct index_runs *runs, struct index_item *items, unsigned n)
{
	int taken = 0;

	while (taken == 0 && runs->at < runs->count) {
		struct run *run = &runs->run[runs->at];
		if (run_has(run, &runs->key))
			taken = run_read(runs, run, items, n);
		else
			runs->at++;
	}
	return taken;
}
