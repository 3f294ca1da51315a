/*
 * AF_XDP sockets on one queue of flt1, sharing a UMEM whose fill ring is full. They are bound: from Linux 7.2 on, the XSKMAP takes
 * no others.
 */
#ifndef RECEIVER_H
#define RECEIVER_H

#include <sys/mman.h>
#include <xdp/xsk.h>

#include "bpf_rig.h"

#define RECEIVER_SOCKETS_MAX 4
#define RECEIVER_RING        64
#define RECEIVER_CHUNK       2048
#define RECEIVER_CHUNKS      (4 * RECEIVER_RING)
#define RECEIVER_WAIT_MS     2000

struct receiver {
	struct xsk_umem *umem;
	void *area;
	unsigned sockets;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion;
	struct xsk_ring_cons rx[RECEIVER_SOCKETS_MAX];
	struct xsk_socket *socket[RECEIVER_SOCKETS_MAX];
};

/* The kernel lets go of a queue some time after its last socket was closed; until then it says EBUSY. */
static inline void receiver_bind(struct receiver *receiver, uint32_t queue, unsigned share)
{
	const struct xsk_socket_config config = { .rx_size = RECEIVER_RING,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_COPY | XDP_USE_NEED_WAKEUP };
	int error = -EBUSY;

	for (unsigned ms = 0; error == -EBUSY && ms < RECEIVER_WAIT_MS; ms += 10) {
		error = xsk_socket__create_shared(&receiver->socket[share], "flt1", queue, receiver->umem, &receiver->rx[share],
			NULL, &receiver->fill, &receiver->completion, &config);
		if (error == -EBUSY)
			usleep(10000);
	}
	assert_int_equal(error, 0);
}

static inline void receiver_open(struct receiver *receiver, uint32_t queue, unsigned sockets)
{
	struct xsk_umem_config umem_config = {
		.fill_size = RECEIVER_CHUNKS, .comp_size = RECEIVER_RING, .frame_size = RECEIVER_CHUNK
	};
	uint32_t at = 0;

	memset(receiver, 0, sizeof(*receiver)); /* libxdp expects zeroed rings */
	receiver->sockets = sockets;
	receiver->area = mmap(NULL, RECEIVER_CHUNKS * RECEIVER_CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(receiver->area, MAP_FAILED);
	assert_int_equal(xsk_umem__create(&receiver->umem, receiver->area, RECEIVER_CHUNKS * RECEIVER_CHUNK, &receiver->fill,
				 &receiver->completion, &umem_config),
		0);
	assert_int_equal(xsk_ring_prod__reserve(&receiver->fill, RECEIVER_CHUNKS, &at), RECEIVER_CHUNKS);
	for (uint32_t i = 0; i < RECEIVER_CHUNKS; i++)
		*xsk_ring_prod__fill_addr(&receiver->fill, at + i) = (uint64_t)i * RECEIVER_CHUNK;
	xsk_ring_prod__submit(&receiver->fill, RECEIVER_CHUNKS);
	for (unsigned share = 0; share < receiver->sockets; share++)
		receiver_bind(receiver, queue, share);
}

static inline void receiver_close(struct receiver *receiver)
{
	for (unsigned share = 0; share < receiver->sockets; share++)
		xsk_socket__delete(receiver->socket[share]);
	xsk_umem__delete(receiver->umem);
	munmap(receiver->area, RECEIVER_CHUNKS * RECEIVER_CHUNK);
}

#endif
