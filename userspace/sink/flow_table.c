/*
 * The flow table exports, JSON and CSV: one spool, sorted once, written side by side at the end.
 */
#include <errno.h>
#include <stdlib.h>

#include "export.h"
#include "log.h"

struct output {
	struct spool *spool;
	struct export_job jobs[2];
	unsigned jobs_count;
	bool live_only;
	bool all_protocols;
};

struct sink {
	struct spool_lane *lane;
	bool live_only;
	bool all_protocols;
};

static void flow_table_flows(struct sink *sink, const struct flow_record *records, unsigned n);

static bool flow_table_wanted(const struct config *config)
{
	return config->export_json || config->export_csv;
}

static void flow_table_free(struct output *output)
{
	for (unsigned i = 0; i < output->jobs_count; i++)
		export_abort(&output->jobs[i]);
	spool_close(output->spool);
	free(output);
}

static int flow_table_add(struct output *output, const struct config *config, const struct export_format *format, const char *path)
{
	if (!path)
		return 0;
	int error = export_open(&output->jobs[output->jobs_count], format, path, export_extras(config));
	if (!error)
		output->jobs_count++;
	return error;
}

static int flow_table_open(const struct config *config, const struct source_info *info, struct output **output)
{
	struct output *made = calloc(1, sizeof(*made));
	const char *near = config->export_json ? config->export_json : config->export_csv;
	int error = -ENOMEM;

	(void)info;
	if (!made) {
		log_error("flow export: no memory");
		return error;
	}
	made->live_only = config->export_scope == SCOPE_LIVE;
	made->all_protocols = config->all_protocols;
	error = flow_table_add(made, config, &export_json, config->export_json);
	if (!error)
		error = flow_table_add(made, config, &export_csv, config->export_csv);
	if (!error)
		error = spool_open("flow export", near, SPOOL_BY_BYTES, SPOOL_BUFFER_BYTES, &made->spool);
	if (error)
		flow_table_free(made);
	else
		*output = made;
	return error;
}

static int flow_table_attach(struct output *output, unsigned lane, struct sink **sink)
{
	struct sink *made = calloc(1, sizeof(*made));

	if (!made) {
		log_error("flow export: no memory");
		return -ENOMEM;
	}
	made->live_only = output->live_only;
	made->all_protocols = output->all_protocols;
	int error = spool_attach(output->spool, lane, &made->lane);
	if (error)
		free(made);
	else
		*sink = made;
	return error;
}

static void flow_table_detach(struct sink *sink)
{
	free(sink); /* what it collected is the spool's */
}

static unsigned flow_table_close(struct output *output, struct output_report *reports)
{
	unsigned n = 0;

	if (reports) {
		n = output->jobs_count;
		spool_finish(output->spool);
		export_run(output->jobs, n, output->spool, reports);
	}
	flow_table_free(output);
	return n;
}

const struct sink_ops sink_flow_table = {
	.name = "flow_table",
	.wants = SINK_FLOWS,
	.wanted = flow_table_wanted,
	.open = flow_table_open,
	.attach = flow_table_attach,
	.flows = flow_table_flows,
	.detach = flow_table_detach,
	.close = flow_table_close,
};

#include "poison.h"

static void flow_table_flows(struct sink *sink, const struct flow_record *records, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (sink->live_only && records[i].end != FLOW_ALIVE)
			continue;
		if (export_has_protocol(sink->all_protocols, &records[i]))
			spool_add(sink->lane, &records[i]);
	}
}
