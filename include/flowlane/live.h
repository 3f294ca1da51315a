/*
 * The live flow: what a lane keeps per flow, laid out by the cache line. Owned by one lane, touched by its thread only.
 *
 *   TCP flow      | flow | segments | ... and elsewhere | cold | rare 0 | rare 1 |   2 + 3 lines, 320 bytes
 *   other flow    | flow |            ... and elsewhere | cold |                     1 + 1 lines, 128 bytes
 *
 * A packet of an IPv4 UDP flow touches `flow` alone; a TCP segment, with the RTT sample that it may give, `flow` and `segments`. The
 * rest is for IPv6 addresses, loss, many segments in flight, and for the beginning and the end of the flow. It lies apart, so that what
 * each packet touches is dense in memory: a hundred thousand flows are 13 MiB then, not 28, and the CPU knows where pages of 4 KiB are
 * (which a virtual machine may have underneath its huge pages) for 16.
 *
 * Both parts of a flow are in the same block of 2 MiB, which is aligned to its size: so each is found from the other one's address.
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
	FLOW_HOLES = 1 << 6,       /* TCP: holes hold something */
};

/* Counters of 16 and 32 bits in the flow, which each packet touches, are carried into its cold part. That of packets is never 0 again
 * after the first packet, and always right below FLOW_PACKETS_EXACT and modulo 64: a carry takes 65,280 = 255 * 256 of 65,536. */
#define FLOW_PACKETS_EXACT 256
#define FLOW_PACKETS_CARRY (65536 - FLOW_PACKETS_EXACT)

/* The same for RTT samples: of 256 so many are carried. */
#define TCP_LEG_CARRY 128

/* RTT towards one side of a TCP flow; how many samples is in the flow. */
struct tcp_leg {
	uint32_t min;
	uint32_t ewma;
};

struct flow {
	uint64_t addresses; /* as in struct packet: A << 32 | B, or IPv6: the key's hash, and the cold part decides */
	uint64_t key_tail;  /* as in struct packet */
	uint64_t last_ns;   /* the latest packet */
	uint32_t bytes[2];  /* wire length; carried, as the following: flow_bytes(), flow_packets(), flow_overhead() */
	uint16_t packets[2];
	uint16_t overhead[2]; /* wire bytes that are not l3 bytes */
	union {
		struct {
			uint8_t tcp_flags[2]; /* OR of all, by direction */
			uint8_t dup_acks[2];  /* consecutive duplicate ACKs sent, saturating */
		};
		uint32_t pending_tick; /* not TCP: when the unanswered request was seen, ticks */
	};
	uint8_t flags; /* enum flow_flag */
	uint8_t tos;   /* of the first packet */
	union {
		uint8_t leg_samples[2]; /* TCP: RTTs, by the side that answered; carried: tcp_leg_samples() */
		uint16_t app_id;        /* not TCP: of the unanswered request */
	};
	union {
		struct rtt_stat rtt; /* not TCP */
		struct {
			uint32_t rtt_last; /* ticks; valid if a leg has samples */
			uint32_t rtt_ewma;
			struct tcp_leg leg_a; /* tcp_leg(); who is the client is asked at the end of the flow */
		};
	};
};
_Static_assert(sizeof(struct flow) == 64, "one line");

struct flow_cold {
	uint8_t a_ip[16]; /* IPv6 only */
	uint8_t b_ip[16];
	uint64_t first_ns;
	uint32_t tunnel; /* as in struct flow_key */
	uint32_t overhead_carry[2];
	uint16_t bytes_carry[2];
	uint16_t packets_carry[2];     /* of FLOW_PACKETS_CARRY each */
	uint8_t bytes_carry_high[2];   /* 56 bits with the flow's: 72 PB */
	uint8_t packets_carry_high[2]; /* 40 bits */
};
_Static_assert(sizeof(struct flow_cold) == 64, "one line");

/* A segment that waits for its ACK. */
struct tcp_sample {
	uint32_t seq_end;
	uint32_t sent_tick;
};

