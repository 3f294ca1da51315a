#include "sink_helper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "outfile.h"

static void outfile__when_part_and_committed__then_the_name_appears_only_then(void **state)
{
	struct outfile *file;
	char where[512];

	(void)state;
	assert_int_equal(outfile_open("test", scratch_path("x.json"), OUTFILE_PART, &file), 0);
	assert_int_equal(outfile_append(file, "hello ", 6), 0);
	assert_int_equal(outfile_append(file, "world", 5), 0);
	assert_false(file_exists(scratch_path("x.json")));
	assert_true(file_exists(scratch_path("x.json.part")));
	assert_int_equal(outfile_bytes(file), 11);
	assert_int_equal(outfile_commit(file, where, sizeof(where)), 0);
	assert_string_equal(where, scratch_path("x.json"));
	assert_false(file_exists(scratch_path("x.json.part")));
	char *text = file_read(where, NULL);
	assert_string_equal(text, "hello world");
	free(text);
}

static void outfile__when_direct__then_readable_while_it_grows(void **state)
{
	struct outfile *file;

	(void)state;
	file_write(scratch_path("x.pcap"), "what was there before");
	assert_int_equal(outfile_open("test", scratch_path("x.pcap"), OUTFILE_DIRECT, &file), 0);
	assert_int_equal(outfile_append(file, "abc", 3), 0);
	char *text = file_read(scratch_path("x.pcap"), NULL);
	assert_string_equal(text, "abc");
	free(text);
	assert_int_equal(outfile_commit(file, NULL, 0), 0);
}

static void outfile__when_aborted__then_no_part_and_the_old_file_stays(void **state)
{
	struct outfile *file;

	(void)state;
	file_write(scratch_path("x.json"), "old");
	assert_int_equal(outfile_open("test", scratch_path("x.json"), OUTFILE_PART, &file), 0);
	assert_int_equal(outfile_append(file, "new", 3), 0);
	outfile_abort(file);
	outfile_abort(NULL);
	assert_false(file_exists(scratch_path("x.json.part")));
	char *text = file_read(scratch_path("x.json"), NULL);
	assert_string_equal(text, "old");
	free(text);
}

static void outfile_open__when_the_path_is_bad__then_one_sentence_with_path_and_reason(void **state)
{
	static const struct {
		const char *path;
		int error;
		const char *reason;
	} cases[] = {
		{ "nowhere/x.json", -ENOENT, "create the directory first" },
		{ ".", -EISDIR, "name a file in it" },
		{ "plain/x.json", -ENOTDIR, "create the directory first" },
		{ "", -EISDIR, "name a file in it" },
	};

	(void)state;
	file_write(scratch_path("plain"), "");
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outfile *file = NULL;
		for (enum outfile_mode mode = OUTFILE_PART; mode <= OUTFILE_DIRECT; mode++) {
			char *path = scratch_path(cases[i].path);
			messages_begin();
			int error = outfile_open("test", path, mode, &file);
			char *messages = messages_end();
			assert_int_equal(error, cases[i].error);
			assert_null(file);
			assert_int_equal(count_of(messages, "\n"), 1);
			assert_non_null(strstr(messages, path));
			assert_non_null(strstr(messages, cases[i].reason));
			free(messages);
		}
	}
}

static void outfile_append__when_the_disk_is_full__then_said_once_and_it_sticks(void **state)
{
	struct outfile *file;
	char where[512];

	(void)state;
	messages_begin();
	int opened = outfile_open("test", "/dev/full", OUTFILE_PART, &file);
	int first = opened ? opened : outfile_append(file, "abc", 3);
	int second = opened ? opened : outfile_append(file, "def", 3);
	char *messages = messages_end();
	assert_int_equal(opened, 0);
	assert_int_equal(first, -ENOSPC);
	assert_int_equal(second, -ENOSPC);
	assert_int_equal(count_of(messages, "\n"), 1);
	assert_non_null(strstr(messages, "No space left on device"));
	assert_non_null(strstr(messages, "/dev/full"));
	free(messages);
	assert_int_equal(outfile_error(file), -ENOSPC);
	assert_int_equal(outfile_bytes(file), 0);
	assert_int_equal(outfile_commit(file, where, sizeof(where)), -ENOSPC);
	assert_string_equal(where, "/dev/full");
	assert_false(file_exists("/dev/full.part"));
}

