#include "extract.h"

#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow_list.h"
#include "frame_copy.h"
#include "index_reader.h"
#include "log.h"
#include "query.h"

#define EXIT_USAGE   1
#define EXIT_RUNTIME 2

struct extract {
	/* as asked for */
	glob_t indexes;
	const char *out;  /* NULL: no packets */
	const char *pcap; /* NULL: as the index says */
	bool list, both, quiet;
	struct query query;

	/* the index at hand */
	struct index_reader *reader;
	struct frame_list frames;

	struct frame_output *output;
	uint64_t flows;
};

static void print_help(void)
{
	printf("Usage: flowlane extract --index DIR... [WHAT] --list | -w OUT\n"
	       "\n"
	       "Copies packets out of captures that have a packet index (--export-rocksdb, --index), by their places: without "
	       "reading\n"
	       "the captures through.\n"
	       "\n"
	       "      --index DIR              an index, such as cap.pcap.rdb; may be given several times, and a pattern: "
	       "'caps/*.rdb'\n"
	       "  -w, --write FILE             write the packets to FILE as pcap; - is standard output\n"
	       "  -l, --list                   print the flows, a line of JSON each\n"
	       "      --flow A:P-B:P/PROTO     packets from A to B, such as 192.0.2.1:443-198.51.100.7:51000/tcp; several may be "
	       "given\n"
	       "  -b, --both                   and those from B to A\n"
	       "      --net CIDR               flows from or to this network\n"
	       "      --port N                 flows from or to this port\n"
	       "      --proto PROTO            flows of this IP protocol; these three may be given several times, too\n"
	       "      --since T, --until T     packets of this time: 1700000000.5, or 2023-11-14T22:13:20, which is UTC\n"
	       "      --pcap FILE              the capture, if it is neither where it was nor beside the index\n"
	       "  -q, --quiet                  no last line\n"
	       "  -h, --help                   this text\n"
	       "\n"
	       "Exit code: 0, also if there is no such packet; 1: wrong usage; 2: an index, a capture or the output failed.\n");
}

/* --- options --------------------------------------------------------------------------------------------------------- */

static int usage(const char *text, const char *what)
{
	log_error("extract: %s%s; see flowlane extract --help", text, what);
	return EXIT_USAGE;
}

static int take_index(struct extract *extract, const char *pattern)
{
	int flags = GLOB_NOSORT | (extract->indexes.gl_pathc ? GLOB_APPEND : 0);

	/* What is no pattern names a directory, which will be missed by name if it is not there. */
	flags |= strpbrk(pattern, "*?[") ? 0 : GLOB_NOCHECK;
	switch (glob(pattern, flags, NULL, &extract->indexes)) {
	case 0:
		return 0;
	case GLOB_NOMATCH:
		log_error("extract: no index matches \"%s\"", pattern);
		return EXIT_RUNTIME;
	default:
		log_error("extract: \"%s\" cannot be looked for", pattern);
		return EXIT_RUNTIME;
	}
}

enum { OPTION_INDEX = 256, OPTION_FLOW, OPTION_NET, OPTION_PORT, OPTION_PROTO, OPTION_SINCE, OPTION_UNTIL, OPTION_PCAP };

