/* Wires up a run: options, lanes, signals, summary; and takes it down in reverse. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "convert.h"
#include "ctl.h"
#include "doctor.h"
#include "dump.h"
#include "extract.h"
#include "flowlane/top_flows.h"
#include "lanes.h"
#include "log.h"
#include "merge.h"
#include "metrics.h"
#include "monitor.h"
#include "nearest.h"
#include "options.h"
#include "privileges.h"
#include "signals.h"
#include "summary.h"

static int print_top(const struct config *config, FILE *text)
{
	struct flow_record *records = calloc(config->top_flows, sizeof(*records));

	if (!records) {
		log_error("top flows: out of memory for %u flows", config->top_flows);
		return EXIT_RUNTIME;
	}
	summary_print_top(records, top_flows_take(records, config->top_flows), text);
	free(records);
	return 0;
}

static int report_run(const struct config *config, const struct lanes_report *report, uint64_t start_ns)
{
	struct summary summary = { .config = config,
		.report = report,
		.wall_ns = clock_monotonic_ns() - start_ns,
		.cpu_ns = clock_process_cpu_ns(),
		.stop_signal = signals_stop_signal() };
	FILE *text = options_use_stdout(config) ? stderr : stdout;
	int status = summary_exit_code(report);

	if (config->stats)
		monitor_print_total(text, &report->total, summary_lost(report));
	if (!config->quiet)
		summary_print(&summary, text);
	if (config->top_flows)
		status |= print_top(config, text);
	if (config->summary_json && summary_write_json(&summary))
		status = EXIT_RUNTIME;
	return status;
}

static int run(const struct config *config)
{
	static struct lanes_report report; /* 100 KiB: too big for a stack */
	uint64_t start_ns = clock_monotonic_ns();
	struct lanes *lanes = NULL;
	struct metrics *metrics = NULL;
	struct ctl *ctl = NULL;
	int status = 0;

	int error = config->user ? privileges_check_user(config->user) : 0;
	if (!error && config->metrics)
		error = metrics_open(config->metrics, &metrics);
	if (!error && config->control)
		error = ctl_open(config->control, &ctl);
	if (!error)
		error = lanes_open(config, &lanes);
	if (error)
		goto out;
	signals_attach(lanes);
	error = lanes_attach(lanes);
	if (!error && config->interfaces_count)
		error = privileges_drop(config->user, lanes_need_admin(lanes));
	if (!error)
		error = lanes_start(lanes);
	if (error)
		goto out;
	monitor_run(lanes, config, metrics, ctl, options_use_stdout(config) ? stderr : stdout);
	lanes_finish(lanes, &report);
	status = report_run(config, &report, start_ns);
out:
	signals_detach();
	metrics_close(metrics);
	ctl_close(ctl);
	lanes_close(lanes);
	if (error)
		status = error == -EINVAL ? EXIT_USAGE : EXIT_RUNTIME;
	return status;
}

static int receive_run(int argc, char **argv);

/* Jobs other than a run: `flowlane NAME ...`. The program's own name is not among their arguments: argv[0] is NAME. */
static const struct command {
	const char *name;
	int (*run)(int argc, char **argv); /* returns the exit code */
} commands[] = {
	{ "merge", merge_run },
	{ "ctl", ctl_run },
	{ "convert", convert_run },
	{ "doctor", doctor_run },
	{ "receive", receive_run },
	{ "extract", extract_run },
	{ "dump", dump_run },
};

/* The name of the command that `word`, in its place, was meant to be; NULL if it rather begins a filter: "tcp port 80". */
static const char *command_meant(const char *word)
{
	const char *names[sizeof(commands) / sizeof(commands[0])];
	unsigned count = sizeof(commands) / sizeof(commands[0]);

	if (!word || word[0] == '-' || strlen(word) < 4)
		return NULL;
	for (unsigned i = 0; i < count; i++)
		names[i] = commands[i].name;
	return nearest_name(word, names, count);
}

static int run_options(int argc, char **argv, bool receives)
{
	static struct options options;
	int status;

	if (options_parse(argc, argv, &options)) {
		const char *meant = receives ? NULL : command_meant(argv[1]);
		if (meant)
			log_error("flowlane has no command %s; did you mean flowlane %s?", argv[1], meant);
		else
			log_error("%s", options.error);
		status = EXIT_USAGE;
	} else if (options_inform(&options, stdout, &status)) {
		/* --help and the like */
	} else if (receives && !options.config.listen) {
		log_error("receive: nothing to listen at: give --listen ADDR:PORT, such as --listen 0.0.0.0:50051");
		status = EXIT_USAGE;
	} else {
		log_set_quiet(options.config.quiet);
		status = run(&options.config);
	}
	options_free(&options);
	if (fflush(stdout) || ferror(stdout)) {
		log_error("standard output: cannot write: %s", strerror(errno));
		status = status ? status : EXIT_RUNTIME;
	}
	return status;
}

static int receive_run(int argc, char **argv)
{
	return run_options(argc, argv, true);
}

static const struct command *find_command(const char *name)
{
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct command *command = argc > 1 ? find_command(argv[1]) : NULL;

	return command ? command->run(argc - 1, argv + 1) : run_options(argc, argv, false);
}
