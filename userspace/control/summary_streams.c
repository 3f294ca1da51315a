/* The part of the summary that `flowlane receive` adds: which sensors sent, how much, and how their streams ended. */
#include "summary_streams.h"

#include <inttypes.h>

#include "summary.h"

#define PRINTED_MAX 20 /* a line each; the JSON has more */

static const char *const end_names[STREAM_END_COUNT] = { "open", "complete", "broken", "malformed" };

void summary_print_streams(const struct lanes_report *report, FILE *out)
{
	const struct streams_report *streams = &report->streams;
	unsigned printed = streams->reported < PRINTED_MAX ? streams->reported : PRINTED_MAX;

	fprintf(out, "  Streams:          %" PRIu64, streams->streams);
	for (unsigned i = 0, named = 0; i < STREAM_END_COUNT; i++) {
		if (streams->ends[i])
			fprintf(out, "%s%s %" PRIu64, named++ ? ", " : " (", end_names[i], streams->ends[i]);
	}
	fputs(streams->streams ? ")\n" : "\n", out);
	for (unsigned i = 0; i < printed; i++) {
		const struct stream_report *stream = &streams->stream[i];
		fprintf(out, "    %-21s %" PRIu64 " packets, %" PRIu64 " bytes, %s, lane %u\n", stream->peer, stream->packets,
			stream->bytes, end_names[stream->end], stream->lane);
	}
	if (streams->streams > printed)
		fprintf(out, "    and %" PRIu64 " more\n", streams->streams - printed);
	if (streams->refused)
		fprintf(out, "  Other calls:      %" PRIu64 " (not packet streams; refused)\n", streams->refused);
}

void summary_put_streams(struct json *json, const struct streams_report *streams)
{
	json_open(json, "streams", '{');
	json_number(json, "count", streams->streams);
	for (unsigned i = 0; i < STREAM_END_COUNT; i++)
		json_number(json, end_names[i], streams->ends[i]);
	json_number(json, "packets", streams->packets);
	json_number(json, "malformed_messages", streams->malformed);
	json_number(json, "refused_calls", streams->refused);
	json_open(json, "sensors", '[');
	for (unsigned i = 0; i < streams->reported; i++) {
		const struct stream_report *stream = &streams->stream[i];
		json_open(json, NULL, '{');
		json_text(json, "peer", stream->peer);
		json_number(json, "lane", stream->lane);
		json_number(json, "link_type", (uint64_t)stream->link);
		json_number(json, "packets", stream->packets);
		json_number(json, "bytes", stream->bytes);
		json_text(json, "end", end_names[stream->end]);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_close(json, '}');
}