/* A file size limit stands in for a disk that fills up in the middle of a chunk. */
static void outfile_append__when_it_fits_only_half__then_the_whole_chunk_is_taken_back(void **state)
{
	struct rlimit old, small;
	struct outfile *file;
	size_t bytes;
	char where[512];

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(outfile_open("test", scratch_path("x.json"), OUTFILE_PART, &file), 0);
	assert_int_equal(outfile_append(file, "0123456789", 10), 0);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 15;
	messages_begin(); /* its file is subject to the limit, too: long sentences arrive cut */
	setrlimit(RLIMIT_FSIZE, &small);
	int error = outfile_append(file, "0123456789", 10);
	setrlimit(RLIMIT_FSIZE, &old);
	int committed = outfile_commit(file, where, sizeof(where));
	free(messages_end());
	assert_int_equal(error, -EFBIG);
	assert_int_equal(committed, -EFBIG);
	assert_string_equal(where, scratch_path("x.json.part"));
	assert_false(file_exists(scratch_path("x.json")));
	free(file_read(where, &bytes));
	assert_int_equal(bytes, 10);
}

static void outfile_commit__when_renaming_fails__then_the_part_is_kept_and_named(void **state)
{
	struct outfile *file;
	char where[512];

	(void)state;
	assert_int_equal(outfile_open("test", scratch_path("x.json"), OUTFILE_PART, &file), 0);
	assert_int_equal(outfile_append(file, "abc", 3), 0);
	mkdir(scratch_path("x.json"), 0755);
	messages_begin();
	int error = outfile_commit(file, where, sizeof(where));
	char *messages = messages_end();
	assert_int_equal(error, -EISDIR);
	assert_string_equal(where, scratch_path("x.json.part"));
	assert_non_null(strstr(messages, "cannot rename"));
	assert_true(file_exists(where));
	free(messages);
}

static void outfile_commit__when_declared_incomplete__then_it_stays_a_part(void **state)
{
	struct outfile *file;
	char where[512];

	(void)state;
	assert_int_equal(outfile_open("test", scratch_path("x.json"), OUTFILE_PART, &file), 0);
	outfile_fail(file, -ENOMEM);
	outfile_fail(file, -EIO);
	messages_begin();
	int error = outfile_commit(file, where, sizeof(where));
	free(messages_end());
	assert_int_equal(error, -ENOMEM);
	assert_string_equal(where, scratch_path("x.json.part"));
	assert_false(file_exists(scratch_path("x.json")));
}

