#include "option_check.h"

#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "metrics.h"
#ifdef FLOWLANE_NCAP
#include "ncap_types.h"
#endif
#include "option_table.h"

#define OUTPUTS 32 /* room; unused ones have no path */

struct named_output {
	const char *option;
	const char *path; /* NULL: not asked for */
	bool directory;   /* several formats may share one */
};

static void list_outputs(const struct config *config, struct named_output outputs[OUTPUTS])
{
	const struct named_output all[OUTPUTS] = {
		{ "--write-pcap", config->write_pcap, false },
		{ "--export-json", config->export_json, false },
		{ "--export-csv", config->export_csv, false },
		{ "--expired-flows-jsonl", config->expired_flows_jsonl, false },
		{ "--rtt-samples-jsonl", config->rtt_samples_jsonl, false },
		{ "--alerts-jsonl", config->alerts_jsonl, false },
		{ "--summary-json", config->summary_json, false },
		{ "--export-pipe", config->export_pipe, false },
		{ "--export-csv-flow", config->export_csv_flow, false },
		{ "--export-nfcapd", config->export_nfcapd, true },
		{ "--export-binary", config->export_binary, true },
		{ "--export-hist", config->export_hist, true },
		{ "--export-series", config->export_series, true },
		{ "--export-rocksdb", config->export_rocksdb, true },
		{ "--ncap", config->ncap, true },
	};
	memcpy(outputs, all, sizeof(all));
}

static bool is_stdio(const char *path)
{
	return !strcmp(path, "-");
}

bool options_use_stdout(const struct config *config)
{
	struct named_output outputs[OUTPUTS];

	list_outputs(config, outputs);
	for (unsigned i = 0; i < OUTPUTS; i++) {
		if (outputs[i].path && is_stdio(outputs[i].path))
			return true;
	}
	return false;
}

/* What a path means, whether or not the file is there yet: its folder with all links followed, and its name. */
static bool resolve(const char *path, char resolved[PATH_MAX])
{
	char folder[PATH_MAX], name[PATH_MAX], real[PATH_MAX];

	if (realpath(path, resolved))
		return true;
	if (strlen(path) >= PATH_MAX)
		return false;
	strcpy(folder, path);
	strcpy(name, path);
	if (!realpath(dirname(folder), real))
		return false;
	return snprintf(resolved, PATH_MAX, "%s/%s", real, basename(name)) < PATH_MAX;
}

static bool same_file(const char *x, const char *y)
{
	char x_resolved[PATH_MAX], y_resolved[PATH_MAX];
	struct stat x_stat, y_stat;

	if (is_stdio(x) || is_stdio(y))
		return is_stdio(x) && is_stdio(y);
	bool x_exists = stat(x, &x_stat) == 0, y_exists = stat(y, &y_stat) == 0;
	/* Two outputs to /dev/null are fine, and so is reading one end of a pipe and writing another. */
	if ((x_exists && !S_ISREG(x_stat.st_mode)) || (y_exists && !S_ISREG(y_stat.st_mode)))
		return false;
	if (x_exists && y_exists) /* hard links too */
		return x_stat.st_dev == y_stat.st_dev && x_stat.st_ino == y_stat.st_ino;
	return resolve(x, x_resolved) && resolve(y, y_resolved) && !strcmp(x_resolved, y_resolved);
}

static int check_outputs(struct options *options)
{
	const struct config *config = &options->config;
	struct named_output outputs[OUTPUTS];

	list_outputs(config, outputs);
	for (unsigned i = 0; i < OUTPUTS; i++) {
		const char *path = outputs[i].path;
		if (!path)
			continue;
		if (outputs[i].directory && is_stdio(path))
			return option_fail(
				options, "%s writes files into a directory; give it one instead of -", outputs[i].option);
		for (unsigned j = 0; j < i; j++) {
			if (!outputs[j].path || !same_file(path, outputs[j].path))
				continue;
			if (outputs[i].directory && outputs[j].directory)
				continue;
			return option_fail(options, "%s and %s would both write to %s; give them different files",
				outputs[j].option, outputs[i].option, is_stdio(path) ? "standard output" : path);
		}
		for (unsigned j = 0; j < config->read_files_count && !is_stdio(path); j++) {
			if (same_file(path, config->read_files[j]))
				return option_fail(
					options, "%s would overwrite the input %s; give it another name", outputs[i].option, path);
		}
		if (options->config_file && !is_stdio(path) && same_file(path, options->config_file))
			return option_fail(
				options, "%s would overwrite the configuration %s; give it another name", outputs[i].option, path);
	}
	return 0;
}

