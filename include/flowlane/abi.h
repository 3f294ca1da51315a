/*
 * What the XDP program and the sensor agree on. The one header of ours that bpf/ includes; fixed width, sizes asserted.
 */
#ifndef FLOWLANE_ABI_H
#define FLOWLANE_ABI_H

#ifdef __bpf__
typedef __u8 abi_u8;
typedef __u16 abi_u16;
typedef __u32 abi_u32;
typedef __u64 abi_u64;
#else
#include <stdint.h>
typedef uint8_t abi_u8;
typedef uint16_t abi_u16;
typedef uint32_t abi_u32;
typedef uint64_t abi_u64;
#endif

/* Where frame_meta.ts_ns comes from. The order is that of preference. */
enum frame_ts {
	FRAME_TS_NONE,     /* not stamped: user space stamps the batch */
	FRAME_TS_KTIME,    /* CLOCK_MONOTONIC when the XDP program ran */
	FRAME_TS_HARDWARE, /* the NIC's clock, by the rx_timestamp kfunc */
	FRAME_TS_BATCH,    /* the program was told not to: user space stamps the batch. The rest of the metadata is valid */
	FRAME_TS_COUNT,
};

/*
 * In front of each frame that reaches a socket, at data - sizeof(struct frame_meta), unless the driver has no room for it: then its
 * ts_kind is what it was. That is FRAME_TS_NONE at the start; and once the program has counted such a frame (meta_failed), the reader
 * sets it so when it is done with a frame.
 */
struct frame_meta {
	abi_u64 ts_ns;
	abi_u32 wire_len; /* before the frame was cut for the copy; 0: not cut */
	abi_u16 vlan_tci; /* of the tag that hardware took out; valid if vlan_tpid */
	abi_u8 vlan_tpid; /* 0: none was taken out, 1: 0x8100, 2: 0x88a8 */
	abi_u8 ts_kind;   /* enum frame_ts */
};
_Static_assert(sizeof(struct frame_meta) == 16, "multiple of 4, at most 32: what bpf_xdp_adjust_meta() takes");

/* What the XDP program does with a frame; each frame has one verdict, each verdict one counter per queue and CPU. */
enum xdp_verdict {
	XDP_VERDICT_CAPTURED, /* handed to the queue's socket; what happens then is in the socket's statistics */
	XDP_VERDICT_FILTERED, /* does not match the filter expression. This one and those below but NO_SOCKET are passed to the host, or
				  with --exclusive dropped */
	XDP_VERDICT_NO_SOCKET, /* the queue has no socket: passed to the host */
	XDP_VERDICT_DENIED,    /* by the rules */
	XDP_VERDICT_UNSAMPLED, /* its flow is not in the sample */
	XDP_VERDICT_CUT_OFF,   /* its flow has had its bytes; counted in map `cutoff_flows`, too */
	XDP_VERDICT_COUNT,
};

/* Value of map `counters` (BPF_MAP_TYPE_PERCPU_ARRAY, key: rx queue). */
struct xdp_counters {
	abi_u64 packets[XDP_VERDICT_COUNT];
	abi_u64 bytes[XDP_VERDICT_COUNT]; /* length of the frame in XDP: without a tag that hardware took out */
	abi_u64 meta_failed;              /* captured, but the driver has no room for metadata */
	abi_u64 unused;
};

/*
 * Value of map `clocks` (BPF_MAP_TYPE_PERCPU_ARRAY, one entry): the last reading of the clock on this CPU, and whether frames come so
 * fast that a reading each is too much.
 */
#define XDP_CLOCK_SHARE  8   /* frames for a reading */
#define XDP_CLOCK_GAP_NS 512 /* from one frame to the next, on average over the last tick: less than this is fast */

struct xdp_clock {
	abi_u64 now_ns;
	abi_u64 tick;    /* the kernel's (1 to 10 ms), in which that was */
	abi_u64 tick_ns; /* when it began, by the first frame in it */
	abi_u32 packets; /* in it so far */
	abi_u8 left;     /* frames that still get now_ns */
	abi_u8 fast;     /* by the tick before */
	abi_u8 unused[2];
};
_Static_assert(sizeof(struct xdp_clock) == 32, "the same for both compilers");

/*
 * With several sockets on a queue: what chooses one, the same for both directions. Fragments have no ports, and of a tunnel the
 * outer addresses count; so a flow stays in one lane unless some of its packets are fragments and others have ports that take part.
 * In brackets: of the 5,592 flows of the test captures, those parted so. (8 more are with each: their tunnels change ends.)
 */
enum xdp_share {
	XDP_SHARE_TCP_PORTS, /* addresses, and ports of TCP, which avoids fragments: as many NICs do by default [2] */
	XDP_SHARE_PORTS,     /* addresses and ports: the most even, but fragmented datagrams and whole ones of a flow part [8] */
	XDP_SHARE_ADDRESSES, /* never parts a flow; all between two hosts is in one lane [0] */
};

/*
 * Read-only data of the program, set before it is loaded (skel->rodata->config). Which of the four programs of flowlane.bpf.c is
 * loaded (bpf_program__set_autoload(), none is by itself) says the rest: with or without multi-buffer, with or without the driver's
 * kfuncs; hw_timestamp and hw_vlan are heard by flowlane_hw and flowlane_hw_frags only.
 */
