/* The inside of the pcap source: shared by pcap_source.c (set up, tear down) and pcap_merge.c (the packet path). */
#ifndef FLOWLANE_PCAP_MERGE_H
#define FLOWLANE_PCAP_MERGE_H

#include "flowlane/source.h"
#include "pcap_reader.h"

/* One file among several: some frames taken ahead, out of the block at hand. */
struct pcap_input {
	struct pcap_reader reader;
	struct frame ahead[FLOWLANE_BATCH];
	unsigned next;
	unsigned count;
};

struct pcap_source {
	struct source source;
	uint64_t frames; /* written by the reading thread, read by any */
	int failed;      /* the first error of a file; said when all are at their end */
	unsigned count;

	/* Those with frames ahead, as a heap: the earliest first, ties by the order of the files. */
	unsigned heap_size;
	struct pcap_input **heap;
	/* Those whose block is used up: refilled at the start of a batch, never within one. */
	unsigned empty_size;
	struct pcap_input **empty;

	struct pcap_input inputs[]; /* in the order of the files */
};

int pcap_merge_rx_one(struct source *source, struct frame *frames, unsigned n);  /* for one file */
int pcap_merge_rx_many(struct source *source, struct frame *frames, unsigned n); /* for any number */

#endif