static const struct option options[] = {
	{ "index", required_argument, NULL, OPTION_INDEX },
	{ "write", required_argument, NULL, 'w' },
	{ "list", no_argument, NULL, 'l' },
	{ "flow", required_argument, NULL, OPTION_FLOW },
	{ "both", no_argument, NULL, 'b' },
	{ "net", required_argument, NULL, OPTION_NET },
	{ "port", required_argument, NULL, OPTION_PORT },
	{ "proto", required_argument, NULL, OPTION_PROTO },
	{ "since", required_argument, NULL, OPTION_SINCE },
	{ "until", required_argument, NULL, OPTION_UNTIL },
	{ "pcap", required_argument, NULL, OPTION_PCAP },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int option_take(struct extract *extract, int option, const char *given)
{
	struct query *query = &extract->query;

	switch (option) {
	case OPTION_INDEX:
		return take_index(extract, optarg);
	case OPTION_FLOW:
		return query_flow(query, optarg) ? EXIT_USAGE : 0;
	case OPTION_NET:
		return query_net(query, optarg) ? EXIT_USAGE : 0;
	case OPTION_PORT:
		return query_port(query, optarg) ? EXIT_USAGE : 0;
	case OPTION_PROTO:
		return query_protocol(query, optarg) ? EXIT_USAGE : 0;
	case OPTION_SINCE:
		return query_time("--since", optarg, &query->since_ns) ? EXIT_USAGE : 0;
	case OPTION_UNTIL:
		return query_time("--until", optarg, &query->until_ns) ? EXIT_USAGE : 0;
	case OPTION_PCAP:
		extract->pcap = optarg;
		return 0;
	case 'w':
		extract->out = optarg;
		return 0;
	case 'l':
		extract->list = true;
		return 0;
	case 'b':
		extract->both = true;
		return 0;
	case 'q':
		extract->quiet = true;
		return 0;
	case ':':
		return usage("an argument is missing behind ", given);
	default:
		return usage("there is no option ", given);
	}
}

static int options_judge(struct extract *extract)
{
	if (extract->indexes.gl_pathc == 0)
		return usage("no index: give --index DIR", "");
	if (!extract->list && !extract->out)
		return usage("say what to do: --list, or -w OUT", "");
	if (extract->list && extract->out && !strcmp(extract->out, "-"))
		return usage("--list and -w - would both write to standard output", "");
	if (extract->both && !extract->query.flows_count)
		return usage("--both goes with --flow", "");
	if (extract->query.since_ns > extract->query.until_ns)
		return usage("--since is later than --until", "");
	if (extract->pcap && extract->indexes.gl_pathc > 1)
		return usage("--pcap is for one index, and several are given", "");
	return extract->both && query_both(&extract->query) ? EXIT_USAGE : 0;
}

static int options_take(struct extract *extract, int argc, char **argv, bool *done)
{
	int option, status = 0;

	optind = 1;
	opterr = 0;
	while (!status && (option = getopt_long(argc, argv, ":w:lbqh", options, NULL)) != -1) {
		if (option == 'h') {
			print_help();
			*done = true;
			return 0;
		}
		status = option_take(extract, option, argv[optind - 1]);
	}
	/* A pattern that the shell took apart. */
	for (; optind < argc && !status; optind++)
		status = take_index(extract, argv[optind]);
	return status ? status : options_judge(extract);
}

/* --- work ------------------------------------------------------------------------------------------------------------ */

static int found_list(void *owner, const struct index_key *key, const struct index_flow *record, const struct index_packet *packets,
	uint32_t count)
{
	struct extract *extract = owner;

	(void)packets, (void)count;
	extract->flows++;
	flow_list_print(stdout, index_reader_path(extract->reader), key, record);
	return ferror(stdout) ? -EPIPE : 0;
}

static int found_packets(void *owner, const struct index_key *key, const struct index_flow *record,
	const struct index_packet *packets, uint32_t count)
{
	struct extract *extract = owner;
	const struct query *query = &extract->query;

	extract->flows += !extract->list;
	if (extract->list)
		found_list(owner, key, record, NULL, 0);
	int error = frame_list_add(&extract->frames, packets, count, query->since_ns / 1000000, query->until_ns / 1000000);
	if (error)
		log_error("extract: no memory for %" PRIu64 " packets; ask for fewer flows", extract->frames.count + count);
	return error;
}

static int index_extract(struct extract *extract)
{
	const struct query *query = &extract->query;
	char path[PATH_MAX];
	int error;

	if (!extract->out)
		return index_reader_find(extract->reader, query, false, found_list, extract);
	error = index_reader_capture(extract->reader, extract->pcap, path);
	if (!error)
		error = index_reader_find(extract->reader, query, true, found_packets, extract);
	frame_list_sort(&extract->frames);
	if (!error)
		error = frame_copy(path, &extract->frames, query->since_ns, query->until_ns, extract->output);
	frame_list_free(&extract->frames);
	return error;
}

static int reader_compare(const void *x, const void *y)
{
	struct index_reader *const *a = x, *const *b = y;
	uint64_t a_ns = index_reader_first_ns(*a), b_ns = index_reader_first_ns(*b);

	return a_ns != b_ns ? (a_ns > b_ns) - (a_ns < b_ns) : strcmp(index_reader_path(*a), index_reader_path(*b));
}

/* The indexes in the order of their captures' times. An index that fails does not keep the others from being looked at. */
static int indexes_extract(struct extract *extract)
{
	size_t count = 0;
	struct index_reader **readers = calloc(extract->indexes.gl_pathc, sizeof(struct index_reader *));
	int status = 0;

	if (!readers) {
		log_error("extract: no memory");
		return EXIT_RUNTIME;
	}
	for (size_t i = 0; i < extract->indexes.gl_pathc; i++) {
		if (index_reader_open(extract->indexes.gl_pathv[i], &readers[count]))
			status = EXIT_RUNTIME;
		else
			count++;
	}
	qsort(readers, count, sizeof(struct index_reader *), reader_compare);
	for (size_t i = 0; i < count; i++) {
		extract->reader = readers[i];
		if (index_extract(extract))
			status = EXIT_RUNTIME;
		index_reader_close(readers[i]);
	}
	free(readers);
	return status;
}

static int extract_work(struct extract *extract)
{
	int status = extract->out && frame_output_open(extract->out, &extract->output) ? EXIT_RUNTIME : 0;

	if (!status)
		status = indexes_extract(extract);
	if (extract->list && (fflush(stdout) || ferror(stdout))) {
		log_error("extract: cannot write to standard output: %s", strerror(errno));
		status = EXIT_RUNTIME;
	}
	uint64_t packets = extract->output ? frame_output_count(extract->output) : 0;
	/* What could be had is kept: the exit code and the messages say that it is not all. Nothing at all is no file. */
	if (extract->output && status && packets == 0)
		frame_output_abort(extract->output);
	else if (extract->output && frame_output_commit(extract->output))
		status = EXIT_RUNTIME;
	if (!extract->quiet && extract->out && !status)
		log_info("extract: %" PRIu64 " packets of %" PRIu64 " one-way flows written", packets, extract->flows);
	return status;
}

int extract_run(int argc, char **argv)
{
	struct extract *extract = calloc(1, sizeof(*extract));
	bool done = false;

	if (!extract) {
		log_error("extract: no memory");
		return EXIT_RUNTIME;
	}
	query_begin(&extract->query);
	signal(SIGPIPE, SIG_IGN);
	int status = options_take(extract, argc, argv, &done);
	if (!status && !done)
		status = extract_work(extract);
	if (extract->indexes.gl_pathc)
		globfree(&extract->indexes);
	free(extract);
	return status;
}
