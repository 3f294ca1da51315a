/* A capture in memory, for the replayer. Ends the program with a sentence where it cannot be read. */
#ifndef REPLAY_FILE_H
#define REPLAY_FILE_H

#include <stddef.h>
#include <stdint.h>

struct replay_frame {
	const uint8_t *data;
	uint64_t ts_ns;
	uint32_t len;  /* as captured */
	uint32_t hash; /* the same for both directions between two IP addresses; 0: not IP */
};

struct replay_file {
	struct replay_frame *frames;
	size_t count;
	size_t cut; /* were longer on the wire than in the file */
	uint8_t *bytes;
};

/* pcap or pcapng of Ethernet, also gzip'ed ones if libpcap reads these. */
void replay_file_read(struct replay_file *file, const char *path);
void replay_file_free(struct replay_file *file);

#endif