static void outfile__when_the_path_is_a_link__then_the_target_is_replaced_and_the_link_stays(void **state)
{
	struct outfile *file;
	struct stat st;

	(void)state;
	file_write(scratch_path("target"), "old");
	assert_int_equal(symlink(scratch_path("target"), scratch_path("link")), 0);
	assert_int_equal(outfile_open("test", scratch_path("link"), OUTFILE_PART, &file), 0);
	assert_int_equal(outfile_append(file, "new", 3), 0);
	assert_int_equal(outfile_commit(file, NULL, 0), 0);
	assert_int_equal(lstat(scratch_path("link"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	char *text = file_read(scratch_path("target"), NULL);
	assert_string_equal(text, "new");
	free(text);
}

static void outfile__when_standard_output__then_it_is_named_and_stays_open(void **state)
{
	struct outfile *file;
	char where[512];
	int saved = dup(STDOUT_FILENO), fd = open(scratch_path("stdout"), O_WRONLY | O_CREAT, 0644);

	(void)state;
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	int opened = outfile_open("test", "-", OUTFILE_DIRECT, &file);
	int appended = opened ? opened : outfile_append(file, "abc", 3);
	int committed = opened ? opened : outfile_commit(file, where, sizeof(where));
	ssize_t later = write(STDOUT_FILENO, "def", 3);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	assert_int_equal(opened, 0);
	assert_int_equal(appended, 0);
	assert_int_equal(committed, 0);
	assert_int_equal(later, 3);
	assert_string_equal(where, "standard output");
	char *text = file_read(scratch_path("stdout"), NULL);
	assert_string_equal(text, "abcdef");
	free(text);
}

static void outfile_reopen__when_the_file_was_moved__then_a_new_one_begins_with_the_head(void **state)
{
	struct outfile *file;

	(void)state;
	assert_int_equal(outfile_open("test", scratch_path("x"), OUTFILE_DIRECT, &file), 0);
	assert_int_equal(outfile_append(file, "abc", 3), 0);
	assert_int_equal(outfile_reopen(file, "head", 4), 0); /* it is still there: nothing happens */
	assert_int_equal(outfile_append(file, "def", 3), 0);
	assert_int_equal(rename(scratch_path("x"), scratch_path("x.1")), 0);
	assert_int_equal(outfile_reopen(file, "head", 4), 0);
	assert_int_equal(outfile_append(file, "ghi", 3), 0);
	assert_int_equal(outfile_bytes(file), 13);
	assert_int_equal(outfile_commit(file, NULL, 0), 0);
	char *old = file_read(scratch_path("x.1"), NULL), *new = file_read(scratch_path("x"), NULL);
	assert_string_equal(old, "abcdef");
	assert_string_equal(new, "headghi");
	free(old);
	free(new);
}

#define WRITERS      4
#define WRITER_LINES 500

static void *append_lines(void *argument)
{
	char line[64];

	memset(line, 'x', sizeof(line));
	line[63] = '\n';
	for (unsigned i = 0; i < WRITER_LINES; i++)
		outfile_append(argument, line, sizeof(line));
	return NULL;
}

static void outfile_append__when_called_by_several_threads__then_chunks_stay_whole(void **state)
{
	struct outfile *file;
	pthread_t threads[WRITERS];

	(void)state;
	assert_int_equal(outfile_open("test", scratch_path("x"), OUTFILE_DIRECT, &file), 0);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_create(&threads[i], NULL, append_lines, file);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(outfile_bytes(file), WRITERS * WRITER_LINES * 64);
	assert_int_equal(outfile_commit(file, NULL, 0), 0);
	char *text = file_read(scratch_path("x"), NULL);
	for (unsigned i = 0; i < WRITERS * WRITER_LINES; i++)
		assert_int_equal(text[i * 64 + 63], '\n');
	free(text);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(outfile__when_part_and_committed__then_the_name_appears_only_then),
		TEST(outfile__when_direct__then_readable_while_it_grows),
		TEST(outfile__when_aborted__then_no_part_and_the_old_file_stays),
		TEST(outfile_open__when_the_path_is_bad__then_one_sentence_with_path_and_reason),
		TEST(outfile_append__when_the_disk_is_full__then_said_once_and_it_sticks),
		TEST(outfile_append__when_it_fits_only_half__then_the_whole_chunk_is_taken_back),
		TEST(outfile_commit__when_renaming_fails__then_the_part_is_kept_and_named),
		TEST(outfile_commit__when_declared_incomplete__then_it_stays_a_part),
		TEST(outfile__when_the_path_is_a_link__then_the_target_is_replaced_and_the_link_stays),
		TEST(outfile__when_standard_output__then_it_is_named_and_stays_open),
		TEST(outfile_reopen__when_the_file_was_moved__then_a_new_one_begins_with_the_head),
		TEST(outfile_append__when_called_by_several_threads__then_chunks_stay_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
