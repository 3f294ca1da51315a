/*
 * --expired-flows-jsonl: flows that left the table while packets came, one object per line.
 *
 * Files (-r): through the spool, ordered by the time of leaving, so that the result does not depend on the number of lanes.
 * Live: streamed in chunks of whole lines, because people follow it while it grows.
 */
#include <errno.h>
#include <stdlib.h>

#include "export.h"
#include "counters.h"
#include "log.h"

struct output {
	struct export_job job; /* of a file; live only its layout, format and file */
	struct spool *spool;   /* NULL: live */
	bool all_protocols;
	uint64_t records; /* live: added up atomically, chunk by chunk */
	uint64_t lost;
};

struct sink {
	struct output *output;
	struct spool_lane *lane; /* NULL: live */
	bool all_protocols;
	char *chunk;
	char *at;
	uint64_t chunk_records;
	uint64_t since_ns; /* when a tick saw this chunk first, 0: none has */
};

static void jsonl_flows(struct sink *sink, const struct flow_record *records, unsigned n);

static bool jsonl_wanted(const struct config *config)
{
	return config->expired_flows_jsonl != NULL;
}

static void jsonl_free(struct output *output)
{
	export_abort(&output->job);
	spool_close(output->spool);
	free(output);
}

/* A stream is written under its final name from the start. */
static int jsonl_open_stream(struct output *output, const struct config *config)
{
	output->job.format = &export_jsonl;
	output->job.layout = export_jsonl.layout_new(export_extras(config));
	if (!output->job.layout) {
		log_error("%s: no memory", export_jsonl.what);
		return -ENOMEM;
	}
	return outfile_open(export_jsonl.what, config->expired_flows_jsonl, OUTFILE_DIRECT, &output->job.file);
}

static int jsonl_open(const struct config *config, const struct source_info *info, struct output **output)
{
	struct output *made = calloc(1, sizeof(*made));
	int error = -ENOMEM;

	if (!made) {
		log_error("%s: no memory", export_jsonl.what);
		return error;
	}
	made->all_protocols = config->all_protocols;
	if (info->live) {
		error = jsonl_open_stream(made, config);
	} else {
		error = export_open(&made->job, &export_jsonl, config->expired_flows_jsonl, export_extras(config));
		if (!error)
			error = spool_open(
				export_jsonl.what, config->expired_flows_jsonl, SPOOL_BY_END, SPOOL_BUFFER_BYTES, &made->spool);
	}
	if (error)
		jsonl_free(made);
	else
		*output = made;
	return error;
}

static int jsonl_attach(struct output *output, unsigned lane, struct sink **sink)
{
	struct sink *made = calloc(1, sizeof(*made));
	int error = 0;

	if (!made)
		goto no_memory;
	made->output = output;
	made->all_protocols = output->all_protocols;
	if (output->spool) {
		error = spool_attach(output->spool, lane, &made->lane);
		if (error)
			goto fail;
	} else {
		made->chunk = made->at = malloc(OUTFILE_CHUNK);
		if (!made->chunk)
			goto no_memory;
	}
	*sink = made;
	return 0;
no_memory:
	error = -ENOMEM;
	log_error("%s: no memory", export_jsonl.what);
fail:
	free(made);
	return error;
}

static void jsonl_append(struct sink *sink)
{
	if (sink->at == sink->chunk)
		return;
	int error = outfile_append(sink->output->job.file, sink->chunk, (size_t)(sink->at - sink->chunk));
	__atomic_fetch_add(error ? &sink->output->lost : &sink->output->records, sink->chunk_records, __ATOMIC_RELAXED);
	sink->at = sink->chunk;
	sink->chunk_records = 0;
	sink->since_ns = 0;
}

static void jsonl_tick(struct sink *sink, uint64_t now_ns)
{
	if (sink->at != sink->chunk && outfile_is_due(&sink->since_ns, now_ns))
		jsonl_append(sink);
}

static void jsonl_detach(struct sink *sink)
{
	if (sink->chunk)
		jsonl_append(sink);
	free(sink->chunk);
	free(sink);
}

static unsigned jsonl_close(struct output *output, struct output_report *reports)
{
	if (reports && output->spool) {
		spool_finish(output->spool);
		export_run(&output->job, 1, output->spool, reports);
	} else if (reports) {
		*reports = (struct output_report){
			.name = export_jsonl.name,
			.records = output->records,
			.lost = output->lost,
			.bytes = outfile_bytes(output->job.file),
			.files = 1,
		};
		reports->error = outfile_commit(output->job.file, reports->path, sizeof(reports->path));
		output->job.file = NULL;
	}
	jsonl_free(output);
	return reports ? 1 : 0;
}

static unsigned jsonl_so_far(const struct output *output, struct output_report *reports)
{
	if (output->spool)
		return 0;
	*reports = (struct output_report){
		.name = export_jsonl.name, .records = counter_read(&output->records), .lost = counter_read(&output->lost)
	};
	return 1;
}

static void jsonl_reopen(struct output *output)
{
	if (!output->spool)
		outfile_reopen(output->job.file, NULL, 0);
}

const struct sink_ops sink_jsonl = {
	.name = "expired_flows_jsonl",
	.wants = SINK_FLOWS,
	.wanted = jsonl_wanted,
	.open = jsonl_open,
	.attach = jsonl_attach,
	.flows = jsonl_flows,
	.tick = jsonl_tick,
	.detach = jsonl_detach,
	.close = jsonl_close,
	.reopen = jsonl_reopen,
	.so_far = jsonl_so_far,
};

#include "poison.h"

static void jsonl_flows(struct sink *sink, const struct flow_record *records, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (records[i].end == FLOW_ALIVE || !export_has_protocol(sink->all_protocols, &records[i]))
			continue;
		if (sink->lane) {
			spool_add(sink->lane, &records[i]);
			continue;
		}
		sink->at = export_jsonl.record(sink->output->job.layout, &records[i], 0, sink->at);
		sink->chunk_records++;
		if (sink->at > sink->chunk + OUTFILE_CHUNK - EXPORT_RECORD_MAX)
			jsonl_append(sink);
	}
}
