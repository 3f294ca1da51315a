#include "merge.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "flowlane/pcap_format.h"
#include "log.h"
#include "merge_window.h"
#include "options.h"
#include "outfile.h"
#include "pcap_source.h"

#define NS_PER_SECOND UINT64_C(1000000000)

/* 65,536 packets: the chunks that eight lanes interleave in one pcap of 64-byte packets fit, and it is only 100 MB of full-size ones. */
#define WINDOW_PACKETS     65536u
#define WINDOW_PACKETS_MAX 16777216u
#define WINDOW_BYTES       ((uint64_t)256 << 20)

struct merge {
	/* as asked for */
	const char *out;
	char **in;
	unsigned in_count;
	bool force;
	unsigned precision; /* 6 or 9 digits; 0: as the inputs */
	uint32_t window_packets;

	struct source *source;
	struct outfile *file;
	struct merge_window *window;
	uint8_t *chunk;
	size_t chunk_used;
	uint64_t fraction_ns; /* 1 or 1000 */
	uint64_t last_ns;     /* of the packet written last */
	uint64_t packets;     /* written */
	uint64_t late;        /* of them, out of order */
	uint64_t beyond;      /* of them, later than the format's 32-bit seconds */
};

static volatile sig_atomic_t merge_stopped;

static void merge_stop(int number)
{
	(void)number;
	merge_stopped = 1;
}

/* A pipe that its reader closed is an error of the write; the first SIGINT cleans up, the second kills. */
static void signals_set(void)
{
	struct sigaction stop = { .sa_handler = merge_stop, .sa_flags = (int)SA_RESETHAND };

	merge_stopped = 0;
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void print_help(void)
{
	printf("Usage: flowlane merge [OPTIONS] OUT IN...\n"
	       "\n"
	       "Writes the packets of several captures (pcap, pcapng, either gzip'ed) to one pcap file, in the order of time.\n"
	       "OUT or one IN may be \"-\": standard output, standard input. All must have the same link type.\n"
	       "\n"
	       "  -f, --force              overwrite OUT if it exists\n"
	       "      --precision us|ns    digits of the time stamps (default: ns if any IN has them)\n"
	       "      --window PACKETS     hold back so many to put an IN in order that is not (default %u, at most %u)\n"
	       "  -h, --help               this text\n"
	       "\n"
	       "Exit code: 0; 1: wrong usage; 2: an input or output failed, or an input was cut off (the rest is written).\n",
		WINDOW_PACKETS, WINDOW_PACKETS_MAX);
}

static int usage(const char *text, const char *what)
{
	log_error("merge: %s%s; see flowlane merge --help", text, what);
	return EXIT_USAGE;
}

static int window_parse(struct merge *merge, const char *text)
{
	char *end;

	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value == 0 || value > WINDOW_PACKETS_MAX) {
		log_error("merge: --window is \"%s\", and must be a number from 1 to %u", text, WINDOW_PACKETS_MAX);
		return EXIT_USAGE;
	}
	merge->window_packets = (uint32_t)value;
	return 0;
}

static int precision_parse(struct merge *merge, const char *text)
{
	if (strcmp(text, "us") != 0 && strcmp(text, "ns") != 0) {
		log_error("merge: --precision is \"%s\", and must be us or ns", text);
		return EXIT_USAGE;
	}
	merge->precision = text[0] == 'n' ? 9 : 6;
	return 0;
}

