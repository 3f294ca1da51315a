/* --alerts-jsonl: one object per alert and line, written as soon as it is raised. Keys that do not apply are absent. */
#include <errno.h>
#include <stdlib.h>

#include "flowlane/sink.h"
#include "counters.h"
#include "log.h"
#include "outfile.h"
#include "text.h"

#define WHAT           "alerts"
#define LINE_MAX_BYTES 640 /* two IPv6 addresses, the longest description, full numbers: under 450 */

struct output {
	struct outfile *file;
	uint64_t records;
	uint64_t lost;
};

static bool alerts_wanted(const struct config *config)
{
	return config->anomalies && config->alerts_jsonl;
}

static int alerts_open(const struct config *config, const struct source_info *info, struct output **output)
{
	struct output *made = calloc(1, sizeof(*made));

	(void)info;
	if (!made) {
		log_error("%s: no memory", WHAT);
		return -ENOMEM;
	}
	int error = outfile_open(WHAT, config->alerts_jsonl, OUTFILE_DIRECT, &made->file);
	if (error)
		free(made);
	else
		*output = made;
	return error;
}

static char *put(char *out, const char *text)
{
	size_t length = strlen(text);

	memcpy(out, text, length);
	return out + length;
}

/* As short as it is exact, with one decimal at least: 1706123456.789. */
static char *put_secs(char *out, uint64_t ns)
{
	char *end = text_decimal(out, ns, 9);

	while (end[-1] == '0' && end[-2] != '.')
		end--;
	return end;
}

static char *put_address(char *out, const char *name, const uint8_t ip[16], const struct alert *alert)
{
	return put(text_address(put(out, name), ip, alert->ip_version), "\"");
}

static char *put_line(char *out, const struct alert *alert)
{
	const struct detector_info *info = detector_info(alert->kind);

	out = put_secs(put(out, "{\"ts\":"), alert->ts_ns);
	out = put(put(out, ",\"kind\":\""), info->name);
	out = put(put(out, "\",\"description\":\""), alert->description);
	out = put(put(put(out, "\",\"severity\":\""), info->severity), "\"");
	if (alert->fields & ALERT_HAS_SRC)
		out = put_address(out, ",\"src\":\"", alert->src, alert);
	if (alert->fields & ALERT_HAS_DST)
		out = put_address(out, ",\"dst\":\"", alert->dst, alert);
	if (alert->fields & ALERT_HAS_PORT)
		out = text_u64(put(out, ",\"port\":"), alert->port);
	out = text_u64(put(out, ",\"count\":"), alert->count);
	out = put_secs(put(out, ",\"window_secs\":"), alert->window_ns);
	return put(out, "}\n");
}

/* Each line at once: alerts are rare, and one who follows the file wants them now. */
static void alerts_alerts(struct output *output, const struct alert *alerts, unsigned n)
{
	char line[LINE_MAX_BYTES];

	for (unsigned i = 0; i < n; i++) {
		const char *end = put_line(line, &alerts[i]);
		int error = outfile_append(output->file, line, (size_t)(end - line));
		counter_add(error ? &output->lost : &output->records, 1);
	}
}

static unsigned alerts_so_far(const struct output *output, struct output_report *reports)
{
	*reports = (struct output_report){
		.name = "alerts_jsonl", .records = counter_read(&output->records), .lost = counter_read(&output->lost)
	};
	return 1;
}

static unsigned alerts_close(struct output *output, struct output_report *reports)
{
	if (reports) {
		*reports = (struct output_report){ .name = "alerts_jsonl",
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

static void alerts_reopen(struct output *output)
{
	outfile_reopen(output->file, NULL, 0);
}

const struct sink_ops sink_alerts = {
	.name = "alerts_jsonl",
	.wants = SINK_ALERTS,
	.wanted = alerts_wanted,
	.open = alerts_open,
	.alerts = alerts_alerts,
	.close = alerts_close,
	.so_far = alerts_so_far,
	.reopen = alerts_reopen,
};
