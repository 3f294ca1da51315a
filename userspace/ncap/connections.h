/*
 * Connection records: both directions of a conversation in one. What makes one: the addresses, ports and transport protocol of the
 * innermost IP header, without VLANs, tunnels and MAC addresses; packets whose transport has no ports are one conversation per pair
 * of addresses; frames without IP one per pair of MAC addresses.
 *
 * A record is written when the flow timeout is over, when the table is full, and at the end. Lane's thread.
 */
#ifndef FLOWLANE_NCAP_CONNECTIONS_H
#define FLOWLANE_NCAP_CONNECTIONS_H

#include "ncap_files.h"
#include "audit_record.h"

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

void connections_add(struct connections *connections, const struct ncap_walk *walk);
/* Live: some of those that have timed out are written. */
void connections_tick(struct connections *connections, uint64_t now_ns);
/* All are written. */
void connections_drain(struct connections *connections);
/* How many were written because the table was full. */
uint64_t connections_evicted(const struct connections *connections);

#endif
