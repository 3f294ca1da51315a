#include "export.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "flowlane/fields.h"
#include "log.h"

#define EXPORT_JOBS_MAX 4

unsigned export_extras(const struct config *config)
{
	return (config->extended ? FIELDS_EXTENDED : 0) | (config->flow_cutoff ? FIELDS_CUT_OFF : 0) |
	       (config->sample ? FIELDS_SAMPLE : 0);
}

int export_open(struct export_job *job, const struct export_format *format, const char *path, unsigned extras)
{
	*job = (struct export_job){ .format = format, .layout = format->layout_new(extras) };
	if (!job->layout) {
		log_error("%s: no memory", format->what);
		return -ENOMEM;
	}
	int error = outfile_open(format->what, path, OUTFILE_PART, &job->file);
	if (error)
		export_abort(job);
	return error;
}

void export_abort(struct export_job *job)
{
	outfile_abort(job->file);
	free(job->layout);
	*job = (struct export_job){ 0 };
}

/* Formats the whole spool. Records count as written when their chunk is in the file. */
static int export_write(struct export_job *job, struct spool_cursor *cursor, char *chunk)
{
	const struct export_format *format = job->format;
	const struct flow_record *record;
	char *limit = chunk + OUTFILE_CHUNK - EXPORT_RECORD_MAX;
	uint64_t index = 0;
	char *out = format->begin(job->layout, chunk);

	while ((record = spool_cursor_next(cursor))) {
		if (out > limit) {
			int error = outfile_append(job->file, chunk, (size_t)(out - chunk));
			if (error)
				return error;
			job->records = index;
			out = chunk;
		}
		out = format->record(job->layout, record, index++, out);
	}
	if (out > limit) {
		int error = outfile_append(job->file, chunk, (size_t)(out - chunk));
		if (error)
			return error;
		out = chunk;
	}
	out = format->end(job->layout, index, out);
	int error = outfile_append(job->file, chunk, (size_t)(out - chunk));
	if (!error)
		job->records = index;
	return error;
}

static void *export_work(void *argument)
{
	struct export_job *job = argument;
	struct spool_cursor *cursor = spool_cursor_open(job->spool);
	char *chunk = malloc(OUTFILE_CHUNK);

	if (!chunk)
		log_error("%s: no memory", job->format->what);
	if (cursor && chunk)
		export_write(job, cursor, chunk); /* an error is logged, and kept by the file */
	else
		outfile_fail(job->file, -ENOMEM);
	free(chunk);
	spool_cursor_close(cursor);
	return NULL;
}

static void export_finish(struct export_job *job, const struct spool *spool, struct output_report *report)
{
	uint64_t lost = spool_lost(spool);

	if (lost > 0)
		outfile_fail(job->file, spool_error(spool)); /* complete or absent: keeps its name .part */
	*report = (struct output_report){
		.name = job->format->name,
		.records = job->records,
		.bytes = outfile_bytes(job->file),
		.lost = lost + spool_count(spool) - job->records,
		.files = 1,
	};
	report->error = outfile_commit(job->file, report->path, sizeof(report->path));
	job->file = NULL;
	export_abort(job);
}

void export_run(struct export_job *jobs, unsigned n, const struct spool *spool, struct output_report *reports)
{
	pthread_t threads[EXPORT_JOBS_MAX];
	bool started[EXPORT_JOBS_MAX] = { false };

	for (unsigned i = 0; i < n; i++)
		jobs[i].spool = spool;
	for (unsigned i = 1; i < n && i < EXPORT_JOBS_MAX; i++)
		started[i] = pthread_create(&threads[i], NULL, export_work, &jobs[i]) == 0;
	for (unsigned i = 0; i < n; i++) {
		if (i >= EXPORT_JOBS_MAX || !started[i])
			export_work(&jobs[i]); /* the first, and any for which there was no thread */
	}
	for (unsigned i = 0; i < n; i++) {
		if (i < EXPORT_JOBS_MAX && started[i])
			pthread_join(threads[i], NULL);
		export_finish(&jobs[i], spool, &reports[i]);
	}
}
