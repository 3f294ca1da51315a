#include "summary.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "options.h"

#define NS_PER_S ((uint64_t)1000000000)

uint64_t summary_packets_decoded(const struct ledger *ledger)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < VERDICT_FIRST_DROP; i++)
		sum += ledger->verdicts[i];
	return sum;
}

int summary_exit_code(const struct lanes_report *report)
{
	bool failed = report->error || report->truncated || report->gone;

	for (unsigned i = 0; i < report->outputs; i++)
		failed |= report->output[i].error || report->output[i].lost;
	return failed ? EXIT_RUNTIME : 0;
}

static void print_label(FILE *out, const char *label)
{
	fprintf(out, "  %-18s", label);
}

/* ", arp 3" for what is not zero; the first one with " (". Returns how many were printed before and now. */
static unsigned print_count(FILE *out, const char *name, uint64_t count, unsigned printed)
{
	if (!count)
		return printed;
	fprintf(out, "%s%s %" PRIu64, printed ? ", " : " (", name, count);
	return printed + 1;
}

static void print_end(FILE *out, unsigned printed)
{
	fputs(printed ? ")\n" : "\n", out);
}

static unsigned print_verdicts(FILE *out, const struct ledger *ledger, unsigned from, unsigned to, unsigned printed)
{
	for (unsigned i = from; i < to; i++)
		printed = print_count(out, verdict_name((enum verdict)i), ledger->verdicts[i], printed);
	return printed;
}

static uint64_t summary_not_wanted(const struct ledger *ledger)
{
	return ledger->dropped_filter + ledger->dropped_rules + ledger->dropped_sample + ledger->cut_off + ledger->dropped_own;
}

static void print_selected(FILE *out, const struct ledger *ledger)
{
	const struct {
		const char *label;
		uint64_t count;
	} rows[] = {
		{ "  filtered out:", ledger->dropped_filter },
		{ "  denied:", ledger->dropped_rules },
		{ "  not in sample:", ledger->dropped_sample },
		{ "  cut off:", ledger->cut_off },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!rows[i].count)
			continue;
		print_label(out, rows[i].label);
		fprintf(out, "%" PRIu64 "\n", rows[i].count);
	}
}

static void print_packets(FILE *out, const struct ledger *ledger)
{
	uint64_t decoded = summary_packets_decoded(ledger), in_flows = ledger->verdicts[VERDICT_FLOW];

	print_label(out, "Packets read:");
	fprintf(out, "%" PRIu64 " (%" PRIu64 " bytes on the wire)\n", ledger->packets_read, ledger->bytes_read);
	print_label(out, "  in flows:");
	fprintf(out, "%" PRIu64 "\n", in_flows);
	if (decoded > in_flows) {
		print_label(out, "  no IP:");
		fprintf(out, "%" PRIu64, decoded - in_flows);
		print_end(out, print_verdicts(out, ledger, VERDICT_FIRST_NOFLOW, VERDICT_FIRST_DROP, 0));
	}
	print_selected(out, ledger);
	if (ledger->dropped_own) {
		print_label(out, "  own stream:");
		fprintf(out, "%" PRIu64 " (of the connection to the collector)\n", ledger->dropped_own);
	}
	if (ledger->packets_read - summary_not_wanted(ledger) > decoded) {
		print_label(out, "  not decoded:");
		fprintf(out, "%" PRIu64, ledger->packets_read - summary_not_wanted(ledger) - decoded);
		print_end(out, print_verdicts(out, ledger, VERDICT_FIRST_DROP, VERDICT_COUNT, 0));
	}
	if (ledger->fragments_unmatched) {
		print_label(out, "Lone fragments:");
		fprintf(out, "%" PRIu64 " (first fragment not seen; counted to a flow without ports)\n",
			ledger->fragments_unmatched);
	}
}

static void print_flows(FILE *out, const struct ledger *ledger)
{
	unsigned printed = 0;

	print_label(out, "Flows:");
	fprintf(out, "%" PRIu64, ledger->flows_created);
	printed = print_count(out, "alive at the end", ledger->flows_alive, printed);
	for (unsigned i = 0; i < FLOW_END_COUNT; i++) {
		char name[64];
		snprintf(name, sizeof(name), "ended by %s", flow_end_name((enum flow_end)i));
		printed = print_count(out, name, ledger->flows_ended[i], printed);
	}
	print_end(out, printed);
}

static void print_rtt(FILE *out, const struct ledger *ledger)
{
	uint64_t sum = 0;
	unsigned printed = 0;

	for (unsigned i = 0; i < RTT_SOURCE_COUNT; i++)
		sum += ledger->rtt_samples[i];
	print_label(out, "RTT samples:");
	fprintf(out, "%" PRIu64, sum);
	for (unsigned i = 0; i < RTT_SOURCE_COUNT; i++)
		printed = print_count(out, rtt_source_name((enum rtt_source)i), ledger->rtt_samples[i], printed);
	print_end(out, printed);
	if (ledger->rtt_ambiguous || ledger->rtt_unqueued) {
		print_label(out, "  not timed:");
		fprintf(out, "%" PRIu64, ledger->rtt_ambiguous + ledger->rtt_unqueued);
		printed = print_count(out, "ambiguous", ledger->rtt_ambiguous, 0);
		printed = print_count(out, "queue full", ledger->rtt_unqueued, printed);
		print_end(out, printed);
	}
}

