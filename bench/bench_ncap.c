/*
 * What audit records cost: the output gets frames as a lane gives them, and writes to a directory (a tmpfs: then no disk is measured).
 * The frames are TCP segments with timestamps, data and ACKs, of random flows, over Ethernet and IPv4, and the like.
 *
 *   bench_ncap DIR [PACKETS] [FLOWS] [TYPES]      a JSON line for each set of types, with and without gzip; the best of three runs
 *   bench_ncap --records FILE...                  a JSON line for each type of record in these captures: what making one costs, alone
 *
 * `walk` is what finds the layers and writes nothing, so that a type's own cost is the difference to it.
 */
#include <dirent.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit_record.h"
#include "clock.h"
#include "flowlane/sink.h"
#include "ncap_walk.h"
#include "traffic.h"

#define RUNS       3
#define SLOT_BYTES 256

extern const struct sink_ops sink_ncap;

struct store {
	uint8_t *bytes; /* SLOT_BYTES for each frame */
	uint32_t *lengths;
	uint64_t packets;
};

static struct endpoint flow_end(uint64_t flow, bool server)
{
	struct endpoint end = { .version = 4, .port = server ? 443 : (uint16_t)(1024 + flow % 60000) };

	end.ip[0] = server ? 198 : 10;
	end.ip[1] = server ? 51 : (uint8_t)(flow >> 16);
	end.ip[2] = (uint8_t)(flow >> 8);
	end.ip[3] = (uint8_t)flow;
	return end;
}

/* NOP, NOP, timestamps: what nearly every segment carries. */
static void store_fill(struct store *store, uint64_t packets, uint64_t flows)
{
	uint64_t random = 1;
	struct frame_builder builder;

	store->packets = packets;
	store->bytes = malloc(packets * SLOT_BYTES);
	store->lengths = malloc(packets * sizeof(*store->lengths));
	if (!store->bytes || !store->lengths)
		traffic_die("no memory for %llu frames", (unsigned long long)packets);
	for (uint64_t i = 0; i < packets; i++) {
		uint64_t flow = random_below(&random, (uint32_t)flows);
		bool server = random_next(&random) & 1;
		struct endpoint src = flow_end(flow, server), dst = flow_end(flow, !server);
		struct tcp_header tcp = { .seq = (uint32_t)random_next(&random),
			.ack = (uint32_t)random_next(&random),
			.flags = 0x10,
			.window = 502,
			.options = { 1, 1, 8, 10 },
			.options_len = 12 };
		for (unsigned k = 4; k < 12; k++)
			tcp.options[k] = (uint8_t)random_next(&random);
		frame_start(&builder, NULL, i % 3 ? 64 : 0);
		frame_push_tcp(&builder, &src, &dst, &tcp);
		frame_push_ip(&builder, &src, &dst, TRAFFIC_TCP, (uint32_t)i, NULL);
		frame_push_type(&builder, ETHERTYPE_IPV4);
		frame_push_ethernet(&builder, &src, &dst);
		store->lengths[i] = frame_len(&builder);
		memcpy(store->bytes + i * SLOT_BYTES, frame_bytes(&builder), frame_len(&builder));
	}
}

static unsigned store_batch(const struct store *store, uint64_t first, struct frame *frames)
{
	unsigned n = 0;

	for (; n < FLOWLANE_BATCH && first + n < store->packets; n++)
		frames[n] = (struct frame){ .data = store->bytes + (first + n) * SLOT_BYTES,
			.ts_ns = (uint64_t)1700000000 * 1000000000 + (first + n) * 700,
			.cap_len = store->lengths[first + n],
			.wire_len = store->lengths[first + n],
			.link = LINK_ETHERNET };
	return n;
}

static void directory_empty(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	char name[1024];

	while (directory && (entry = readdir(directory)) != NULL) {
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		unlink(name);
	}
	if (directory)
		closedir(directory);
}

