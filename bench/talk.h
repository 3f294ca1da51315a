/*
 * TCP conversations as a tap between client and server sees them, with known round trip times.
 *
 *   client ◀──────── to_client_ns ────────▶ tap ◀──────── to_server_ns ────────▶ server
 *
 * Each talk writes its packets into a capture; its clock `now_ns` is the time at the tap of the last packet that the next
 * step waits for.
 */
#ifndef TALK_H
#define TALK_H

#include "traffic.h"

enum talk_side { TALK_CLIENT, TALK_SERVER };

struct talk {
	struct capture *capture;
	struct endpoint end[2]; /* by enum talk_side */
	uint64_t rtt_ns[2];     /* tap -> that side -> tap */
	uint64_t now_ns;
	uint32_t seq[2];  /* next to send */
	uint16_t vlan[2]; /* ids, outer first; 0: no tag */
	bool timestamps;  /* TCP timestamps option */
	uint32_t ident;   /* of the next IP header */
};

/* A bulk transfer: `segments` of `segment_len` bytes, eight at a time. A segment number of 0 means: none. */
struct bulk {
	enum talk_side sender;
	uint32_t segments;
	uint32_t segment_len;
	uint32_t lost_before_tap; /* every so-many-th segment is lost on its way to the tap, which sees only the second copy */
	uint32_t lost_after_tap;  /* ... behind the tap, which sees both copies */
	uint32_t reordered;       /* ... comes 400 us late, behind its successors */
};

void talk_init(struct talk *talk, struct capture *capture, struct endpoint client, struct endpoint server, uint64_t start_ns);
/* SYN, SYN-ACK, ACK. */
void talk_open(struct talk *talk);
/* One segment at now_ns; bytes NULL: a pattern. Nobody acknowledges it but what comes next. */
void talk_send(struct talk *talk, enum talk_side side, const void *bytes, uint32_t len);
/* A pure ACK of everything the other side sent, at now_ns. */
void talk_ack(struct talk *talk, enum talk_side side);
/* Request text and a pattern of `response_len` bytes as an answer, each acknowledged. */
void talk_http(struct talk *talk, const char *host, const char *path, uint32_t response_len, uint64_t think_ns);
void talk_bulk(struct talk *talk, const struct bulk *bulk);
/* FIN from `first`, FIN from the other side, ACK. */
void talk_close(struct talk *talk, enum talk_side first);
void talk_reset(struct talk *talk, enum talk_side side);

#endif
