/*
 * --export-hist: csv_hist files of the flows' length, size, duration and rate. Each writer has histograms of its own; they are
 * merged when the files are rewritten, every interval while live, and at the end.
 *
 * Sums are exact, but that of rates: doubles, added in the order of the records (from files: that of csv_flow), and live
 * lane by lane.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "directory.h"
#include "hist_bins.h"
#include "log.h"
#include "periodic.h"
#include "small_file.h"
#include "text.h"
#include "way_format.h"
#include "way_row.h"

#define WHAT        "hist export"
#define FLOWS_CHUNK 1024 /* the lock is taken once for so many */
#define FLOWS_MAX   8192 /* that wait while the rewriter has the lock; it takes a millisecond for the bins of B = 12 */

enum hist_x { HIST_LENGTH, HIST_SIZE, HIST_DURATION, HIST_RATE, HIST_COUNT };

static const char *const hist_names[HIST_COUNT] = { "length.csv", "size.csv", "duration.csv", "rate.csv" };

struct way_state {
	const char *directory;
	bool wire;
	unsigned b;
	struct way_writer *writers; /* in the order of their lanes; also after they are detached */
	struct periodic *periodic;  /* NULL: not live */
	uint64_t bytes;             /* of the files now */
	int error;                  /* of the last rewrite */
	bool warned;
	struct small_file file;
};

struct way_writer {
	struct way_state *state;
	struct way_writer *next;
	unsigned used;
	struct hist_flow flows[FLOWS_MAX];
	pthread_mutex_t lock; /* of what follows: the rewriter reads it */
	uint64_t records;
	struct hist_bins bins[HIST_COUNT];
};

/* --- files ----------------------------------------------------------------------------------------------------------- */

static char *put_sum(char *out, hist_sum value)
{
	const uint64_t split = 1000000000000000000u;

	if (value < split)
		return text_u64(out, (uint64_t)value);
	out = put_sum(out, value / split);
	uint64_t low = (uint64_t)(value % split);
	for (uint64_t digit = split / 10; digit; digit /= 10)
		*out++ = (char)('0' + low / digit % 10);
	return out;
}

static char *put_comma(char *out)
{
	*out = ',';
	return out + 1;
}

static char *put_bin(char *out, const struct hist_bin *bin, unsigned b)
{
	out = put_comma(text_u64(out, bin->low));
	out = put_comma(put_sum(out, (hist_sum)bin->low + hist_width(bin->low, b)));
	out = put_comma(text_u64(out, bin->flows));
	out = put_comma(put_sum(out, bin->packets));
	out = put_comma(put_sum(out, bin->octets));
	out = put_comma(put_sum(out, bin->duration_ms));
	out = put_comma(put_sum(out, (hist_sum)trunc(bin->rate)));
	out = put_sum(out, bin->aggs);
	*out = '\n';
	return out + 1;
}

static int hist_write(struct way_state *state, const struct hist_bins *bins, const char *name)
{
	static const char head[] = "bin_lo,bin_hi,flows_sum,packets_sum,octets_sum,duration_sum,rate_sum,aggs_sum\n";
	struct hist_bin **sorted = hist_bins_sorted(bins);

	if (!sorted)
		return -ENOMEM;
	small_file_open(&state->file, state->directory, name);
	char *out = small_file_room(&state->file, sizeof(head));
	small_file_wrote(&state->file, (char *)mempcpy(out, head, sizeof(head) - 1));
	for (uint32_t i = 0; i < bins->count; i++) {
		out = small_file_room(&state->file, 512);
		small_file_wrote(&state->file, put_bin(out, sorted[i], bins->b));
	}
	free(sorted);
	return small_file_commit(&state->file, &state->bytes);
}

/* Rewrites all files. Returns how many flows found no bin. */
static uint64_t hist_rewrite(struct way_state *state)
{
	uint64_t lost = 0;

	state->error = 0;
	state->bytes = 0;
	for (unsigned x = 0; x < HIST_COUNT; x++) {
		struct hist_bins all;
		hist_bins_init(&all, state->b);
		for (struct way_writer *writer = state->writers; writer; writer = writer->next) {
			pthread_mutex_lock(&writer->lock);
			hist_bins_merge(&all, &writer->bins[x]);
			pthread_mutex_unlock(&writer->lock);
		}
		int error = hist_write(state, &all, hist_names[x]);
		lost = all.lost > lost ? all.lost : lost;
		hist_bins_free(&all);
		state->error = state->error ? state->error : error;
	}
	if (state->error && !state->warned) {
		log_error("%s: cannot write the files in \"%s\": %s; free some space, or check the directory", WHAT,
			state->directory, strerror(-state->error));
		state->warned = true;
	}
	return lost;
}

static void hist_periodic(void *context)
{
	hist_rewrite(context);
}

/* --- the format ------------------------------------------------------------------------------------------------------ */

static const char *hist_wanted(const struct config *config)
{
	return config->export_hist;
}

