/*
 * Traffic made in memory: frames with right lengths and checksums, and a capture that is sorted and written as pcap.
 *
 * A frame is built from its payload outwards: every push puts one header in front of what is there, so each header knows
 * what it covers. Tunnels are just more pushes.
 *
 *   frame_start(payload) ─▶ frame_push_udp ─▶ frame_push_ip ─▶ frame_push_tag (0..n) ─▶ frame_push_ethernet
 *
 * For benchmarks and tests: one thread, and an error (a frame too long, no memory, a full disk) ends the program with a sentence.
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAFFIC_FRAME_MAX  9216
#define ETHERTYPE_IPV4     0x0800
#define ETHERTYPE_ARP      0x0806
#define ETHERTYPE_IPV6     0x86dd
#define ETHERTYPE_VLAN     0x8100
#define ETHERTYPE_QINQ     0x88a8
#define ETHERTYPE_BRIDGING 0x6558 /* Ethernet inside GRE */
#define TRAFFIC_ICMP       1
#define TRAFFIC_TCP        6
#define TRAFFIC_UDP        17
#define TRAFFIC_FRAGMENT6  44
#define TRAFFIC_GRE        47
#define TRAFFIC_ICMP6      58

/* Prints "PROGRAM: message" and exits with 2. */
void traffic_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* One end of a conversation. The MAC address is derived from the IP address. */
struct endpoint {
	uint8_t version; /* 4 or 6 */
	uint8_t ip[16];  /* IPv4 in the first four bytes */
	uint16_t port;
};

/* "192.0.2.1" or "2001:db8::1". */
struct endpoint endpoint_make(const char *ip, uint16_t port);

struct frame_builder {
	uint32_t start; /* the frame is bytes[start, end) */
	uint32_t end;
	uint8_t bytes[TRAFFIC_FRAME_MAX];
};

struct tcp_header {
	uint32_t seq;
	uint32_t ack;
	uint8_t flags; /* enum tcp_flag of flowlane/packet.h */
	uint16_t window;
	uint8_t options[40];
	uint8_t options_len; /* a multiple of 4 */
};

struct ip_fragment {
	uint16_t offset; /* bytes, a multiple of 8 */
	bool more;
};

/* `payload` NULL: `len` bytes of a fixed pattern. */
void frame_start(struct frame_builder *f, const void *payload, uint32_t len);
static inline uint32_t frame_len(const struct frame_builder *f)
{
	return f->end - f->start;
}
static inline const uint8_t *frame_bytes(const struct frame_builder *f)
{
	return f->bytes + f->start;
}

/* Transport: checksums cover everything behind, with the pseudo header of src and dst. */
void frame_push_tcp(struct frame_builder *f, const struct endpoint *src, const struct endpoint *dst, const struct tcp_header *tcp);
void frame_push_udp(struct frame_builder *f, const struct endpoint *src, const struct endpoint *dst);
/* ICMP, or ICMPv6 when src is IPv6. `word`: the four bytes behind the checksum (identifier << 16 | sequence). */
void frame_push_icmp(
	struct frame_builder *f, const struct endpoint *src, const struct endpoint *dst, uint8_t type, uint8_t code, uint32_t word);

/* Network: IPv4 or IPv6 as src says. `fragment` may be NULL; `ident` is used for IPv4 and for fragments. */
void frame_push_ip(struct frame_builder *f, const struct endpoint *src, const struct endpoint *dst, uint8_t protocol,
	uint32_t ident, const struct ip_fragment *fragment);

/* Tunnels and link. */
void frame_push_gre(struct frame_builder *f, uint16_t ethertype);
void frame_push_vxlan(struct frame_builder *f, uint32_t vni);
/* The order is inside out: frame_push_type(IPv4), frame_push_tag(0x8100, 20), frame_push_tag(0x88a8, 7), frame_push_ethernet. */
void frame_push_type(struct frame_builder *f, uint16_t ethertype);
void frame_push_tag(struct frame_builder *f, uint16_t tpid, uint16_t tci);
/* Destination NULL: broadcast. Frames below 60 bytes are padded with zeros, as a NIC would. */
void frame_push_ethernet(struct frame_builder *f, const struct endpoint *src, const struct endpoint *dst);

/* RFC 1071 over a range, starting from a partial sum; and the final fold. For those who build frames without a builder. */
uint32_t checksum_add(uint32_t sum, const void *data, size_t len);
uint16_t checksum_fold(uint32_t sum);

/* DNS message of one A question, and with `address` (4 bytes) its answer; returns its length. `out` holds 512 bytes. */
uint32_t dns_message(uint8_t *out, uint16_t id, const char *name, const uint8_t *address);

/* A capture in memory. */
struct capture;

struct capture *capture_create(void);
void capture_free(struct capture *capture);
/* Copies the frame; wire_len beyond cap_len makes a cut packet. */
void capture_add(struct capture *capture, uint64_t ts_ns, const void *data, uint32_t cap_len, uint32_t wire_len);
void capture_add_frame(struct capture *capture, uint64_t ts_ns, const struct frame_builder *f);
size_t capture_packets(const struct capture *capture);
/* Sorts by time (packets of the same time stay in the order they were added in) and writes a pcap of Ethernet. */
void capture_write(struct capture *capture, const char *path, bool nanoseconds);

/* A pcap written as it is made. Packets with the same header fields as the file format, little-endian. */
struct pcap_writer;

struct pcap_writer *pcap_writer_open(const char *path, bool nanoseconds, uint32_t snaplen);
void pcap_writer_add(struct pcap_writer *writer, uint64_t ts_ns, const void *data, uint32_t cap_len, uint32_t wire_len);
void pcap_writer_close(struct pcap_writer *writer);

/* A small generator of numbers (splitmix64): the same seed gives the same traffic everywhere. */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* Uniform in [0, bound), bound below 2^32. */
static inline uint32_t random_below(uint64_t *state, uint32_t bound)
{
	return (uint32_t)(((random_next(state) >> 32) * bound) >> 32);
}

#endif
