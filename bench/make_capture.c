/* Makes captures: one for the demo, with known contents, and large ones for the benchmarks. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo.h"
#include "load.h"
#include "traffic.h"

#define LOAD_START_NS ((uint64_t)1700000000 * 1000000000)
#define LOAD_GAP_NS   1000 /* a microsecond: times of a classic pcap strictly increase */

static const char usage[] = "Usage: make_capture --demo FILE\n"
			    "       make_capture --flows N --packets M [--size BYTES] [--seed S] FILE\n"
			    "\n"
			    "  --demo       a small capture with a little of everything, always the same\n"
			    "  --flows N    N bidirectional flows, all alive at once, 70 % TCP (handshake, data, ACKs), 30 % UDP\n"
			    "  --packets M  M packets in all, of random flows; at least three for each flow\n"
			    "  --size BYTES frame size with FCS, 64 to 1518 (default 64: 60 bytes in the capture)\n"
			    "  --seed S     other addresses and another order (default 1)\n";

static void usage_die(const char *message)
{
	fprintf(stderr, "make_capture: %s\n%s", message, usage);
	exit(1);
}

static uint64_t number_parse(const char *option, const char *text)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-') {
		fprintf(stderr, "make_capture: --%s wants a number, not '%s'\n", option, text);
		exit(1);
	}
	return value;
}

static void load_write(const struct load_options *options, const char *path)
{
	struct load *load = load_create(options);
	struct pcap_writer *writer = pcap_writer_open(path, false, 65535);
	uint8_t frame[LOAD_FRAME_MAX];

	for (uint64_t i = 0; i < options->packets; i++) {
		uint32_t len = load_next(load, frame);
		pcap_writer_add(writer, LOAD_START_NS + i * LOAD_GAP_NS, frame, len, len);
	}
	pcap_writer_close(writer);
	printf("%s: %llu packets, %llu flows (%llu TCP)\n", path, (unsigned long long)options->packets,
		(unsigned long long)options->flows, (unsigned long long)load_tcp_flows(load));
	load_free(load);
}

static void demo_write(const char *path)
{
	struct capture *capture = demo_make();

	capture_write(capture, path, false);
	printf("%s: %zu packets\n", path, capture_packets(capture));
	capture_free(capture);
}

int main(int argc, char **argv)
{
	static const struct option table[] = {
		{ "demo", no_argument, NULL, 'd' },
		{ "flows", required_argument, NULL, 'f' },
		{ "packets", required_argument, NULL, 'p' },
		{ "size", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct load_options options = { .frame_size = LOAD_FRAME_MIN, .seed = 1, .order = LOAD_MIXED };
	bool demo = false;
	int c, index = 0;

	while ((c = getopt_long(argc, argv, "h", table, &index)) != -1) {
		switch (c) {
		case 'd':
			demo = true;
			break;
		case 'f':
			options.flows = number_parse("flows", optarg);
			break;
		case 'p':
			options.packets = number_parse("packets", optarg);
			break;
		case 's':
			options.frame_size = (uint32_t)number_parse("size", optarg);
			break;
		case 'S':
			options.seed = number_parse("seed", optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 1;
		}
	}
	if (optind + 1 != argc)
		usage_die("give one output file");
	if (demo == (options.flows != 0))
		usage_die("give either --demo, or --flows and --packets");
	if (demo)
		demo_write(argv[optind]);
	else
		load_write(&options, argv[optind]);
	return 0;
}
