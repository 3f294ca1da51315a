/* The summary as one JSON object. Names and order are promised by docs/summary.md. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "options.h"
#include "outfile.h"
#include "summary.h"
#include "utf8.h"

#define NS_PER_S ((uint64_t)1000000000)

struct json {
	FILE *out;
	unsigned depth;
	bool started; /* the innermost object or array has a member */
};

static void begin_member(struct json *json, const char *key)
{
	if (json->depth)
		fprintf(json->out, "%s\n%*s", json->started ? "," : "", (int)json->depth * 2, "");
	if (key)
		fprintf(json->out, "\"%s\": ", key);
	json->started = true;
}

static void open_bracket(struct json *json, const char *key, char bracket)
{
	begin_member(json, key);
	fputc(bracket, json->out);
	json->depth++;
	json->started = false;
}

static void close_bracket(struct json *json, char bracket)
{
	json->depth--;
	if (json->started)
		fprintf(json->out, "\n%*s", (int)json->depth * 2, "");
	fputc(bracket, json->out);
	json->started = true;
}

static void put_number(struct json *json, const char *key, uint64_t value)
{
	begin_member(json, key);
	fprintf(json->out, "%" PRIu64, value);
}

static void put_secs(struct json *json, const char *key, uint64_t ns)
{
	begin_member(json, key);
	fprintf(json->out, "%" PRIu64 ".%06" PRIu64, ns / NS_PER_S, ns % NS_PER_S / 1000);
}

static void put_word(struct json *json, const char *key, const char *word)
{
	begin_member(json, key);
	fputs(word, json->out);
}

/* File names need not be UTF-8, JSON must be: what is not becomes U+FFFD. */
static void put_text(struct json *json, const char *key, const char *text)
{
	begin_member(json, key);
	fputc('"', json->out);
	while (*text) {
		unsigned length = utf8_length(text);
		if (!length)
			fputs("\\ufffd", json->out);
		else if (*text == '"' || *text == '\\')
			fprintf(json->out, "\\%c", *text);
		else if (length == 1 && (unsigned char)*text < 0x20)
			fprintf(json->out, "\\u%04x", (unsigned)*text);
		else
			fwrite(text, 1, length, json->out);
		text += length ? length : 1;
	}
	fputc('"', json->out);
}

static void put_verdicts(struct json *json, const struct ledger *ledger, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		if (ledger->verdicts[i])
			put_number(json, verdict_name((enum verdict)i), ledger->verdicts[i]);
	}
}

/* Keys packets_read to rtt_samples: the same in the total and per lane. */
static void put_ledger(struct json *json, const struct ledger *ledger)
{
	put_number(json, "packets_read", ledger->packets_read);
	put_number(json, "bytes_read", ledger->bytes_read);
	put_number(json, "packets_decoded", summary_packets_decoded(ledger));
	put_number(json, "packets_in_flows", ledger->verdicts[VERDICT_FLOW]);
	open_bracket(json, "no_flow", '{');
	put_verdicts(json, ledger, VERDICT_FIRST_NOFLOW, VERDICT_FIRST_DROP);
	close_bracket(json, '}');
	open_bracket(json, "drops", '{');
	put_number(json, "filter", ledger->dropped_filter);
	put_verdicts(json, ledger, VERDICT_FIRST_DROP, VERDICT_COUNT);
	close_bracket(json, '}');
	put_number(json, "flows_created", ledger->flows_created);
	open_bracket(json, "flows_ended", '{');
	for (unsigned i = 0; i < FLOW_END_COUNT; i++)
		put_number(json, flow_end_name((enum flow_end)i), ledger->flows_ended[i]);
	close_bracket(json, '}');
	put_number(json, "flows_alive", ledger->flows_alive);
	open_bracket(json, "rtt_samples", '{');
	for (unsigned i = 0; i < RTT_SOURCE_COUNT; i++)
		put_number(json, rtt_source_name((enum rtt_source)i), ledger->rtt_samples[i]);
	close_bracket(json, '}');
}

