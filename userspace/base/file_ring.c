#include "file_ring.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#ifdef FLOWLANE_URING
#include <liburing.h>
#endif

#define RETRY_US 1000 /* after the kernel had no memory for a write */

struct file_ring {
	int wake_fd;
	bool uring;
	unsigned waiting;
	struct file_write *writes[FILE_RING_WRITES]; /* [waiting]: to be done by this thread */
#ifdef FLOWLANE_URING
	struct io_uring io;
#endif
};

static void file_write_now(struct file_write *write)
{
	do {
		write->result = write->seekable ? pwritev(write->fd, write->iov, (int)write->iov_count, (off_t)write->offset)
						: writev(write->fd, write->iov, (int)write->iov_count);
	} while (write->result < 0 && errno == EINTR);
	if (write->result < 0)
		write->result = -errno;
}

#ifdef FLOWLANE_URING

static int uring_open(struct file_ring *ring)
{
	return io_uring_queue_init(FILE_RING_WRITES, &ring->io, 0);
}

static void uring_close(struct file_ring *ring)
{
	io_uring_queue_exit(&ring->io);
}

/* NULL: the queue is full and the kernel takes nothing; cannot be, as long as there are at most FILE_RING_WRITES. */
static struct io_uring_sqe *uring_sqe(struct file_ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->io);

	if (!sqe && io_uring_submit(&ring->io) >= 0)
		sqe = io_uring_get_sqe(&ring->io);
	return sqe;
}

static bool uring_start(struct file_ring *ring, struct file_write *write)
{
	struct io_uring_sqe *sqe = uring_sqe(ring);

	if (!sqe)
		return false;
	io_uring_prep_writev(sqe, write->fd, write->iov, write->iov_count, write->offset);
	io_uring_sqe_set_data(sqe, write);
	return true;
}

/* False: the kernel did not take all of it (EAGAIN, EBUSY); the next time. */
static bool uring_submit(struct file_ring *ring)
{
	io_uring_submit(&ring->io);
	return io_uring_sq_ready(&ring->io) == 0;
}

static unsigned uring_reap(struct file_ring *ring, struct file_write **done, unsigned max)
{
	struct io_uring_cqe *cqe;
	unsigned n = 0;

	while (n < max && io_uring_peek_cqe(&ring->io, &cqe) == 0) {
		done[n] = io_uring_cqe_get_data(cqe);
		done[n++]->result = cqe->res;
		io_uring_cqe_seen(&ring->io, cqe);
	}
	return n;
}

static int uring_fd(const struct file_ring *ring)
{
	return ring->io.ring_fd;
}

#else

static int uring_open(struct file_ring *ring)
{
	(void)ring;
	return -ENOSYS;
}

static void uring_close(struct file_ring *ring)
{
	(void)ring;
}

static bool uring_start(struct file_ring *ring, struct file_write *write)
{
	(void)ring;
	(void)write;
	return false;
}

static bool uring_submit(struct file_ring *ring)
{
	(void)ring;
	return true;
}

static unsigned uring_reap(struct file_ring *ring, struct file_write **done, unsigned max)
{
	(void)ring;
	(void)done;
	(void)max;
	return 0;
}

static int uring_fd(const struct file_ring *ring)
{
	(void)ring;
	return -1;
}

#endif

int file_ring_open(bool uring, struct file_ring **ring)
{
	struct file_ring *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (made->wake_fd < 0) {
		int error = -errno;
		free(made);
		return error;
	}
	made->uring = uring && uring_open(made) == 0;
	*ring = made;
	return 0;
}

bool file_ring_is_uring(const struct file_ring *ring)
{
	return ring->uring;
}

void file_ring_start(struct file_ring *ring, struct file_write *write)
{
	if (ring->uring && write->seekable && uring_start(ring, write))
		return;
	ring->writes[ring->waiting++] = write;
}

/* Both descriptors are polled, rather than one inside the other: the same for both engines, and debuggers that run one thread at a
 * time know that poll() waits. */
static void ring_sleep(struct file_ring *ring, unsigned timeout_us)
{
	struct timespec timeout = { .tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000 };
	struct pollfd fds[2] = { { .fd = ring->wake_fd, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
	eventfd_t ignored;

	if (ring->uring)
		fds[1].fd = uring_fd(ring);
	if (ppoll(fds, 2, timeout_us ? &timeout : NULL, NULL) > 0 && fds[0].revents)
		eventfd_read(ring->wake_fd, &ignored);
}

unsigned file_ring_wait(struct file_ring *ring, unsigned timeout_us, struct file_write **done, unsigned max)
{
	unsigned n = 0;

	if (ring->uring && !uring_submit(ring))
		timeout_us = RETRY_US;
	while (n < max && ring->waiting > 0) {
		done[n] = ring->writes[--ring->waiting];
		file_write_now(done[n++]);
	}
	if (ring->uring)
		n += uring_reap(ring, done + n, max - n);
	if (n == 0)
		ring_sleep(ring, timeout_us);
	if (n == 0 && ring->uring)
		n = uring_reap(ring, done, max);
	return n;
}

void file_ring_wake(struct file_ring *ring)
{
	eventfd_write(ring->wake_fd, 1); /* EAGAIN: it is full of wake-ups already */
}

void file_ring_close(struct file_ring *ring)
{
	if (!ring)
		return;
	if (ring->uring)
		uring_close(ring);
	close(ring->wake_fd);
	free(ring);
}
