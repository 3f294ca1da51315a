#include "index_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index_info.h"
#include "index_runs.h"
#include "index_store.h"
#include "index_table.h"
#include "log.h"

/* Live: how often flows that are over are written, in packet time. What is lost with a killed process is not much older. */
#define ROUND_MS 60000

#define LARGE_BYTES (64 << 20) /* of a capture: as many as flows of a full table are found by, and those are touched as a whole */
#define NAP_US      500

struct index_writer {
	struct index_writer_options options;
	struct index_table *table;

	/* the index at hand */
	char *path;
	bool active;               /* what comes is indexed; else counted */
	struct index_store *store; /* NULL: none yet, or none any more */
	pthread_t opener;
	bool opening;            /* the opener makes the store: store_wait() */
	int open_error;          /* the opener's */
	atomic_bool opened;      /* the store is there, or open_error; written by the opener */
	atomic_bool needed;      /* the opener is to end */
	bool large;              /* the capture: it needs much of the table */
	struct index_runs *runs; /* NULL: none */
	bool described;          /* its directory is ours, and has the description */
	bool ending;             /* nothing more comes */
	struct index_info info;
	uint64_t pending; /* in the table */
	uint64_t round_ms;
	int error;
};

int index_writer_create(const struct index_writer_options *options, struct index_writer **writer)
{
	struct index_writer *made = calloc(1, sizeof(*made));
	struct index_table_options table = {
		.bytes = options->memory, .idle_ms = options->idle_ms, .active_ms = options->active_ms
	};

	if (made)
		made->table = index_table_create(&table);
	if (!made || !made->table) {
		log_error("index: no memory for %" PRIu64 " MiB of packets; lower --index-memory-mb", options->memory >> 20);
		index_writer_destroy(made);
		return -ENOMEM;
	}
	made->options = *options;
	*writer = made;
	return 0;
}

/* --- the database ---------------------------------------------------------------------------------------------------- */

static void store_make(struct index_writer *writer)
{
	writer->open_error = index_store_create(writer->path, writer->options.live, &writer->store);
	atomic_store(&writer->opened, true);
}

/* Until the store is needed this thread touches memory ahead of the one that adds. */
static void *opener_run(void *argument)
{
	struct index_writer *writer = argument;
	size_t touched = 0;

	if (writer->large)
		index_touch_slots(writer->table);
	store_make(writer);
	while (!atomic_load(&writer->needed)) {
		if (!index_touch_cells(writer->table, &touched))
			usleep(NAP_US);
	}
	return NULL;
}

/* RocksDB syncs 15 small files to make a database. Of a capture that is read it is needed at the end only, so a thread makes it
 * meanwhile; a live one comes from a thread of its own anyway. */
static int store_begin(struct index_writer *writer)
{
	sigset_t all, before;

	if (!writer->options.live) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		writer->opening = pthread_create(&writer->opener, NULL, opener_run, writer) == 0;
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (writer->opening)
		return 0;
	store_make(writer);
	return writer->open_error;
}

/* Before anything is done with the store. 0: it is there; or a negative errno, logged. */
static int store_wait(struct index_writer *writer)
{
	atomic_store(&writer->needed, true);
	if (writer->opening)
		pthread_join(writer->opener, NULL);
	writer->opening = false;
	return writer->open_error;
}

static void store_end(struct index_writer *writer)
{
	store_wait(writer);
	index_store_close(writer->store);
	writer->store = NULL;
}

void index_writer_destroy(struct index_writer *writer)
{
	if (!writer)
		return;
	store_end(writer);
	index_runs_destroy(writer->runs);
	index_table_destroy(writer->table);
	free(writer->path);
	free(writer);
}

/* From here on nothing is written. What is in the table is lost with what comes. */
static void writer_fail(struct index_writer *writer, int error)
{
	writer->error = error;
	writer->info.state = INDEX_INCOMPLETE;
	writer->info.lost += writer->pending;
	writer->pending = 0;
	writer->active = false;
	store_end(writer);
	log_warning("index: \"%s\" is not complete; the capture is not affected", writer->path);
}

/* Of a live capture to the database, so that a crash leaves what was written. Of a file only if that is all: else it waits for the
 * rest. */
