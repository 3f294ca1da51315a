/*
 * The live flow: what a lane keeps per flow, laid out by the cache line. Owned by one lane, touched by its thread only.
 *
 *   TCP flow      | hot | cold | tcp: segments | tcp: samples | tcp: spill |   5 lines, 320 bytes
 *   other flow    | hot | cold |                                               2 lines, 128 bytes
 *
 * A packet of an IPv4 UDP flow touches `hot` alone. A TCP segment in sequence touches `hot` and `segments`; an ACK that gives
 * an RTT sample also `samples`. The rest is for IPv6 addresses, loss, and the end of the flow.
 */
#ifndef FLOWLANE_LIVE_H
#define FLOWLANE_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flowlane/flow.h"

enum flow_flag {
	FLOW_ARMED = 1 << 0,       /* this slot is in the timer wheel (a slot is there at most once, also while it is free) */
	FLOW_FIRST_B = 1 << 1,     /* the first packet was sent by B */
	FLOW_APP_PENDING = 1 << 2, /* app_id and hot.pending_tick hold an unanswered request */
	FLOW_SPIN = 1 << 3,        /* QUIC: last spin bit */
	FLOW_CUT_OFF = 1 << 5,     /* some of its packets were counted only (--flow-cutoff) */
	FLOW_QUIC = 1 << 4,        /* QUIC: a long header was seen, so short headers carry a spin bit */
};

struct flow {
	/* hot: matching and counting */
	uint64_t addresses; /* IPv4: A << 32 | B as numbers; IPv6: the key's hash, and the addresses below decide */
	uint64_t key_tail;  /* a_port, b_port, proto, ip_version, vlan: bytes 32..39 of struct flow_key */
	uint32_t tunnel;
	union {
		struct {
			uint8_t tcp_flags[2]; /* OR of all, by direction */
			uint8_t dup_acks[2];  /* consecutive duplicate ACKs sent, saturating */
		};
		uint32_t pending_tick; /* not TCP: when the unanswered request was seen, ticks */
	};
	uint32_t packets[2];  /* low 32 bits; carries below */
	uint32_t overhead[2]; /* wire bytes that are not l3 bytes; low 32 bits */
	uint64_t bytes[2];    /* wire length */
	uint64_t last_ns;     /* the latest packet */

	/* cold */
	uint8_t a_ip[16]; /* IPv6 only */
	uint8_t b_ip[16];
	uint64_t first_ns;
	uint8_t packets_carry[2];
	uint8_t overhead_carry[2];
	uint16_t app_id; /* of the unanswered request */
	uint8_t flags;   /* enum flow_flag */
	uint8_t tos;     /* of the first packet */
	union {
		struct rtt_stat rtt; /* not TCP */
		struct {             /* TCP: a TSval waiting for its echo, by the direction that sent it */
			uint32_t ts_value[2];
			uint32_t ts_tick[2];
		};
	};
};
_Static_assert(sizeof(struct flow) == 128, "hot and cold line");
_Static_assert(offsetof(struct flow, a_ip) == 64, "hot is one line");

/* Four segments that wait for their ACK; arrays, so that one vector instruction compares an ACK with all of them. */
struct tcp_samples {
	uint32_t seq_end[4];
	uint32_t sent_tick[4];
};

struct tcp_hole {
	uint32_t start; /* never-seen bytes [start, end) below next_seq; start == end: no hole */
	uint32_t end;
};

#define TCP_SAMPLES 8 /* shared by both directions; more segments in flight are simply not timed */
#define TCP_HOLES   2 /* per direction; when more are open the oldest counts as seen */

enum tcp_flag_bit {
	TCPF_SEEN = 1 << 0,     /* and << 1 for B: next_seq is valid */
	TCPF_FIN = 1 << 2,      /* FIN sent by A (<< 1: B) */
	TCPF_TS_FLOOR = 1 << 4, /* ts_value holds a lower bound */
	TCPF_TS_TIMED = 1 << 6, /* ts_value was sent at ts_tick for the first time */
};

struct tcp_half {
	uint32_t next_seq;     /* highest sequence number sent, plus one */
	uint32_t ack;          /* last acknowledgement number sent; 0: none yet */
	uint32_t advance_tick; /* when next_seq last moved */
};

struct tcp_flow {
	struct flow flow;

	/* segments: sequence spaces, and the first samples */
	struct tcp_half half[2];
	uint16_t window[2];     /* last advertised, unscaled */
	uint8_t state;          /* enum tcp_state */
	uint8_t bits;           /* enum tcp_flag_bit */
	uint8_t sample_used[2]; /* by the segment's sender; bit i: sample i is taken */
	struct tcp_samples sample_hot;

	/* samples: results */
	uint32_t rtt_last; /* ticks; valid if a leg has samples */
	uint32_t rtt_ewma;
	struct rtt_leg_stat leg[2]; /* by the side that answered; who is the client is asked at the end of the flow */
	uint32_t retransmissions;
	uint32_t out_of_order;
	uint32_t handshake_ticks; /* SYN to the ACK of the SYN-ACK; 0: not seen. The reordering threshold */
	uint32_t first_seq[2];    /* of the SYN, or of the first segment seen */
	uint16_t dup_ack_ms;      /* time of the last duplicate ACK, ms, wraps: only its neighbourhood is asked for */
	uint8_t client;           /* enum flow_client */
	uint8_t hole_epoch[2];    /* GiB sent when holes were last looked at, by direction; wraps */
	uint8_t unused1;
	uint16_t retransmissions_told; /* to the anomaly detectors; low 16 bits */
	uint8_t unused[4];

	/* spill: holes and the further samples */
	struct tcp_hole hole[2][TCP_HOLES];
	struct tcp_samples sample_spill;
};
_Static_assert(sizeof(struct tcp_flow) == 320, "five lines");
_Static_assert(offsetof(struct tcp_flow, half) == 128, "segments is a line");
_Static_assert(offsetof(struct tcp_flow, rtt_last) == 192, "samples is a line");
_Static_assert(offsetof(struct tcp_flow, hole) == 256, "spill is a line");

/*
 * What one-way records need besides, by direction; only there if an output wants them. In an area of its own, by slot: line 0 is
 * touched by each packet, the others when a direction or a piece begins or ends.
 */
struct flow_extra {
	/* the piece at hand */
	uint64_t first_ns[2];
	uint64_t last_ns[2];
	uint64_t base_packets[2]; /* the flow's count when the piece began; equal to it: no packet yet */
	uint8_t tcp_flags[2];
	uint8_t way_flags[2]; /* of all pieces */
	uint8_t tos[2];
	uint16_t vlan[2];
	uint16_t icmp[2];
	uint8_t has_mac[2];

	uint64_t base_bytes[2];
	uint64_t base_l3[2];
	uint32_t pieces[2];   /* begun; 0: the direction has not */
	uint8_t mac[2][2][6]; /* source, destination */

	/* the pieces before */
	uint64_t way_first_ns[2];
	uint64_t way_packets[2];
	uint64_t way_bytes[2];
	uint64_t way_l3[2];
};
_Static_assert(sizeof(struct flow_extra) == 192, "three lines");
_Static_assert(offsetof(struct flow_extra, base_bytes) == 64, "each packet touches one line");
_Static_assert(offsetof(struct flow_extra, way_first_ns) == 128, "and an end the third");

static inline uint8_t flow_proto(const struct flow *flow)
{
	return (uint8_t)(flow->key_tail >> 32);
}

static inline uint8_t flow_ip_version(const struct flow *flow)
{
	return (uint8_t)(flow->key_tail >> 40);
}

#endif
