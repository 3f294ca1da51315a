/*
 * From a finished spool to files: each job formats all records, in order, into chunks of one file. Jobs run side by side, a
 * thread each. Control thread only.
 */
#ifndef FLOWLANE_EXPORT_H
#define FLOWLANE_EXPORT_H

#include "export_format.h"
#include "flowlane/config.h"
#include "flowlane/sink.h"
#include "outfile.h"
#include "spool.h"

struct export_job {
	const struct export_format *format;
	struct export_layout *layout;
	struct outfile *file;
	const struct spool *spool;
	uint64_t records; /* in the file */
};

/* Makes the file (OUTFILE_PART), so that a bad path is known before the first packet. 0, or a negative errno, logged. */
int export_open(struct export_job *job, const struct export_format *format, const char *path, unsigned extras);
/* What rows the exports of this run have besides: enum fields_extra. */
unsigned export_extras(const struct config *config);
/* Runs all jobs on the spool, finishes their files, and fills a report each. Jobs are empty afterwards. */
void export_run(struct export_job *jobs, unsigned n, const struct spool *spool, struct output_report *reports);
void export_abort(struct export_job *job); /* accepts empty */

/* --all-protocols: does this flow belong into exports for people? */
static inline bool export_has_protocol(bool all_protocols, const struct flow_record *record)
{
	return all_protocols || record->key.proto == 6 || record->key.proto == 17;
}

#endif