static int check_rotation(struct options *options)
{
	const struct config *config = &options->config;
	bool rotates = config->write_pcap_rotate_bytes || config->write_pcap_rotate_ns;
	const char *by = config->write_pcap_rotate_bytes ? "--write-pcap-rotate-mb" : "--write-pcap-rotate-s";

	if (rotates && !config->write_pcap)
		return option_fail(options, "%s needs a file to rotate: add --write-pcap FILE", by);
	if (rotates && is_stdio(config->write_pcap))
		return option_fail(options, "%s cannot rotate standard output; give --write-pcap a file name", by);
	if (config->write_pcap_max_files && !rotates)
		return option_fail(options,
			"--write-pcap-max-files needs rotation: add --write-pcap-rotate-mb N or --write-pcap-rotate-s SECS");
	by = config->pcap_per_lane ? "--pcap-per-lane" : "--direct-io";
	if ((config->pcap_per_lane || config->direct_io) && !config->write_pcap)
		return option_fail(options, "%s is about the capture that is written: add --write-pcap FILE", by);
	if ((config->pcap_per_lane || config->direct_io) && is_stdio(config->write_pcap))
		return option_fail(options, "%s needs a file, not standard output; give --write-pcap a file name", by);
	return 0;
}

/* Pointers need a file that they point into. */
static int check_index(struct options *options)
{
	const struct config *config = &options->config;

	if (config->index && !config->write_pcap)
		return option_fail(options,
			"--index is about the capture that is written: add --write-pcap FILE, or index the file "
			"that is read with --export-rocksdb DIR");
	if (config->index && is_stdio(config->write_pcap))
		return option_fail(options, "--index needs a file to point into; give --write-pcap a file name instead of -");
	if (!config->export_rocksdb)
		return 0;
	if (config->interfaces_count)
		return option_fail(options, "--export-rocksdb is about the file that is read; live, write a capture and index it: "
					    "--write-pcap FILE --index");
	if (config->read_files_count > 1)
		return option_fail(options, "--export-rocksdb indexes one file, and %u are read; index each in a run of its own",
			config->read_files_count);
	if (config->read_files_count && is_stdio(config->read_files[0]))
		return option_fail(options, "--export-rocksdb needs a file to point into, and standard input is none; read a file");
	return 0;
}

static int check_live(struct options *options)
{
	const struct config *config = &options->config;

	if (config->read_files_count)
		return option_fail(options, "-r %s and -i %s: a run reads files or captures live; give one of them",
			config->read_files[0], config->interfaces[0]);
	if (config->lanes != 1)
		return option_fail(options, "--lanes is for files; live, each RX queue has a lane: choose them with --queues, or "
					    "give each queue several with --fanout N");
	if (config->ring_size & (config->ring_size - 1))
		return option_fail(options, "--ring-size %" PRIu32 " is no power of two; use %d", config->ring_size,
			1 << (31 - __builtin_clz(config->ring_size)));
	if (config->require_zerocopy && config->mode != CAPTURE_AUTO && config->mode != CAPTURE_ZEROCOPY)
		return option_fail(options, "--require-zerocopy contradicts --mode %s; leave one out",
			config->mode == CAPTURE_COPY ? "copy" : "generic");
	for (unsigned i = 0; i < config->interfaces_count; i++) {
		for (unsigned j = 0; j < i; j++) {
			if (!strcmp(config->interfaces[i], config->interfaces[j]))
				return option_fail(options, "-i %s is given twice; once is enough", config->interfaces[i]);
		}
	}
	return 0;
}

/* An option of live capture has no effect on files: better said than ignored. */
static int check_not_live(struct options *options)
{
	const struct config *config = &options->config;
	const struct {
		bool given;
		const char *name;
	} live[] = {
		{ config->queues, "--queues" },
		{ config->fanout > 1, "--fanout" },
		{ config->cpus, "--cpus" },
		{ config->mode != CAPTURE_AUTO, "--mode" },
		{ config->require_zerocopy, "--require-zerocopy" },
		{ config->timestamps != TIMESTAMPS_AUTO, "--timestamps" },
		{ config->busy_poll, "--busy-poll" },
		{ config->exclusive, "--exclusive" },
		{ config->replace, "--replace" },
		{ config->duration_ns && !config->listen, "--duration" },
		{ config->user, "--user" },
		{ config->pcap_per_lane, "--pcap-per-lane" },
	};

	for (unsigned i = 0; i < sizeof(live) / sizeof(live[0]); i++) {
		if (live[i].given)
			return option_fail(options, "%s is for live capture (-i IF), not for %s; leave it out", live[i].name,
				config->listen ? "streams" : "files");
	}
	return 0;
}

