/*
 * The layers of a frame, in order: what audit records are made of. The decoder's own steps are used, so that records and flows agree
 * about what a frame holds; here is noted where each header was. Headers that are not whole are not noted.
 *
 *   frame ─▶ Ethernet · Dot1Q · IPv4 · UDP · VXLAN · Ethernet · IPv4 · TCP · TLSClientHello
 *                               ips[0] ──────────┘               ips[1] ──────┘
 *
 * Lane's thread, packet path.
 */
#ifndef FLOWLANE_NCAP_WALK_H
#define FLOWLANE_NCAP_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/packet.h"
#include "ncap_types.h"

#define NCAP_WALK_LAYERS 64 /* two dozen headers is the most that the decoder follows, and label stacks */
#define NCAP_WALK_IPS    8
#define NCAP_NO_IP       0xff
#define NCAP_NO_OFFSET   UINT32_MAX /* a tag that hardware took out of the frame */

struct ncap_layer {
	uint8_t type;    /* enum ncap_type */
	uint8_t ip;      /* the IP header it is in or is, of ips[]; NCAP_NO_IP */
	uint32_t off;    /* where its header begins */
	uint32_t end;    /* captured bytes of header and payload end here: lengths in headers count, padding does not */
	uint32_t header; /* bytes of the header, where the walk knows; else 0 */
};

/* An IP header, and the ports behind it. */
struct ncap_ip {
	const uint8_t *src; /* in the frame: 4 or 16 bytes */
	const uint8_t *dst;
	uint8_t version;
	uint8_t proto;     /* behind extension headers */
	uint8_t tcp_flags; /* TCP */
	uint8_t transport; /* enum ncap_type of what is behind: TCP, UDP, SCTP; NCAP_TYPES: none of them */
	bool ports;
	uint16_t src_port;
	uint16_t dst_port;
	uint16_t window;   /* TCP */
	uint32_t payload;  /* bytes behind the transport header, as the headers have it, cut off or not */
	uint8_t src_bytes; /* of the texts; 0: not made yet */
	uint8_t dst_bytes;
	char src_text[40]; /* with a zero at its end */
	char dst_text[40];
};

struct ncap_walk {
	const struct frame *frame;
	unsigned layers_count;
	unsigned ips_count;
	struct ncap_layer layers[NCAP_WALK_LAYERS];
	struct ncap_ip ips[NCAP_WALK_IPS];
};

struct ncap_walker;

/* outer: stop at the outer IP header of a tunnel. 0, or -ENOMEM. */
int ncap_walker_create(bool outer, struct ncap_walker **walker);
void ncap_walker_destroy(struct ncap_walker *walker); /* accepts NULL */

void ncap_walk_frame(struct ncap_walker *walker, const struct frame *frame, struct ncap_walk *walk);

/* Makes the texts of the addresses, once. */
void ncap_ip_texts(struct ncap_ip *ip);

#endif