struct tcp_hole {
	uint32_t start; /* never-seen bytes [start, end) below next_seq; start == end: no hole */
	uint32_t end;
};

#define TCP_SAMPLES     8 /* shared by both directions; more segments in flight are simply not timed */
#define TCP_SAMPLES_HOT 3 /* of them in the line that each segment touches; most flows never need more */
#define TCP_HOLES       2 /* per direction; when more are open the oldest counts as seen */

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
	uint16_t window[2];                  /* last advertised, unscaled */
	uint8_t state;                       /* enum tcp_state */
	uint8_t bits;                        /* enum tcp_flag_bit */
	uint8_t sample_used[2];              /* by the segment's sender; bit i: sample i is taken */
	uint32_t seq_end[TCP_SAMPLES_HOT];   /* of the first samples; arrays, so that one vector instruction ... */
	uint32_t sent_tick[TCP_SAMPLES_HOT]; /* ... compares an ACK with all of them */
	struct tcp_leg leg_b;
};
_Static_assert(sizeof(struct tcp_flow) == 128, "two lines");
_Static_assert(offsetof(struct tcp_flow, half) == 64, "segments is a line");
_Static_assert(offsetof(struct tcp_flow, leg_b) == offsetof(struct tcp_flow, flow.leg_a) + 64, "tcp_leg() counts on it");

struct tcp_cold {
	struct flow_cold flow;

	/* rare 0 */
	uint32_t first_seq[2]; /* of the SYN, or of the first segment seen */
	uint32_t retransmissions;
	uint32_t out_of_order;
	uint32_t handshake_ticks; /* SYN to the ACK of the SYN-ACK; 0: not seen. The reordering threshold */
	uint32_t leg_samples_carry[2];
	uint16_t dup_ack_ms;           /* time of the last duplicate ACK, ms, wraps: only its neighbourhood is asked for */
	uint16_t retransmissions_told; /* to the anomaly detectors; low 16 bits */
	uint8_t client;                /* enum flow_client */
	uint8_t hole_epoch[2];         /* GiB sent when holes were last looked at, by direction; wraps */
	uint8_t unused[5];
	uint32_t ts_value[2]; /* a TSval waiting for its echo, by the direction that sent it */
	uint32_t ts_tick[2];
	struct tcp_sample spill[TCP_SAMPLES - TCP_SAMPLES_HOT]; /* the further samples: one in this line, four in the next */

	/* rare 1 */
	struct tcp_hole hole[2][TCP_HOLES]; /* with FLOW_HOLES only */
};
_Static_assert(sizeof(struct tcp_cold) == 192, "three lines");
_Static_assert(offsetof(struct tcp_cold, first_seq) == 64, "the second line");
_Static_assert(offsetof(struct tcp_cold, spill[1]) == 128, "the third line");

/* --- blocks: what they hold, and the way from a flow to its cold part ----------------------------------------------------------- */

#define FLOW_BLOCK_BYTES  ((size_t)2 << 20)
#define FLOW_BLOCK_TCP    ((unsigned)(FLOW_BLOCK_BYTES / (sizeof(struct tcp_flow) + sizeof(struct tcp_cold))))
#define FLOW_BLOCK_OTHERS ((unsigned)(FLOW_BLOCK_BYTES / (sizeof(struct flow) + sizeof(struct flow_cold))))

struct tcp_block {
	struct tcp_flow flows[FLOW_BLOCK_TCP];
	struct tcp_cold cold[FLOW_BLOCK_TCP];
};
_Static_assert(sizeof(struct tcp_block) <= FLOW_BLOCK_BYTES, "6,553 flows");

struct other_block {
	struct flow flows[FLOW_BLOCK_OTHERS];
	struct flow_cold cold[FLOW_BLOCK_OTHERS];
};
_Static_assert(sizeof(struct other_block) == FLOW_BLOCK_BYTES, "16,384 flows");

