/*
 * Connection records: both directions of a conversation in one. What makes one: the addresses, ports and transport protocol of the
 * innermost IP header, without VLANs, tunnels and MAC addresses; packets whose transport has no ports are one conversation per pair
 * of addresses; frames without IP one per pair of MAC addresses.
 *
 * A record is written when the flow timeout is over, when the table is full, and at the end. Lane's thread.
 */
#ifndef FLOWLANE_NCAP_CONNECTIONS_H
#define FLOWLANE_NCAP_CONNECTIONS_H

#include "audit_record.h"
#include "connection_record.h"
#include "ncap_files.h"

struct connections;

struct connections_options {
	uint32_t max;
	uint64_t timeout_ns; /* 0: never */
	bool records;        /* Connection */
	bool ways;           /* Flow: a record per direction; the legacy schema has it */
	bool live;
	struct encoder *encoder;
	struct ncap_writer *writer;
};

int connections_create(const struct connections_options *options, struct connections **connections); /* 0 or -ENOMEM */
void connections_destroy(struct connections *connections);                                           /* accepts NULL */

/*
 * A frame on its way into the table, in three steps: each asks for the memory that the next one needs, and the caller does other work in
 * between. That halves what a packet of one of many connections costs (docs/benchmarks.md).
 */
struct connection_packet {
	struct connection_key key;
	const uint8_t *ethernet; /* its header; NULL: there is none */
	uint32_t hash;
	int8_t dir; /* 1: sent by B; -1: nothing to tell two ends by, and no connection */
};

void connections_ask(struct connections *connections, const struct ncap_walk *walk, struct connection_packet *packet);
void connections_look(struct connections *connections, const struct connection_packet *packet);
void connections_add(struct connections *connections, const struct ncap_walk *walk, const struct connection_packet *packet);
/* Live: some of those that have timed out are written. */
void connections_tick(struct connections *connections, uint64_t now_ns);
/* All are written. */
void connections_drain(struct connections *connections);
/* How many were written because the table was full. */
uint64_t connections_evicted(const struct connections *connections);

#endif
