/*
 * The capture files of a run: one that all lanes append to, or one per lane; each may be a row of files that rotate. Set up and
 * closed by the control thread; the files are written, begun and removed by the writer's thread (base/chunk_writer.h).
 */
#ifndef FLOWLANE_PCAP_OUTPUT_H
#define FLOWLANE_PCAP_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chunk_writer.h"
#include "flowlane/sink.h"

/* What a lane needs to make records, and where they go. */
struct pcap_lane {
	uint32_t snaplen; /* bytes of a packet at most */
	bool nanoseconds;
	struct chunk_stream *stream;
	struct chunk_pool *pool;
};

int pcap_output_open(const struct config *config, const struct source_info *info, struct output **output);
/* 0 or a negative errno, logged. */
int pcap_output_attach(struct output *output, unsigned lane, struct pcap_lane *made);
int pcap_output_start(struct output *output);
/* Any thread: packets that a lane had no chunk for, and those that it did not try to write after an error. */
void pcap_output_lost(struct output *output, uint64_t no_chunk, uint64_t refused);
void pcap_output_reopen(struct output *output);
unsigned pcap_output_so_far(const struct output *output, struct output_report *reports); /* as sink_ops.so_far */
unsigned pcap_output_close(struct output *output, struct output_report *reports);

#endif
