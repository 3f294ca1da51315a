/*
 * Reads one capture file. Classic pcap and pcapng are parsed in place in large blocks (pcap_reader.c, pcapng_take.c: the packet
 * path; pcap_block.c, pcapng_reader.c: the rest); all else comes from libpcap, copied into a batch buffer (pcap_lib_reader.c).
 *
 *                      take                        refill: the incomplete record goes in front of the next block
 *      ┌───────────┬───────────────────────┐             ┌───────────┬───────────────────────┐
 *      │           │rec|rec|rec|rec|rec|re│     ──▶      │        re│c|rec|rec|rec|rec|rec|│
 *      └───────────┴───────────────────────┘             └───────────┴───────────────────────┘
 *       room for one record, block                        so read() always fills the same, page-aligned, memory
 *
 * pcap_reader_take() gives frames that point into the block; they are valid until pcap_reader_refill(). With several buffers, which
 * take turns, they are valid until that many refills later: for who reads ahead of those who use the frames. One thread.
 */
#ifndef FLOWLANE_PCAP_READER_H
#define FLOWLANE_PCAP_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "flowlane/packet.h"

struct byte_stream;
struct pcap; /* libpcap's */
struct pcapng;

#define PCAP_READER_CAP_LEN_MAX 262144u /* bytes; a record that claims more is damage */

/* 256 KiB: block and record room stay in L2 (1 MiB and more), and a syscall costs less than 0.1 ns per 64-byte packet. */
#define PCAP_BLOCK_BYTES ((size_t)256 << 10)

enum pcap_variant { PCAP_US, PCAP_NS, PCAP_US_SWAPPED, PCAP_NS_SWAPPED, PCAP_NG, PCAP_LIBPCAP };

struct pcap_reader {
	/* where the next record starts, and where the valid bytes of the block end */
	const uint8_t *next;
	const uint8_t *end;
	uint64_t frames; /* taken so far */
	int link;        /* enum link_type; -1: packets of several (pcapng) */
	uint8_t variant; /* enum pcap_variant */
	bool nanoseconds;
	bool truncated;   /* written by the reader, read by any: the input ended inside a record */
	int state;        /* 0, SOURCE_END, or a negative errno: what refill came to */
	uint32_t snaplen; /* as the file says; 0 in the file: PCAP_CAP_LEN_MAX */

	struct byte_stream *stream;
	uint8_t *memory; /* the buffers, one behind the other */
	unsigned buffers;
	uint64_t turned;     /* `frames` when the buffer at hand was begun */
	uint8_t *buffer;     /* the one at hand */
	size_t buffer_bytes; /* of each */
	uint8_t *block;      /* in buffer */
	size_t block_bytes;

	struct pcapng *ng; /* PCAP_NG only */

	/* PCAP_LIBPCAP only */
	struct pcap *lib;
	struct frame *ready; /* FLOWLANE_BATCH of them, the data in the buffer */
	unsigned ready_next;
	unsigned ready_count;
};

/* Opens a capture of any kind; "-" is standard input. 0, or a negative errno, logged. block_bytes: PCAP_BLOCK_BYTES, or less
 * (a multiple of 4096) if there are many files. buffers: at least 1. */
int pcap_reader_open(struct pcap_reader *reader, const char *path, size_t block_bytes, unsigned buffers);
/* Up to n frames out of the block, with no system call; 0: refill first. */
unsigned pcap_reader_take(struct pcap_reader *reader, struct frame *frames, unsigned n);
/* Once take gave 0: 1: there are frames to take; 0: nothing came from a pipe, again later; SOURCE_END or a negative errno,
 * logged. All frames taken before are invalid then; with several buffers, those that were taken `buffers` refills ago. */
int pcap_reader_refill(struct pcap_reader *reader);
/* Where the data of a frame lie in the file, until pcap_reader_refill(). Only if the reader is one that has positions. */
uint64_t pcap_reader_position(const struct pcap_reader *reader, const uint8_t *data);
/* False: the file is packed or no regular one, or libpcap reads it. */
bool pcap_reader_has_positions(const struct pcap_reader *reader);
void pcap_reader_close(struct pcap_reader *reader); /* accepts a zeroed or half-opened one, and frees nothing twice */

/* pcap_lib_reader.c: the same for what is not classic pcap; called by the above. */
int pcap_lib_open(struct pcap_reader *reader);
int pcap_lib_refill(struct pcap_reader *reader);
void pcap_lib_close(struct pcap_reader *reader);

/* For pcapng_reader.c: ensures that the next record (of classic pcap) or block (of pcapng) is there whole, or its start if it is
 * not a packet and too long. Result as pcap_reader_refill(). */
int pcap_block_fill(struct pcap_reader *reader);
/* One read() behind what is there: its result. */
ssize_t pcap_block_read(struct pcap_reader *reader);
/* Before anything is written over a buffer: goes on in the next one, unless no frame was taken from this one. */
void pcap_buffer_turn(struct pcap_reader *reader);
/* Position in the (unpacked) file of what is to be taken next. */
uint64_t pcap_block_offset(const struct pcap_reader *reader);
/* For pcap_block.c and pcap_lib_reader.c: marks and says that the input ended inside this packet (1: first). SOURCE_END. */
int pcap_reader_cut(struct pcap_reader *reader, uint64_t packet);

/* The link type if flowlane reads it (12 and 14 become LINK_RAW); else -1, logged as a sentence with the file's name. */
int link_type_check(const char *file, uint32_t link, const char *link_name);
bool link_type_known(uint32_t link); /* one of those */
/* The name of a LINKTYPE_ number, or "unknown". */
const char *link_type_name(uint32_t link);

#endif