/* Of a flow of either kind, without a branch: which of the two a packet is, is hard to predict. */
static inline struct flow_cold *flow_cold_of(const void *flow, bool tcp)
{
	uintptr_t within = (uintptr_t)flow % FLOW_BLOCK_BYTES, block = (uintptr_t)flow - within;
	uintptr_t of_tcp = offsetof(struct tcp_block, cold) + within / sizeof(struct tcp_flow) * sizeof(struct tcp_cold);
	uintptr_t of_other = offsetof(struct other_block, cold) + within;

	return (struct flow_cold *)(block + of_other + ((of_tcp - of_other) & -(uintptr_t)tcp));
}

static inline struct tcp_cold *tcp_cold(const struct tcp_flow *tcp)
{
	return (struct tcp_cold *)flow_cold_of(tcp, true);
}

static inline struct flow_cold *other_cold(const struct flow *flow)
{
	return flow_cold_of(flow, false);
}

enum way_mark {
	WAY_BEGUN = 1 << 0, /* the piece at hand has a packet */
	WAY_MAC = 1 << 1,   /* there are MAC addresses */
};

/*
 * What one-way records need besides, by direction; only there if an output wants them. In an area of its own, by slot: line 0 is
 * touched by each packet, the others when a direction or a piece begins or ends.
 */
struct flow_extra {
	/* the piece at hand */
	uint64_t first_ns[2];
	uint64_t last_ns[2];
	uint64_t base_packets[2]; /* the flow's count when the piece began */
	uint8_t tcp_flags[2];
	uint8_t way_flags[2]; /* of all pieces */
	uint8_t tos[2];
	uint16_t vlan[2];
	uint16_t icmp[2];
	uint8_t marks[2]; /* enum way_mark */

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

/* --- reading it ------------------------------------------------------------------------------------------------------ */

#define FLOW_PROTO_TCP 6

static inline uint8_t flow_proto(const struct flow *flow)
{
	return (uint8_t)(flow->key_tail >> 32);
}

static inline uint8_t flow_ip_version(const struct flow *flow)
{
	return (uint8_t)(flow->key_tail >> 40);
}

/* FLOW_TAIL_TUNNEL is turned: VLAN ids have twelve bits, and FLOW_VLAN_NONE has ones in the two upper bits. */
static inline bool flow_is_tunnelled(const struct flow *flow)
{
	return (flow->key_tail ^ flow->key_tail << 1) & FLOW_TAIL_TUNNEL;
}

static inline struct flow_cold *flow_cold(const struct flow *flow)
{
	return flow_cold_of(flow, flow_proto(flow) == FLOW_PROTO_TCP);
}

/* What a direction sent so far. These read the cold part. */
static inline uint64_t flow_packets(const struct flow *flow, unsigned dir)
{
	const struct flow_cold *cold = flow_cold(flow);

	return ((uint64_t)cold->packets_carry_high[dir] << 16 | cold->packets_carry[dir]) * FLOW_PACKETS_CARRY + flow->packets[dir];
}

static inline uint64_t flow_overhead(const struct flow *flow, unsigned dir)
{
	const struct flow_cold *cold = flow_cold(flow);

	return (uint64_t)cold->overhead_carry[dir] << 16 | flow->overhead[dir];
}

static inline uint64_t flow_bytes(const struct flow *flow, unsigned dir)
{
	const struct flow_cold *cold = flow_cold(flow);

	return (uint64_t)cold->bytes_carry_high[dir] << 48 | (uint64_t)cold->bytes_carry[dir] << 32 | flow->bytes[dir];
}

static inline uint32_t tcp_leg_samples(const struct tcp_flow *tcp, unsigned dir)
{
	return tcp_cold(tcp)->leg_samples_carry[dir] * TCP_LEG_CARRY + tcp->flow.leg_samples[dir];
}

/* Towards the side that sent in direction `dir`. */
static inline struct tcp_leg *tcp_leg(struct tcp_flow *tcp, unsigned dir)
{
	return dir ? &tcp->leg_b : &tcp->flow.leg_a;
}

#endif
