#include "way_slots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "counters.h"
#include "directory.h"
#include "log.h"

struct way_state {
	const struct way_slots_kind *kind;
	struct way_slots_options options;
	struct slots *slots;
	uint64_t records, lost; /* added up atomically, buffer by buffer */
	int error;              /* first one, atomic */
	uint64_t bytes;         /* of finished files; under the lock of the slots, as `files` */
	unsigned files;
};

struct way_writer {
	struct way_state *state;
	unsigned lane;
	bool entered;
	uint64_t start_s; /* of its slot */
	void *file;       /* of that; NULL: it could not be made */
	_Alignas(16) uint8_t buffer[];
};

/* One that `slots` keeps. */
struct slot_file {
	void *file;
	uint64_t start_s;
};

/* From files, what has failed once fails for each interval, in a moment: it is said once. Live, that is news. */
static void state_mute(const struct way_state *state)
{
	log_mute(!state->options.live && __atomic_load_n(&state->error, __ATOMIC_RELAXED));
}

static void state_failed(struct way_state *state, int error)
{
	int none = 0;

	log_mute(false);
	if (error)
		__atomic_compare_exchange_n(&state->error, &none, error, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static void *slot_open(void *owner, uint64_t start_s)
{
	struct way_state *state = owner;
	struct slot_file *slot = malloc(sizeof(*slot));
	int error = -ENOMEM;

	state_mute(state);
	if (slot)
		error = state->kind->file_open(&state->options, start_s, &slot->file);
	else
		log_error("%s: no memory", state->kind->what);
	state_failed(state, error);
	if (error) {
		free(slot);
		return NULL;
	}
	slot->start_s = start_s;
	return slot;
}

static void slot_close(void *owner, void *file, bool complete)
{
	struct way_state *state = owner;
	struct slot_file *slot = file;
	uint64_t bytes = 0;

	state_mute(state);
	if (complete) {
		state_failed(state, state->kind->file_commit(slot->file, &state->options, slot->start_s, &bytes));
		state->files += bytes > 0;
		state->bytes += bytes;
	} else {
		state->kind->file_abort(slot->file);
	}
	log_mute(false);
	free(slot);
}

static const struct slots_ops slots_ops = { slot_open, slot_close };

int way_slots_open(
	const struct way_slots_kind *kind, const char *directory, const struct config *config, bool live, struct way_state **state)
{
	struct way_state *made = calloc(1, sizeof(*made));
	int error = -ENOMEM;

	if (!made)
		goto no_memory;
	made->kind = kind;
	made->options = (struct way_slots_options){
		.directory = directory,
		.interval_s = config->rotate_ns / 1000000000,
		.live = live,
		.wire = config->octets == OCTETS_WIRE,
		.compression = config->nfcapd_compress,
	};
	error = directory_make(kind->what, directory);
	if (error)
		goto fail;
	error = -ENOMEM;
	made->slots = slots_create(made->options.interval_s, &slots_ops, made);
	if (!made->slots)
		goto no_memory;
	*state = made;
	return 0;
no_memory:
	log_error("%s: no memory", kind->what);
fail:
	free(made);
	return error;
}

int way_slots_attach(struct way_state *state, struct way_writer **writer)
{
	struct way_writer *made = calloc(1, sizeof(*made) + state->kind->buffer_size);
	int error = made ? state->kind->buffer_init(made->buffer, &state->options) : -ENOMEM;

	if (error) {
		log_error("%s: no memory", state->kind->what);
		free(made);
		return error;
	}
	made->state = state;
	made->lane = slots_join(state->slots);
	*writer = made;
	return 0;
}

void way_slots_close(struct way_state *state, int error, struct output_report *report)
{
	slots_destroy(state->slots);
	if (report) {
		*report = (struct output_report){ .name = state->kind->name,
			.records = state->records,
			.lost = state->lost,
			.bytes = state->bytes,
			.files = state->files,
			.error = error ? error : state->error };
		snprintf(report->path, sizeof(report->path), "%s", state->options.directory);
	}
	free(state);
}

void way_slots_so_far(const struct way_state *state, struct output_report *report)
{
	*report = (struct output_report){
		.name = state->kind->name, .records = counter_read(&state->records), .lost = counter_read(&state->lost)
	};
}

static void writer_flush(struct way_writer *writer)
{
	struct way_state *state = writer->state;
	unsigned records = state->kind->buffer_records(writer->buffer);

	if (!records)
		return;
	state_mute(state);
	int error = state->kind->buffer_append(writer->buffer, writer->file);
	state_failed(state, error);
	__atomic_fetch_add(error ? &state->lost : &state->records, records, __ATOMIC_RELAXED);
}

static void writer_enter(struct way_writer *writer, uint64_t time_ns)
{
	struct way_state *state = writer->state;
	uint64_t start_s = slots_start_of(time_ns, state->options.interval_s);
	void *slot;

	if (writer->entered && start_s == writer->start_s)
		return;
	writer_flush(writer);
	writer->start_s = slots_enter(state->slots, writer->lane, start_s, &slot);
	writer->file = slot ? ((struct slot_file *)slot)->file : NULL;
	writer->entered = true;
}

void way_slots_detach(struct way_writer *writer)
{
	writer_flush(writer);
	slots_leave(writer->state->slots, writer->lane);
	writer->state->kind->buffer_free(writer->buffer);
	free(writer);
}

#include "poison.h"

void way_slots_put(struct way_writer *writer, const struct flow_way *ways, unsigned n)
{
	const struct way_state *state = writer->state;

	for (unsigned i = 0; i < n; i++) {
		struct way_row row;
		if (!state->options.live || !writer->entered)
			writer_enter(writer, ways[i].end_ns);
		if (state->kind->buffer_full(writer->buffer))
			writer_flush(writer);
		way_row_fill(&row, &ways[i], state->options.wire);
		state->kind->buffer_add(writer->buffer, &row, &ways[i]);
	}
}

void way_slots_tick(struct way_writer *writer, uint64_t now_ns)
{
	writer_enter(writer, now_ns);
}
