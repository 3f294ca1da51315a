#include "doctor_report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const verdict_words[DOCTOR_VERDICTS] = { "ok", "note", "problem", "cannot-tell" };

#define VERDICT_WIDTH 11 /* "cannot-tell" */
#define CHECK_WIDTH   16

void doctor_add(
	struct doctor_report *report, const char *section, const char *check, enum doctor_verdict verdict, const char *format, ...)
{
	va_list args;

	report->verdicts[verdict]++;
	if (report->count == report->room) {
		unsigned room = report->room ? 2 * report->room : 32;
		struct doctor_finding *findings = reallocarray(report->findings, room, sizeof(*findings));
		if (!findings) {
			report->incomplete = true;
			return;
		}
		report->findings = findings;
		report->room = room;
	}
	struct doctor_finding *finding = &report->findings[report->count++];
	*finding = (struct doctor_finding){ .verdict = verdict };
	snprintf(finding->check, sizeof(finding->check), "%s", check);
	snprintf(finding->section, sizeof(finding->section), "%s", section);
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
}

void doctor_fix(struct doctor_report *report, const char *format, ...)
{
	va_list args;

	if (!report->count || report->incomplete)
		return;
	struct doctor_finding *finding = &report->findings[report->count - 1];
	va_start(args, format);
	vsnprintf(finding->fix, sizeof(finding->fix), format, args);
	va_end(args);
}

void doctor_add_interface(struct doctor_report *report, const struct nic_info *info)
{
	struct nic_info *interfaces = reallocarray(report->interfaces, report->interfaces_count + 1, sizeof(*interfaces));

	if (!interfaces) {
		report->incomplete = true;
		return;
	}
	report->interfaces = interfaces;
	interfaces[report->interfaces_count++] = *info;
}

void doctor_report_free(struct doctor_report *report)
{
	free(report->findings);
	free(report->interfaces);
	*report = (struct doctor_report){ 0 };
}

/* A control character in a name that someone else chose does nothing to the terminal. */
static void print_plain(FILE *file, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < ' ' || *text == 127 ? '?' : *text, file);
}

static void print_count(FILE *file, const char **between, unsigned count, const char *one, const char *many)
{
	if (!count)
		return;
	fprintf(file, "%s%u %s", *between, count, count == 1 ? one : many);
	*between = ", ";
}

void doctor_print_text(const struct doctor_report *report, FILE *file)
{
	const char *section = "", *between = "";

	for (unsigned i = 0; i < report->count; i++) {
		const struct doctor_finding *finding = &report->findings[i];

		if (strcmp(section, finding->section) != 0)
			fprintf(file, "%s%s\n", *section ? "\n" : "", finding->section);
		section = finding->section;
		fprintf(file, "  %-*s  %-*s  ", VERDICT_WIDTH, verdict_words[finding->verdict], CHECK_WIDTH, finding->check);
		print_plain(file, finding->text);
		fputc('\n', file);
		if (*finding->fix) {
			fprintf(file, "  %-*s  %-*s  -> ", VERDICT_WIDTH, "", CHECK_WIDTH, "");
			print_plain(file, finding->fix);
			fputc('\n', file);
		}
	}
	fprintf(file, "\n");
	print_count(file, &between, report->verdicts[DOCTOR_PROBLEM], "problem", "problems");
	print_count(file, &between, report->verdicts[DOCTOR_NOTE], "note", "notes");
	print_count(file, &between, report->verdicts[DOCTOR_CANNOT_TELL], "cannot be told", "cannot be told");
	fprintf(file, "%s\n", *between ? "" : "All is well.");
}

/* All our texts are ASCII; a byte beyond it in a name that someone else chose is taken for Latin-1, so that the result is valid. */
static void json_string(FILE *file, const char *text)
{
	fputc('"', file);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			fprintf(file, "\\%c", c);
		else if (c < ' ' || c >= 127)
			fprintf(file, "\\u%04x", c);
		else
			fputc(c, file);
	}
	fputc('"', file);
}

static void json_string_or_null(FILE *file, const char *text)
{
	if (*text)
		json_string(file, text);
	else
		fputs("null", file);
}

static void json_text(FILE *file, const char *key, const char *text)
{
	fprintf(file, ", \"%s\": ", key);
	json_string_or_null(file, text);
}