static void print_alerts(FILE *out, const struct alert_report *alerts)
{
	uint64_t sum = 0, lost = alerts->keys_evicted + alerts->attempts_missed + alerts->entries_cut + alerts->sketches_missed;
	unsigned printed = 0;

	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++)
		sum += alerts->alerts[i];
	print_label(out, "Alerts:");
	fprintf(out, "%" PRIu64, sum);
	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++)
		printed = print_count(out, detector_info(i)->name, alerts->alerts[i], printed);
	print_end(out, printed);
	if (lost + alerts->events_lost) {
		print_label(out, "  out of room:");
		fprintf(out, "%" PRIu64, lost + alerts->events_lost);
		printed = print_count(out, "keys", alerts->keys_evicted, 0);
		printed = print_count(out, "attempts", alerts->attempts_missed, printed);
		printed = print_count(out, "window entries", alerts->entries_cut, printed);
		printed = print_count(out, "sketches", alerts->sketches_missed, printed);
		printed = print_count(out, "events", alerts->events_lost, printed);
		print_end(out, printed);
	}
}

static void print_utc(FILE *out, uint64_t ns)
{
	time_t secs = (time_t)(ns / NS_PER_S);
	struct tm utc;
	char text[64];

	gmtime_r(&secs, &utc);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &utc);
	fprintf(out, "%s.%06" PRIu64, text, ns % NS_PER_S / 1000);
}

static void print_time(FILE *out, const struct summary *summary)
{
	const struct ledger *ledger = &summary->report->total;
	uint64_t span_ns = ledger->last_packet_ns - ledger->first_packet_ns;

	if (ledger->packets_read && ledger->last_packet_ns) {
		print_label(out, "Packet time:");
		print_utc(out, ledger->first_packet_ns);
		fputs(" to ", out);
		print_utc(out, ledger->last_packet_ns);
		fprintf(out, " UTC, %" PRIu64 ".%06" PRIu64 " s\n", span_ns / NS_PER_S, span_ns % NS_PER_S / 1000);
	}
	print_label(out, "Time taken:");
	fprintf(out, "%.3f s, CPU %.3f s", (double)summary->wall_ns / 1e9, (double)summary->cpu_ns / 1e9);
	if (ledger->packets_read)
		fprintf(out, " (%.0f ns per packet)", (double)summary->wall_ns / (double)ledger->packets_read);
	fprintf(out, ", %u %s\n", summary->report->lanes, summary->report->lanes == 1 ? "lane" : "lanes");
}

static unsigned print_details(FILE *out, const struct output_report *output)
{
	unsigned printed = 0;

	for (unsigned i = 0; i < OUTPUT_DETAILS_MAX && output->details[i].name; i++)
		printed = print_count(out, output->details[i].name, output->details[i].count, printed);
	return printed;
}

static void print_output(FILE *out, const struct output_report *output)
{
	fprintf(out, "  Output %s: %s, %" PRIu64 " records, %" PRIu64 " bytes", output->name, output->path, output->records,
		output->bytes);
	if (output->files > 1)
		fprintf(out, ", %u files", output->files);
	if (output->lost)
		fprintf(out, ", %" PRIu64 " records LOST", output->lost);
	if (output->error)
		fprintf(out, ", FAILED: %s", strerror(-output->error));
	print_end(out, print_details(out, output));
}

static void print_heading(FILE *out, const struct summary *summary)
{
	const struct lanes_report *report = summary->report;

	if (report->gone)
		fputs("The interface is gone; everything up to there is exported.\n", out);
	else if (report->live && !report->error)
		fputs("Capture complete.\n", out);
	else if (report->stopped)
		fprintf(out, "Stopped by %s; everything up to there is exported.\n",
			summary->stop_signal == SIGTERM ? "SIGTERM" : "SIGINT");
	else if (report->truncated)
		fputs("Truncated input: it ends inside a record; everything before that is exported.\n", out);
	else if (report->error)
		fprintf(out, "Input error: %s; everything before that is exported.\n", strerror(-report->error));
	else
		fputs("Capture complete.\n", out);
}

void summary_print(const struct summary *summary, FILE *out)
{
	const struct lanes_report *report = summary->report;

	print_heading(out, summary);
	if (report->receiving)
		summary_print_streams(report, out);
	else if (report->live)
		summary_print_capture(report, out);
	print_packets(out, &report->total);
	print_flows(out, &report->total);
	print_rtt(out, &report->total);
	if (report->alerts.enabled)
		print_alerts(out, &report->alerts);
	print_time(out, summary);
	for (unsigned i = 0; i < report->outputs; i++)
		print_output(out, &report->output[i]);
}