struct xdp_config {
	abi_u32 fanout;      /* sockets per queue, at least 1; socket of a frame: queue * fanout + share, 0 <= share < fanout */
	abi_u8 hw_timestamp; /* the driver has rx_timestamp */
	abi_u8 hw_vlan;      /* the driver has rx_vlan_tag (Linux 6.8) */
	abi_u8 exclusive;    /* what is not wanted is dropped instead of passed to the host */
	abi_u8 share_by;     /* enum xdp_share */
	abi_u64 hash_seed;   /* of the share: a random number, so that nobody outside can aim at one; 0 will do */
	abi_u8 unstamped;    /* frames get no ktime: user space stamps the batch */
	abi_u8 filter;       /* the loader has put a filter expression into the program */
	abi_u8 shared_clock; /* under load the clock is read for one frame in XDP_CLOCK_SHARE, and the others get the same */
	abi_u8 rules;        /* there are rules */
	abi_u8 samples;      /* xdp_state.sample is heard */
	abi_u8 key_vlan;     /* the VLAN is part of a flow's key */
	abi_u8 unused[2];
	abi_u64 cutoff_bytes; /* 0: no cutoff */
	abi_u32 snaplen;      /* frames are cut to so many bytes before they are copied; 0: not */
	abi_u32 unused2;
};
_Static_assert(sizeof(struct xdp_config) == 40, "the same for both compilers");

/* The program assigns this to r0 where the instructions of a filter expression belong. */
#define XDP_FILTER_MARKER 0x666c7472

/* What changes while the program runs (skel->bss->state): user space writes, the program reads it once per frame. */
struct xdp_state {
	abi_u32 rules_slot; /* which of the RULES_SLOTS sets of rules is in force */
	abi_u32 sample;     /* N: one flow in N is captured */
};

/* --- rules ------------------------------------------------------------------------------------------------------------- */

/*
 * First match wins, but the program does not go from rule to rule. Each thing that a rule can ask for (an address, a port, the
 * protocol, the VLAN) has a table that says, for each value that it can have, which rules are content with it: a set of bits. What is
 * in all the sets is a match, and the lowest bit is the first rule.
 *
 * Rules that ask for one prefix alone need no bit, and there may be any number of them: the prefix has the number of the first one.
 */
#define RULES_WORDS        4
#define RULES_BITS         (64 * RULES_WORDS)
#define RULES_SLOTS        8 /* waiting for the kernel (xdp_select.c) is needed once in one less changes */
#define RULES_PREFIXES_MAX 262144
#define RULES_CLASSES      1024 /* of ports: two borders of each range, as long as there are so few */
#define RULES_NOT_IP       256
#define RULES_UNTAGGED     4096

struct rules_bits {
	abi_u64 word[RULES_WORDS];
};

/* For one address, or one port: the rules that are content with it ... */
struct rules_match {
	struct rules_bits either;      /* ... if they ask for any of the two ends (net, port), */
	struct rules_bits source;      /* ... for the source, */
	struct rules_bits destination; /* ... for the destination. A rule that does not ask is content with all */
};

/* A rule's place in the file, twice, plus 1 if it denies; the lower one wins. */
#define RULES_NUMBER(place, deny) ((abi_u32)(place) << 1 | (deny))
#define RULES_NUMBER_NONE         0xffffffffu

struct rules_address {
	struct rules_match match;
	abi_u32 as_source; /* the lowest number of rules that ask for this address alone, or RULES_NUMBER_NONE */
	abi_u32 as_destination;
};

/* Key of a prefix: the IP version, so that ::/0 is no net of IPv4 addresses, three zeros, the address (IPv4: 4 bytes, then zeros). */
#define RULES_VERSION_BITS 32

struct rules_prefix {
	abi_u32 bits; /* RULES_VERSION_BITS, and those of the net */
	abi_u8 address[4 + 16];
};
_Static_assert(sizeof(struct rules_prefix) == 24, "no padding: it is a map's key");

/* A set of rules, but for its prefixes. */
struct rules_tables {
	abi_u32 fallback; /* number of what is done where no rule matches: higher than all others */
	abi_u32 unused;
	struct rules_address elsewhere; /* addresses without a prefix, and what is not IP */
	struct rules_match no_ports;
	struct rules_bits protocol[RULES_NOT_IP + 1];
	struct rules_bits vlan[RULES_UNTAGGED + 1];
	struct rules_match ports[RULES_CLASSES];
	abi_u32 number[RULES_BITS]; /* of the rule that has this bit */
	abi_u16 port_class[65536];
};

/* --- cutoff ------------------------------------------------------------------------------------------------------------ */

/* The beginning of struct flow_key. */
struct cutoff_key {
	abi_u8 a_ip[16];
	abi_u8 b_ip[16];
	abi_u16 a_port;
	abi_u16 b_port;
	abi_u8 proto;
	abi_u8 ip_version;
	abi_u16 vlan;
};
_Static_assert(sizeof(struct cutoff_key) == 40, "no padding: it is a map's key");

/*
 * The program's variable `cutoff_marks`: how many flows with this hash (cutoff.bpf.h) are in map `cutoff_flows`, or about to be. So for
 * the most part of all flows the sensor need not ask the kernel. The program counts up before it puts a flow in, the sensor down when it
 * has taken one away.
 */
#define CUTOFF_MARKS 65536

/* What was not captured of a flow. [0]: sent by A. */
struct cutoff_counts {
	abi_u64 packets[2];
	abi_u64 bytes[2]; /* on the wire */
	abi_u64 l3_bytes[2];
	abi_u64 last_ns[2]; /* CLOCK_MONOTONIC; in user space: packet time. 0: none */
};

#endif