static double run_walk(const struct store *store)
{
	struct ncap_walker *walker;
	static struct ncap_walk walk;
	struct frame frames[FLOWLANE_BATCH];
	uint64_t layers = 0, start_ns;

	if (ncap_walker_create(false, &walker))
		traffic_die("no memory");
	start_ns = clock_monotonic_ns();
	for (uint64_t at = 0; at < store->packets;) {
		unsigned n = store_batch(store, at, frames);
		for (unsigned i = 0; i < n; i++) {
			ncap_walk_frame(walker, &frames[i], &walk);
			layers += walk.layers_count;
		}
		at += n;
	}
	uint64_t ns = clock_monotonic_ns() - start_ns;
	ncap_walker_destroy(walker);
	if (layers != 3 * store->packets)
		traffic_die("the walk found %llu layers", (unsigned long long)layers);
	return (double)ns / (double)store->packets;
}

/* Lane time: with all chunks written, as the lane writes them itself. */
static double run_sink(const struct store *store, const struct config *config, struct output_report *report)
{
	struct source_info info = { .link = LINK_ETHERNET };
	struct frame frames[FLOWLANE_BATCH];
	struct output *output;
	struct sink *sink;

	directory_empty(config->ncap);
	if (sink_ncap.open(config, &info, &output) || sink_ncap.attach(output, 0, &sink))
		exit(2);
	uint64_t start_ns = clock_monotonic_ns();
	for (uint64_t at = 0; at < store->packets;) {
		unsigned n = store_batch(store, at, frames);
		sink_ncap.frames(sink, frames, n);
		at += n;
	}
	sink_ncap.detach(sink);
	uint64_t ns = clock_monotonic_ns() - start_ns;
	sink_ncap.close(output, report);
	if (report->error)
		exit(2);
	return (double)ns / (double)store->packets;
}

static void bench(const struct store *store, const char *directory, const char *types, bool gzip)
{
	struct config config = { .ncap = (char *)directory,
		.ncap_include = (char *)types,
		.ncap_compress = gzip ? NCAP_GZIP : NCAP_PLAIN,
		.max_flows = 1 << 22 };
	struct output_report report;
	double best = 1e9;

	for (unsigned i = 0; i < RUNS; i++) {
		double ns = run_sink(store, &config, &report);
		best = ns < best ? ns : best;
	}
	printf("{\"types\":\"%s\",\"compress\":\"%s\",\"ns_per_packet\":%.1f,\"mpps\":%.2f,\"records\":%llu,\"bytes_per_packet\":%."
	       "1f}\n",
		types, gzip ? "gzip" : "none", best, 1000 / best, (unsigned long long)report.records,
		(double)report.bytes / (double)store->packets);
	directory_empty(directory);
}

/* ---- one record of each type --------------------------------------------------------------------------------------- */

#define SAMPLES 256 /* of a type, over all files: not all of one capture's, and they fit the second-level cache */
#define ROUNDS  200

struct sample {
	struct ncap_walk walk;
	struct frame frame;
	unsigned layer;
};

struct samples {
	unsigned count;
	struct sample *sample;
};

static void samples_take(struct samples *samples, const struct ncap_walk *walk, unsigned layer)
{
	struct samples *mine = &samples[walk->layers[layer].type];

	if (mine->count == SAMPLES)
		return;
	if (!mine->sample)
		mine->sample = calloc(SAMPLES, sizeof(*mine->sample));
	if (!mine->sample)
		traffic_die("no memory");
	struct sample *sample = &mine->sample[mine->count++];
	sample->walk = *walk;
	sample->layer = layer;
	sample->frame = *walk->frame;
	sample->walk.frame = &sample->frame;
}

