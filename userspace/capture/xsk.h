/*
 * The AF_XDP sockets of one RX queue, and the rings between them and the kernel.
 *
 *            fill ring  ◀── buffers that are free ──┐ (shared by the queue's lanes)
 *   kernel ─┤                                       ├─ lane 0 .. fanout - 1
 *            RX ring, one a lane ── frames ────────▶┘
 *
 * All buffers are in the fill ring, an RX ring, or a lane's hands: the fill ring has room for all of them, so giving back never
 * fails. Made, bound and closed by the control thread, while no lane runs on it; the rings belong to the lanes.
 */
#ifndef FLOWLANE_XSK_H
#define FLOWLANE_XSK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <linux/if_xdp.h>
#include <xdp/xsk.h>

#include "umem.h"

#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4) /* Linux 6.6: a frame may take several buffers ... */
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0) /* ... and this says in xdp_desc.options that the next one belongs to it */
#endif

#define XSK_SHARES_MAX 64

/*
 * In front of each frame in copy mode, beside the kernel's own 256 bytes. 16: then the metadata begins a cache line and the headers
 * follow on it, an Ethernet + IPv4 + UDP frame is one line instead of two. In zero-copy mode 0: some NICs take buffer lengths in
 * steps of 128 bytes or of 1 KiB only, and would write beyond a shorter buffer's end.
 */
#define XSK_COPY_HEADROOM   16
#define XSK_KERNEL_HEADROOM 256 /* XDP_PACKET_HEADROOM */

/* One socket: one lane's RX ring. */
struct xsk {
	struct xsk_ring_cons rx;
	struct xsk_socket *socket; /* NULL: none */
	int fd;
} __attribute__((aligned(64)));

struct xsk_queue {
	struct xsk_ring_prod fill; /* with several lanes: under `lock` */
	atomic_bool locked;
	bool shared; /* more than one lane */
	bool zerocopy, sg;
	struct umem memory;
	struct xsk_umem *umem; /* NULL: not bound */
	struct xsk_ring_cons completion;
	unsigned shares;
	struct xsk *share; /* [shares] */
};

struct xsk_options {
	const char *interface;
	unsigned queue;
	uint32_t rx_size;   /* a power of two */
	uint32_t fill_size; /* a power of two, at least the number of frames */
	uint32_t frames;    /* of the memory's, to go around; the others lie idle */
	bool zerocopy;      /* or copy: asked for by name, so that one is never taken for the other */
	bool sg;            /* frames may take several buffers */
};

/* Memory and rings' places, no sockets yet. 0 or a negative errno, not logged. */
int xsk_queue_open(struct xsk_queue *queue, unsigned shares, uint32_t frames, uint32_t frame_bytes, int numa_node);
/* Registers the memory, fills the fill ring, makes and binds the sockets. 0, or the negative errno of the kernel, not logged; then
 * nothing is bound, and it may be tried again with other options. */
int xsk_queue_bind(struct xsk_queue *queue, const struct xsk_options *options);
void xsk_queue_unbind(struct xsk_queue *queue);
void xsk_queue_close(struct xsk_queue *queue); /* unbinds; accepts one not opened */

/* What the socket got, as the kernel says (XDP_OPTIONS). */
bool xsk_is_zerocopy(const struct xsk *xsk);
/* Bytes of a frame that fit one buffer. */
uint32_t xsk_room(uint32_t frame_bytes, bool zerocopy);

/* The smallest ring with so many entries: rings have a power of two of them. */
static inline uint32_t xsk_ring_size(uint32_t entries)
{
	return entries <= 1 ? 1 : 1u << (32 - __builtin_clz(entries - 1));
}

/* What the kernel counted: per socket, or of the whole queue (its fill ring). */
struct xsk_counts {
	uint64_t rx_dropped;      /* sum over sockets: no buffer was free, or the frame too long */
	uint64_t rx_ring_full;    /* sum over sockets */
	uint64_t fill_ring_empty; /* of the queue */
	uint64_t invalid;         /* of the queue */
	uint64_t waiting;         /* frames in the RX rings, sum over sockets */
};

/* Any time while bound. */
void xsk_queue_count(const struct xsk_queue *queue, struct xsk_counts *counts);

/* Makes the driver look at the fill ring (or, with busy polling, at its RX ring). Packet path; asks the kernel. */
void xsk_kick(const struct xsk *xsk);

#endif