/* Fills what was asked for. 0, or the exit code; *done: that was all (--help). */
static int options_take(struct merge *merge, int argc, char **argv, bool *done)
{
	static const struct option known[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ "precision", required_argument, NULL, 'p' },
		{ "window", required_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	int status = 0, option;

	optind = 0; /* GNU: start afresh */
	opterr = 0;
	while (!status && (option = getopt_long(argc, argv, ":fh", known, NULL)) != -1) {
		if (option == 'h') {
			print_help();
			*done = true;
			return 0;
		}
		if (option == 'f')
			merge->force = true;
		else if (option == 'p')
			status = precision_parse(merge, optarg);
		else if (option == 'w')
			status = window_parse(merge, optarg);
		else
			status = usage(option == ':' ? "an argument is missing behind " : "unknown option ", argv[optind - 1]);
	}
	if (status)
		return status;
	if (argc - optind < 2)
		return usage(
			argc == optind ? "OUT and IN are missing" : "no IN is named for OUT ", argc == optind ? "" : argv[optind]);
	merge->out = argv[optind];
	merge->in = argv + optind + 1;
	merge->in_count = (unsigned)(argc - optind - 1);
	return 0;
}

/* Nothing that is read, and nothing that exists, may be overwritten by mistake. 0, or the exit code. */
static int out_check(const struct merge *merge)
{
	static const char *const suffixes[] = { "", ".part" };
	struct stat out, in;
	char path[PATH_MAX];

	if (strcmp(merge->out, "-") == 0)
		return isatty(STDOUT_FILENO) ? usage("standard output is a terminal: redirect it to a file or a pipe", "") : 0;
	for (unsigned s = 0; s < 2; s++) {
		snprintf(path, sizeof(path), "%s%s", merge->out, suffixes[s]);
		if (stat(path, &out) < 0 || !S_ISREG(out.st_mode))
			continue;
		for (unsigned i = 0; i < merge->in_count; i++)
			if (stat(merge->in[i], &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino) {
				log_error("merge: %s would be overwritten while it is read; choose another OUT", merge->in[i]);
				return EXIT_USAGE;
			}
	}
	if (!merge->force && stat(merge->out, &out) == 0 && S_ISREG(out.st_mode)) {
		log_error("merge: %s exists; use --force to overwrite it", merge->out);
		return EXIT_USAGE;
	}
	return 0;
}

/* A classic pcap file has one link type for all packets. */
static int link_check(const struct merge *merge)
{
	int first, other;
	unsigned i = 1;

	if (merge->source->info.link >= 0)
		return 0;
	for (unsigned file = 0; file < merge->in_count; file++)
		if (pcap_source_link(merge->source, file) < 0) {
			log_error(
				"merge: one pcap file cannot hold two link types, and %s has packets of several", merge->in[file]);
			return EXIT_USAGE;
		}
	first = pcap_source_link(merge->source, 0);
	while (i + 1 < merge->in_count && pcap_source_link(merge->source, i) == first)
		i++;
	other = pcap_source_link(merge->source, i);
	log_error("merge: one pcap file cannot hold two link types: %s has %s (%d), %s has %s (%d)", merge->in[0],
		pcap_link_name(first), first, merge->in[i], pcap_link_name(other), other);
	return EXIT_USAGE;
}

static void chunk_flush(struct merge *merge)
{
	outfile_append(merge->file, merge->chunk, merge->chunk_used); /* the first error sticks, and ends the loop */
	merge->chunk_used = 0;
}

static void chunk_put(struct merge *merge, const void *data, size_t bytes)
{
	memcpy(merge->chunk + merge->chunk_used, data, bytes);
	merge->chunk_used += bytes;
}

static void header_write(struct merge *merge)
{
	const struct source_info *info = &merge->source->info;
	struct pcap_file_header header = {
		.magic = merge->fraction_ns == 1 ? PCAP_MAGIC_NS : PCAP_MAGIC_US,
		.version_major = PCAP_VERSION_MAJOR_CURRENT,
		.version_minor = PCAP_VERSION_MINOR_CURRENT,
		.snaplen = info->snaplen,
		.network = (uint32_t)info->link,
	};

	chunk_put(merge, &header, sizeof(header));
}

static void packet_write(struct merge *merge, struct merge_packet *packet)
{
	uint64_t seconds = packet->ts_ns / NS_PER_SECOND;
	struct pcap_record_header header = {
		.seconds = seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds,
		.fraction = (uint32_t)(packet->ts_ns % NS_PER_SECOND / merge->fraction_ns),
		.cap_len = packet->cap_len,
		.wire_len = packet->wire_len,
	};

	_Static_assert(OUTFILE_CHUNK > sizeof(header) + PCAP_CAP_LEN_MAX, "any packet fits an empty chunk");
	if (merge->chunk_used + sizeof(header) + packet->cap_len > OUTFILE_CHUNK)
		chunk_flush(merge);
	chunk_put(merge, &header, sizeof(header));
	chunk_put(merge, packet->data, packet->cap_len);
	merge->packets++;
	merge->beyond += seconds > UINT32_MAX;
	if (packet->ts_ns < merge->last_ns)
		merge->late++;
	else
		merge->last_ns = packet->ts_ns;
	free(packet);
}

/* All packets through the window. 0 or a negative errno of the source (logged). */
static int packets_merge(struct merge *merge)
{
	struct source *source = merge->source;
	struct frame frames[FLOWLANE_BATCH];
	struct merge_packet *packet;
	int n = 0, error = 0;

	while (!error && !merge_stopped && !outfile_error(merge->file) &&
		(n = source->ops->rx_batch(source, frames, FLOWLANE_BATCH)) >= 0) {
		for (int i = 0; i < n && !error; i++) {
			error = merge_window_put(merge->window, &frames[i]);
			while (merge_window_full(merge->window))
				packet_write(merge, merge_window_take(merge->window));
		}
		source->ops->release(source, frames, (unsigned)n);
	}
	if (error)
		log_error("merge: out of memory for a window of %u packets; use a smaller --window", merge->window_packets);
	else if (!merge_stopped && !outfile_error(merge->file) && n != SOURCE_END)
		error = n;
	while (!merge_stopped && (packet = merge_window_take(merge->window)))
		packet_write(merge, packet);
	chunk_flush(merge);
	return error;
}

static void warnings_say(const struct merge *merge)
{
	if (merge->late)
		log_warning("merge: %" PRIu64 " packets came more than %u packets (or %" PRIu64
			    " MiB) late; they are written, but not in "
			    "order; a larger --window can help",
			merge->late, merge->window_packets, WINDOW_BYTES >> 20);
	if (merge->beyond)
		log_warning("merge: %" PRIu64
			    " packets have a time after the year 2106, which pcap cannot hold; they have its last second",
			merge->beyond);
}

static int merge_open(struct merge *merge)
{
	int error = pcap_source_open(merge->in, merge->in_count, &merge->source);

	if (error)
		return error == -EINVAL ? EXIT_USAGE : EXIT_RUNTIME;
	if (link_check(merge))
		return EXIT_USAGE;
	merge->fraction_ns = (merge->precision ? merge->precision == 9 : merge->source->info.nanoseconds) ? 1 : 1000;
	merge->chunk = malloc(OUTFILE_CHUNK);
	merge->window = merge_window_new(merge->window_packets, WINDOW_BYTES);
	if (!merge->chunk || !merge->window) {
		log_error("merge: out of memory for a window of %u packets; use a smaller --window", merge->window_packets);
		return EXIT_RUNTIME;
	}
	return outfile_open("merge", merge->out, OUTFILE_PART, &merge->file) ? EXIT_RUNTIME : 0;
}

/* Everything that could be read is kept, unless the user broke off: half of it under the full name would mislead. */
static int merge_finish(struct merge *merge, int error)
{
	struct source_stats stats;
	struct outfile *file = merge->file;

	merge->file = NULL;
	if (merge_stopped) {
		log_error("merge: interrupted; %s is not written", merge->out);
		outfile_abort(file);
		return EXIT_RUNTIME;
	}
	if (outfile_commit(file, NULL, 0))
		return EXIT_RUNTIME;
	warnings_say(merge);
	log_info("merge: %" PRIu64 " packets from %u %s written", merge->packets, merge->in_count,
		merge->in_count == 1 ? "file" : "files");
	merge->source->ops->stats(merge->source, &stats);
	return error || stats.truncated ? EXIT_RUNTIME : 0;
}

int merge_run(int argc, char **argv)
{
	struct merge merge = { .window_packets = WINDOW_PACKETS };
	bool done = false;
	int status = options_take(&merge, argc, argv, &done);

	if (status || done)
		return status;
	status = out_check(&merge);
	if (status)
		return status;
	signals_set();
	status = merge_open(&merge);
	if (!status) {
		header_write(&merge);
		status = merge_finish(&merge, packets_merge(&merge));
	}
	outfile_abort(merge.file);
	merge_window_free(merge.window);
	free(merge.chunk);
	if (merge.source)
		merge.source->ops->close(merge.source);
	return status;
}