static int round_write(struct index_writer *writer, uint64_t count)
{
	int error = store_wait(writer);

	if (error)
		return error;
	if (writer->options.live || (writer->ending && !writer->runs))
		return index_store_write(writer->store, writer->table, count);
	if (!writer->runs)
		writer->runs = index_runs_create(writer->path);
	if (!writer->runs) {
		log_error("index: no memory");
		return -ENOMEM;
	}
	return index_runs_add(writer->runs, writer->table, count);
}

/* Writes flows, and takes them out of the table. */
static void writer_round(struct index_writer *writer, bool all)
{
	int64_t count = index_round_begin(writer->table, all);
	int error = count < 0 ? (int)count : 0;
	uint64_t packets = count < 0 ? 0 : index_round_packets(writer->table);

	if (error) {
		log_error("index: no memory to sort flows");
		writer_fail(writer, error);
		return;
	}
	if (writer->active)
		error = round_write(writer, (uint64_t)count);
	index_round_end(writer->table);
	if (error) {
		writer_fail(writer, error);
	} else if (writer->active) {
		writer->info.packets += packets;
		writer->pending -= packets;
	}
	writer->round_ms = index_table_now_ms(writer->table);
}

int index_writer_begin(struct index_writer *writer, const char *path, const char *capture)
{
	struct stat status;

	memset(&writer->info, 0, sizeof(writer->info));
	writer->pending = 0;
	writer->round_ms = 0;
	writer->active = writer->ending = writer->described = false;
	writer->error = writer->open_error = 0;
	atomic_store(&writer->opened, false);
	atomic_store(&writer->needed, false);
	writer->large = stat(capture, &status) == 0 && status.st_size >= LARGE_BYTES;
	free(writer->path);
	writer->path = strdup(path);
	if (!writer->path)
		return writer->error = -ENOMEM;
	if (!realpath(capture, writer->info.capture))
		snprintf(writer->info.capture, sizeof(writer->info.capture), "%s", capture);
	writer->error = index_store_prepare(path);
	if (!writer->error)
		writer->error = index_info_write(path, &writer->info);
	writer->described = !writer->error;
	if (!writer->error)
		writer->error = store_begin(writer);
	writer->active = !writer->error;
	return writer->error;
}

void index_writer_add(struct index_writer *writer, const struct index_entry *entries, unsigned n)
{
	while (n > 0 && writer->active) {
		unsigned added = index_table_add(writer->table, entries, n);
		writer->pending += added;
		entries += added;
		n -= added;
		if (n > 0)
			writer_round(writer, true);
	}
	writer->info.lost += n;
	if (!writer->options.live || !writer->active)
		return;
	if (writer->round_ms == 0)
		writer->round_ms = index_table_now_ms(writer->table);
	else if (index_table_now_ms(writer->table) - writer->round_ms >= ROUND_MS)
		writer_round(writer, false);
}

bool index_writer_idle(struct index_writer *writer)
{
	if (!writer->active || writer->options.live || writer->runs)
		return false;
	if (index_table_prepare(writer->table))
		return true;
	return atomic_load(&writer->opened) && !writer->open_error &&
	       index_store_reserve(writer->store, index_table_flows(writer->table), writer->pending);
}

void index_writer_end(struct index_writer *writer, uint64_t capture_bytes, uint64_t frames, uint64_t first_ns, bool whole,
	struct index_report *report)
{
	writer->ending = true;
	writer_round(writer, true);
	if (writer->active && writer->runs) {
		int error = index_store_write_runs(writer->store, writer->runs);
		if (error) {
			writer->info.lost += writer->info.packets;
			writer->info.packets = 0;
			writer_fail(writer, error);
		}
	}
	index_runs_destroy(writer->runs);
	writer->runs = NULL;
	if (writer->active) {
		writer->error = index_store_finish(writer->store);
		if (writer->error)
			writer_fail(writer, writer->error);
	}
	store_end(writer);
	writer->active = false;
	writer->info.capture_bytes = capture_bytes;
	writer->info.frames = frames;
	writer->info.first_ns = first_ns;
	writer->info.state = whole && !writer->error ? INDEX_COMPLETE : INDEX_INCOMPLETE;
	if (writer->described) {
		int error = index_info_write(writer->path, &writer->info);
		writer->error = writer->error ? writer->error : error;
		report->bytes += index_store_bytes(writer->path);
	}
	report->packets += writer->info.packets;
	report->lost += writer->info.lost;
	report->indexes++;
	report->error = report->error ? report->error : writer->error;
}
