/*
 * Capture files as a source: one, or several read together in time order. See flowlane/source.h for the calls.
 *
 * Frames of classic pcap point into the block that was read, and are valid until the next rx_batch(); so a batch ends, short,
 * where a block ends. Several files are merged by the time of their next packets, ties in the order of the files; a file that
 * is itself not in order is passed on as it is. A file that is cut off ends there, with a warning, and the others go on; so
 * they do after a damaged one, whose error is then the last word instead of SOURCE_END.
 */
#ifndef FLOWLANE_PCAP_SOURCE_H
#define FLOWLANE_PCAP_SOURCE_H

#include "flowlane/source.h"

/*
 * Opens 1..N captures: pcap, pcapng, old variants of pcap, any of them gzip'ed; "-" (at most once) is standard input. 0, or a
 * negative errno, logged as a sentence with the name of the file. For the thread that will read, or before it starts.
 *
 * info.link is LINK_RAW for the types 12 and 14, too. It is -1 if the files differ, or if a pcapng file describes interfaces of
 * several types within its first 256 KiB (types that flowlane does not decode may be among them; one that turns up only later
 * is an error at its first packet). info.snaplen is the greatest in the file headers (0 there counts as 262144); packets may
 * be longer all the same.
 */
int pcap_source_open(char *const *files, unsigned count, struct source **source);

/*
 * The same for who reads ahead: the frames of a call of rx_batch() are valid until `buffers` calls later. (All captures give more
 * than FLOWLANE_BATCH frames at once if they are asked to.)
 */
int pcap_source_open_ahead(char *const *files, unsigned count, unsigned buffers, struct source **source);

/* The link type of the file with this index (enum link_type; -1: it has several): for messages when info.link is -1. */
int pcap_source_link(const struct source *source, unsigned file);
/* "EN10MB" for 1, as libpcap names it; "unknown". */
const char *pcap_link_name(int link);

#endif
