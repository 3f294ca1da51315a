/*
 * From frames to packets: link layer, network, tunnels, transport, canonical key, hash.
 *
 * One decoder per lane, used by that lane's thread only (the counters may be read by any). A frame's bytes are read, never
 * written, and never beyond cap_len. Time is that of the frames.
 */
#ifndef FLOWLANE_DECODE_H
#define FLOWLANE_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/packet.h"
#include "hash.h"

/* UDP ports that announce a tunnel, whose inner packet then decides: a new one goes into special_ports.h as well. */
enum tunnel_port {
	PORT_GTPU = 2152,
	PORT_TEREDO = 3544,
	PORT_VXLAN = 4789,
	PORT_VXLAN_GPE = 4790,
	PORT_GENEVE = 6081,
	PORT_VXLAN_LINUX = 8472, /* the kernel's number from before the IANA had one */
};

struct decoder_options {
	bool outer;    /* the flow is that of the first IP header; default: the innermost good one */
	bool key_vlan; /* the innermost VLAN id is part of the key; id 0 (a priority tag) counts as untagged */
	/* The id of the innermost tunnel that has one is part of the key: VNI, TEID, GRE key, PPTP call id, ERSPAN session, MPLS
	 * label. An id of 0 cannot be told from no tunnel. TEIDs, call ids and labels differ per direction: the two directions
	 * of a conversation are then two flows. */
	bool key_tunnel;
	struct hash_seed seed;
};

struct decoder;

/* Asks for the frames' headers, some time before decode_batch(). */
void decode_prefetch(const struct frame *frames, unsigned n);

/* 0, or -ENOMEM. Reserves the fragment table (2 MiB, touched only if there are fragments). */
int decoder_create(const struct decoder_options *options, struct decoder **decoder);
void decoder_destroy(struct decoder *decoder); /* accepts NULL */

/*
 * packets[i] from frames[i], every member that is used, for i < n. Never fails: what cannot be decoded has a VERDICT_DROP_* and a
 * zero key. Returns how many have VERDICT_FLOW.
 * Hot path. On a 3.4 GHz core with the frames in L2: Ethernet with IPv4 or IPv6 and TCP or UDP 9 and 12 ns (without the fast path
 * 31 to 45), QinQ, MPLS and IPv4 options 45, GRE 57, VXLAN and GTP-U 80.
 */
unsigned decode_batch(struct decoder *decoder, const struct frame *frames, struct packet *packets, unsigned n);

/* Later fragments whose first one was not seen (or came too late, or 30 s before): they went to the flow with ports 0. */
uint64_t decoder_fragments_unmatched(const struct decoder *decoder);
/* First fragments that were forgotten before their time because the table was full. */
uint64_t decoder_fragments_evicted(const struct decoder *decoder);

#endif
