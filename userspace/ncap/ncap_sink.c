/*
 * --ncap: audit records. Each frame is walked once; each of its layers becomes a record of its type, and the tables of connections and
 * profiles count it. From files, lane 0 sees all frames and writes all records, so they are in the order of the capture and do not depend
 * on the number of lanes; live, each lane writes of its own frames.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "alert_record.h"
#include "clock.h"
#include "connections.h"
#include "flowlane/sink.h"
#include "log.h"
#include "ncap_files.h"
#include "profiles.h"
#include "audit_record.h"

#define WHAT "audit records"
/* Frames at a time: their walks are 20 KiB, of which two lines each are in use. */
#define GROUP 8

struct output {
	const struct config *config;
	struct ncap_files *files;
	struct profiles_merge *profiles; /* what the lanes have left of theirs */
	uint64_t types;
	bool texts;                    /* some of them have addresses */
	struct encoder *alert_encoder; /* NULL: no alerts are wanted */
	struct ncap_writer *alert_writer;
	uint64_t too_large; /* added up atomically, as below */
	uint64_t evicted;
	bool live;
};

struct sink {
	struct output *output;
	struct ncap_writer *writer;
	struct ncap_walker *walker;
	struct encoder *encoder;
	struct connections *connections; /* NULL: not wanted */
	struct profiles *profiles;       /* NULL: not wanted */
	struct connection_packet packets[GROUP];
	struct ncap_walk walks[GROUP];
};

static bool ncap_wanted(const struct config *config)
{
	return config->ncap != NULL;
}

static uint64_t bit(enum ncap_type type)
{
	return 1ull << type;
}

/* As the user named it: the first interface or file. */
static const char *source_name(const struct config *config)
{
	return config->interfaces_count ? config->interfaces[0] : config->read_files_count ? config->read_files[0] : "";
}

/* Alerts are about all lanes, so they have a writer of their own. */
static int alerts_open(struct output *output)
{
	struct record_options options = { 0 };

	if (!output->config->anomalies || !(output->types & bit(NCAP_ALERT)))
		return 0;
	int error = encoder_create(&options, &output->alert_encoder);
	return error ? error : ncap_writer_open(output->files, &output->alert_writer);
}

static void alerts_close(struct output *output)
{
	encoder_destroy(output->alert_encoder);
	ncap_writer_close(output->alert_writer);
}

/* They are few, and go out at once. */
static void ncap_alerts(struct output *output, const struct alert *alerts, unsigned n)
{
	for (unsigned i = 0; output->alert_writer && i < n; i++) {
		uint8_t *begin = ncap_writer_begin(output->alert_writer, NCAP_ALERT, alerts[i].ts_ns);
		uint8_t *end = alert_record(output->alert_encoder, &alerts[i], begin);
		if (end)
			ncap_writer_commit(output->alert_writer, NCAP_ALERT, end);
	}
	if (output->alert_writer)
		ncap_writer_flush(output->alert_writer, NCAP_ALERT);
}

static int ncap_open(const struct config *config, const struct source_info *info, struct output **result)
{
	struct output *output = calloc(1, sizeof(*output));
	char text[1024];
	int error = -ENOMEM;

	if (!output)
		return error;
	output->config = config;
	output->live = info->live;
	error = ncap_types_select(
		config->ncap_include, config->ncap_exclude, config->ncap_schema, &output->types, text, sizeof(text));
	if (error) {
		log_error("%s: %s", WHAT, text);
		goto fail;
	}
	output->texts = output->types & (bit(NCAP_LAYERS) - 1) & ~(bit(NCAP_IPV4) - 1);
	struct ncap_files_options options = {
		.directory = config->ncap,
		.source = source_name(config),
		.version = "flowlane " FLOWLANE_VERSION,
		.live = info->live,
		.created_ns = clock_realtime_ns(),
		.rotate_ns = config->ncap_rotate_ns,
		.types = output->types,
		.gzip = config->ncap_compress == NCAP_GZIP,
		.payloads = config->ncap_payload,
		.schema = (enum ncap_schema)config->ncap_schema,
	};
	error = ncap_files_open(&options, &output->files);
	if (error)
		goto fail;
	error = profiles_merge_create(&output->profiles);
	if (!error)
		error = alerts_open(output);
	if (error)
		goto fail;
	*result = output;
	return 0;
fail:
	alerts_close(output);
	profiles_merge_destroy(output->profiles);
	if (output->files)
		ncap_files_close(output->files, NULL);
	free(output);
	return error;
}

static void sink_free(struct sink *sink)
{
	encoder_destroy(sink->encoder);
	ncap_walker_destroy(sink->walker);
	connections_destroy(sink->connections);
	profiles_destroy(sink->profiles);
	ncap_writer_close(sink->writer);
	free(sink);
}

static int tables_open(struct output *output, struct sink *sink)
{
	const struct config *config = output->config;
	struct connections_options connections = {
		.max = config->max_flows,
		.timeout_ns = config->flow_timeout_ns,
		.records = output->types & bit(NCAP_CONNECTION),
		.ways = output->types & bit(NCAP_FLOW),
		.live = output->live,
		.encoder = sink->encoder,
		.writer = sink->writer,
	};
	struct profiles_options profiles = {
		.addresses = output->types & bit(NCAP_IP_PROFILE),
		.devices = output->types & bit(NCAP_DEVICE_PROFILE),
		.encoder = sink->encoder,
		.writer = sink->writer,
	};
	int error = 0;

	if (connections.records || connections.ways)
		error = connections_create(&connections, &sink->connections);
	if (!error && (profiles.addresses || profiles.devices))
		error = profiles_create(&profiles, &sink->profiles);
	return error;
}

