/*
 * The cost of the core per packet, beside the floor (floor.h) on the same frames. One JSON line per case on standard output.
 *
 * Every case opens all its flows first (the setup phase, memory is touched for the first time), then sends packets of
 * uniformly random flows, so that all flows are alive and nothing is hot (the steady phase: `ns_per_packet`), then lets all
 * flows time out. Times are those of the thread's CPU clock: others who use the machine disturb them less.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_case.h"

#define GAP_LINE_RATE_NS 67 /* 14.88 Mpps */

static const char usage[] = "Usage: bench_core [options]\n"
			    "\n"
			    "  --case LIST    numbers of flows, such as 10k,1M (default 10k,100k,1M,10M)\n"
			    "  --flows N      the same for a single case\n"
			    "  --packets N    packets of each case (default 20M; 40M for 10M flows)\n"
			    "  --rounds N     core and floor alternate so often; medians are printed (default 5; 3 for 10M flows)\n"
			    "  --gap-ns N     packet time between two packets (default 67: 64-byte frames at 10 Gbit/s)\n"
			    "  --no-floor     the core alone\n"
			    "  --anomalies    also the core with all detectors on, in turn\n"
			    "  --json         no progress on standard error\n";

static void usage_die(const char *what, const char *value)
{
	fprintf(stderr, "bench_core: %s '%s'\n%s", what, value, usage);
	exit(1);
}

/* "1000", "10k", "1M". Ends at a comma or the end of the text; `rest` is what follows. */
static uint64_t number_parse(const char *text, const char **rest)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		usage_die("not a number:", text);
	if (*end == 'k' || *end == 'M')
		value *= *end++ == 'k' ? 1000 : 1000000;
	if (*end && *end != ',')
		usage_die("not a number:", text);
	*rest = *end ? end + 1 : end;
	return value;
}

static uint64_t packets_default(uint64_t flows)
{
	return flows > 5000000 ? 4 * flows : 20000000;
}

static int bench_list(struct bench_options options, const char *list)
{
	int result = 0;

	while (*list && !result) {
		struct bench_options one = options;

		one.flows = number_parse(list, &list);
		if (!one.flows || one.flows > 100000000)
			usage_die("flows must be from 1 to 100M, not", "that many");
		if (!one.packets)
			one.packets = packets_default(one.flows);
		if (!one.rounds)
			one.rounds = one.flows > 5000000 ? 3 : 5;
		result = bench_case(&one);
	}
	return result;
}

int main(int argc, char **argv)
{
	static const struct option table[] = {
		{ "case", required_argument, NULL, 'c' },
		{ "flows", required_argument, NULL, 'c' },
		{ "packets", required_argument, NULL, 'p' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "gap-ns", required_argument, NULL, 'g' },
		{ "no-floor", no_argument, NULL, 'n' },
		{ "anomalies", no_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct bench_options options = { .gap_ns = GAP_LINE_RATE_NS, .floor = true };
	const char *list = "10k,100k,1M,10M", *rest;
	int c;

	while ((c = getopt_long(argc, argv, "h", table, NULL)) != -1) {
		switch (c) {
		case 'c':
			list = optarg;
			break;
		case 'p':
			options.packets = number_parse(optarg, &rest);
			break;
		case 'r':
			options.rounds = (unsigned)number_parse(optarg, &rest);
			if (!options.rounds || options.rounds > BENCH_ROUNDS_MAX)
				usage_die("--rounds must be from 1 to 31, not", optarg);
			break;
		case 'g':
			options.gap_ns = number_parse(optarg, &rest);
			break;
		case 'n':
			options.floor = false;
			break;
		case 'a':
			options.anomalies = true;
			break;
		case 'j':
			options.json_only = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 1;
		}
	}
	if (optind != argc)
		usage_die("does not take", argv[optind]);
	return bench_list(options, list);
}
