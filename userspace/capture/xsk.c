#include "xsk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define COMPLETION_SIZE 64 /* we never send, but the kernel wants one */

int xsk_queue_open(struct xsk_queue *queue, unsigned shares, uint32_t frames, uint32_t frame_bytes, int numa_node)
{
	*queue = (struct xsk_queue){ .shared = shares > 1, .shares = shares };
	queue->share = aligned_alloc(_Alignof(struct xsk), shares * sizeof(*queue->share));
	if (!queue->share)
		return -ENOMEM;
	memset(queue->share, 0, shares * sizeof(*queue->share));
	int err = umem_map(&queue->memory, frames, frame_bytes, numa_node);
	if (err)
		xsk_queue_close(queue);
	return err;
}

void xsk_queue_close(struct xsk_queue *queue)
{
	xsk_queue_unbind(queue);
	umem_unmap(&queue->memory);
	free(queue->share);
	queue->share = NULL;
	queue->shares = 0;
}

uint32_t xsk_room(uint32_t frame_bytes, bool zerocopy)
{
	return frame_bytes - XSK_KERNEL_HEADROOM - (zerocopy ? 0 : XSK_COPY_HEADROOM);
}

/* Before binding: a driver takes its first buffers when it is bound. */
static int xsk_queue_fill(struct xsk_queue *queue, uint32_t frames)
{
	uint32_t at;

	if (xsk_ring_prod__reserve(&queue->fill, frames, &at) != frames)
		return -ENOSPC;
	for (uint32_t i = 0; i < frames; i++)
		*xsk_ring_prod__fill_addr(&queue->fill, at + i) = (uint64_t)i * queue->memory.frame_bytes;
	xsk_ring_prod__submit(&queue->fill, frames);
	return 0;
}

static int xsk_open(struct xsk_queue *queue, struct xsk *xsk, const struct xsk_options *options)
{
	struct xsk_socket_config config = {
		.rx_size = options->rx_size,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = (uint16_t)(XDP_USE_NEED_WAKEUP | (options->zerocopy ? XDP_ZEROCOPY : XDP_COPY) |
					 (options->sg ? XDP_USE_SG : 0)),
	};

	memset(&xsk->rx, 0, sizeof(xsk->rx));
	int err = xsk_socket__create_shared(&xsk->socket, options->interface, options->queue, queue->umem, &xsk->rx, NULL,
		&queue->fill, &queue->completion, &config);
	if (err) {
		xsk->socket = NULL;
		return err;
	}
	xsk->fd = xsk_socket__fd(xsk->socket);
	return 0;
}

int xsk_queue_bind(struct xsk_queue *queue, const struct xsk_options *options)
{
	const struct xsk_umem_config config = {
		.fill_size = options->fill_size,
		.comp_size = COMPLETION_SIZE,
		.frame_size = queue->memory.frame_bytes,
		.frame_headroom = options->zerocopy ? 0 : XSK_COPY_HEADROOM,
	};

	/* libxdp does not clear what it does not set: an unclean ring has no room for ever. */
	memset(&queue->fill, 0, sizeof(queue->fill));
	memset(&queue->completion, 0, sizeof(queue->completion));
	int err =
		xsk_umem__create(&queue->umem, queue->memory.area, queue->memory.bytes, &queue->fill, &queue->completion, &config);
	if (err) {
		queue->umem = NULL;
		return err;
	}
	queue->sg = options->sg;
	err = xsk_queue_fill(queue, options->frames);
	for (unsigned i = 0; i < queue->shares && !err; i++)
		err = xsk_open(queue, &queue->share[i], options);
	if (err) {
		xsk_queue_unbind(queue);
		return err;
	}
	queue->zerocopy = xsk_is_zerocopy(&queue->share[0]);
	return 0;
}

/* Sockets first, then the memory they work on. */
void xsk_queue_unbind(struct xsk_queue *queue)
{
	for (unsigned i = queue->shares; i-- > 0 && queue->share;) {
		if (queue->share[i].socket)
			xsk_socket__delete(queue->share[i].socket);
		queue->share[i].socket = NULL;
	}
	if (queue->umem)
		xsk_umem__delete(queue->umem);
	queue->umem = NULL;
}

bool xsk_is_zerocopy(const struct xsk *xsk)
{
	struct xdp_options options = { 0 };
	socklen_t bytes = sizeof(options);

	return !getsockopt(xsk->fd, SOL_XDP, XDP_OPTIONS, &options, &bytes) && options.flags & XDP_OPTIONS_ZEROCOPY;
}

/* Whole frames between the lane's and the kernel's end of the ring. The lane may take some meanwhile: it is a count of this moment. */
static uint64_t xsk_waiting(const struct xsk *xsk, bool sg)
{
	uint32_t to = __atomic_load_n(xsk->rx.producer, __ATOMIC_ACQUIRE);
	uint32_t from = __atomic_load_n(xsk->rx.consumer, __ATOMIC_RELAXED);
	uint64_t frames = 0;

	if (to - from > xsk->rx.size)
		return 0; /* the lane overtook what was read first */
	if (!sg)
		return to - from;
	for (; from != to; from++)
		frames += !(xsk_ring_cons__rx_desc(&xsk->rx, from)->options & XDP_PKT_CONTD);
	return frames;
}

void xsk_queue_count(const struct xsk_queue *queue, struct xsk_counts *counts)
{
	*counts = (struct xsk_counts){ 0 };
	for (unsigned i = 0; i < queue->shares; i++) {
		const struct xsk *xsk = &queue->share[i];
		struct xdp_statistics statistics = { 0 };
		socklen_t bytes = sizeof(statistics);
		if (!xsk->socket || getsockopt(xsk->fd, SOL_XDP, XDP_STATISTICS, &statistics, &bytes))
			continue;
		counts->rx_dropped += statistics.rx_dropped;
		counts->rx_ring_full += statistics.rx_ring_full;
		counts->waiting += xsk_waiting(xsk, queue->sg);
		/* These two belong to the fill ring: each of its sockets reports the same. */
		counts->fill_ring_empty = statistics.rx_fill_ring_empty_descs;
		counts->invalid = statistics.rx_invalid_descs;
	}
}

void xsk_kick(const struct xsk *xsk)
{
	recvfrom(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}