/* The frames stay in memory: walks point into them. */
static void samples_read(struct ncap_walker *walker, const char *path, struct samples *samples)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, error);
	struct pcap_pkthdr *header;
	static struct ncap_walk walk;
	const uint8_t *bytes;

	while (pcap && pcap_datalink(pcap) == DLT_EN10MB && pcap_next_ex(pcap, &header, &bytes) == 1) {
		uint8_t *copy = malloc(header->caplen + 1);
		if (!copy)
			traffic_die("no memory");
		memcpy(copy, bytes, header->caplen);
		struct frame frame = { .data = copy,
			.ts_ns = (uint64_t)header->ts.tv_sec * 1000000000,
			.cap_len = header->caplen,
			.wire_len = header->len,
			.link = LINK_ETHERNET };
		ncap_walk_frame(walker, &frame, &walk);
		for (unsigned i = 0; i < walk.layers_count; i++)
			samples_take(samples, &walk, i);
	}
	if (pcap)
		pcap_close(pcap);
}

/* The texts of addresses are made once per IP header, and count for its record. */
static void samples_bench(struct encoder *encoder, enum ncap_type type, struct samples *samples, uint8_t *out)
{
	bool is_ip = type == NCAP_IPV4 || type == NCAP_IPV6;
	uint64_t bytes = 0, records = 0, best_ns = UINT64_MAX;

	for (unsigned round = 0; round < ROUNDS; round++) {
		bytes = records = 0;
		uint64_t start_ns = clock_monotonic_ns();
		for (unsigned i = 0; i < samples->count; i++) {
			struct sample *sample = &samples->sample[i];
			const struct ncap_layer *layer = &sample->walk.layers[sample->layer];
			if (is_ip)
				sample->walk.ips[layer->ip].src_bytes = 0;
			encoder_begin(encoder, &sample->walk);
			uint8_t *end = encoder_layer(encoder, layer, out);
			bytes += end ? (uint64_t)(end - out) : 0;
			records += end != NULL;
		}
		uint64_t ns = clock_monotonic_ns() - start_ns;
		best_ns = round && ns < best_ns ? ns : best_ns;
	}
	if (records)
		printf("{\"type\":\"%s\",\"records\":%llu,\"ns_per_record\":%.0f,\"bytes_per_record\":%.0f}\n",
			ncap_types[type].name, (unsigned long long)records, (double)best_ns / (double)samples->count,
			(double)bytes / (double)records);
}

static int bench_records(int argc, char **argv)
{
	static struct samples samples[NCAP_TYPES];
	struct record_options options = { 0 };
	struct ncap_walker *walker;
	struct encoder *encoder;
	uint8_t *out = malloc(RECORD_MAX);

	if (!out || ncap_walker_create(false, &walker) || encoder_create(&options, &encoder))
		traffic_die("no memory");
	for (int i = 0; i < argc; i++)
		samples_read(walker, argv[i], samples);
	for (unsigned i = 0; i < NCAP_LAYERS; i++)
		samples_bench(encoder, (enum ncap_type)i, &samples[i], out);
	return 0; /* what was allocated is in use up to here */
}

int main(int argc, char **argv)
{
	static const char *const sets[] = { "Ethernet", "IPv4", "TCP", "Connection", "Ethernet,IPv4,TCP,Connection", "IPProfile",
		"DeviceProfile" };
	struct store store;

	if (argc < 2) {
		fprintf(stderr, "Usage: bench_ncap DIR [PACKETS] [FLOWS] [TYPES]\n       bench_ncap --records FILE...\n");
		return 1;
	}
	if (!strcmp(argv[1], "--records"))
		return bench_records(argc - 2, argv + 2);
	store_fill(&store, argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000, argc > 3 ? strtoull(argv[3], NULL, 10) : 10000);
	printf("{\"types\":\"walk\",\"ns_per_packet\":%.1f}\n", run_walk(&store));
	for (unsigned i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		const char *types = argc > 4 ? argv[4] : sets[i];
		bench(&store, argv[1], types, false);
		bench(&store, argv[1], types, true);
		if (argc > 4)
			break;
	}
	free(store.bytes);
	free(store.lengths);
	return 0;
}
