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
	struct head head; /* the next one; its items are still in the file */
	bool over;
};

struct index_runs {
	char *directory;
	unsigned count;
	struct run run[RUNS_MAX];
	struct index_item *items; /* of one flow of a round */
	size_t items_room;
	char *value;
	size_t value_room;
	bool begun; /* reading */
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
	free(runs->items);
	free(runs->value);
	free(runs);
}

static int runs_fail(const struct index_runs *runs, const char *what)
{
	int error = errno ? -errno : -EIO;

	log_error("index: cannot %s \"%s/run.*\": %s; free some space there, or give more memory with --index-memory-mb", what,
		runs->directory, strerror(-error));
	return error;
}

static bool room_make(void **memory, size_t *room, size_t bytes)
{
	if (bytes <= *room)
		return true;
	void *more = realloc(*memory, 2 * bytes);
	if (!more)
		return false;
	*memory = more;
	*room = 2 * bytes;
	return true;
}

/* --- writing --------------------------------------------------------------------------------------------------------- */

static bool flow_write(struct index_runs *runs, FILE *file, const struct index_table *table, uint64_t i)
{
	struct index_round_flow flow;

	index_round_flow(table, i, &flow);
	struct head head = { .key = *flow.key, .record = flow.record };
	size_t bytes = flow.record.packets * sizeof(*runs->items);
	if (!room_make((void **)&runs->items, &runs->items_room, bytes))
		return false;
	index_round_items(table, &flow, runs->items);
	return fwrite(&head, sizeof(head), 1, file) == 1 && fwrite(runs->items, bytes, 1, file) == 1;
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
		if (!flow_write(runs, file, table, i))
			return runs_fail(runs, "write");
	}
	return fflush(file) ? runs_fail(runs, "write") : 0;
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

static int run_advance(struct index_runs *runs, struct run *run)
{
	run->over = fread(&run->head, sizeof(run->head), 1, run->file) != 1;
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

/* Appends the run's packets to the value; `n` are there. */
static int run_take(struct index_runs *runs, struct run *run, uint64_t n, uint64_t more)
{
	const size_t skew = sizeof(uint64_t) - INDEX_COUNT_BYTES; /* so that the packets are aligned */
	size_t wanted = sizeof(uint64_t) + (n + more) * sizeof(struct index_packet);
	size_t bytes = run->head.record.packets * sizeof(*runs->items);

	if (!room_make((void **)&runs->value, &runs->value_room, wanted) ||
		!room_make((void **)&runs->items, &runs->items_room, bytes)) {
		errno = ENOMEM;
		return runs_fail(runs, "read");
	}
	if (fread(runs->items, bytes, 1, run->file) != 1)
		return runs_fail(runs, "read");
	struct index_packet *packets = (struct index_packet *)(void *)(runs->value + skew + INDEX_COUNT_BYTES);
	for (uint64_t i = 0; i < more; i++)
		index_item_expand(&runs->items[i], &packets[n + i]);
	return run_advance(runs, run);
}

int index_runs_next(struct index_runs *runs, struct index_key *key, struct index_flow *record, const char **value, size_t *bytes)
{
	const size_t skew = sizeof(uint64_t) - INDEX_COUNT_BYTES;
	int error = runs->begun ? 0 : runs_begin(runs);
	const struct index_key *least = error ? NULL : smallest(runs);
	uint64_t n = 0;

	if (!least)
		return error;
	*key = *least;
	memset(record, 0, sizeof(*record));
	for (unsigned i = 0; i < runs->count && !error; i++) {
		struct run *run = &runs->run[i];
		if (run->over || memcmp(&run->head.key, key, sizeof(*key)) != 0)
			continue;
		index_flow_add(record, &run->head.record);
		uint64_t more = run->head.record.packets;
		more = more < INDEX_COUNT_MAX - n ? more : INDEX_COUNT_MAX - n;
		error = run_take(runs, run, n, more);
		n += more;
	}
	if (error)
		return error;
	int32_t count = (int32_t)n;
	memcpy(runs->value + skew, &count, sizeof(count));
	*value = runs->value + skew;
	*bytes = sizeof(count) + n * sizeof(struct index_packet);
	return 1;
}
