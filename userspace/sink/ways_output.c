/*
 * The one-way exports. Two outputs: of pieces (pipe, nfcapd) and of whole directions (csv_flow, binary, hist). Live, each lane's
 * records go straight to its writers. From files they are spooled, sorted by their end, and written at the end of the run, each
 * format by a thread: so the files are the same for any number of lanes, and of two runs.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "log.h"
#include "spool.h"
#include "way_format.h"

#define FORMATS_MAX 3

/* The spool sorts flow_records; that a flow_way has what it looks at in the same places is asserted in flow.h. */
#define AS_RECORD(way) ((const struct flow_record *)(way))
#define AS_WAY(record) ((const struct flow_way *)(record))

struct output {
	struct spool *spool; /* NULL: live */
	unsigned count;
	const struct way_format *format[FORMATS_MAX];
	struct way_state *state[FORMATS_MAX];
};

struct sink {
	struct output *output;
	struct spool_lane *lane; /* NULL: live, and the writers are there */
	struct way_writer *writer[FORMATS_MAX];
};

static const struct way_format *const formats_pieces[] = { &way_pipe, &way_nfcapd, NULL };
static const struct way_format *const formats_ways[] = { &way_csv_flow, &way_binary, &way_hist, NULL };

static bool formats_wanted(const struct way_format *const *formats, const struct config *config)
{
	for (; *formats; formats++) {
		if ((*formats)->wanted(config))
			return true;
	}
	return false;
}

static void output_abort(struct output *output)
{
	for (unsigned i = 0; i < output->count; i++)
		output->format[i]->close(output->state[i], 0, NULL);
	spool_close(output->spool);
	free(output);
}

static int formats_open(const struct way_format *const *formats, const struct config *config, const struct source_info *info,
	struct output **output)
{
	struct output *made = calloc(1, sizeof(*made));
	const char *near = NULL;
	int error = 0;

	if (!made) {
		log_error("flow export: no memory");
		return -ENOMEM;
	}
	for (; *formats && !error; formats++) {
		if (!(*formats)->wanted(config))
			continue;
		near = (*formats)->wanted(config);
		error = (*formats)->open(config, info->live, &made->state[made->count]);
		if (!error)
			made->format[made->count++] = *formats;
	}
	if (!error && !info->live)
		error = spool_open("flow export", near, SPOOL_BY_END, SPOOL_BUFFER_BYTES, &made->spool);
	if (error)
		output_abort(made);
	else
		*output = made;
	return error;
}

static void ways_detach(struct sink *sink)
{
	for (unsigned i = 0; i < sink->output->count; i++) {
		if (sink->writer[i])
			sink->output->format[i]->detach(sink->writer[i]);
	}
	free(sink);
}

static int ways_attach(struct output *output, unsigned lane, struct sink **sink)
{
	struct sink *made = calloc(1, sizeof(*made));
	int error = 0;

	if (!made) {
		log_error("flow export: no memory");
		return -ENOMEM;
	}
	made->output = output;
	if (output->spool)
		error = spool_attach(output->spool, lane, &made->lane);
	for (unsigned i = 0; i < output->count && !output->spool && !error; i++)
		error = output->format[i]->attach(output->state[i], &made->writer[i]);
	if (error)
		ways_detach(made);
	else
		*sink = made;
	return error;
}

/* --- the end --------------------------------------------------------------------------------------------------------- */

struct drain {
	const struct spool *spool;
	const struct way_format *format;
	struct way_state *state;
	int error;
};

static void *drain_work(void *argument)
{
	struct drain *drain = argument;
	const struct flow_record *record;
	struct way_writer *writer;

	drain->error = drain->format->attach(drain->state, &writer);
	if (drain->error)
		return NULL;
	struct spool_cursor *cursor = spool_cursor_open(drain->spool);
	if (!cursor)
		drain->error = -ENOMEM;
	while (cursor && (record = spool_cursor_next(cursor)))
		drain->format->put(writer, AS_WAY(record), 1);
	drain->format->detach(writer);
	spool_cursor_close(cursor);
	return NULL;
}

