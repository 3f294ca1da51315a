/*
 * --export-series: flows, packets and octets of each second, three files per UTC day. A packet counts in its second, a flow (one
 * direction) in that of its first packet, when it ends. A lane collects a second before it adds it to the day.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flowlane/sink.h"
#include "directory.h"
#include "log.h"
#include "periodic.h"
#include "series_days.h"

#define WHAT      "series export"
#define NS_PER_S  1000000000ULL
#define NO_SECOND UINT64_MAX

struct output {
	const char *directory;
	struct series_days *days;
	struct periodic *periodic; /* NULL: not live */
	bool wire;
	uint64_t records, lost; /* packets; added up atomically when lanes detach */
	uint64_t bytes;
	int error;
};

struct sink {
	struct output *output;
	bool wire;
	uint64_t second; /* UNIX time of what is collected */
	uint64_t packets;
	uint64_t octets;
	struct series_day *day; /* the last one asked for */
	uint64_t records, lost;
};

static bool series_wanted(const struct config *config)
{
	return config->export_series != NULL;
}

static void series_rewrite(void *context)
{
	struct output *output = context;

	output->error = series_days_write(output->days, &output->bytes);
}

static void series_free(struct output *output)
{
	series_days_destroy(output->days);
	free(output);
}

static int series_open(const struct config *config, const struct source_info *info, struct output **output)
{
	struct output *made = calloc(1, sizeof(*made));
	int error = -ENOMEM;

	if (!made)
		goto no_memory;
	made->directory = config->export_series;
	made->wire = config->octets == OCTETS_WIRE;
	made->days = series_days_create(made->directory, info->live);
	if (!made->days)
		goto no_memory;
	error = directory_make(WHAT, made->directory);
	if (!error && info->live) {
		error = periodic_start(series_rewrite, made, config->rotate_ns, &made->periodic);
		if (error)
			log_error("%s: starting its thread: %s", WHAT, strerror(-error));
	}
	if (error)
		goto fail;
	*output = made;
	return 0;
no_memory:
	log_error("%s: no memory", WHAT);
fail:
	if (made)
		series_free(made);
	return error;
}

static int series_attach(struct output *output, unsigned lane, struct sink **sink)
{
	struct sink *made = calloc(1, sizeof(*made));

	if (!made) {
		log_error("%s: no memory for lane %u", WHAT, lane);
		return -ENOMEM;
	}
	made->output = output;
	made->wire = output->wire;
	made->second = NO_SECOND;
	*sink = made;
	return 0;
}

static unsigned series_close(struct output *output, struct output_report *reports)
{
	periodic_stop(output->periodic);
	if (reports) {
		series_rewrite(output);
		if (output->lost)
			log_warning("%s: %llu packets are on more than %u different days, and are not counted", WHAT,
				(unsigned long long)output->lost, DAYS_MAX);
		*reports = (struct output_report){ .name = "series",
			.records = output->records,
			.lost = output->lost,
			.bytes = output->bytes,
			.files = SERIES_COUNT * series_days_count(output->days),
			.error = output->error };
		snprintf(reports->path, sizeof(reports->path), "%s", output->directory);
	}
	series_free(output);
	return reports ? 1 : 0;
}

static void series_detach(struct sink *sink);
static void series_ways(struct sink *sink, const struct flow_way *ways, unsigned n);
static void series_packets(struct sink *sink, const struct packet *const *packets, unsigned n);
static void series_tick(struct sink *sink, uint64_t now_ns);

const struct sink_ops sink_series = {
	.name = "series",
	.wants = SINK_WAYS | SINK_PACKETS,
	.wanted = series_wanted,
	.open = series_open,
	.attach = series_attach,
	.ways = series_ways,
	.packets = series_packets,
	.tick = series_tick,
	.detach = series_detach,
	.close = series_close,
};

static struct series_day *sink_day(struct sink *sink, uint64_t second)
{
	uint64_t number = second / DAY_SECONDS;

	if (!sink->day || sink->day->number != number)
		sink->day = series_days_get(sink->output->days, number);
	return sink->day;
}

static void sink_flush(struct sink *sink)
{
	struct series_day *day = sink->packets ? sink_day(sink, sink->second) : NULL;

	if (day) {
		series_day_add(day, SERIES_PACKETS, sink->second % DAY_SECONDS, sink->packets);
		series_day_add(day, SERIES_OCTETS, sink->second % DAY_SECONDS, sink->octets);
		sink->records += sink->packets;
	} else {
		sink->lost += sink->packets;
	}
	sink->packets = sink->octets = 0;
}

static void series_detach(struct sink *sink)
{
	sink_flush(sink);
	__atomic_fetch_add(&sink->output->records, sink->records, __ATOMIC_RELAXED);
	__atomic_fetch_add(&sink->output->lost, sink->lost, __ATOMIC_RELAXED);
	free(sink);
}

#include "poison.h"

static void series_packets(struct sink *sink, const struct packet *const *packets, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct frame *frame = packets[i]->frame;
		uint64_t second = frame->ts_ns / NS_PER_S;
		/* The same length as the flow counts. */
		uint32_t octets = sink->wire || packets[i]->l3_len > frame->wire_len ? frame->wire_len : packets[i]->l3_len;
		if (second != sink->second) {
			sink_flush(sink);
			sink->second = second;
		}
		sink->packets++;
		sink->octets += octets;
	}
}

static void series_ways(struct sink *sink, const struct flow_way *ways, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t second = ways[i].first_ns / NS_PER_S;
		struct series_day *day = sink_day(sink, second);
		if (day)
			series_day_add(day, SERIES_FLOWS, second % DAY_SECONDS, 1);
	}
}

static void series_tick(struct sink *sink, uint64_t now_ns)
{
	(void)now_ns;
	sink_flush(sink);
}
