/*
 * Connections that come back regularly: for each (source, destination, port) the mean of the intervals between starts, and how far
 * they are from it. 64 bytes each, in sets of four; the one that was silent longest gives way. One thread.
 */
#ifndef FLOWLANE_BEACONS_H
#define FLOWLANE_BEACONS_H

#include <stdbool.h>
#include <stdint.h>

struct beacons_options {
	uint32_t capacity;    /* a power of two */
	uint32_t connections; /* at least so many, ... */
	uint32_t jitter;      /* ... on average no further from the mean interval than so many percent of it, ... */
	uint64_t span_ns;     /* ... over at least that time */
	uint64_t cooldown_ns;
};

struct beacon {
	uint64_t hash; /* 0: free */
	uint64_t first_ns, last_ns;
	uint64_t mean_ns; /* between two starts */
	uint64_t deviation_ns;
	uint64_t until_ns;
	uint32_t connections; /* in a row; 0: none */
	uint16_t src_port;    /* of the latest */
	uint16_t unused[5];
};
_Static_assert(sizeof(struct beacon) == 64, "one line");

struct beacons;

int beacons_create(const struct beacons_options *options, struct beacons **beacons); /* 0 or a negative errno */
void beacons_destroy(struct beacons *beacons);                                       /* accepts NULL */
uint64_t beacons_bytes(uint32_t capacity);
uint64_t beacons_evicted(const struct beacons *beacons); /* that had begun to be regular: three connections or more */

void beacons_prefetch(const struct beacons *beacons, uint64_t hash);
/* A connection began at start_ns. src_port: of its source, and the same again is no other connection; 0: always another one. The
 * beacon, if it is one and not in its cooldown; else NULL. */
const struct beacon *beacons_add(struct beacons *beacons, uint64_t hash, uint16_t src_port, uint64_t start_ns);

#endif
