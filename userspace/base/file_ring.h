/*
 * Writes that run while their owner does something else: by io_uring, or where the kernel has or allows none, by the owner's own
 * thread inside file_ring_wait(). All calls from one thread, but for file_ring_wake().
 */
#ifndef FLOWLANE_FILE_RING_H
#define FLOWLANE_FILE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define FILE_RING_WRITES 128 /* under way at a time, at most */

struct file_ring;

struct file_write {
	int fd;
	bool seekable; /* a regular file: `offset` counts, and io_uring is used. Else written at once, in file_ring_wait() */
	uint64_t offset;
	struct iovec *iov; /* stays as it is until the write is done */
	unsigned iov_count;
	/* The result: bytes written, fewer than asked for as with write(2), or a negative errno. */
	ssize_t result;
	void *owner; /* for the caller */
};

/* `uring` false: without io_uring. 0 or a negative errno; nothing logged. */
int file_ring_open(bool uring, struct file_ring **ring);
bool file_ring_is_uring(const struct file_ring *ring);
/* The write must stay where it is until file_ring_wait() hands it back. */
void file_ring_start(struct file_ring *ring, struct file_write *write);
/* Writes that are done, at most `max`; waits until there is one, someone calls file_ring_wake(), or timeout_us have passed (0: for
 * ever). Returns how many. */
unsigned file_ring_wait(struct file_ring *ring, unsigned timeout_us, struct file_write **done, unsigned max);
/* Any thread: file_ring_wait() returns, now or when it is called next. One system call. */
void file_ring_wake(struct file_ring *ring);
void file_ring_close(struct file_ring *ring); /* nothing under way; accepts NULL */

#endif
