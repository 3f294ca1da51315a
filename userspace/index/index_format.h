/*
 * The layout of a packet index: a RocksDB database with the column families "flows" and "packets". Both have the same keys; all
 * numbers are little-endian, as this machine's are.
 *
 *   flows    key 40 ─▶ | octets 8 | packets 4 | first 8 | last 8 | blocks 4 | application 4 | reserved 4 |
 *   packets  key 40 ─▶ | count 4 | packet 56 | packet 56 | ...          in the order of the capture
 *
 * A flow is one-way: A to B and B to A have a key each. There is no time in a key, so all packets of the same addresses, ports
 * and protocol in one capture file are in one record.
 */
#ifndef FLOWLANE_INDEX_FORMAT_H
#define FLOWLANE_INDEX_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define INDEX_FAMILIES       3 /* "default", which stays empty, and: */
#define INDEX_FAMILY_FLOWS   "flows"
#define INDEX_FAMILY_PACKETS "packets"
#define INDEX_SUFFIX         ".rdb" /* capture.pcap -> capture.pcap.rdb */
#define INDEX_FAMILY_IPV4    1      /* IANA address family numbers */
#define INDEX_FAMILY_IPV6    2
#define INDEX_ADDRESS_BYTES  16

struct index_key {
	uint16_t protocol;                        /* IP protocol number */
	uint8_t source[INDEX_ADDRESS_BYTES];      /* network byte order, IPv4 in the first four bytes */
	uint8_t destination[INDEX_ADDRESS_BYTES]; /* the rest is zero */
	uint16_t source_port;                     /* 0: the protocol has none, or the packet is a later fragment */
	uint16_t destination_port;
	uint16_t family; /* INDEX_FAMILY_IPV4, _IPV6 */
};
_Static_assert(sizeof(struct index_key) == 40 && offsetof(struct index_key, family) == 38, "the layout is the file's");

struct __attribute__((packed)) index_flow {
	uint64_t octets; /* captured bytes of the frames, link header included */
	uint32_t packets;
	uint64_t first_ms; /* UNIX time of the earliest frame */
	uint64_t last_ms;  /* and of the latest */
	uint32_t blocks;   /* in how many pieces it was written: docs/index.md */
	uint32_t application;
	uint32_t reserved;
};
_Static_assert(sizeof(struct index_flow) == 40 && offsetof(struct index_flow, first_ms) == 12, "the layout is the file's");

/* To a record of the same key, which may be empty, what came later. */
static inline void index_flow_add(struct index_flow *sum, const struct index_flow *flow)
{
	sum->first_ms = sum->packets && sum->first_ms < flow->first_ms ? sum->first_ms : flow->first_ms;
	sum->last_ms = sum->packets && sum->last_ms > flow->last_ms ? sum->last_ms : flow->last_ms;
	sum->octets += flow->octets;
	sum->packets += flow->packets;
	sum->blocks += flow->blocks;
}

/* A part of a frame; 0, 0: the frame has no such part. */
struct index_range {
	int32_t start; /* from the beginning of the frame's data */
	int32_t count;
};

struct __attribute__((packed)) index_packet {                 /* wherever they lie in a value */
	uint32_t number;                                      /* of the frame in the capture file, from 1 */
	uint32_t length;                                      /* captured */
	uint64_t offset;                                      /* of the frame's data in the file, behind the record header */
	uint64_t time_ms;                                     /* UNIX time */
	struct index_range link, network, transport, payload; /* each reaches from its header to the end of its data */
};
_Static_assert(sizeof(struct index_packet) == 56, "the layout is the file's");

#define INDEX_COUNT_BYTES sizeof(int32_t) /* before the packets of a value */
/* RocksDB holds values of less than 4 GiB, and of twice that much only one half fits: packets of one key beyond are not indexed. */
#define INDEX_COUNT_MAX ((UINT32_MAX / 2) / (uint32_t)sizeof(struct index_packet))

#endif
