/*
 * --export-binary: a directory of flow-models' columns per interval, DIR/flows.YYYYMMDDhhmm.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "binary_dir.h"
#include "log.h"
#include "slots.h"
#include "way_directory.h"
#include "way_format.h"
#include "way_row.h"

#define WHAT       "binary export"
#define PATH_BYTES 4096

struct way_state {
	const char *directory;
	struct slots *slots;
	uint64_t interval_s;
	bool wire;
	bool live;
	uint64_t records, lost; /* added up atomically, chunk by chunk */
	uint64_t bytes;         /* of finished directories; under the lock of the slots, as the next two */
	unsigned files;
	int error;
};

struct way_writer {
	struct way_state *state;
	unsigned lane;
	uint64_t start_s;       /* of its slot */
	struct binary_dir *dir; /* of that; NULL: none, or it could not be made */
	bool entered;
	struct columns columns;
};

static void *binary_slot_open(void *owner, uint64_t start_s)
{
	struct way_state *state = owner;
	char path[PATH_BYTES], name[SLOT_NAME_MAX];
	struct binary_dir *dir;

	slot_name(name, start_s, state->interval_s < 60);
	snprintf(path, sizeof(path), "%s/flows.%s", state->directory, name);
	/* Live, what an earlier run left in this interval stays, and ours gets a name with seconds. */
	for (unsigned k = 1; state->live && k < state->interval_s && access(path, F_OK) == 0; k++) {
		slot_name(name, start_s + k, true);
		snprintf(path, sizeof(path), "%s/flows.%s", state->directory, name);
	}
	int error = binary_dir_open(WHAT, path, &dir);
	if (error)
		state->error = state->error ? state->error : error;
	return error ? NULL : dir;
}

static void binary_slot_close(void *owner, void *file, bool complete)
{
	struct way_state *state = owner;
	uint64_t bytes = 0;

	if (!complete) {
		binary_dir_abort(file);
		return;
	}
	int error = binary_dir_commit(file, true, false, &bytes);
	state->error = state->error ? state->error : error;
	state->files += bytes > 0;
	state->bytes += bytes;
}

static const struct slots_ops binary_slots = { binary_slot_open, binary_slot_close };

static const char *binary_wanted(const struct config *config)
{
	return config->export_binary;
}

static int binary_open(const struct config *config, bool live, struct way_state **state)
{
	struct way_state *made = calloc(1, sizeof(*made));
	int error = -ENOMEM;

	if (!made)
		goto no_memory;
	*made = (struct way_state){
		.directory = config->export_binary,
		.interval_s = config->rotate_ns / 1000000000,
		.wire = config->octets == OCTETS_WIRE,
		.live = live,
	};
	error = way_directory_make(WHAT, made->directory);
	if (error)
		goto fail;
	error = -ENOMEM;
	made->slots = slots_create(made->interval_s, &binary_slots, made);
	if (!made->slots)
		goto no_memory;
	*state = made;
	return 0;
no_memory:
	log_error("%s: no memory", WHAT);
fail:
	free(made);
	return error;
}

static int binary_attach(struct way_state *state, struct way_writer **writer)
{
	struct way_writer *made = calloc(1, sizeof(*made));
	int error = made ? columns_init(&made->columns) : -ENOMEM;

	if (error) {
		log_error("%s: no memory", WHAT);
		free(made);
		return error;
	}
	made->state = state;
	made->lane = slots_join(state->slots);
	*writer = made;
	return 0;
}

static void binary_close(struct way_state *state, int error, struct output_report *report)
{
	slots_destroy(state->slots, report != NULL);
	if (report) {
		*report = (struct output_report){ .name = "binary",
			.records = state->records,
			.lost = state->lost,
			.bytes = state->bytes,
			.files = state->files,
			.error = error ? error : state->error };
		snprintf(report->path, sizeof(report->path), "%s", state->directory);
	}
	free(state);
}

static void writer_flush(struct way_writer *writer)
{
	struct way_state *state = writer->state;
	unsigned records = writer->columns.rows;
	int error = -EIO;

	if (!records)
		return;
	if (writer->dir)
		error = binary_dir_append(writer->dir, &writer->columns);
	writer->columns.rows = 0;
	__atomic_fetch_add(error ? &state->lost : &state->records, records, __ATOMIC_RELAXED);
}

static void writer_enter(struct way_writer *writer, uint64_t time_ns)
{
	struct way_state *state = writer->state;
	uint64_t start_s = slots_start_of(time_ns, state->interval_s);
	void *dir;

	if (writer->entered && start_s <= writer->start_s)
		return;
	writer_flush(writer);
	writer->start_s = slots_enter(state->slots, writer->lane, start_s, &dir);
	writer->dir = dir;
	writer->entered = true;
}

static void binary_detach(struct way_writer *writer)
{
	writer_flush(writer);
	slots_leave(writer->state->slots, writer->lane);
	columns_free(&writer->columns);
	free(writer);
}

static void binary_put(struct way_writer *writer, const struct flow_way *ways, unsigned n);
static void binary_tick(struct way_writer *writer, uint64_t now_ns);

const struct way_format way_binary = {
	.name = "binary",
	.wanted = binary_wanted,
	.open = binary_open,
	.attach = binary_attach,
	.put = binary_put,
	.tick = binary_tick,
	.detach = binary_detach,
	.close = binary_close,
};

#include "poison.h"

static void binary_put(struct way_writer *writer, const struct flow_way *ways, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct way_row row;
		/* Live, the clock says which directory: what ends late still belongs to now. */
		if (!writer->state->live || !writer->entered)
			writer_enter(writer, ways[i].end_ns);
		if (writer->columns.rows == COLUMN_ROWS)
			writer_flush(writer);
		way_row_fill(&row, &ways[i], writer->state->wire);
		columns_add(&writer->columns, &row);
	}
}

static void binary_tick(struct way_writer *writer, uint64_t now_ns)
{
	writer_enter(writer, now_ns);
}
