#include "sink_helper.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "chunk_writer.h"
#include "clock.h"

/* Both engines, with and without direct writes: what must hold, holds for each. */
static const struct engine {
	const char *name;
	bool uring, direct;
} engines[] = {
	{ "io_uring", true, false },
	{ "thread", false, false },
	{ "io_uring, direct", true, true },
	{ "thread, direct", false, true },
};
#define ENGINES (sizeof(engines) / sizeof(engines[0]))

static const char head[24] = "head of each file, 24 B";

struct rig {
	struct chunk_writer *writer;
	struct chunk_stream *stream;
	struct chunk_pool *pool;
};

static struct outfile *file_begin(const char *name)
{
	struct outfile *file;

	assert_int_equal(outfile_open("test", scratch_path(name), OUTFILE_DIRECT, &file), 0);
	assert_int_equal(outfile_append(file, head, sizeof(head)), 0);
	return file;
}

static struct chunk_stream *stream_begin(struct chunk_writer *writer, const struct engine *engine, const char *name)
{
	struct chunk_stream_options options = {
		.file = file_begin(name), .direct = engine->direct, .head = head, .head_bytes = sizeof(head)
	};
	struct chunk_stream *stream;

	assert_int_equal(chunk_writer_add_stream(writer, &options, &stream), 0);
	return stream;
}

static void rig_begin(struct rig *rig, const struct engine *engine, bool patient)
{
	assert_int_equal(chunk_writer_open("test", engine->uring, &rig->writer), 0);
	rig->stream = stream_begin(rig->writer, engine, "x");
	assert_int_equal(chunk_writer_add_pool(rig->writer, 4, patient, &rig->pool), 0);
	assert_int_equal(chunk_writer_start(rig->writer), 0);
}

static int stream_end(struct chunk_stream *stream, struct chunk_stream_report *report)
{
	struct outfile *file;

	chunk_stream_finish(stream, report, &file);
	return file ? outfile_commit(file, NULL, 0) : 0;
}

static void chunk_fill(struct chunk *chunk, size_t bytes, uint64_t *random)
{
	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t word = random_next(random);
		memcpy(chunk->data + i, &word, bytes - i < 8 ? bytes - i : 8);
	}
	chunk->bytes = bytes;
	chunk->records = 1;
	chunk->flush = random_next(random) % 4 == 0;
}

/* Half of them small, so that blocks hold several and ends fall everywhere. */
static size_t size_random(uint64_t *random)
{
	uint64_t r = random_next(random);

	return 1 + random_next(random) % (r % 2 ? 5000 : OUTFILE_CHUNK);
}

static void chunk_writer__when_chunks_have_any_size__then_the_file_is_what_one_write_after_the_other_makes(void **state)
{
	(void)state;
	for (unsigned e = 0; e < ENGINES; e++) {
		uint64_t random = 7 + e;
		struct chunk_stream_report report;
		struct rig rig;
		size_t bytes = 0;
		char *expected = malloc(200 * OUTFILE_CHUNK), *at = expected;
		memcpy(at, head, sizeof(head));
		at += sizeof(head);
		rig_begin(&rig, &engines[e], true);
		for (unsigned i = 0; i < 200; i++) {
			struct chunk *chunk = chunk_take(rig.pool);
			chunk_fill(chunk, size_random(&random), &random);
			memcpy(at, chunk->data, chunk->bytes);
			at += chunk->bytes;
			chunk_submit(rig.stream, chunk);
		}
		chunk_writer_finish(rig.writer);
		assert_int_equal(stream_end(rig.stream, &report), 0);
		chunk_writer_close(rig.writer);
		assert_int_equal(report.error, 0);
		assert_int_equal(report.records, 200);
		assert_int_equal(report.lost, 0);
		assert_int_equal(report.bytes, at - expected);
		char *text = file_read(scratch_path("x"), &bytes);
		if (bytes != (size_t)(at - expected) || memcmp(text, expected, bytes) != 0)
			fail_msg("%s: the file differs", engines[e].name);
		free(text);
		free(expected);
		unlink(scratch_path("x"));
	}
}

