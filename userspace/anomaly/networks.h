/*
 * RTT and loss towards destination networks (IPv4 /24, IPv6 /48), each against its own past. Time is cut into panes; a pane's mean
 * is compared with the EWMA of the panes before, and then becomes part of it. 128 bytes each, in sets of four; the one that was
 * silent longest gives way. One thread.
 */
#ifndef FLOWLANE_NETWORKS_H
#define FLOWLANE_NETWORKS_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/alert.h"
#include "event.h"

struct networks_options {
	uint32_t capacity; /* a power of two */
	bool rtt, loss;    /* which to look at */
	struct detector_config rtt_shift;
	struct detector_config loss_shift;
};

/* What was found; thousandths: of a millisecond, of a percent. */
struct network_shift {
	bool found;
	uint64_t now, usual;
	uint64_t count; /* samples, packets */
};

struct networks;

int networks_create(const struct networks_options *options, struct networks **networks); /* 0 or a negative errno */
void networks_destroy(struct networks *networks);                                        /* accepts NULL */
uint64_t networks_bytes(uint32_t capacity);
uint64_t networks_evicted(const struct networks *networks); /* that had a baseline */

/* The network of an address, with the rest of it zero. */
void network_of(const uint8_t ip[16], unsigned ip_version, uint8_t network[16]);

/* hash: of the network of event->dst. */
void networks_prefetch(const struct networks *networks, uint64_t hash);
void networks_add(struct networks *networks, uint64_t hash, const struct anomaly_event *event, uint64_t now_ns,
	struct network_shift *rtt, struct network_shift *loss);

#endif
