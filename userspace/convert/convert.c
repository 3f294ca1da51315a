#include "convert.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cryptopan.h"
#include "inputs.h"
#include "join.h"
#include "log.h"
#include "progress.h"
#include "reader.h"
#include "writer.h"

#define EXIT_USAGE   1
#define EXIT_RUNTIME 2

#define BATCH           64
#define INACTIVE_MS     60000 /* the sensor's own defaults */
#define ACTIVE_MS       300000
#define TIMEOUT_MAX_SEC 1e6

struct convert {
	/* as asked for */
	const char *out;
	struct inputs inputs;
	bool force;
	bool merge;
	bool quiet;
	bool to_given, from_given;
	enum record_format to, from;
	enum nfcapd_compression compression;
	const char *key_file; /* NULL: not anonymized */
	uint64_t inactive_ms, active_ms;
	bool timeouts_given;
	enum { PROGRESS_ASK, PROGRESS_YES, PROGRESS_NO } progress_when;

	struct writer *writer;
	struct join *join;
	struct cryptopan *cryptopan;
	struct progress progress;
	uint64_t bytes_before; /* of inputs read to their end */
	uint64_t read, written;
};

static volatile sig_atomic_t convert_stopped;

static void convert_stop(int number)
{
	(void)number;
	convert_stopped = 1;
}