#define WRITERS        4
#define WRITER_RECORDS 20000

/* A record says whose it is, which one, and how long; the rest can be computed. */
struct mark {
	uint32_t writer, number, length, check;
};

static uint32_t mark_length(uint32_t writer, uint32_t number)
{
	return (uint32_t)sizeof(struct mark) + (writer * 31 + number * 17) % 200;
}

static size_t mark_put(uint8_t *out, uint32_t writer, uint32_t number)
{
	struct mark mark = { writer, number, mark_length(writer, number), writer ^ number ^ 0x5a5a5a5a };

	memcpy(out, &mark, sizeof(mark));
	memset(out + sizeof(mark), (int)(writer + number), mark.length - sizeof(mark));
	return mark.length;
}

struct work {
	struct rig *rig;
	struct chunk_stream *stream;
	struct chunk_pool *pool;
	uint32_t writer;
};

static void *work_write(void *argument)
{
	struct work *work = argument;
	uint64_t random = work->writer + 1;

	for (uint32_t number = 0; number < WRITER_RECORDS;) {
		struct chunk *chunk = chunk_take(work->pool);
		uint32_t records = 1 + random_next(&random) % 2000;
		chunk->bytes = 0;
		chunk->flush = false;
		for (chunk->records = 0; chunk->records < records && number < WRITER_RECORDS; chunk->records++)
			chunk->bytes += mark_put(chunk->data + chunk->bytes, work->writer, number++);
		chunk_submit(work->stream, chunk);
	}
	return NULL;
}

/* Every record of the file is whole, and each writer's are in order without a gap; counts them. */
static void marks_check(const char *name, uint32_t next[WRITERS])
{
	size_t bytes = 0;
	char *text = file_read(scratch_path(name), &bytes);
	uint8_t expected[300];

	for (size_t at = sizeof(head); at < bytes;) {
		struct mark mark;
		assert_true(at + sizeof(mark) <= bytes);
		memcpy(&mark, text + at, sizeof(mark));
		assert_true(mark.writer < WRITERS);
		assert_int_equal(mark.number, next[mark.writer]++);
		size_t length = mark_put(expected, mark.writer, mark.number);
		assert_true(at + length <= bytes);
		assert_memory_equal(text + at, expected, length);
		at += length;
	}
	free(text);
}

static void chunk_writer__when_several_threads_submit__then_records_stay_whole_and_in_each_ones_order(void **state)
{
	(void)state;
	for (unsigned run = 0; run < 2 * ENGINES; run++) { /* the second half: a stream for each */
		const struct engine *engine = &engines[run % ENGINES];
		bool own = run >= ENGINES;
		struct rig rig = { 0 };
		struct work work[WRITERS];
		pthread_t threads[WRITERS];
		uint32_t next[WRITERS] = { 0 };
		struct chunk_stream_report report;
		char name[16];
		assert_int_equal(chunk_writer_open("test", engine->uring, &rig.writer), 0);
		for (uint32_t i = 0; i < WRITERS; i++) {
			snprintf(name, sizeof(name), "x%u", i);
			work[i] = (struct work){ .rig = &rig, .writer = i };
			work[i].stream = i == 0 || own ? stream_begin(rig.writer, engine, name) : work[0].stream;
			assert_int_equal(chunk_writer_add_pool(rig.writer, 3, true, &work[i].pool), 0);
		}
		assert_int_equal(chunk_writer_start(rig.writer), 0);
		for (unsigned i = 0; i < WRITERS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, work_write, &work[i]), 0);
		for (unsigned i = 0; i < WRITERS; i++)
			pthread_join(threads[i], NULL);
		chunk_writer_finish(rig.writer);
		for (unsigned i = 0; i < (own ? WRITERS : 1); i++) {
			assert_int_equal(stream_end(work[i].stream, &report), 0);
			assert_int_equal(report.records, own ? WRITER_RECORDS : WRITERS * WRITER_RECORDS);
			snprintf(name, sizeof(name), "x%u", i);
			marks_check(name, next);
		}
		for (unsigned i = 0; i < WRITERS; i++)
			assert_int_equal(next[i], WRITER_RECORDS);
		chunk_writer_close(rig.writer);
	}
}

