/*
 * The classic pcap file format (draft-ietf-opsawg-pcap), as flowlane writes it: little-endian, version 2.4.
 *
 *   | file header 24 | record header 16 | cap_len bytes | record header 16 | cap_len bytes | ...
 *
 * The structs are the bytes of a file whose magic reads PCAP_MAGIC_US or PCAP_MAGIC_NS on a little-endian machine. The same
 * magics seen byte-swapped mean that all header fields are big-endian.
 *
 * libpcap has another struct pcap_file_header: a file that includes <pcap/pcap.h> cannot include this.
 */
#ifndef FLOWLANE_PCAP_FORMAT_H
#define FLOWLANE_PCAP_FORMAT_H

#include <stdint.h>

#define PCAP_MAGIC_US              0xa1b2c3d4u /* record.fraction counts microseconds */
#define PCAP_MAGIC_NS              0xa1b23c4du /* nanoseconds */
#define PCAP_VERSION_MAJOR_CURRENT 2
#define PCAP_VERSION_MINOR_CURRENT 4

/* No capture tool writes longer packets, and libpcap takes a longer one for damage, too. */
#define PCAP_CAP_LEN_MAX 262144u

#define PCAP_LINK_MASK 0x03ffffffu /* of pcap_file_header.network, 16 bits, and those that must be 0; above: FCS length */

struct pcap_file_header {
	uint32_t magic;
	uint16_t version_major;
	uint16_t version_minor;
	uint32_t reserved[2]; /* once time zone and accuracy; always written as 0 */
	uint32_t snaplen;     /* bytes */
	uint32_t network;     /* enum link_type in the low 16 bits */
};
_Static_assert(sizeof(struct pcap_file_header) == 24, "the layout is the file's");

struct pcap_record_header {
	uint32_t seconds;  /* UNIX time, unsigned: good until 2106 */
	uint32_t fraction; /* microseconds or nanoseconds, as the magic says */
	uint32_t cap_len;  /* bytes that follow */
	uint32_t wire_len; /* bytes that were on the wire */
};
_Static_assert(sizeof(struct pcap_record_header) == 16, "the layout is the file's");

#endif