/* A pipe that its reader closed is an error of the write; the first SIGINT cleans up, the second kills. */
static void signals_set(void)
{
	struct sigaction stop = { .sa_handler = convert_stop, .sa_flags = (int)SA_RESETHAND };

	convert_stopped = 0;
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* --- options --------------------------------------------------------------------------------------------------------- */

static void print_help(void)
{
	printf("Usage: flowlane convert --to FORMAT [OPTIONS] OUT IN...\n"
	       "\n"
	       "Reads one-way flow records and writes them to OUT in another format. Formats: csv_flow, binary (a directory),\n"
	       "pipe, nfcapd. Of text, OUT or one IN may be \"-\": standard output, standard input. IN may also be a directory "
	       "that\n"
	       "the sensor wrote: its nfcapd files, or its directories of columns, are read in the order of their names.\n"
	       "\n"
	       "  -t, --to FORMAT              of OUT\n"
	       "      --from FORMAT            of each IN (default: told from its first bytes)\n"
	       "  -m, --merge                  join records that the active timeout cut apart\n"
	       "      --inactive-timeout-s S   for --merge: the longest gap within a flow (default %d)\n"
	       "      --active-timeout-s S     for --merge: where flows were cut (default %d)\n"
	       "      --anonymize KEYFILE      replace addresses by Crypto-PAn; 32 bytes or 64 hexadecimal digits of key\n"
	       "      --nfcapd-compress C      none, lz4 or bz2 (default lz4)\n"
	       "  -f, --force                  overwrite OUT if it exists\n"
	       "      --progress WHEN          auto, always or never show a progress bar (default auto: on a terminal)\n"
	       "  -q, --quiet                  no progress bar, no last line\n"
	       "  -h, --help                   this text\n"
	       "\n"
	       "Exit code: 0; 1: wrong usage; 2: an input or output failed; then nothing is left of OUT.\n",
		INACTIVE_MS / 1000, ACTIVE_MS / 1000);
}

static int usage(const char *text, const char *what)
{
	log_error("convert: %s%s; see flowlane convert --help", text, what);
	return EXIT_USAGE;
}

static int take_format(const char *text, enum record_format *format, bool *given)
{
	*given = true;
	if (!format_parse(text, format))
		return 0;
	log_error("convert: \"%s\" is no format; csv_flow, binary, pipe and nfcapd are", text);
	return EXIT_USAGE;
}

static int take_timeout(struct convert *convert, const char *name, const char *text, uint64_t *ms)
{
	char *end;
	double seconds = strtod(text, &end);

	convert->timeouts_given = true;
	if (*text < '0' || *text > '9' || *end || !(seconds >= 0) || seconds > TIMEOUT_MAX_SEC) {
		log_error("convert: %s is \"%s\", and must be seconds, such as 300 or 0.5", name, text);
		return EXIT_USAGE;
	}
	*ms = (uint64_t)(seconds * 1000 + 0.5);
	return 0;
}

static int take_compression(struct convert *convert, const char *text)
{
	if (!strcmp(text, "none"))
		convert->compression = NFCAPD_COMPRESSION_NONE;
	else if (!strcmp(text, "lz4"))
		convert->compression = NFCAPD_COMPRESSION_LZ4;
	else if (!strcmp(text, "bz2"))
		convert->compression = NFCAPD_COMPRESSION_BZ2;
	else
		return usage("--nfcapd-compress takes none, lz4 or bz2, not ", text);
	return 0;
}

static int take_progress(struct convert *convert, const char *text)
{
	if (!strcmp(text, "auto"))
		convert->progress_when = PROGRESS_ASK;
	else if (!strcmp(text, "always"))
		convert->progress_when = PROGRESS_YES;
	else if (!strcmp(text, "never"))
		convert->progress_when = PROGRESS_NO;
	else
		return usage("--progress takes auto, always or never, not ", text);
	return 0;
}

enum { LONG_FROM = 256, LONG_INACTIVE, LONG_ACTIVE, LONG_ANONYMIZE, LONG_COMPRESS, LONG_PROGRESS };

static const struct option known_options[] = {
	{ "active-timeout-s", required_argument, NULL, LONG_ACTIVE },
	{ "anonymize", required_argument, NULL, LONG_ANONYMIZE },
	{ "force", no_argument, NULL, 'f' },
	{ "from", required_argument, NULL, LONG_FROM },
	{ "help", no_argument, NULL, 'h' },
	{ "inactive-timeout-s", required_argument, NULL, LONG_INACTIVE },
	{ "merge", no_argument, NULL, 'm' },
	{ "nfcapd-compress", required_argument, NULL, LONG_COMPRESS },
	{ "progress", required_argument, NULL, LONG_PROGRESS },
	{ "quiet", no_argument, NULL, 'q' },
	{ "to", required_argument, NULL, 't' },
	{ NULL, 0, NULL, 0 },
};

static int option_take(struct convert *convert, int option, char **argv)
{
	switch (option) {
	case 'f':
		convert->force = true;
		return 0;
	case 'm':
		convert->merge = true;
		return 0;
	case 'q':
		convert->quiet = true;
		return 0;
	case 't':
		return take_format(optarg, &convert->to, &convert->to_given);
	case LONG_FROM:
		return take_format(optarg, &convert->from, &convert->from_given);
	case LONG_INACTIVE:
		return take_timeout(convert, "--inactive-timeout-s", optarg, &convert->inactive_ms);
	case LONG_ACTIVE:
		return take_timeout(convert, "--active-timeout-s", optarg, &convert->active_ms);
	case LONG_ANONYMIZE:
		convert->key_file = optarg;
		return 0;
	case LONG_COMPRESS:
		return take_compression(convert, optarg);
	case LONG_PROGRESS:
		return take_progress(convert, optarg);
	case ':':
		return usage("an argument is missing behind ", argv[optind - 1]);
	default:
		return usage("unknown option ", argv[optind - 1]);
	}
}

/* Fills what was asked for. 0, or the exit code; *done: that was all (--help). */
static int options_take(struct convert *convert, int argc, char **argv, bool *done)
{
	int status = 0, option;

	optind = 0; /* GNU: start afresh */
	opterr = 0;
	while (!status && (option = getopt_long(argc, argv, ":fhmqt:", known_options, NULL)) != -1) {
		if (option == 'h') {
			print_help();
			*done = true;
			return 0;
		}
		status = option_take(convert, option, argv);
	}
	if (status)
		return status;
	if (!convert->to_given)
		return usage("the format of OUT is missing: give --to", "");
	if (argc - optind < 2)
		return usage(
			argc == optind ? "OUT and IN are missing" : "no IN is named for OUT ", argc == optind ? "" : argv[optind]);
	if (convert->timeouts_given && !convert->merge)
		return usage("timeouts are for --merge, which is not given", "");
	if (convert->merge && convert->active_ms <= convert->inactive_ms)
		return usage("--active-timeout-s must be longer than --inactive-timeout-s", "");
	convert->out = argv[optind];
	log_set_quiet(convert->quiet);
	return inputs_expand(&convert->inputs, argv + optind + 1, (unsigned)(argc - optind - 1)) ? EXIT_RUNTIME : 0;
}

static bool is_stdio(const char *path)
{
	return !strcmp(path, "-");
}

/* Nothing that is read, and nothing that exists, may be overwritten by mistake. 0, or the exit code. */
static int out_check(const struct convert *convert)
{
	bool text = convert->to == FORMAT_CSV_FLOW || convert->to == FORMAT_PIPE;
	struct stat out, in;
	unsigned from_stdin = 0;

	for (unsigned i = 0; i < convert->inputs.count; i++)
		from_stdin += is_stdio(convert->inputs.path[i]);
	if (from_stdin > 1)
		return usage("standard input can be read once only", "");
	if (from_stdin && !convert->from_given)
		return usage("the format of standard input cannot be told beforehand: give --from", "");
	if (from_stdin && convert->from != FORMAT_CSV_FLOW && convert->from != FORMAT_PIPE)
		return usage("only text can be read from standard input", "");
	if (is_stdio(convert->out))
		return text ? 0 : usage("only text can be written to standard output", "");
	if (stat(convert->out, &out) < 0)
		return 0;
	for (unsigned i = 0; i < convert->inputs.count; i++) {
		if (!is_stdio(convert->inputs.path[i]) && !stat(convert->inputs.path[i], &in) && in.st_dev == out.st_dev &&
			in.st_ino == out.st_ino) {
			log_error("convert: %s would be overwritten while it is read; choose another OUT", convert->inputs.path[i]);
			return EXIT_USAGE;
		}
	}
	if (S_ISDIR(out.st_mode) != (convert->to == FORMAT_BINARY)) {
		log_error("convert: %s is %s directory; %s writes %s", convert->out, S_ISDIR(out.st_mode) ? "a" : "no",
			format_name(convert->to), convert->to == FORMAT_BINARY ? "one" : "a file");
		return EXIT_USAGE;
	}
	if (convert->to == FORMAT_NFCAPD && !S_ISREG(out.st_mode)) {
		log_error("convert: %s is no regular file, which nfcapd needs: its header is written last", convert->out);
		return EXIT_USAGE;
	}
	if (!convert->force && (S_ISREG(out.st_mode) || S_ISDIR(out.st_mode))) {
		log_error("convert: %s exists; use --force to overwrite it", convert->out);
		return EXIT_USAGE;
	}
	return 0;
}

/* --- work ------------------------------------------------------------------------------------------------------------ */

static int record_write(void *context, const struct record *record)
{
	struct convert *convert = context;
	struct record changed;

	if (convert->cryptopan) {
		changed = *record;
		cryptopan_record(convert->cryptopan, &changed);
		record = &changed;
	}
	convert->written++;
	return writer_put(convert->writer, record);
}

static int input_convert(struct convert *convert, struct reader *reader, uint64_t bytes_total)
{
	struct record records[BATCH];
	int error = 0, n;

	while (!error && !convert_stopped && (n = reader->ops->next(reader, records, BATCH)) != 0) {
		if (n < 0)
			return n;
		for (int i = 0; i < n && !error; i++)
			error = convert->join ? join_put(convert->join, &records[i]) : record_write(convert, &records[i]);
		convert->read += (uint64_t)n;
		progress_update(&convert->progress, convert->bytes_before + reader->bytes_done, bytes_total, convert->read);
	}
	return error;
}

static int input_open(struct convert *convert, const char *path, struct reader **reader)
{
	enum record_format format = convert->from;
	int error = convert->from_given ? 0 : reader_detect(path, &format);

	return error ? error : reader_open(path, format, reader);
}

/* Of all inputs together, for the progress bar; 0 if one is no file. Directories count as nothing much: theirs comes as it is read. */
static uint64_t inputs_bytes(const struct convert *convert)
{
	struct stat st;
	uint64_t bytes = 0;

	for (unsigned i = 0; i < convert->inputs.count; i++) {
		if (is_stdio(convert->inputs.path[i]) || stat(convert->inputs.path[i], &st) < 0 || !S_ISREG(st.st_mode))
			return 0;
		bytes += (uint64_t)st.st_size;
	}
	return bytes;
}

static int inputs_convert(struct convert *convert)
{
	uint64_t bytes_total = inputs_bytes(convert);
	int error = 0;

	for (unsigned i = 0; i < convert->inputs.count && !error && !convert_stopped; i++) {
		struct reader *reader;
		error = input_open(convert, convert->inputs.path[i], &reader);
		if (error)
			return error;
		error = input_convert(convert, reader, convert->inputs.count == 1 ? reader->bytes_total : bytes_total);
		convert->bytes_before += reader->bytes_total;
		reader->ops->close(reader);
	}
	return error || !convert->join || convert_stopped ? error : join_finish(convert->join);
}

static int convert_open(struct convert *convert)
{
	uint8_t key[CRYPTOPAN_KEY_BYTES];

	if (convert->key_file) {
		int error = cryptopan_key_read(convert->key_file, key);
		if (error)
			return error == -EINVAL ? EXIT_USAGE : EXIT_RUNTIME;
		convert->cryptopan = cryptopan_create(key);
		explicit_bzero(key, sizeof(key));
	}
	if (convert->merge)
		convert->join = join_create(convert->inactive_ms, convert->active_ms, JOIN_RECORDS, record_write, convert);
	if ((convert->key_file && !convert->cryptopan) || (convert->merge && !convert->join)) {
		log_error("convert: no memory");
		return EXIT_RUNTIME;
	}
	return writer_open(convert->out, convert->to, convert->compression, convert->force, &convert->writer) ? EXIT_RUNTIME : 0;
}

static void join_say(const struct join_report *report)
{
	if (report->overlaps)
		log_warning(
			"convert: %" PRIu64 " records overlap one of the same key in time, and were not joined", report->overlaps);
	if (report->crowded)
		log_warning("convert: more than %u records waited for their continuation; %" PRIu64 " went on without",
			JOIN_RECORDS, report->crowded);
}

static int convert_finish(struct convert *convert, int error)
{
	struct writer *writer = convert->writer;

	convert->writer = NULL;
	progress_clear(&convert->progress);
	if (convert_stopped && !error)
		log_error("convert: interrupted; %s is not written", convert->out);
	if (error || convert_stopped) {
		writer_abort(writer);
		return EXIT_RUNTIME;
	}
	if (writer_commit(writer))
		return EXIT_RUNTIME;
	if (convert->join)
		join_say(join_report(convert->join));
	log_info("convert: %" PRIu64 " records read, %" PRIu64 " written", convert->read, convert->written);
	return 0;
}

int convert_run(int argc, char **argv)
{
	struct convert convert = { .compression = NFCAPD_COMPRESSION_LZ4, .inactive_ms = INACTIVE_MS, .active_ms = ACTIVE_MS };
	bool done = false;
	int status = options_take(&convert, argc, argv, &done);

	if (!status && !done)
		status = out_check(&convert);
	if (status || done) {
		inputs_free(&convert.inputs);
		return status;
	}
	signals_set();
	progress_start(
		&convert.progress, convert.progress_when == PROGRESS_YES ||
					   (convert.progress_when == PROGRESS_ASK && !convert.quiet && isatty(STDERR_FILENO)));
	status = convert_open(&convert);
	if (!status)
		status = convert_finish(&convert, inputs_convert(&convert));
	writer_abort(convert.writer);
	join_destroy(convert.join);
	cryptopan_destroy(convert.cryptopan);
	inputs_free(&convert.inputs);
	return status;
}