static void output_drain(struct output *output, struct drain *drains)
{
	pthread_t threads[FORMATS_MAX];
	bool started[FORMATS_MAX] = { false };

	spool_finish(output->spool);
	for (unsigned i = 0; i < output->count; i++) {
		drains[i] = (struct drain){ output->spool, output->format[i], output->state[i], 0 };
		if (i > 0)
			started[i] = pthread_create(&threads[i], NULL, drain_work, &drains[i]) == 0;
	}
	for (unsigned i = 0; i < output->count; i++) {
		if (!started[i])
			drain_work(&drains[i]); /* the first, and any for which there was no thread */
	}
	for (unsigned i = 0; i < output->count; i++) {
		if (started[i])
			pthread_join(threads[i], NULL);
		if (spool_lost(output->spool))
			drains[i].error = spool_error(output->spool);
	}
}

static unsigned ways_close(struct output *output, struct output_report *reports)
{
	struct drain drains[FORMATS_MAX] = { 0 };
	unsigned n = output->count;

	if (!reports) {
		output_abort(output);
		return 0;
	}
	if (output->spool)
		output_drain(output, drains);
	for (unsigned i = 0; i < n; i++) {
		output->format[i]->close(output->state[i], drains[i].error, &reports[i]);
		if (output->spool)
			reports[i].lost += spool_lost(output->spool);
	}
	spool_close(output->spool);
	free(output);
	return n;
}

static void ways_reopen(struct output *output)
{
	for (unsigned i = 0; i < output->count; i++) {
		if (output->format[i]->reopen && !output->spool)
			output->format[i]->reopen(output->state[i]);
	}
}

static unsigned ways_so_far(const struct output *output, struct output_report *reports)
{
	unsigned n = 0;

	for (unsigned i = 0; i < output->count && !output->spool; i++) {
		if (output->format[i]->so_far)
			output->format[i]->so_far(output->state[i], &reports[n++]);
	}
	return n;
}

static bool pieces_wanted(const struct config *config)
{
	return formats_wanted(formats_pieces, config);
}

static int pieces_open(const struct config *config, const struct source_info *info, struct output **output)
{
	return formats_open(formats_pieces, config, info, output);
}

static bool ways_wanted(const struct config *config)
{
	return formats_wanted(formats_ways, config);
}

static int ways_open(const struct config *config, const struct source_info *info, struct output **output)
{
	return formats_open(formats_ways, config, info, output);
}

static void ways_put(struct sink *sink, const struct flow_way *ways, unsigned n);
static void ways_tick(struct sink *sink, uint64_t now_ns);

const struct sink_ops sink_pieces = {
	.name = "pieces",
	.wants = SINK_PIECES,
	.wanted = pieces_wanted,
	.open = pieces_open,
	.attach = ways_attach,
	.pieces = ways_put,
	.tick = ways_tick,
	.detach = ways_detach,
	.close = ways_close,
	.reopen = ways_reopen,
	.so_far = ways_so_far,
};

const struct sink_ops sink_ways = {
	.name = "ways",
	.wants = SINK_WAYS,
	.wanted = ways_wanted,
	.open = ways_open,
	.attach = ways_attach,
	.ways = ways_put,
	.tick = ways_tick,
	.detach = ways_detach,
	.close = ways_close,
	.reopen = ways_reopen,
	.so_far = ways_so_far,
};

#include "poison.h"

static void ways_put(struct sink *sink, const struct flow_way *ways, unsigned n)
{
	if (sink->lane) {
		for (unsigned i = 0; i < n; i++)
			spool_add(sink->lane, AS_RECORD(&ways[i]));
		return;
	}
	for (unsigned i = 0; i < sink->output->count; i++)
		sink->output->format[i]->put(sink->writer[i], ways, n);
}

static void ways_tick(struct sink *sink, uint64_t now_ns)
{
	for (unsigned i = 0; i < sink->output->count && !sink->lane; i++) {
		if (sink->output->format[i]->tick)
			sink->output->format[i]->tick(sink->writer[i], now_ns);
	}
}
