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
	XDP_VERDICT_CAPTURED,  /* handed to the queue's socket; what happens then is in the socket's statistics */
	XDP_VERDICT_FILTERED,  /* not wanted: passed to the host, or with --exclusive dropped */
	XDP_VERDICT_NO_SOCKET, /* the queue has no socket: passed to the host */
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
	abi_u8 unused[5];
};
_Static_assert(sizeof(struct xdp_config) == 24, "the same for both compilers");

#endif
