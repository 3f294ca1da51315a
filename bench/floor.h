/*
 * The floor: the least work that counts packets and bytes per conversation, made as well as we can. The core is compared to it
 * on the same frames in the same run.
 *
 * Parse Ethernet, IPv4 and ports with the checks that this takes; canonical 5-tuple of 16 bytes; one multiply-and-fold hash;
 * batches with prefetch; open addressing with linear probing in huge pages, load at most 0.5; two counters. No VLAN, no IPv6,
 * no TCP state, no timers, no expiry, no direction: what is left out is what the core is paid for.
 */
#ifndef FLOOR_H
#define FLOOR_H

#include <stdint.h>

#include "flowlane/packet.h"

struct floor_totals {
	uint64_t flows;
	uint64_t packets;
	uint64_t bytes;
	uint64_t other; /* packets that are not countable: not IPv4, not TCP or UDP, fragments, short */
};

struct floor;

/* NULL: no memory. The table has at least twice max_flows entries. */
struct floor *floor_create(uint64_t max_flows);
void floor_destroy(struct floor *floor); /* accepts NULL */
/* n <= FLOWLANE_BATCH. */
void floor_run(struct floor *floor, const struct frame *frames, unsigned n);
/* Sums the table up: slow. */
void floor_totals(const struct floor *floor, struct floor_totals *totals);

#endif
