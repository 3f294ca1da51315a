/* A connection as the table keeps it, and how it becomes a record. Private to connections.c and connection_record.c. */
#ifndef FLOWLANE_NCAP_CONNECTION_RECORD_H
#define FLOWLANE_NCAP_CONNECTION_RECORD_H

#include "audit_record.h"
#include "table.h"

/* No padding: compared and hashed as bytes. */
struct connection_key {
	uint8_t a[16]; /* 4 or 16 bytes of an address, or 6 of a MAC address; the rest zeros */
	uint8_t b[16];
	uint16_t a_port;
	uint16_t b_port;
	uint8_t version;   /* 4, 6; 0: no IP */
	uint8_t transport; /* enum ncap_type of what has the ports; NCAP_TYPES: nothing */
	uint8_t unused[2];
};
_Static_assert(sizeof(struct connection_key) == 40, "no padding");

struct connection_way {
	uint64_t packets, bytes, payload; /* bytes: of frames on the wire; payload: behind the transport header */
	uint64_t first_ns, last_ns;
};

struct connection {
	struct table_entry entry; /* seen_ns: of the latest packet */
	struct connection_key key;
	uint64_t first_ns;
	uint8_t client;      /* who sent the earliest packet: 0: A, 1: B */
	uint8_t ethernet;    /* there are MAC addresses */
	uint8_t application; /* enum ncap_type; NCAP_TYPES: not known */
	uint8_t macs[12];    /* of the earliest packet: destination, source */
	uint8_t unused;
	struct connection_way ways[2]; /* [0]: sent by A */
	uint64_t window_sum;
	uint32_t segments; /* TCP */
	uint32_t flags[9]; /* packets with FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, NS */
};

/* Length and message; NULL: there is no room. */
uint8_t *connection_record(struct encoder *encoder, const struct connection *connection, uint8_t *out);
/* The legacy schema's Flow: one direction. */
uint8_t *connection_way_record(struct encoder *encoder, const struct connection *connection, unsigned dir, uint8_t *out);

#endif
