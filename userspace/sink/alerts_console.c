/* Alerts on the console, as they are raised: "[alert] SYN flood suspected: ...". On standard error if an output has taken standard
 * output. Nothing with --quiet. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "flowlane/sink.h"
#include "log.h"

struct output {
	FILE *stream;
	bool bar; /* a progress bar may stand in the line */
};

static bool console_wanted(const struct config *config)
{
	return config->anomalies && !config->quiet;
}

static int console_open(const struct config *config, const struct source_info *info, struct output **output)
{
	struct output *made = malloc(sizeof(*made));

	(void)info;
	if (!made) {
		log_error("alerts: no memory");
		return -ENOMEM;
	}
	*made = (struct output){ .stream = config->stdout_taken ? stderr : stdout, .bar = config->progress };
	*output = made;
	return 0;
}

static void console_alerts(struct output *output, const struct alert *alerts, unsigned n)
{
	if (output->bar)
		fputs("\r\033[K", stderr);
	for (unsigned i = 0; i < n; i++)
		fprintf(output->stream, "[alert] %s\n", alerts[i].description);
	fflush(output->stream);
}

static unsigned console_close(struct output *output, struct output_report *reports)
{
	(void)reports;
	free(output);
	return 0;
}

const struct sink_ops sink_alerts_console = {
	.name = "alerts_console",
	.wants = SINK_ALERTS,
	.wanted = console_wanted,
	.open = console_open,
	.alerts = console_alerts,
	.close = console_close,
};
