/*
 * The capture file that all lanes append to, or the row of them when it rotates. Set up and closed by the control thread;
 * append from any lane.
 */
#ifndef FLOWLANE_PCAP_OUTPUT_H
#define FLOWLANE_PCAP_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flowlane/sink.h"

/* What a lane needs to make records. */
struct pcap_shape {
	uint32_t snaplen; /* bytes of a packet at most */
	uint16_t link;
	bool nanoseconds;
	bool live; /* do not let packets sit in a chunk */
};

int pcap_output_open(const struct config *config, const struct source_info *info, struct output **output);
const struct pcap_shape *pcap_output_shape(const struct output *output);
/* Appends whole records; may begin new files between them. Errors are logged once, and counted. */
void pcap_output_append(struct output *output, const uint8_t *chunk, size_t bytes, uint64_t records);
void pcap_output_reopen(struct output *output);
unsigned pcap_output_close(struct output *output, struct output_report *reports);

#endif
