#include "sink_helper.h"

#include <errno.h>

#include "file_ring.h"

/* Where the kernel has io_uring, and lets us. */
static bool uring_is_there(void)
{
	struct file_ring *ring;

	assert_int_equal(file_ring_open(true, &ring), 0);
	bool there = file_ring_is_uring(ring);
	file_ring_close(ring);
	return there;
}

static void file_ring_open__when_io_uring_is_not_wanted__then_none_is_used(void **state)
{
	struct file_ring *ring;

	(void)state;
	if (!uring_is_there())
		print_message("SKIPPED: this kernel allows no io_uring; what follows tests the other engine twice\n");
	assert_int_equal(file_ring_open(false, &ring), 0);
	assert_false(file_ring_is_uring(ring));
	file_ring_close(ring);
	file_ring_close(NULL);
}

static void file_ring__when_writes_run_side_by_side__then_each_comes_back_once_with_its_result(void **state)
{
	static char text[4][3] = { "abc", "def", "ghi", "jkl" };

	(void)state;
	for (unsigned uring = 0; uring < 2; uring++) {
		int fd = open(scratch_path("x"), O_RDWR | O_CREAT | O_TRUNC, 0600), bad = open(scratch_path("x"), O_RDONLY);
		struct file_write writes[FILE_RING_WRITES], *done[FILE_RING_WRITES];
		struct iovec iov[FILE_RING_WRITES][2];
		struct file_ring *ring;
		unsigned n = 0;
		assert_int_equal(file_ring_open(uring, &ring), 0);
		for (unsigned i = 0; i < FILE_RING_WRITES; i++) {
			iov[i][0] = (struct iovec){ text[i % 4], 3 };
			iov[i][1] = (struct iovec){ text[(i + 1) % 4], 2 };
			writes[i] = (struct file_write){
				.fd = i == 7 ? bad : fd,
				.seekable = true,
				.offset = 5 * i,
				.iov = iov[i],
				.iov_count = 2,
				.result = -12345,
				.owner = &writes[i],
			};
			file_ring_start(ring, &writes[i]);
		}
		while (n < FILE_RING_WRITES) {
			unsigned some = file_ring_wait(ring, 0, done, 5);
			assert_true(some <= 5);
			for (unsigned i = 0; i < some; i++) {
				assert_ptr_equal(done[i]->owner, done[i]);
				assert_int_equal(done[i]->result, done[i]->fd == bad ? -EBADF : 5);
				done[i]->owner = NULL; /* not twice */
			}
			n += some;
		}
		file_ring_wake(ring);
		assert_int_equal(file_ring_wait(ring, 0, done, 5), 0);
		assert_int_equal(file_ring_wait(ring, 1000, done, 5), 0); /* returns although nobody wakes it */
		file_ring_close(ring);
		for (unsigned i = 0; i < FILE_RING_WRITES; i++) {
			char got[5], expected[5] = { 0 };
			if (i != 7)
				memcpy(expected, text[i % 4], 3);
			if (i != 7)
				memcpy(expected + 3, text[(i + 1) % 4], 2);
			assert_int_equal(pread(fd, got, 5, 5 * i), 5);
			assert_memory_equal(got, expected, 5);
		}
		close(fd);
		close(bad);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(file_ring_open__when_io_uring_is_not_wanted__then_none_is_used),
		TEST(file_ring__when_writes_run_side_by_side__then_each_comes_back_once_with_its_result),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
