/*
 * nfdump's file format, layout 2 (nfdump 1.7), as its readers demand it; docs/formats.md has the tables. Little-endian, packed.
 *
 *   | file header 40 | block header 12, records | ... | block header 12, ident and stat record |
 *
 * Each block's records are compressed on their own. A record is a header and elements: id, length with these 4 bytes, payload.
 */
#ifndef FLOWLANE_NFCAPD_FORMAT_H
#define FLOWLANE_NFCAPD_FORMAT_H

#include <stdint.h>

#define NFCAPD_MAGIC        0xa50c
#define NFCAPD_LAYOUT       2
#define NFCAPD_VERSION      0x01070100 /* of the nfdump whose layout this is */
#define NFCAPD_BLOCK_FLOWS  3
#define NFCAPD_BLOCK_ARRAYS 4          /* no flows; nfdump passes over it, too */
#define NFCAPD_BLOCK_BYTES  (1u << 20) /* records of a block at most, uncompressed */
#define NFCAPD_BLOCK_LIMIT  (5u << 20) /* what a reader accepts */

enum nfcapd_record_type { NFCAPD_RECORD_FLOW = 11, NFCAPD_RECORD_IDENT = 0x8001, NFCAPD_RECORD_STAT = 0x8002 };

enum nfcapd_compression { NFCAPD_COMPRESSION_NONE, NFCAPD_COMPRESSION_LZO, NFCAPD_COMPRESSION_BZ2, NFCAPD_COMPRESSION_LZ4 };

struct nfcapd_file_header {
	uint16_t magic;
	uint16_t layout;
	uint32_t version;
	int64_t created; /* UNIX seconds */
	uint8_t compression;
	uint8_t encryption;
	uint16_t appendix_blocks;
	uint32_t unused;
	int64_t appendix_offset;
	uint32_t block_size; /* 0 */
	uint32_t blocks;     /* without the appendix */
} __attribute__((packed));
_Static_assert(sizeof(struct nfcapd_file_header) == 40, "layout 2");

struct nfcapd_block_header {
	uint32_t records;
	uint32_t size; /* bytes that follow */
	uint16_t type;
	uint16_t flags;
} __attribute__((packed));
_Static_assert(sizeof(struct nfcapd_block_header) == 12, "layout 2");

struct nfcapd_record_header {
	uint16_t type;
	uint16_t size; /* the whole record */
} __attribute__((packed));

struct nfcapd_flow_header {
	struct nfcapd_record_header record;
	uint16_t elements;
	uint8_t engine_type;
	uint8_t engine_id;
	uint16_t exporter;
	uint8_t flags;
	uint8_t version;
} __attribute__((packed));
_Static_assert(sizeof(struct nfcapd_flow_header) == 12, "layout 2");

#define NFCAPD_FLAG_ANONYMIZED 4
#define NFCAPD_VERSION_PCAP    0x41 /* of a flow record: made from packets */

enum nfcapd_element_id {
	NFCAPD_GENERIC = 1,
	NFCAPD_IPV4 = 2,
	NFCAPD_IPV6 = 3,
	NFCAPD_MISC = 4,
	NFCAPD_COUNT = 5,
	NFCAPD_VLAN = 6,
	NFCAPD_AS = 7,
	NFCAPD_MAC = 15,
	NFCAPD_LATENCY = 17,
	NFCAPD_TUNNEL_V4 = 31,
	NFCAPD_TUNNEL_V6 = 32,
};

struct nfcapd_element {
	uint16_t id;
	uint16_t length; /* with this header */
} __attribute__((packed));

struct nfcapd_generic {
	struct nfcapd_element element;
	uint64_t first_ms;
	uint64_t last_ms;
	uint64_t received_ms;
	uint64_t packets;
	uint64_t octets;
	uint16_t sp;
	uint16_t dp;
	uint8_t prot;
	uint8_t tcp_flags;
	uint8_t forward_status;
	uint8_t tos;
} __attribute__((packed));
_Static_assert(sizeof(struct nfcapd_generic) == 52, "layout 2");

struct nfcapd_ipv4 {
	struct nfcapd_element element;
	uint32_t src;
	uint32_t dst;
} __attribute__((packed));
_Static_assert(sizeof(struct nfcapd_ipv4) == 12, "layout 2");

struct nfcapd_ipv6 {
	struct nfcapd_element element;
	uint64_t src[2];
	uint64_t dst[2];
} __attribute__((packed));
_Static_assert(sizeof(struct nfcapd_ipv6) == 36, "layout 2");

struct nfcapd_misc {
	struct nfcapd_element element;
	uint32_t input;
	uint32_t output;
	uint8_t src_mask;
	uint8_t dst_mask;
	uint8_t direction;
	uint8_t dst_tos;
	uint8_t biflow_direction; /* IE 239: 1 initiator, 2 reverse initiator */
	uint8_t end_reason;       /* IE 136 */
	uint8_t reverse_flags;
	uint8_t zero;
} __attribute__((packed));
_Static_assert(sizeof(struct nfcapd_misc) == 20, "layout 2");

struct nfcapd_count {
	struct nfcapd_element element;
	uint64_t flows; /* that were added up to this one */
	uint64_t out_packets;
	uint64_t out_octets;
} __attribute__((packed));
_Static_assert(sizeof(struct nfcapd_count) == 28, "layout 2");

struct nfcapd_vlan {
	struct nfcapd_element element;
	uint32_t src;
	uint32_t dst;
} __attribute__((packed));

struct nfcapd_as {
	struct nfcapd_element element;
	uint32_t src;
	uint32_t dst;
} __attribute__((packed));

/* Addresses as numbers: 02:00:00:00:00:01 is 0x020000000001. */
struct nfcapd_mac {
	struct nfcapd_element element;
	uint64_t in_src;
	uint64_t out_dst;
	uint64_t in_dst;
	uint64_t out_src;
} __attribute__((packed));
_Static_assert(sizeof(struct nfcapd_mac) == 36, "layout 2");

struct nfcapd_latency {
	struct nfcapd_element element;
	uint64_t client_us;
	uint64_t server_us;
	uint64_t application_us;
} __attribute__((packed));
_Static_assert(sizeof(struct nfcapd_latency) == 28, "layout 2");

/* The longest record that we write. */
#define NFCAPD_RECORD_MAX 320

enum nfcapd_class { NFCAPD_TCP, NFCAPD_UDP, NFCAPD_ICMP, NFCAPD_OTHER, NFCAPD_CLASSES };

/* The stat record, behind its header. */
struct nfcapd_stat {
	uint64_t flows;
	uint64_t octets;
	uint64_t packets;
	uint64_t class_flows[NFCAPD_CLASSES];
	uint64_t class_octets[NFCAPD_CLASSES];
	uint64_t class_packets[NFCAPD_CLASSES];
	uint64_t first_ms;
	uint64_t last_ms;
	uint64_t sequence_failures;
};
_Static_assert(sizeof(struct nfcapd_stat) == 144, "layout 2: another size is refused");

#endif
