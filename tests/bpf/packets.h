/* The packets of all Ethernet captures of the corpus, and libpcap's own word on them. In a file of its own because libpcap and Linux
 * both have a struct bpf_insn. */
#ifndef PACKETS_H
#define PACKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/classic.h"

struct packet_bytes {
	const uint8_t *data;
	uint32_t bytes;
	uint32_t file;
};

struct packets_filter {
	const struct classic_insn *insns;
	unsigned count;
	void *program;
};

extern struct packet_bytes *packets;
extern unsigned packets_count, packets_files, packets_short, packets_every;

/* Exits with 77, SKIPPED, without a corpus. */
void packets_load(void);
void packets_unload(void);
const char *packets_name(uint32_t file);

void packets_compile(const char *expression, struct packets_filter *filter);
void packets_compile_free(struct packets_filter *filter);
bool packets_match(const struct packets_filter *filter, const struct packet_bytes *packet);

#endif
