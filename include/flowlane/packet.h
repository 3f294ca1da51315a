/*
 * A frame as a source hands it out, and a packet as the decoder leaves it.
 *
 * Both are borrowed: `data` stays valid until the frame goes back through source_ops.release(). A batch of at most
 * FLOWLANE_BATCH of each lives on the lane; only that lane's thread touches it.
 */
#ifndef FLOWLANE_PACKET_H
#define FLOWLANE_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/flow_key.h"
#include "flowlane/verdict.h"

/* 64: frames + packets of one batch are 12 KiB, a quarter of L1d; and 64 flow prefetches fill the miss queues. */
#define FLOWLANE_BATCH 64

/* Link types are LINKTYPE_ numbers of the pcap file format, whatever DLT_ number the platform has for them. */
enum link_type {
	LINK_NULL = 0,
	LINK_ETHERNET = 1,
	LINK_RAW_BSD = 12, /* DLT_RAW where someone wrote it into a file */
	LINK_RAW_OPENBSD = 14,
	LINK_RAW = 101,
	LINK_LOOP = 108,
	LINK_LINUX_SLL = 113,
	LINK_IPV4 = 228,
	LINK_IPV6 = 229,
	LINK_LINUX_SLL2 = 276,
};

struct frame {
	const uint8_t *data;
	uint64_t ts_ns;     /* UNIX time */
	uint32_t cap_len;   /* bytes at data */
	uint32_t wire_len;  /* bytes on the wire, from the link header on, without FCS; >= cap_len is NOT guaranteed by files */
	uint16_t link;      /* enum link_type */
	uint16_t vlan_tci;  /* the tag that hardware took out of the frame ... */
	uint16_t vlan_tpid; /* ... and its TPID; 0: none was taken out */
	uint16_t number;    /* in its batch, from 0: for sinks that take places, and in copies that the core makes; else not set */
};
_Static_assert(sizeof(struct frame) == 32, "two frames a cache line");

enum packet_flag {
	PACKET_FRAGMENT = 1 << 0, /* any fragment; `payload_len` is that of this fragment */
	PACKET_FRAGMENT_LATER =
		1 << 1, /* no L4 header here: a later fragment (ports from the fragment table, or 0), or a first too short */
	PACKET_TUNNELLED = 1 << 2, /* the key is that of an inner IP header */
	PACKET_L4_CUT = 1 << 3,    /* payload or TCP options were cut off by the snapshot length */
	PACKET_ASKS = 15 << 4,     /* any of these: DNS or QUIC by its ports, or ICMP: may ask or answer what gives an RTT */
	PACKET_SEGMENT = 1 << 8,   /* TCP, and its header is here */
};

/* TCP flags as on the wire (RFC 9293), low byte only. */
enum tcp_flag { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16, TCP_URG = 32 };

struct packet {
	struct flow_key key; /* canonical; meaningful only for VERDICT_FLOW */
	uint8_t verdict;     /* enum verdict */
	uint8_t dir;         /* 0: sent by A, 1: sent by B */
	uint16_t flags;      /* enum packet_flag */

	uint64_t hash; /* of the key: symmetric, keyed (see base/hash.h) */
	const struct frame *frame;

	/* Lengths come from the IP header, not from the capture, so a small snaplen does not change them; they are
	 * clamped to what the frame had on the wire (padding is not payload, a lying header gains nothing). */
	uint32_t l3_len;      /* IP header (of the flow's key) + payload; of a fragment: this fragment */
	uint32_t payload_len; /* behind the L4 header */

	uint32_t tcp_seq;
	uint32_t tcp_ack;
	uint16_t tcp_window;
	uint8_t tcp_flags;  /* enum tcp_flag; 0 if not TCP */
	uint8_t tcp_offset; /* data offset and reserved bits, as on the wire; 0 if not TCP */

	/* Offsets from frame->data: l3_off <= l4_off <= payload_off <= cap_len. payload_off == cap_len: nothing captured. */
	uint16_t payload_off; /* for TCP: behind the options, so options are [l4_off + 20, payload_off) */
	uint8_t icmp_type;    /* ICMP and ICMPv6 only */
	uint8_t icmp_code;
	uint16_t l3_off;
	uint16_t l4_off;   /* 0 if PACKET_FRAGMENT_LATER; else the header's fixed part (TCP: 20 bytes) is captured */
	uint16_t vlan;     /* outermost id as seen outside of tunnels, 0xffff: untagged (whether or not it is in the key) */
	uint16_t echo_seq; /* ICMP echo request / reply: sequence number */

	/* To compare flows by. */
	uint64_t addresses; /* IPv4: A << 32 | B as numbers; IPv6: the hash */
	uint64_t
		tail; /* a_port, b_port, proto, ip_version, vlan, as they lie in the key; FLOW_TAIL_TUNNEL is turned if key.tunnel is not 0 */

	uint8_t tos;        /* IPv4 TOS / IPv6 traffic class */
	uint8_t ttl;        /* or hop limit */
	uint8_t unused[14]; /* nobody writes them */
};
_Static_assert(sizeof(struct packet) == 128, "two cache lines a packet; the batch must stay in L1");

#endif