static void put_outputs(struct json *json, const struct lanes_report *report)
{
	open_bracket(json, "outputs", '[');
	for (unsigned i = 0; i < report->outputs; i++) {
		const struct output_report *output = &report->output[i];
		open_bracket(json, NULL, '{');
		put_text(json, "name", output->name);
		put_text(json, "path", output->path);
		put_number(json, "records", output->records);
		put_number(json, "bytes", output->bytes);
		put_number(json, "lost", output->lost);
		put_number(json, "files", output->files);
		if (output->error)
			put_text(json, "error", strerror(-output->error));
		else
			put_word(json, "error", "null");
		close_bracket(json, '}');
	}
	close_bracket(json, ']');
}

static void put_packet_time(struct json *json, const char *key, const struct ledger *ledger, uint64_t ns)
{
	if (ledger->packets_read)
		put_secs(json, key, ns);
	else
		put_word(json, key, "null");
}

static void put_lanes(struct json *json, const struct lanes_report *report)
{
	open_bracket(json, "lanes", '[');
	for (unsigned i = 0; i < report->lanes; i++) {
		open_bracket(json, NULL, '{');
		put_ledger(json, &report->lane[i].ledger);
		put_secs(json, "cpu_secs", report->lane[i].cpu_ns);
		close_bracket(json, '}');
	}
	close_bracket(json, ']');
}

static void put_sizes(struct json *json, const struct lanes_sizes *sizes)
{
	open_bracket(json, "sizes", '{');
	put_number(json, "max_flows", sizes->max_flows);
	put_number(json, "table_bytes", sizes->table_bytes);
	put_number(json, "slab_bytes", sizes->slab_bytes);
	put_number(json, "timer_bytes", sizes->timer_bytes);
	put_number(json, "tcp_flow_bytes", sizes->tcp_flow_bytes);
	put_number(json, "other_flow_bytes", sizes->other_flow_bytes);
	close_bracket(json, '}');
}

void summary_print_json(const struct summary *summary, FILE *out)
{
	const struct lanes_report *report = summary->report;
	const struct config *config = summary->config;
	struct json json = { .out = out };

	open_bracket(&json, NULL, '{');
	put_text(&json, "version", flowlane_version());
	open_bracket(&json, "inputs", '[');
	for (unsigned i = 0; i < config->read_files_count; i++)
		put_text(&json, NULL, config->read_files[i]);
	close_bracket(&json, ']');
	put_ledger(&json, &report->total);
	put_number(&json, "rtt_ambiguous", report->total.rtt_ambiguous);
	put_number(&json, "rtt_unqueued", report->total.rtt_unqueued);
	put_outputs(&json, report);
	put_packet_time(&json, "first_packet", &report->total, report->total.first_packet_ns);
	put_packet_time(&json, "last_packet", &report->total, report->total.last_packet_ns);
	put_word(&json, "truncated", report->truncated ? "true" : "false");
	put_word(&json, "stopped", report->stopped ? "true" : "false");
	put_secs(&json, "wall_secs", summary->wall_ns);
	put_secs(&json, "cpu_secs", summary->cpu_ns);
	put_lanes(&json, report);
	put_sizes(&json, &report->sizes);
	close_bracket(&json, '}');
	fputc('\n', out);
}

int summary_write_json(const struct summary *summary)
{
	struct outfile *file = NULL;
	char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);
	int error = -ENOMEM;

	if (!memory) {
		log_error("summary: out of memory");
		return error;
	}
	summary_print_json(summary, memory);
	if (fclose(memory) == 0)
		error = outfile_open("summary", summary->config->summary_json, OUTFILE_PART, &file);
	if (!error) {
		error = outfile_append(file, text, length);
		int commit_error = outfile_commit(file, NULL, 0);
		error = error ? error : commit_error;
	}
	free(text);
	return error;
}
