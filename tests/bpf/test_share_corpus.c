/*
 * Which lane of several on one queue the packets of a flow come to, on other people's captures: a flow, as the sensor's decoder
 * sees it, must not be parted. The parser and the hash of the XDP program, compiled for the host; needs no root, but the corpus.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "../../bpf/parse.bpf.h"
#include "decode.h"

#define SKIPPED     77
#define PACKETS_MAX (1 << 20)
#define WAYS        3 /* of enum xdp_share */

/* One packet of a flow. */
struct entry {
	uint64_t flow; /* hash of its key */
	uint32_t file;
	uint32_t hash[WAYS];
	bool fragment, tunnel;
};

struct parted {
	unsigned flows, plain, fragments, tunnels;
};

static struct entry *entries;
static unsigned entries_count, files_count;

static void add_packet(const struct frame *frame, const struct packet *packet)
{
	struct entry *entry = &entries[entries_count];
	struct parse parse;

	if (packet->verdict != VERDICT_FLOW || entries_count == PACKETS_MAX)
		return;
	parse_frame(&parse, frame->data, frame->data + frame->cap_len);
	*entry = (struct entry){ .flow = packet->hash,
		.file = files_count,
		.fragment = packet->flags & PACKET_FRAGMENT,
		.tunnel = packet->flags & PACKET_TUNNELLED };
	for (uint32_t by = 0; by < WAYS; by++)
		entry->hash[by] = parse_hash(&parse, by, 0x5eed);
	entries_count++;
}

static int add_file(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	struct decoder_options options = { .seed = HASH_SEED_FIXED };
	char message[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	struct decoder *decoder;
	const u_char *data;

	(void)status;
	(void)ftw;
	pcap_t *pcap = type == FTW_F ? pcap_open_offline(path, message) : NULL;
	if (!pcap)
		return 0;
	if (pcap_datalink(pcap) == DLT_EN10MB && decoder_create(&options, &decoder) == 0) {
		while (pcap_next_ex(pcap, &header, &data) == 1) {
			struct frame frame = { .data = data,
				.ts_ns = (uint64_t)header->ts.tv_sec * 1000000000 + (uint64_t)header->ts.tv_usec * 1000,
				.cap_len = header->caplen,
				.wire_len = header->len,
				.link = LINK_ETHERNET };
			struct packet packet;

			decode_batch(decoder, &frame, &packet, 1);
			add_packet(&frame, &packet);
		}
		decoder_destroy(decoder);
		files_count++;
	}
	pcap_close(pcap);
	return 0;
}

static int entry_compare(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;

	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	return a->flow == b->flow ? 0 : a->flow < b->flow ? -1 : 1;
}

static struct parted count_parted(uint32_t by)
{
	struct parted parted = { 0 };
	unsigned end;

	for (unsigned begin = 0; begin < entries_count; begin = end) {
		bool differs = false, fragment = false, tunnel = false;

		for (end = begin; end < entries_count && entry_compare(&entries[begin], &entries[end]) == 0; end++) {
			differs |= entries[end].hash[by] != entries[begin].hash[by];
			fragment |= entries[end].fragment;
			tunnel |= entries[end].tunnel;
		}
		parted.flows++;
		parted.tunnels += differs && tunnel;
		parted.fragments += differs && fragment && !tunnel;
		parted.plain += differs && !fragment && !tunnel;
	}
	return parted;
}

static void flow__when_shared_out_in_any_way__then_parted_only_by_fragments_and_tunnels(void **context)
{
	static const char *const NAMES[WAYS] = { "addresses and TCP ports", "addresses and ports", "addresses" };

	(void)context;
	for (uint32_t by = 0; by < WAYS; by++) {
		struct parted parted = count_parted(by);

		print_message("%u packets, %u flows of %u captures, by %s: parted %u with fragments, %u in tunnels, %u others\n",
			entries_count, parted.flows, files_count, NAMES[by], parted.fragments, parted.tunnels, parted.plain);
		assert_int_equal(parted.plain, 0);
		/* fragments have no ports: where ports take part, a few flows that are fragmented at times are known to part */
		assert_true(parted.fragments <= (by == XDP_SHARE_ADDRESSES ? 0 : parted.flows / 500));
		/* both directions in one tunnel: only tunnels whose own ends change */
		assert_true(parted.tunnels <= parted.flows / 500);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(flow__when_shared_out_in_any_way__then_parted_only_by_fragments_and_tunnels),
	};
	const char *folder = getenv("FLOWLANE_CORPUS");
	struct stat status;

	if (!folder || !*folder)
		folder = FLOWLANE_CORPUS_DEFAULT;
	if (stat(folder, &status)) {
		printf("SKIPPED: no captures at %s; FLOWLANE_CORPUS can name another folder\n", folder);
		return SKIPPED;
	}
	entries = calloc(PACKETS_MAX, sizeof(*entries));
	if (!entries || nftw(folder, add_file, 16, FTW_PHYS))
		return EXIT_FAILURE;
	if (!entries_count) {
		printf("SKIPPED: no Ethernet captures below %s\n", folder);
		return SKIPPED;
	}
	qsort(entries, entries_count, sizeof(*entries), entry_compare);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(entries);
	return failed;
}