static off_t file_size(const char *name)
{
	struct stat st;

	return stat(scratch_path(name), &st) == 0 ? st.st_size : -1;
}

/* 50 chunks of 10,000 bytes and 5 records into a file that may have `limit` bytes. */
static void full_disk_run(const struct engine *engine, rlim_t limit_bytes, unsigned fits)
{
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	struct chunk_stream_report report;
	struct rlimit before, limit;
	uint64_t random = 1;
	struct rig rig;

	rig_begin(&rig, engine, true);
	messages_begin();
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = limit_bytes;
	setrlimit(RLIMIT_FSIZE, &limit);
	for (unsigned i = 0; i < 50; i++) {
		struct chunk *chunk = chunk_take(rig.pool);
		chunk_fill(chunk, 10000, &random);
		chunk->records = 5;
		chunk_submit(rig.stream, chunk);
	}
	chunk_writer_finish(rig.writer);
	bool failed = chunk_stream_failed(rig.stream);
	int committed = stream_end(rig.stream, &report);
	setrlimit(RLIMIT_FSIZE, &before);
	char *messages = messages_end();
	signal(SIGXFSZ, handler);
	chunk_writer_close(rig.writer);
	off_t size = file_size("x");
	if (size != (off_t)(sizeof(head) + fits * 10000) || report.records != fits * 5 || report.lost != 250 - fits * 5 ||
		report.bytes != (uint64_t)size)
		fail_msg("%s, %llu: %lld bytes, %llu records, %llu lost", engine->name, (unsigned long long)limit_bytes,
			(long long)size, (unsigned long long)report.records, (unsigned long long)report.lost);
	assert_true(failed);
	assert_int_equal(committed, -EFBIG);
	assert_int_equal(report.error, -EFBIG);
	assert_non_null(strstr(messages, "ulimit -f"));
	assert_int_equal(count_of(messages, "cannot write"), 1);
	free(messages);
	unlink(scratch_path("x"));
}

static void chunk_writer__when_the_disk_is_full__then_cut_behind_the_last_whole_chunk_and_the_rest_counted(void **state)
{
	static const struct {
		rlim_t limit;
		unsigned fits;
	} cases[] = { { 64000, 6 }, { sizeof(head) + 60000, 6 }, { sizeof(head) + 59999, 5 }, { 4096, 0 }, { 8191, 0 },
		{ 61440, 6 }, { 32768, 3 } };

	(void)state;
	for (unsigned e = 0; e < ENGINES; e++) {
		for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			full_disk_run(&engines[e], cases[i].limit, cases[i].fits);
	}
}

/* Yields until it is so; ten seconds at most. */
#define WAIT_FOR(condition)                                                                                                        \
	do {                                                                                                                       \
		for (uint64_t end_ns = clock_monotonic_ns() + 10000000000; !(condition);) {                                        \
			assert_true(clock_monotonic_ns() < end_ns);                                                                \
			sched_yield();                                                                                             \
		}                                                                                                                  \
	} while (0)

