/*
 * What lanes tell the detectors: one event for each packet that can matter to them, in the order of the capture. A packet of an
 * established flow is none, but for every 64th.
 */
#ifndef FLOWLANE_EVENT_H
#define FLOWLANE_EVENT_H

#include <stdint.h>

enum event_bit {
	EVENT_NEW = 1 << 0,        /* first packet of a flow */
	EVENT_SYN = 1 << 1,        /* pure SYN: SYN without ACK */
	EVENT_ATTEMPT = 1 << 2,    /* first packet of a flow, that wants an answer */
	EVENT_ANSWER = 1 << 3,     /* first packet of the other side */
	EVENT_REJECT = 1 << 4,     /* first packet of the other side, and it is a RST */
	EVENT_RST = 1 << 5,        /* `packets` RSTs: 1 */
	EVENT_UDP = 1 << 6,        /* `packets` UDP packets that dst has not answered */
	EVENT_ICMP = 1 << 7,       /* `packets` of ICMP, but for neighbour discovery: 1 */
	EVENT_DNS_ASKED = 1 << 8,  /* DNS request of `bytes` */
	EVENT_DNS_ANSWER = 1 << 9, /* DNS answer of `bytes` */
	EVENT_NTP_ASKED = 1 << 10, /* the same for NTP */
	EVENT_NTP_ANSWER = 1 << 11,
	EVENT_END = 1 << 12,     /* a TCP connection of src to dst ends, after `bytes` */
	EVENT_PATH = 1 << 13,    /* RTT and loss between here and dst, of `packets` */
	EVENT_UDP_ANY = 1 << 14, /* a UDP packet, answered or not: for --scan-compat */
	EVENT_SMALL = 1 << 15,   /* at most 512 bytes */
};

struct anomaly_event {
	uint64_t order; /* files: number of the frame; live: its time */
	uint64_t ts_ns;
	union {
		uint64_t flow;     /* hash of the canonical key, the same on each lane */
		uint64_t first_ns; /* EVENT_END: when the connection began */
	};
	uint8_t src[16]; /* as in struct flow_key */
	uint8_t dst[16];
	uint32_t packets;
	uint32_t bytes; /* wire length */
	union {
		struct {
			uint32_t rtt_ticks;       /* EVENT_PATH; 0: not known */
			uint32_t retransmissions; /* EVENT_PATH: among `packets` */
		};
		uint64_t service; /* EVENT_SYN: event_service() */
	};
	uint16_t port; /* of dst */
	uint16_t bits; /* enum event_bit */
	uint8_t ip_version;
	uint8_t proto;
	uint16_t src_port;
};
_Static_assert(sizeof(struct anomaly_event) == 80, "no hidden padding");

#endif
