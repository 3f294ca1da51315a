/*
 * The control socket: whom it answers, what, and who may not have its path. On a run that reads a file; what only a live one can do
 * (rules, sample) is in tests/net/test_prefilter.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "ctl.h"
#include "flowlane/pcap_format.h"
#include "options.h"

struct rig {
	char folder[64], path[128], input[128];
	struct options options;
	struct lanes *lanes;
	struct ctl *ctl;
};

static int rig_open(void **context)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	const struct pcap_file_header header = {
		.magic = PCAP_MAGIC_US, .version_major = 2, .version_minor = 4, .snaplen = 65535, .network = 1
	};

	strcpy(rig->folder, "/tmp/ctl-flowlane-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/ctl.sock", rig->folder);
	snprintf(rig->input, sizeof(rig->input), "%s/empty.pcap", rig->folder);
	FILE *file = fopen(rig->input, "w");
	assert_int_equal(fwrite(&header, sizeof(header), 1, file), 1);
	fclose(file);
	char *argv[] = { "flowlane", "-r", rig->input, "-q", NULL };
	assert_int_equal(options_parse(4, argv, &rig->options), 0);
	assert_int_equal(lanes_open(&rig->options.config, &rig->lanes), 0);
	assert_int_equal(ctl_open(rig->path, &rig->ctl), 0);
	*context = rig;
	return 0;
}

static int rig_close(void **context)
{
	struct rig *rig = *context;

	ctl_close(rig->ctl);
	lanes_close(rig->lanes);
	options_free(&rig->options);
	unlink(rig->input);
	unlink(rig->path);
	assert_int_equal(rmdir(rig->folder), 0); /* nothing else is left */
	free(rig);
	return 0;
}

static int client(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All until the server hangs up. */
static void hear(int fd, char *answer, size_t size)
{
	size_t used = 0;
	ssize_t got;

	while ((got = recv(fd, answer + used, size - 1 - used, 0)) > 0)
		used += (size_t)got;
	answer[used] = 0;
	close(fd);
}

static void ask(struct rig *rig, const char *line, char *answer, size_t size)
{
	int fd = client(rig->path);

	assert_true(fd >= 0);
	say(fd, line);
	ctl_serve(rig->ctl, rig->lanes);
	hear(fd, answer, size);
}

static void command__when_asked__then_answered(void **context)
{
	struct rig *rig = *context;
	static const struct {
		const char *line, *answer;
	} rows[] = {
		{ "status\n", "ok\nlanes 1\npackets_read 0\nbytes_read 0\nnot_wanted 0\ncut_off 0\nlost 0\nflows_alive "
			      "0\nflows_created 0\n"
			      "rules 0\nrules_replaced 0\nsample 1/1\n" },
		{ "flush\n", "ok\n" },
		{ "rotate\n", "ok\n" },
		{ "reload-prefilter\n", "error\nthis run reads files" },
		{ "set-sample 1/8\n", "error\nthis run reads files" },
		{ "set-sample 8\n", "error\nset-sample takes 1/N with N from 1 to 1000000, not '8'\n" },
		{ "set-sample 1/0\n", "error\nset-sample takes 1/N" },
		{ "set-sample 1/1000001\n", "error\nset-sample takes 1/N" },
		{ "set-sample\n", "error\nset-sample takes 1/N" },
		{ "stop\n", "error\nthere is no command 'stop'\n" },
		{ "\n", "error\nthere is no command ''\n" },
	};
	char answer[8192];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ask(rig, rows[i].line, answer, sizeof(answer));
		if (strncmp(answer, rows[i].answer, strlen(rows[i].answer)) != 0)
			fail_msg("to '%s' it says '%s'", rows[i].line, answer);
	}
}

static void command__when_longer_than_any__then_still_an_answer(void **context)
{
	struct rig *rig = *context;
	char line[2048], answer[8192];

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = 0;
	ask(rig, line, answer, sizeof(answer));
	assert_memory_equal(answer, "error\nthere is no command 'xxx", 27);
}

/* One that says nothing, one that hangs up, one in the middle of a line: the next one is served. */
static void client__when_it_is_silent__then_the_next_one_is_served(void **context)
{
	struct rig *rig = *context;
	int silent = client(rig->path), gone = client(rig->path), half = client(rig->path), asking = client(rig->path);
	char answer[8192];

	close(gone);
	say(half, "stat");
	say(asking, "flush\n");
	uint64_t before_ns = clock_monotonic_ns();
	ctl_serve(rig->ctl, rig->lanes);
	assert_in_range(clock_monotonic_ns() - before_ns, 300000000, 5000000000); /* two of them are waited for */
	hear(asking, answer, sizeof(answer));
	assert_memory_equal(answer, "ok\n", 3);
	hear(half, answer, sizeof(answer));
	assert_string_equal(answer, "");
	close(silent);
}