static void json_number(FILE *file, const char *key, long value, bool known)
{
	if (known)
		fprintf(file, ", \"%s\": %ld", key, value);
	else
		fprintf(file, ", \"%s\": null", key);
}

static void json_bool(FILE *file, const char *key, bool value)
{
	fprintf(file, ", \"%s\": %s", key, value ? "true" : "false");
}

static void json_bool_if(FILE *file, const char *key, bool value, bool known)
{
	if (known)
		json_bool(file, key, value);
	else
		fprintf(file, ", \"%s\": null", key);
}

static void json_interface(FILE *file, const struct nic_info *info)
{
	static const char *const modes[] = { "", "native", "generic", "offloaded", "several" };

	fputs("{\"name\": ", file);
	json_string(file, info->name);
	json_number(file, "ifindex", info->ifindex, true);
	json_text(file, "driver", info->driver);
	json_text(file, "bus", info->bus);
	json_text(file, "kind", info->kind);
	json_bool(file, "up", info->up);
	json_bool(file, "carrier", info->running);
	json_number(file, "mtu", info->mtu, true);
	json_number(file, "speed_mbps", info->speed_mbps, info->speed_mbps > 0);
	json_number(file, "rx_queues", info->rx_queues, true);
	json_number(file, "rx_queues_max", info->rx_queues_max, true);
	json_number(file, "rx_ring", info->rx_ring, info->rx_ring > 0);
	json_number(file, "rx_ring_max", info->rx_ring_max, info->rx_ring_max > 0);
	json_number(file, "numa_node", info->numa_node, info->numa_node >= 0);
	json_bool(file, "promiscuous", info->promiscuous);
	json_bool(file, "lro", info->lro);
	json_bool(file, "hw_gro", info->hw_gro);
	json_bool(file, "rx_vlan_strip", info->rx_vlan_strip);
	json_bool(file, "rx_vlan_filter", info->rx_vlan_filter);
	json_bool_if(file, "rss_symmetric", info->rss_symmetric, info->rss_readable);
	json_text(file, "rss", info->rss_text);
	json_bool_if(file, "xdp_native", info->xdp_native, info->xdp_known);
	json_bool_if(file, "xdp_zerocopy", info->xdp_zerocopy, info->xdp_known);
	json_bool_if(file, "xdp_multi_buffer", info->xdp_multi_buffer, info->xdp_known);
	json_bool_if(file, "xdp_rx_timestamp", info->xdp_rx_timestamp, info->xdp_known);
	json_bool_if(file, "xdp_rx_vlan_tag", info->xdp_rx_vlan_tag, info->xdp_known);
	json_number(file, "xdp_prog_id", info->xdp_prog_id, info->xdp_prog_id > 0);
	json_text(file, "xdp_prog_name", info->xdp_prog_name);
	json_text(file, "xdp_mode", modes[info->xdp_mode]);
	fputc('}', file);
}

void doctor_print_json(const struct doctor_report *report, FILE *file)
{
	fprintf(file, "{\n  \"problems\": %u,\n  \"notes\": %u,\n  \"cannot_tell\": %u,\n  \"findings\": [",
		report->verdicts[DOCTOR_PROBLEM], report->verdicts[DOCTOR_NOTE], report->verdicts[DOCTOR_CANNOT_TELL]);
	for (unsigned i = 0; i < report->count; i++) {
		const struct doctor_finding *finding = &report->findings[i];

		fprintf(file, "%s\n    {\"section\": ", i ? "," : "");
		json_string(file, finding->section);
		fprintf(file, ", \"check\": \"%s\", \"verdict\": \"%s\"", finding->check, verdict_words[finding->verdict]);
		json_text(file, "text", finding->text);
		json_text(file, "fix", finding->fix);
		fputc('}', file);
	}
	fprintf(file, "%s],\n  \"interfaces\": [", report->count ? "\n  " : "");
	for (unsigned i = 0; i < report->interfaces_count; i++) {
		fprintf(file, "%s\n    ", i ? "," : "");
		json_interface(file, &report->interfaces[i]);
	}
	fprintf(file, "%s]\n}\n", report->interfaces_count ? "\n  " : "");
}
