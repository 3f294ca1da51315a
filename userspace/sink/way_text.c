#include "way_text.h"

#include <errno.h>
#include <stdlib.h>

#include "counters.h"
#include "log.h"
#include "outfile.h"

struct way_state {
	const char *name;
	const char *what;
	struct outfile *file;
	way_line_fn *line;
	bool wire;
	uint64_t records; /* added up atomically, chunk by chunk */
	uint64_t lost;
};

struct way_writer {
	struct way_state *state;
	char *at;
	uint64_t chunk_records;
	char chunk[OUTFILE_CHUNK];
};

int way_text_open(const char *name, const char *what, const char *path, way_line_fn *line, const struct config *config, bool live,
	struct way_state **state)
{
	struct way_state *made = calloc(1, sizeof(*made));

	if (!made) {
		log_error("%s: no memory", what);
		return -ENOMEM;
	}
	*made = (struct way_state){ .name = name, .what = what, .line = line, .wire = config->octets == OCTETS_WIRE };
	int error = outfile_open(what, path, live ? OUTFILE_DIRECT : OUTFILE_PART, &made->file);
	if (error)
		free(made);
	else
		*state = made;
	return error;
}

int way_text_attach(struct way_state *state, struct way_writer **writer)
{
	struct way_writer *made = malloc(sizeof(*made));

	if (!made) {
		log_error("%s: no memory", state->what);
		return -ENOMEM;
	}
	made->state = state;
	made->at = made->chunk;
	made->chunk_records = 0;
	*writer = made;
	return 0;
}

void way_text_close(struct way_state *state, int error, struct output_report *report)
{
	if (error)
		outfile_fail(state->file, error);
	if (report) {
		*report = (struct output_report){ .name = state->name,
			.records = state->records,
			.lost = state->lost,
			.bytes = outfile_bytes(state->file),
			.files = 1 };
		report->error = outfile_commit(state->file, report->path, sizeof(report->path));
	} else {
		outfile_abort(state->file);
	}
	free(state);
}

void way_text_reopen(struct way_state *state)
{
	outfile_reopen(state->file, NULL, 0);
}

void way_text_so_far(const struct way_state *state, struct output_report *report)
{
	*report = (struct output_report){
		.name = state->name, .records = counter_read(&state->records), .lost = counter_read(&state->lost)
	};
}

static void text_append(struct way_writer *writer)
{
	struct way_state *state = writer->state;

	if (writer->at == writer->chunk)
		return;
	int error = outfile_append(state->file, writer->chunk, (size_t)(writer->at - writer->chunk));
	__atomic_fetch_add(error ? &state->lost : &state->records, writer->chunk_records, __ATOMIC_RELAXED);
	writer->at = writer->chunk;
	writer->chunk_records = 0;
}

void way_text_detach(struct way_writer *writer)
{
	text_append(writer);
	free(writer);
}

#include "poison.h"

void way_text_put(struct way_writer *writer, const struct flow_way *ways, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct way_row row;
		way_row_fill(&row, &ways[i], writer->state->wire);
		writer->at = writer->state->line(writer->at, &row);
		writer->chunk_records++;
		if (writer->at > writer->chunk + OUTFILE_CHUNK - WAY_LINE_MAX)
			text_append(writer);
	}
}

void way_text_tick(struct way_writer *writer, uint64_t now_ns)
{
	(void)now_ns;
	text_append(writer);
}