static int hist_open(const struct config *config, bool live, struct way_state **state)
{
	struct way_state *made = calloc(1, sizeof(*made));

	if (!made) {
		log_error("%s: no memory", WHAT);
		return -ENOMEM;
	}
	made->directory = config->export_hist;
	made->wire = config->octets == OCTETS_WIRE;
	made->b = config->hist_bins;
	int error = directory_make(WHAT, made->directory);
	if (!error && live) {
		error = periodic_start(hist_periodic, made, config->rotate_ns, &made->periodic);
		if (error)
			log_error("%s: starting its thread: %s", WHAT, strerror(-error));
	}
	if (error)
		free(made);
	else
		*state = made;
	return error;
}

static int hist_attach(struct way_state *state, struct way_writer **writer)
{
	struct way_writer *made = calloc(1, sizeof(*made)), **end = &state->writers;

	if (!made) {
		log_error("%s: no memory", WHAT);
		return -ENOMEM;
	}
	made->state = state;
	pthread_mutex_init(&made->lock, NULL);
	for (unsigned x = 0; x < HIST_COUNT; x++)
		hist_bins_init(&made->bins[x], state->b);
	while (*end)
		end = &(*end)->next;
	/* The rewriter may be under way already; it finds all of the writer, or nothing. */
	__atomic_store_n(end, made, __ATOMIC_RELEASE);
	*writer = made;
	return 0;
}

static void hist_close(struct way_state *state, int error, struct output_report *report)
{
	periodic_stop(state->periodic);
	if (report) {
		uint64_t lost = hist_rewrite(state), records = 0;
		for (struct way_writer *writer = state->writers; writer; writer = writer->next)
			records += writer->records;
		if (lost)
			log_warning("%s: %llu flows found no bin, for there are %u already; give --hist-bins, such as 12", WHAT,
				(unsigned long long)lost, HIST_BINS_MAX);
		*report = (struct output_report){ .name = "hist",
			.records = records - lost,
			.lost = lost,
			.bytes = state->bytes,
			.files = HIST_COUNT,
			.error = error ? error : state->error };
		snprintf(report->path, sizeof(report->path), "%s", state->directory);
	}
	while (state->writers) {
		struct way_writer *writer = state->writers;
		state->writers = writer->next;
		for (unsigned x = 0; x < HIST_COUNT; x++)
			hist_bins_free(&writer->bins[x]);
		pthread_mutex_destroy(&writer->lock);
		free(writer);
	}
	free(state);
}

/* A lane does not wait for the rewriter unless it has no more room. */
static void writer_flush(struct way_writer *writer, bool wait)
{
	if (wait)
		pthread_mutex_lock(&writer->lock);
	else if (pthread_mutex_trylock(&writer->lock))
		return;
	for (unsigned i = 0; i < writer->used; i++) {
		const struct hist_flow *flow = &writer->flows[i];
		hist_bins_add(&writer->bins[HIST_LENGTH], flow->packets, flow);
		hist_bins_add(&writer->bins[HIST_SIZE], flow->octets, flow);
		hist_bins_add(&writer->bins[HIST_DURATION], flow->duration_ms, flow);
		hist_bins_add(&writer->bins[HIST_RATE], (uint64_t)flow->rate, flow);
	}
	writer->records += writer->used;
	writer->used = 0;
	pthread_mutex_unlock(&writer->lock);
}

/* What it counted stays for the files. */
static void hist_detach(struct way_writer *writer)
{
	writer_flush(writer, true);
}

static void hist_put(struct way_writer *writer, const struct flow_way *ways, unsigned n);
static void hist_tick(struct way_writer *writer, uint64_t now_ns);

const struct way_format way_hist = {
	.name = "hist",
	.wanted = hist_wanted,
	.open = hist_open,
	.attach = hist_attach,
	.put = hist_put,
	.tick = hist_tick,
	.detach = hist_detach,
	.close = hist_close,
};

#include "poison.h"

/* As the reference computes them, from times cut to milliseconds. */
static void flow_measure(struct hist_flow *flow, const struct way_row *row)
{
	uint64_t first_ms = way_row_first_ms(row), last_ms = way_row_last_ms(row);

	flow->packets = row->packets;
	flow->octets = row->octets;
	flow->aggs = row->aggs;
	flow->duration_ms = row->packets == 1 || last_ms < first_ms ? 0 : last_ms - first_ms;
	flow->rate = flow->duration_ms ? (double)(8000 * row->octets) / (double)flow->duration_ms : 0;
}

static void hist_put(struct way_writer *writer, const struct flow_way *ways, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct way_row row;
		way_row_fill(&row, &ways[i], writer->state->wire);
		flow_measure(&writer->flows[writer->used++], &row);
		if (writer->used % FLOWS_CHUNK == 0)
			writer_flush(writer, writer->used == FLOWS_MAX);
	}
}

static void hist_tick(struct way_writer *writer, uint64_t now_ns)
{
	(void)now_ns;
	if (writer->used)
		writer_flush(writer, false);
}
