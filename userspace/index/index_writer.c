#include "index_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index_info.h"
#include "index_runs.h"
#include "index_store.h"
#include "index_table.h"
#include "log.h"

/* Live: how often flows that are over are written, in packet time. What is lost with a killed process is not much older. */
#define ROUND_MS 60000

struct index_writer {
	struct index_writer_options options;
	struct index_table *table;

	/* the index at hand */
	char *path;
	struct index_store *store; /* NULL: none, or it failed */
	struct index_runs *runs;   /* NULL: none */
	bool described;            /* its directory is ours, and has the description */
	bool ending;               /* nothing more comes */
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

void index_writer_destroy(struct index_writer *writer)
{
	if (!writer)
		return;
	index_runs_destroy(writer->runs);
	index_store_close(writer->store);
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
	index_store_close(writer->store);
	writer->store = NULL;
	log_warning("index: \"%s\" is not complete; the capture is not affected", writer->path);
}

/* Of a live capture to the database, so that a crash leaves what was written. Of a file only if that is all: else it waits for the
 * rest. */
static int round_write(struct index_writer *writer, uint64_t count)
{
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
	if (writer->store)
		error = round_write(writer, (uint64_t)count);
	index_round_end(writer->table);
	if (error) {
		writer_fail(writer, error);
	} else if (writer->store) {
		writer->info.packets += packets;
		writer->pending -= packets;
	}
	writer->round_ms = index_table_now_ms(writer->table);
}

int index_writer_begin(struct index_writer *writer, const char *path, const char *capture)
{
	memset(&writer->info, 0, sizeof(writer->info));
	writer->pending = 0;
	writer->round_ms = 0;
	writer->ending = writer->described = false;
	writer->error = 0;
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
		writer->error = index_store_create(path, writer->options.live, &writer->store);
	return writer->error;
}

void index_writer_add(struct index_writer *writer, const struct index_entry *entries, unsigned n)
{
	while (n > 0 && writer->store) {
		unsigned added = index_table_add(writer->table, entries, n);
		writer->pending += added;
		entries += added;
		n -= added;
		if (n > 0)
			writer_round(writer, true);
	}
	writer->info.lost += n;
	if (!writer->options.live || !writer->store)
		return;
	if (writer->round_ms == 0)
		writer->round_ms = index_table_now_ms(writer->table);
	else if (index_table_now_ms(writer->table) - writer->round_ms >= ROUND_MS)
		writer_round(writer, false);
}

void index_writer_end(struct index_writer *writer, uint64_t capture_bytes, uint64_t frames, uint64_t first_ns, bool whole,
	struct index_report *report)
{
	writer->ending = true;
	writer_round(writer, true);
	if (writer->store && writer->runs) {
		int error = index_store_write_runs(writer->store, writer->runs);
		if (error) {
			writer->info.lost += writer->info.packets;
			writer->info.packets = 0;
			writer_fail(writer, error);
		}
	}
	index_runs_destroy(writer->runs);
	writer->runs = NULL;
	if (writer->store) {
		writer->error = index_store_finish(writer->store);
		if (writer->error)
			writer_fail(writer, writer->error);
	}
	index_store_close(writer->store);
	writer->store = NULL;
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
