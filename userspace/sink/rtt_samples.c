/*
 * --rtt-samples-jsonl: every RTT sample, one object per line, as it is taken. In the order of the packets within a lane; lanes
 * take turns in chunks.
 */
#include <errno.h>
#include <stdlib.h>

#include "flowlane/sink.h"
#include "counters.h"
#include "log.h"
#include "names.h"
#include "outfile.h"
#include "text.h"

#define WHAT           "RTT samples"
#define LINE_MAX_BYTES 320 /* two IPv6 endpoints, the longest names, full numbers: under 270 */

struct output {
	struct outfile *file;
	uint64_t records; /* added up atomically, chunk by chunk */
	uint64_t lost;
};

struct sink {
	struct output *output;
	char *at;
	uint64_t chunk_records;
	uint64_t since_ns; /* when a tick saw this chunk first, 0: none has */
	char chunk[OUTFILE_CHUNK];
};

static void rtt_samples_rtt(struct sink *sink, const struct rtt_sample *samples, unsigned n);

static bool rtt_samples_wanted(const struct config *config)
{
	return config->rtt_samples_jsonl != NULL;
}

static int rtt_samples_open(const struct config *config, const struct source_info *info, struct output **output)
{
	struct output *made = calloc(1, sizeof(*made));

	(void)info;
	if (!made) {
		log_error("%s: no memory", WHAT);
		return -ENOMEM;
	}
	int error = outfile_open(WHAT, config->rtt_samples_jsonl, OUTFILE_DIRECT, &made->file);
	if (error)
		free(made);
	else
		*output = made;
	return error;
}

static int rtt_samples_attach(struct output *output, unsigned lane, struct sink **sink)
{
	struct sink *made = malloc(sizeof(*made));

	if (!made) {
		log_error("%s: no memory for lane %u", WHAT, lane);
		return -ENOMEM;
	}
	made->output = output;
	made->at = made->chunk;
	made->chunk_records = 0;
	made->since_ns = 0;
	*sink = made;
	return 0;
}

static void rtt_samples_append(struct sink *sink)
{
	if (sink->at == sink->chunk)
		return;
	int error = outfile_append(sink->output->file, sink->chunk, (size_t)(sink->at - sink->chunk));
	__atomic_fetch_add(error ? &sink->output->lost : &sink->output->records, sink->chunk_records, __ATOMIC_RELAXED);
	sink->at = sink->chunk;
	sink->chunk_records = 0;
	sink->since_ns = 0;
}

static void rtt_samples_tick(struct sink *sink, uint64_t now_ns)
{
	if (sink->at != sink->chunk && outfile_is_due(&sink->since_ns, now_ns))
		rtt_samples_append(sink);
}

static void rtt_samples_detach(struct sink *sink)
{
	rtt_samples_append(sink);
	free(sink);
}

static unsigned rtt_samples_close(struct output *output, struct output_report *reports)
{
	if (reports) {
		*reports = (struct output_report){ .name = "rtt_samples_jsonl",
			.records = output->records,
			.lost = output->lost,
			.bytes = outfile_bytes(output->file),
			.files = 1 };
		reports->error = outfile_commit(output->file, reports->path, sizeof(reports->path));
	} else {
		outfile_abort(output->file);
	}
	free(output);
	return reports ? 1 : 0;
}

static unsigned rtt_samples_so_far(const struct output *output, struct output_report *reports)
{
	*reports = (struct output_report){
		.name = "rtt_samples_jsonl", .records = counter_read(&output->records), .lost = counter_read(&output->lost)
	};
	return 1;
}

static void rtt_samples_reopen(struct output *output)
{
	outfile_reopen(output->file, NULL, 0);
}

const struct sink_ops sink_rtt_samples = {
	.name = "rtt_samples_jsonl",
	.wants = SINK_RTT,
	.wanted = rtt_samples_wanted,
	.open = rtt_samples_open,
	.attach = rtt_samples_attach,
	.rtt = rtt_samples_rtt,
	.tick = rtt_samples_tick,
	.detach = rtt_samples_detach,
	.close = rtt_samples_close,
	.reopen = rtt_samples_reopen,
	.so_far = rtt_samples_so_far,
};

#include "poison.h"

static char *put(char *out, const char *text)
{
	size_t length = strlen(text);

	memcpy(out, text, length);
	return out + length;
}

static char *put_endpoint(char *out, const char *name, const uint8_t ip[16], const struct flow_key *key, uint16_t port)
{
	out = put(out, name);
	out = text_address(out, ip, key->ip_version);
	out = put(out, "\",\"port\":");
	return put(text_u64(out, port), "}");
}

static char *put_line(char *out, const struct rtt_sample *sample)
{
	const struct flow_key *key = &sample->key;

	out = text_decimal(put(out, "{\"ts\":"), sample->ts_ns, 9);
	out = put(put(put(out, ",\"protocol\":\""), protocol_name(key->proto)), "\"");
	out = put_endpoint(out, ",\"endpoint_a\":{\"ip\":\"", key->a_ip, key, key->a_port);
	out = put_endpoint(out, ",\"endpoint_b\":{\"ip\":\"", key->b_ip, key, key->b_port);
	out = put(out, sample->dir ? ",\"answered_by\":\"b\",\"source\":\"" : ",\"answered_by\":\"a\",\"source\":\"");
	out = put(put(out, rtt_source_name(sample->source)), "\",\"rtt_ns\":");
	return put(text_u64(out, (uint64_t)sample->ticks * RTT_TICK_NS), "}\n");
}

static void rtt_samples_rtt(struct sink *sink, const struct rtt_sample *samples, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		sink->at = put_line(sink->at, &samples[i]);
		sink->chunk_records++;
		if (sink->at > sink->chunk + OUTFILE_CHUNK - LINE_MAX_BYTES)
			rtt_samples_append(sink);
	}
}
