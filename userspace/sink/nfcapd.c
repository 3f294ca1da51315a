/*
 * --export-nfcapd: files as nfcapd writes them, one per interval, for nfdump. Each lane fills a block of its own, and appends it,
 * compressed, to the file of the interval; so in a file the lanes' blocks take turns.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "nfcapd_file.h"
#include "slots.h"
#include "way_directory.h"
#include "way_format.h"
#include "way_row.h"

#define WHAT       "nfcapd export"
#define PATH_BYTES 4096

struct way_state {
	const char *directory;
	struct slots *slots;
	uint64_t interval_s;
	enum nfcapd_compression compression;
	bool wire;
	bool live;
	uint64_t started_s;     /* live: its first slot may hold a file of an earlier run */
	uint64_t records, lost; /* added up atomically, block by block */
	uint64_t bytes;         /* of finished files; under the lock of the slots, as the next two */
	unsigned files;
	int error;
};

struct way_writer {
	struct way_state *state;
	unsigned lane;
	uint64_t start_s;         /* of its slot */
	struct nfcapd_file *file; /* of that; NULL: none, or it could not be made */
	bool entered;
	struct nfcapd_block block;
};

/* --- files ----------------------------------------------------------------------------------------------------------- */

struct slot_file {
	struct nfcapd_file *file;
	uint64_t start_s;
};

static void *nfcapd_slot_open(void *owner, uint64_t start_s)
{
	struct way_state *state = owner;
	char path[PATH_BYTES], temporary[PATH_BYTES], name[SLOT_NAME_MAX];
	struct slot_file *slot = malloc(sizeof(*slot));
	int error = slot ? 0 : -ENOMEM;

	slot_name(name, start_s, state->interval_s < 60);
	/* nfdump's directory readers skip what begins with nfcapd.current. */
	snprintf(path, sizeof(path), "%s/nfcapd.%s", state->directory, name);
	snprintf(temporary, sizeof(temporary), "%s/nfcapd.current.%d.%s", state->directory, (int)getpid(), name);
	if (!error)
		error = nfcapd_file_open(WHAT, path, temporary, state->live, state->compression, start_s, &slot->file);
	if (error) {
		state->error = state->error ? state->error : error;
		free(slot);
		return NULL;
	}
	slot->start_s = start_s;
	return slot;
}

static void nfcapd_slot_close(void *owner, void *file, bool complete)
{
	struct way_state *state = owner;
	struct slot_file *slot = file;
	const uint64_t slot_ms[2] = { slot->start_s * 1000, (slot->start_s + state->interval_s) * 1000 };
	uint64_t bytes = 0;

	if (complete) {
		int error = nfcapd_file_commit(slot->file, slot_ms, &bytes);
		state->error = state->error ? state->error : error;
		state->files++;
		state->bytes += bytes;
	} else {
		nfcapd_file_abort(slot->file);
	}
	free(slot);
}

static const struct slots_ops nfcapd_slots = { nfcapd_slot_open, nfcapd_slot_close };

/* --- the format ------------------------------------------------------------------------------------------------------ */

static const char *nfcapd_wanted(const struct config *config)
{
	return config->export_nfcapd;
}

static int nfcapd_open(const struct config *config, bool live, struct way_state **state)
{
	struct way_state *made = calloc(1, sizeof(*made));
	int error = -ENOMEM;

	if (!made)
		goto no_memory;
	*made = (struct way_state){
		.directory = config->export_nfcapd,
		.interval_s = config->rotate_ns / 1000000000,
		.compression = (enum nfcapd_compression)config->nfcapd_compress,
		.wire = config->octets == OCTETS_WIRE,
		.live = live,
	};
	error = way_directory_make(WHAT, made->directory);
	if (error)
		goto fail;
	error = -ENOMEM;
	made->slots = slots_create(made->interval_s, &nfcapd_slots, made);
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

static int nfcapd_attach(struct way_state *state, struct way_writer **writer)
{
	struct way_writer *made = calloc(1, sizeof(*made));
	int error = made ? nfcapd_block_init(&made->block, state->compression) : -ENOMEM;

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

static void nfcapd_close(struct way_state *state, int error, struct output_report *report)
{
	slots_destroy(state->slots, report != NULL);
	if (report) {
		*report = (struct output_report){ .name = "nfcapd",
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
	uint32_t records = writer->block.records;
	int error = -EIO;

	if (!records)
		return;
	if (writer->file)
		error = nfcapd_file_append(writer->file, &writer->block);
	else
		nfcapd_block_clear(&writer->block); /* why there is no file was said */
	__atomic_fetch_add(error ? &state->lost : &state->records, records, __ATOMIC_RELAXED);
}

static void writer_enter(struct way_writer *writer, uint64_t time_ns)
{
	struct way_state *state = writer->state;
	uint64_t start_s = slots_start_of(time_ns, state->interval_s);
	void *slot;

	if (writer->entered && start_s <= writer->start_s)
		return;
	writer_flush(writer);
	writer->start_s = slots_enter(state->slots, writer->lane, start_s, &slot);
	writer->file = slot ? ((struct slot_file *)slot)->file : NULL;
	writer->entered = true;
}

static void nfcapd_detach(struct way_writer *writer)
{
	writer_flush(writer);
	slots_leave(writer->state->slots, writer->lane);
	nfcapd_block_free(&writer->block);
	free(writer);
}

static void nfcapd_put(struct way_writer *writer, const struct flow_way *ways, unsigned n);
static void nfcapd_tick(struct way_writer *writer, uint64_t now_ns);

const struct way_format way_nfcapd = {
	.name = "nfcapd",
	.wanted = nfcapd_wanted,
	.open = nfcapd_open,
	.attach = nfcapd_attach,
	.put = nfcapd_put,
	.tick = nfcapd_tick,
	.detach = nfcapd_detach,
	.close = nfcapd_close,
};

#include "poison.h"

static void nfcapd_put(struct way_writer *writer, const struct flow_way *ways, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct way_row row;
		/* Live, the clock says which file: what ends late still belongs to now. */
		if (!writer->state->live || !writer->entered)
			writer_enter(writer, ways[i].end_ns);
		if (nfcapd_block_full(&writer->block))
			writer_flush(writer);
		way_row_fill(&row, &ways[i], writer->state->wire);
		nfcapd_block_add(&writer->block, &row, &ways[i]);
	}
}

static void nfcapd_tick(struct way_writer *writer, uint64_t now_ns)
{
	writer_enter(writer, now_ns);
}