static void chunk_submit__when_flush__then_all_of_it_is_in_the_file_soon(void **state)
{
	(void)state;
	for (unsigned e = 0; e < ENGINES; e++) {
		static const size_t sizes[] = { 100, 3972, 1, 4095, 4096, 10000 };
		off_t total = sizeof(head);
		uint64_t random = 3;
		struct rig rig;
		rig_begin(&rig, &engines[e], false);
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct chunk *chunk = NULL;
			WAIT_FOR((chunk = chunk_take(rig.pool)));
			chunk_fill(chunk, sizes[i], &random);
			chunk->flush = true;
			chunk_submit(rig.stream, chunk);
			total += (off_t)sizes[i];
			WAIT_FOR(file_size("x") == total);
		}
		chunk_writer_finish(rig.writer);
		assert_int_equal(stream_end(rig.stream, NULL), 0);
		chunk_writer_close(rig.writer);
		assert_int_equal(file_size("x"), total);
		unlink(scratch_path("x"));
	}
}

/* A pipe that nobody reads from is a disk that has come to a halt. */
static void chunk_take__when_all_are_on_their_way__then_there_is_none_until_they_are_written(void **state)
{
	(void)state;
	for (unsigned e = 0; e < ENGINES; e++) {
		struct chunk_stream_report report;
		uint64_t random = 5;
		struct rig rig;
		size_t got = 0;
		assert_int_equal(mkfifo(scratch_path("x"), 0600), 0);
		int fd = open(scratch_path("x"), O_RDONLY | O_NONBLOCK);
		assert_true(fd >= 0);
		messages_begin();
		rig_begin(&rig, &engines[e], false);
		for (unsigned i = 0; i < 4; i++) {
			struct chunk *chunk = chunk_take(rig.pool);
			assert_non_null(chunk);
			chunk_fill(chunk, OUTFILE_CHUNK, &random);
			chunk_submit(rig.stream, chunk);
		}
		assert_null(chunk_take(rig.pool));
		for (uint64_t end_ns = clock_monotonic_ns() + 10000000000; got < sizeof(head) + 4 * OUTFILE_CHUNK;) {
			char buffer[65536];
			ssize_t n = read(fd, buffer, sizeof(buffer));
			assert_true(clock_monotonic_ns() < end_ns);
			if (n > 0)
				got += (size_t)n;
		}
		struct chunk *chunk = NULL;
		WAIT_FOR((chunk = chunk_take(rig.pool)));
		chunk_fill(chunk, 1, &random);
		chunk_submit(rig.stream, chunk);
		chunk_writer_finish(rig.writer);
		assert_int_equal(stream_end(rig.stream, &report), 0);
		chunk_writer_close(rig.writer);
		char *messages = messages_end();
		assert_int_equal(report.records, 5);
		assert_int_equal(report.lost, 0);
		assert_int_equal(read(fd, &got, sizeof(got)), 1);
		/* A pipe knows no direct writes; that is said, and done without. */
		assert_int_equal(count_of(messages, "no direct I/O"), engines[e].direct);
		free(messages);
		close(fd);
		unlink(scratch_path("x"));
	}
}

static void chunk_writer__when_the_reader_of_a_pipe_goes__then_said_once_and_the_rest_counted(void **state)
{
	(void)state;
	for (unsigned e = 0; e < 2; e++) {
		struct chunk_stream_report report;
		void (*handler)(int) = signal(SIGPIPE, SIG_IGN);
		uint64_t random = 5;
		struct rig rig;
		assert_int_equal(mkfifo(scratch_path("x"), 0600), 0);
		int fd = open(scratch_path("x"), O_RDONLY | O_NONBLOCK);
		rig_begin(&rig, &engines[e], true);
		close(fd);
		messages_begin();
		for (unsigned i = 0; i < 20; i++) {
			struct chunk *chunk = chunk_take(rig.pool);
			chunk_fill(chunk, 1000, &random);
			chunk_submit(rig.stream, chunk);
		}
		chunk_writer_finish(rig.writer);
		assert_int_equal(stream_end(rig.stream, &report), -EPIPE);
		char *messages = messages_end();
		chunk_writer_close(rig.writer);
		signal(SIGPIPE, handler);
		assert_int_equal(report.error, -EPIPE);
		assert_int_equal(report.records, 0);
		assert_int_equal(report.lost, 20);
		assert_int_equal(count_of(messages, "\n"), 1);
		free(messages);
		unlink(scratch_path("x"));
	}
}