/* Streams from sensors. */
static int check_listen(struct options *options)
{
	const struct config *config = &options->config;

	if (config->read_files_count || config->interfaces_count)
		return option_fail(options,
			"--listen %s and %s %s: a run takes streams, or reads files, or captures; give one of them", config->listen,
			config->read_files_count ? "-r" : "-i",
			config->read_files_count ? config->read_files[0] : config->interfaces[0]);
	if ((config->tls_cert != NULL) != (config->tls_key != NULL))
		return option_fail(options, "--tls-cert and --tls-key go together; %s is missing",
			config->tls_cert ? "--tls-key" : "--tls-cert");
	return check_not_live(options);
}

/* The stream to a collector. */
static int check_stream(struct options *options)
{
	const struct config *config = &options->config;

	if (!config->stream_grpc && (config->stream_tls || config->stream_ca))
		return option_fail(options, "%s is about a stream: add --stream-grpc HOST:PORT",
			config->stream_tls ? "--stream-tls" : "--stream-ca");
	if (config->stream_ca && !config->stream_tls)
		return option_fail(options, "--stream-ca is about TLS: add --stream-tls");
	if (!config->listen && (config->tls_cert || config->tls_key))
		return option_fail(options, "--tls-cert and --tls-key are about streams that are received: add --listen ADDR:PORT");
	return 0;
}

static int check_inputs(struct options *options)
{
	const struct config *config = &options->config;
	unsigned from_stdin = 0;

	if (config->listen)
		return check_listen(options);
	if (config->interfaces_count)
		return check_live(options);
	if (!config->read_files_count && !options->dump_config)
		return option_fail(
			options, "nothing to read: give -r FILE, -i IF or --listen ADDR:PORT (flowlane --help shows examples)");
	for (unsigned i = 0; i < config->read_files_count; i++)
		from_stdin += is_stdio(config->read_files[i]);
	if (from_stdin > 1)
		return option_fail(options, "-r - is given %u times, but standard input can be read once only", from_stdin);
	return config->read_files_count ? check_not_live(options) : 0;
}

static int check_ncap(struct options *options)
{
	const struct config *config = &options->config;
	const char *without = config->ncap_include ? "--ncap-include" : config->ncap_exclude ? "--ncap-exclude" : NULL;

	if (!config->ncap)
		return without ? option_fail(options, "%s is about audit records: add --ncap DIR", without) : 0;
	if (config->ncap_rotate_ns % 1000000000)
		return option_fail(options, "--ncap-rotate-s must be whole seconds: file names have no fractions");
#ifdef FLOWLANE_NCAP
	char error[1024];
	uint64_t types;
	if (ncap_types_select(config->ncap_include, config->ncap_exclude, (enum ncap_schema)config->ncap_schema, &types, error,
		    sizeof(error)))
		return option_fail(options, "--ncap: %s", error);
	return 0;
#else
	return option_fail(
		options, "--ncap: this flowlane was built without audit records (FLOWLANE_NCAP is off); build it with them");
#endif
}

static int check_metrics(struct options *options)
{
	const char *text = options->config.metrics;
	struct metrics_place place;

	if (!text || metrics_parse(text, &place))
		return 0;
	return option_fail(options,
		"--metrics %s is no address and port; write it like 127.0.0.1:9100, [::1]:9100, or *:9100 for all "
		"addresses of this machine",
		text);
}

int options_check(struct options *options)
{
	int error = check_inputs(options);

	if (!error && options->sizes && !options->dump_config)
		error = option_fail(options, "--sizes goes with --dump-config: flowlane --dump-config --sizes");
	if (!error)
		error = check_rotation(options);
	if (!error && options->config.rotate_ns % 1000000000)
		error = option_fail(options, "--rotate-s must be whole seconds: file names have no fractions");
	if (!error && (options->config.alerts_jsonl || options->config.detector_texts_count) && !options->config.anomalies)
		error = option_fail(options, "%s: nothing looks for anomalies; add --anomalies",
			options->config.alerts_jsonl ? "--alerts-jsonl" : "--detector");
	if (!error)
		error = check_stream(options);
	if (!error)
		error = check_index(options);
	if (!error)
		error = check_ncap(options);
	if (!error)
		error = check_metrics(options);
	if (!error)
		error = check_outputs(options);
	return error;
}