static int ncap_attach(struct output *output, unsigned lane, struct sink **result)
{
	struct record_options options = {
		.schema = (enum ncap_schema)output->config->ncap_schema,
		.payload = output->config->ncap_payload,
		.entropy = output->config->ncap_entropy,
	};
	struct sink *sink = calloc(1, sizeof(*sink));
	int error = -ENOMEM;

	if (!sink)
		return error;
	sink->output = output;
	error = encoder_create(&options, &sink->encoder);
	if (!error)
		error = ncap_walker_create(output->config->outer, &sink->walker);
	if (!error)
		error = ncap_writer_open(output->files, &sink->writer);
	if (!error)
		error = tables_open(output, sink);
	if (error) {
		log_error("%s: no memory for lane %u", WHAT, lane);
		sink_free(sink);
		return error;
	}
	*result = sink;
	return 0;
}

static void frame_records(struct sink *sink, struct ncap_walk *walk)
{
	struct encoder *encoder = sink->encoder;
	uint64_t types = sink->output->types, ns = walk->frame->ts_ns;

	encoder_begin(encoder, walk);
	for (unsigned i = 0; i < walk->layers_count; i++) {
		const struct ncap_layer *layer = &walk->layers[i];
		enum ncap_type type = (enum ncap_type)layer->type;
		if (!(types >> type & 1))
			continue;
		uint8_t *end = encoder_frame(encoder, layer, ncap_writer_begin(sink->writer, type, ns));
		if (end)
			ncap_writer_commit(sink->writer, type, end);
	}
	if (sink->profiles)
		profiles_add(sink->profiles, walk);
}

/*
 * Connections are asked for while frames are walked, and looked at while records are written: their memory is there by then. Addresses
 * become texts in the first pass, too: they are written in pieces, and copied as a whole once they are in the cache.
 */
static void ncap_group(struct sink *sink, const struct frame *frames, unsigned n)
{
	struct connections *connections = sink->connections;

	for (unsigned i = 0; i < n; i++) {
		ncap_walk_frame(sink->walker, &frames[i], &sink->walks[i]);
		for (unsigned k = 0; sink->output->texts && k < sink->walks[i].ips_count; k++)
			ncap_ip_texts(&sink->walks[i].ips[k]);
		if (connections)
			connections_ask(connections, &sink->walks[i], &sink->packets[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		if (connections)
			connections_look(connections, &sink->packets[i]);
		frame_records(sink, &sink->walks[i]);
	}
	for (unsigned i = 0; connections && i < n; i++)
		connections_add(connections, &sink->walks[i], &sink->packets[i]);
}

static void ncap_frames(struct sink *sink, const struct frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i += GROUP)
		ncap_group(sink, frames + i, n - i < GROUP ? n - i : GROUP);
}

static void ncap_tick(struct sink *sink, uint64_t now_ns)
{
	if (sink->connections)
		connections_tick(sink->connections, now_ns);
	ncap_writer_tick(sink->writer, now_ns);
}

static void ncap_detach(struct sink *sink)
{
	struct output *output = sink->output;

	if (sink->connections)
		connections_drain(sink->connections);
	uint64_t evicted = sink->connections ? connections_evicted(sink->connections) : 0;
	if (sink->profiles) {
		evicted += profiles_evicted(sink->profiles);
		profiles_merge_add(output->profiles, sink->profiles);
		sink->profiles = NULL;
	}
	__atomic_fetch_add(&output->evicted, evicted, __ATOMIC_RELAXED);
	__atomic_fetch_add(&output->too_large, sink->encoder->too_large, __ATOMIC_RELAXED);
	sink_free(sink);
}

/* What all lanes have seen of an address is one record. */
static void profiles_write(struct output *output)
{
	struct record_options options = { .schema = (enum ncap_schema)output->config->ncap_schema };
	struct encoder *encoder = NULL;
	struct ncap_writer *writer = NULL;

	if (encoder_create(&options, &encoder) || ncap_writer_open(output->files, &writer))
		log_error("%s: no memory for the profiles; they are not written", WHAT);
	else
		profiles_merge_write(output->profiles, encoder, writer);
	ncap_writer_close(writer);
	encoder_destroy(encoder);
}

static unsigned ncap_close(struct output *output, struct output_report *reports)
{
	alerts_close(output);
	if (reports) {
		profiles_write(output);
		*reports = (struct output_report){ .name = "ncap" };
		snprintf(reports->path, sizeof(reports->path), "%s", output->config->ncap);
	}
	ncap_files_close(output->files, reports);
	if (reports)
		reports->lost += output->too_large;
	if (reports && output->evicted)
		log_warning("%s: %llu connections and profiles were written before their end, as the tables were full; their "
			    "numbers are parts of a whole then (--max-flows)",
			WHAT, (unsigned long long)output->evicted);
	profiles_merge_destroy(output->profiles);
	free(output);
	return reports ? 1 : 0;
}

static void ncap_reopen(struct output *output)
{
	ncap_files_reopen(output->files);
}

const struct sink_ops sink_ncap = {
	.name = "ncap",
	.wants = SINK_FRAMES | SINK_ALERTS,
	.wanted = ncap_wanted,
	.open = ncap_open,
	.attach = ncap_attach,
	.frames = ncap_frames,
	.alerts = ncap_alerts,
	.tick = ncap_tick,
	.detach = ncap_detach,
	.close = ncap_close,
	.reopen = ncap_reopen,
};