/* A byte now and then is no way to keep the control thread. */
static void client__when_it_drips__then_it_is_left_alone_after_a_while(void **context)
{
	struct rig *rig = *context;
	int fd = client(rig->path);
	pid_t child = fork();

	if (!child) {
		for (unsigned i = 0; i < 60 && send(fd, "x", 1, MSG_NOSIGNAL) == 1; i++)
			usleep(50000);
		_exit(0);
	}
	close(fd);
	uint64_t before_ns = clock_monotonic_ns();
	ctl_serve(rig->ctl, rig->lanes);
	assert_in_range(clock_monotonic_ns() - before_ns, 0, 2000000000);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void socket__when_made__then_for_its_owner_alone_and_gone_at_the_end(void **context)
{
	struct rig *rig = *context;
	struct stat status;
	mode_t mask = umask(0);

	ctl_close(rig->ctl);
	rig->ctl = NULL;
	assert_int_equal(lstat(rig->path, &status), -1);
	assert_int_equal(ctl_open(rig->path, &rig->ctl), 0);
	assert_int_equal(umask(mask), 0); /* as it was */
	assert_int_equal(lstat(rig->path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 07777, 0600);
}

static void path__when_taken__then_only_a_dead_socket_is_replaced(void **context)
{
	struct rig *rig = *context;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ctl *other = NULL;
	char dead[160], longer[256];

	assert_int_equal(ctl_open(rig->path, &other), -EADDRINUSE);
	assert_int_equal(ctl_open(rig->input, &other), -EEXIST);
	assert_int_equal(access(rig->input, F_OK), 0);
	snprintf(longer, sizeof(longer), "%s/%0150d", rig->folder, 0);
	assert_int_equal(ctl_open(longer, &other), -ENAMETOOLONG);
	snprintf(dead, sizeof(dead), "%s/nowhere/ctl.sock", rig->folder);
	assert_int_equal(ctl_open(dead, &other), -ENOENT);
	assert_null(other);

	snprintf(dead, sizeof(dead), "%s/dead.sock", rig->folder);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", dead);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	assert_int_equal(ctl_open(dead, &other), 0);
	fd = client(dead);
	assert_true(fd >= 0);
	close(fd);
	ctl_close(other);
	assert_int_equal(access(dead, F_OK), -1);
}

/* `flowlane ctl ...` in another process, while this one serves: its exit code; what it printed. */
static int run(struct rig *rig, char **argv, char *out, size_t size)
{
	int ends[2], status, argc = 0;

	while (argv[argc])
		argc++;
	assert_int_equal(pipe(ends), 0);
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		close(ends[0]);
		close(ends[1]);
		status = ctl_run(argc, argv);
		fflush(stdout);
		_exit(status);
	}
	close(ends[1]);
	while (waitpid(child, &status, WNOHANG) == 0) {
		ctl_serve(rig->ctl, rig->lanes);
		usleep(500);
	}
	ssize_t got = read(ends[0], out, size - 1);
	out[got > 0 ? got : 0] = 0;
	close(ends[0]);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void ctl__when_run__then_prints_the_answer_and_exits_as_it_went(void **context)
{
	struct rig *rig = *context;
	const struct {
		char *argv[6];
		int code;
		const char *says;
	} rows[] = {
		{ { "ctl", "--control", rig->path, "status" }, 0, "lanes 1\n" },
		{ { "ctl", "--control", rig->path, "flush" }, 0, "what waits in buffers is being written\n" },
		{ { "ctl", "--control", rig->path, "set-sample", "8" }, 1, "set-sample takes 1/N" },
		{ { "ctl", "--control", rig->path, "set-sample" }, 1, "set-sample takes one argument" },
		{ { "ctl", "--control", rig->path, "status", "now" }, 1, "status takes no argument" },
		{ { "ctl", "--control", rig->path, "statsu" }, 1, "did you mean 'status'?" },
		{ { "ctl", "--control", rig->input, "status" }, 2, "is a flowlane running with --control" },
		{ { "ctl", "--control", "/nonexistent.sock", "status" }, 2, "No such file or directory; is a flowlane running" },
		{ { "ctl", "--help" }, 0, "Usage: flowlane ctl" },
		{ { "ctl" }, 1, "Usage: flowlane ctl" },
	};
	char out[8192];

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int code = run(rig, (char **)rows[i].argv, out, sizeof(out));
		if (code != rows[i].code || !strstr(out, rows[i].says))
			fail_msg("row %u: exit code %d, it says: %s", i, code, out);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
	const struct CMUnitTest tests[] = {
		TEST(command__when_asked__then_answered),
		TEST(command__when_longer_than_any__then_still_an_answer),
		TEST(client__when_it_is_silent__then_the_next_one_is_served),
		TEST(client__when_it_drips__then_it_is_left_alone_after_a_while),
		TEST(socket__when_made__then_for_its_owner_alone_and_gone_at_the_end),
		TEST(path__when_taken__then_only_a_dead_socket_is_replaced),
		TEST(ctl__when_run__then_prints_the_answer_and_exits_as_it_went),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