static void chunk_stream_reopen__when_the_file_was_moved__then_what_follows_is_in_a_new_one(void **state)
{
	(void)state;
	for (unsigned e = 0; e < ENGINES; e++) {
		struct chunk_stream_report report;
		uint64_t random = 5;
		struct rig rig;
		rig_begin(&rig, &engines[e], true);
		for (unsigned i = 0; i < 6; i++) {
			struct chunk *chunk = chunk_take(rig.pool);
			chunk_fill(chunk, 7001, &random);
			chunk_submit(rig.stream, chunk);
			if (i == 1)
				chunk_stream_reopen(rig.stream); /* still there: nothing happens */
			if (i != 3)
				continue;
			assert_int_equal(rename(scratch_path("x"), scratch_path("moved")), 0);
			chunk_stream_reopen(rig.stream);
		}
		chunk_writer_finish(rig.writer);
		assert_int_equal(stream_end(rig.stream, &report), 0);
		chunk_writer_close(rig.writer);
		assert_int_equal(report.records, 6);
		assert_int_equal(report.bytes, 2 * sizeof(head) + 6 * 7001);
		assert_int_equal(file_size("x") + file_size("moved"), report.bytes);
		/* The first request may have been overtaken by the move, and what followed it is in the new file then. */
		assert_true(file_size("x") == sizeof(head) + 2 * 7001 || file_size("x") == sizeof(head) + 4 * 7001);
		unlink(scratch_path("x"));
		unlink(scratch_path("moved"));
	}
}

static void chunk_writer_finish__when_it_never_started__then_it_writes_nevertheless(void **state)
{
	struct chunk_stream_report report;
	uint64_t random = 5;
	struct rig rig;

	(void)state;
	assert_int_equal(chunk_writer_open("test", true, &rig.writer), 0);
	rig.stream = stream_begin(rig.writer, &engines[0], "x");
	assert_int_equal(chunk_writer_add_pool(rig.writer, 4, true, &rig.pool), 0);
	struct chunk *chunk = chunk_take(rig.pool);
	chunk_fill(chunk, 1000, &random);
	chunk_submit(rig.stream, chunk);
	chunk_writer_finish(rig.writer);
	assert_int_equal(stream_end(rig.stream, &report), 0);
	chunk_writer_close(rig.writer);
	assert_int_equal(report.records, 1);
	assert_int_equal(file_size("x"), sizeof(head) + 1000);
}

static void chunk_writer_close__when_there_was_no_run__then_the_file_it_made_is_gone(void **state)
{
	struct rig rig;

	(void)state;
	rig_begin(&rig, &engines[0], false);
	chunk_writer_close(rig.writer);
	chunk_writer_close(NULL);
	assert_false(file_exists(scratch_path("x")));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(chunk_writer__when_chunks_have_any_size__then_the_file_is_what_one_write_after_the_other_makes),
		TEST(chunk_writer__when_several_threads_submit__then_records_stay_whole_and_in_each_ones_order),
		TEST(chunk_writer__when_the_disk_is_full__then_cut_behind_the_last_whole_chunk_and_the_rest_counted),
		TEST(chunk_submit__when_flush__then_all_of_it_is_in_the_file_soon),
		TEST(chunk_take__when_all_are_on_their_way__then_there_is_none_until_they_are_written),
		TEST(chunk_writer__when_the_reader_of_a_pipe_goes__then_said_once_and_the_rest_counted),
		TEST(chunk_stream_reopen__when_the_file_was_moved__then_what_follows_is_in_a_new_one),
		TEST(chunk_writer_finish__when_it_never_started__then_it_writes_nevertheless),
		TEST(chunk_writer_close__when_there_was_no_run__then_the_file_it_made_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
