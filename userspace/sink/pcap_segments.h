/*
 * The files of a rotating capture: <stem>.<NNNNNN>.<ext>, numbered upwards over all runs. Files of earlier runs are adopted: they
 * count, and the oldest go first. One owner, no locking.
 */
#ifndef FLOWLANE_PCAP_SEGMENTS_H
#define FLOWLANE_PCAP_SEGMENTS_H

#include <stddef.h>
#include <stdint.h>

struct pcap_segments;

/* Told of each file that was removed. */
typedef void pcap_removed_fn(void *owner, const char *path);

/* For "dir/capture.pcap": looks for dir/capture.NNNNNN.pcap. max_files 0: nothing is ever removed. `removed` may be NULL. 0, or a negative errno,
 * logged. */
int pcap_segments_open(
	const char *path, uint32_t max_files, pcap_removed_fn *removed, void *owner, struct pcap_segments **segments);
/* Makes room for one more file (removes the oldest while there are max_files) and gives its name, valid until the next call.
 * NULL: no memory, logged. */
const char *pcap_segments_next(struct pcap_segments *segments);
/* What this run made: "dir/capture.000001-000003.pcap", or the one name; before the first segment the name to come. */
void pcap_segments_describe(const struct pcap_segments *segments, char *text, size_t bytes);
unsigned pcap_segments_made(const struct pcap_segments *segments);
void pcap_segments_close(struct pcap_segments *segments); /* accepts NULL; removes nothing */

#endif
