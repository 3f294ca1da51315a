/*
 * pcapng (draft-ietf-opsawg-pcapng), as a variant of struct pcap_reader.
 *
 * Ours and not libpcap's because libpcap gives up at the second interface that differs from the first in link type or
 * snapshot length, and copies each packet. Blocks are parsed in place:
 *
 *   | type 4 | total length 4 | body, padded to 4 | total length 4 |       in the byte order of the section
 */
#ifndef FLOWLANE_PCAPNG_H
#define FLOWLANE_PCAPNG_H

#include "pcap_reader.h"

#define PCAPNG_SECTION         0x0a0d0d0au /* the same in both byte orders */
#define PCAPNG_BYTE_ORDER      0x1a2b3c4du
#define PCAPNG_INTERFACE       1u
#define PCAPNG_OBSOLETE_PACKET 2u
#define PCAPNG_SIMPLE_PACKET   3u
#define PCAPNG_ENHANCED_PACKET 6u

#define PCAPNG_BLOCK_MIN 12u
/* The longest block that is held whole: the greatest packet, and 128 KiB of options. Longer ones that are no packets are skipped. */
#define PCAPNG_BLOCK_MAX ((size_t)PCAP_READER_CAP_LEN_MAX + (128u << 10))

struct pcapng_interface {
	uint64_t multiplier; /* ns per tick; 0: see resolution */
	uint64_t offset_ns;  /* if_tsoffset; may wrap below 0 */
	uint32_t snaplen;
	uint16_t link;
	uint8_t resolution; /* if_tsresol: 10^-n, or with the high bit 2^-n */
	bool usable;        /* its packets have a link type that was announced in reader->link */
};

struct pcapng {
	bool swapped;                        /* the section at hand */
	uint64_t skip;                       /* bytes of a long block that are still to be read past */
	struct pcapng_interface *interfaces; /* of the section at hand */
	uint32_t interface_count;
	uint32_t interface_room;
};

/* A packet block, in place. */
struct pcapng_packet {
	const uint8_t *data;
	uint64_t ticks;
	uint32_t interface;
	uint32_t cap_len;
	uint32_t wire_len;
	bool simple; /* has no time; cap_len is all that the block holds, and may have to be cut to the interface's snaplen */
};

/* pcapng_take.c */
unsigned pcapng_take(struct pcap_reader *reader, struct frame *frames, unsigned n);
/* True: these `bytes`, a whole block, are a packet, which lies within them. False: another block, or broken. */
bool pcapng_packet_parse(const uint8_t *block, uint32_t bytes, bool swapped, struct pcapng_packet *packet);

/* pcapng_reader.c: as pcap_reader_open(), _refill(), _close(), whose part they are. */
int pcapng_open(struct pcap_reader *reader);
int pcapng_refill(struct pcap_reader *reader);
void pcapng_close(struct pcap_reader *reader); /* accepts a reader of any variant */
/* How many bytes must be there to go on; 0: broken, and reader->state says how. */
size_t pcapng_block_bytes(struct pcap_reader *reader);

#endif
