/*
 * What a finished flow is: the flow_record that sinks get. While it lives, it is in include/flowlane/live.h.
 */
#ifndef FLOWLANE_FLOW_H
#define FLOWLANE_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flowlane/flow_key.h"

/* RTTs are held as 32-bit counts of 8 ns: whole microseconds stay exact (1 us = 125). They wrap after 34 s; half of that is the
 * longest RTT, so that an ACK from before its segment (captures are not always in order) is told from one long after it. */
#define RTT_TICK_NS 8
#define RTT_MAX_NS  ((uint64_t)17 * 1000 * 1000 * 1000) /* longer than this: no sample */

enum rtt_source {
	RTT_HANDSHAKE, /* SYN -> SYN-ACK, SYN-ACK -> ACK */
	RTT_SEQ_ACK,   /* data segment -> the ACK that ends exactly there, Karn's rule */
	RTT_TIMESTAMP, /* TCP timestamp option (RFC 7323), where SEQ/ACK gave nothing */
	RTT_ICMP_ECHO,
	RTT_DNS,
	RTT_QUIC_SPIN, /* RFC 9000 section 17.4 */
	RTT_SOURCE_COUNT,
};

/* Which half of the path: from the tap to the server and back, or to the client and back. */
enum rtt_leg { RTT_TO_SERVER, RTT_TO_CLIENT, RTT_LEG_COUNT };

struct rtt_stat {
	uint32_t last; /* ticks of RTT_TICK_NS */
	uint32_t min;
	uint32_t ewma;    /* alpha 1/8 */
	uint32_t samples; /* 0: the three above mean nothing */
};

/* One measurement, for those who want them all. */
struct rtt_sample {
	uint64_t ts_ns; /* of the packet that answered */
	uint32_t ticks;
	uint8_t source; /* enum rtt_source */
	uint8_t dir;    /* of the packet that answered: 0: sent by A */
	uint8_t unused[6];
	struct flow_key key;
};
_Static_assert(sizeof(struct rtt_sample) == 64, "one line");

struct rtt_leg_stat {
	uint32_t min;
	uint32_t ewma;
	uint32_t samples;
};

enum tcp_state {
	TCP_STATE_NONE, /* not TCP */
	TCP_STATE_UNKNOWN,
	TCP_STATE_SYN_SENT,
	TCP_STATE_SYN_ACK,
	TCP_STATE_ESTABLISHED,
	TCP_STATE_FIN_WAIT,
	TCP_STATE_CLOSED,
	TCP_STATE_RESET,
	TCP_STATE_COUNT,
};

enum flow_client { CLIENT_UNKNOWN, CLIENT_A_TO_B, CLIENT_B_TO_A };

/* Why a flow left the table. The names of the summary and of the expired-flows file: flow_end_name(). */
enum flow_end {
	FLOW_END_TIMEOUT,  /* idle for --flow-timeout-s, or half-open/closed under memory pressure */
	FLOW_END_EVICTION, /* the table was full */
	FLOW_END_REUSE,    /* a new connection on the same 5-tuple */
	FLOW_END_COUNT,
	FLOW_ALIVE = FLOW_END_COUNT, /* still in the table when the input ended */
};

struct flow_record {
	struct flow_key key;
	uint8_t tcp_state; /* enum tcp_state */
	uint8_t client;    /* enum flow_client */
	uint8_t end;       /* enum flow_end */
	uint8_t tos;       /* of the first packet */
	uint64_t first_ns;
	uint64_t last_ns;
	uint64_t end_ns;      /* packet time at which it left: last + timeout, or the packet that pushed it out; ALIVE: last_ns */
	uint64_t packets[2];  /* [0] a_to_b, [1] b_to_a */
	uint64_t bytes[2];    /* wire length */
	uint64_t l3_bytes[2]; /* IP total length */
	uint32_t retransmissions;
	uint32_t out_of_order;
	struct rtt_stat rtt;
	struct rtt_leg_stat leg[RTT_LEG_COUNT];
	uint8_t tcp_flags[2]; /* OR of all */
	uint8_t first_dir;    /* dir of the first packet */
	uint8_t cut_off;      /* 1: some packets were counted only (--flow-cutoff); the totals have them */
	uint32_t sample;      /* N: one flow in N was taken */
};
_Static_assert(sizeof(struct flow_record) == 176, "no hidden padding: the spool writes it as it is");

/* Why a flow_way ended: an enum flow_end, or this: the active timeout cut it, and the flow lives on. */
#define FLOW_CUT (FLOW_ALIVE + 1)

/*
 * One direction of a flow, or a piece of one: what the one-way formats (NetFlow's world) export. A direction ends when it was silent
 * for the idle timeout, even if the other one talks on, and with its flow; its pieces end besides when a packet comes later than
 * the active timeout after the piece's first one.
 */
struct flow_way {
	struct flow_key key;
	uint8_t dir;       /* 0: A is the source */
	uint8_t end;       /* enum flow_end, or FLOW_CUT */
	uint8_t tcp_flags; /* OR of all */
	uint8_t tos;       /* of the direction's first packet */
	uint64_t first_ns;
	uint64_t last_ns;
	uint64_t end_ns; /* packet time at which it was over: last + idle timeout, first + active timeout, or its flow's end */
	uint64_t packets;
	uint64_t bytes;     /* wire length */
	uint64_t l3_bytes;  /* IP total length */
	uint32_t pieces;    /* of a whole direction: how many; of a piece: its number, from 1 */
	uint32_t input;     /* ifindex it came in by; 0: a file */
	uint32_t server_us; /* RTT between tap and server, microseconds; 0: not known */
	uint32_t client_us; /* between tap and client */
	uint16_t icmp;      /* type << 8 | code of the direction's first packet */
	uint16_t vlan;      /* outermost id, FLOW_VLAN_NONE: untagged */
	uint8_t initiator;  /* the flow's first packet went this way */
	uint8_t has_mac;
	uint8_t src_mac[6]; /* of the direction's first packet */
	uint8_t dst_mac[6];
	uint8_t unused[46];
};
_Static_assert(sizeof(struct flow_way) == sizeof(struct flow_record), "the spool sorts both: same size ...");
_Static_assert(offsetof(struct flow_way, first_ns) == offsetof(struct flow_record, first_ns) &&
		       offsetof(struct flow_way, last_ns) == offsetof(struct flow_record, last_ns) &&
		       offsetof(struct flow_way, end_ns) == offsetof(struct flow_record, end_ns),
	"... and what SPOOL_BY_END orders by in the same places");

const char *tcp_state_name(enum tcp_state state);    /* "established"; NULL for TCP_STATE_NONE */
const char *flow_end_name(enum flow_end end);        /* "timeout" */
const char *rtt_source_name(enum rtt_source source); /* "seq_ack" */

#endif
