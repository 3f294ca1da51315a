#include "ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "nearest.h"
#include "option_table.h"
#include "summary.h"

#define LINE_MAX_BYTES 256
#define ANSWER_BYTES   4096
#define PATIENCE_NS    ((uint64_t)200000000) /* for a client that connects and says nothing, or a little at a time */

struct ctl {
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct lanes_report report; /* 100 KiB: too big for a stack */
};

static int address_set(struct sockaddr_un *address, const char *path)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	strcpy(address->sun_path, path);
	return 0;
}

static int ctl_connect(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (!connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		return fd;
	int err = -errno;
	close(fd);
	return err;
}

/* --- server ------------------------------------------------------------------------------------------------------------ */

/* Nobody listens at a socket that is there: its process was killed. Anything but a socket is not ours to remove. */
static int ctl_clear(const struct sockaddr_un *address)
{
	struct stat status;

	if (lstat(address->sun_path, &status))
		return 0;
	if (!S_ISSOCK(status.st_mode)) {
		log_error("--control %s: there is a file that is no socket; give another path", address->sun_path);
		return -EEXIST;
	}
	int fd = ctl_connect(address);
	if (fd >= 0) {
		close(fd);
		log_error("--control %s: another flowlane answers there; give this one another path", address->sun_path);
		return -EADDRINUSE;
	}
	if (fd == -ECONNREFUSED)
		unlink(address->sun_path);
	return 0;
}

static int ctl_bind(struct ctl *ctl, const struct sockaddr_un *address)
{
	ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (ctl->fd < 0)
		return -errno;
	mode_t before = umask(0177); /* it is never there with other rights than 0600 */
	int failed = bind(ctl->fd, (const struct sockaddr *)address, sizeof(*address));
	int err = failed ? -errno : 0;
	umask(before);
	if (!err) {
		strcpy(ctl->path, address->sun_path);
		err = listen(ctl->fd, 16) ? -errno : 0;
	}
	return err;
}

int ctl_open(const char *path, struct ctl **result)
{
	struct ctl *ctl = calloc(1, sizeof(*ctl));
	struct sockaddr_un address;

	if (!ctl)
		return -ENOMEM;
	ctl->fd = -1;
	int err = address_set(&address, path);
	if (err)
		log_error(
			"--control %s: the path is too long for a socket, which has %zu bytes for it", path, sizeof(ctl->path) - 1);
	else
		err = ctl_clear(&address);
	if (!err) {
		err = ctl_bind(ctl, &address);
		if (err)
			log_error("--control %s: cannot make the socket: %s", path, strerror(-err));
	}
	if (err)
		ctl_close(ctl);
	else
		*result = ctl;
	return err;
}

void ctl_close(struct ctl *ctl)
{
	if (!ctl)
		return;
	if (ctl->fd >= 0)
		close(ctl->fd);
	if (ctl->path[0])
		unlink(ctl->path);
	free(ctl);
}

static int answer_status(struct ctl *ctl, struct lanes *lanes, char *said, size_t size)
{
	const struct ledger *total = &ctl->report.total;

	lanes_report_so_far(lanes, &ctl->report);
	uint64_t filtered = total->dropped_filter + total->dropped_rules + total->dropped_sample, cut_off = total->cut_off;
	for (unsigned i = 0; i < ctl->report.capture.queues; i++) {
		filtered += ctl->report.capture.queue[i].filtered;
		cut_off += ctl->report.capture.queue[i].cut_off;
	}
	snprintf(said, size,
		"lanes %u\npackets_read %" PRIu64 "\nbytes_read %" PRIu64 "\nnot_wanted %" PRIu64 "\ncut_off %" PRIu64
		"\nlost %" PRIu64 "\nflows_alive %" PRIu64 "\nflows_created %" PRIu64
		"\nrules %u\nrules_replaced %u\nsample %s%" PRIu32,
		ctl->report.lanes, total->packets_read, total->bytes_read, filtered, cut_off, summary_lost(&ctl->report),
		total->flows_alive, total->flows_created, ctl->report.rules, ctl->report.rules_replaced, "1/",
		ctl->report.sample ? ctl->report.sample : 1);
	return 0;
}

static int answer_sample(struct lanes *lanes, const char *argument, char *said, size_t size)
{
	uint64_t number = 0;

	if (strncmp(argument, "1/", 2) != 0 || !option_parse_number(argument + 2, &number) || number < 1 || number > 1000000) {
		snprintf(said, size, "set-sample takes 1/N with N from 1 to 1000000, not '%s'", argument);
		return -EINVAL;
	}
	return lanes_set_sample(lanes, (uint32_t)number, said, size);
}

static int ctl_answer(struct ctl *ctl, struct lanes *lanes, char *line, char *said, size_t size)
{
	char *argument = line + strcspn(line, " ");

	if (*argument)
		*argument++ = 0;
	if (!strcmp(line, "status"))
		return answer_status(ctl, lanes, said, size);
	if (!strcmp(line, "reload-prefilter"))
		return lanes_reload_rules(lanes, said, size);
	if (!strcmp(line, "set-sample"))
		return answer_sample(lanes, argument, said, size);
	if (!strcmp(line, "rotate")) {
		lanes_reopen(lanes);
		snprintf(said, size, "files that were moved away go on in new ones, numbered ones in the next");
		return 0;
	}
	if (!strcmp(line, "flush")) {
		lanes_flush(lanes);
		snprintf(said, size, "what waits in buffers is being written");
		return 0;
	}
	snprintf(said, size, "there is no command '%s'", line);
	return -EINVAL;
}

static void ctl_serve_one(struct ctl *ctl, struct lanes *lanes, int fd)
{
	const struct timeval patience = { .tv_usec = PATIENCE_NS / 1000 };
	uint64_t until_ns = clock_monotonic_ns() + PATIENCE_NS;
	char line[LINE_MAX_BYTES], said[ANSWER_BYTES] = "", answer[ANSWER_BYTES + 16];
	size_t used = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	while (used < sizeof(line) - 1 && !memchr(line, '\n', used)) {
		ssize_t got = recv(fd, line + used, sizeof(line) - 1 - used, 0);
		if (got <= 0 || clock_monotonic_ns() > until_ns)
			return;
		used += (size_t)got;
	}
	line[used] = 0;
	line[strcspn(line, "\n")] = 0;
	int err = ctl_answer(ctl, lanes, line, said, sizeof(said));
	int length = snprintf(answer, sizeof(answer), "%s\n%s\n", err ? "error" : "ok", said);
	ssize_t ignored = send(fd, answer, (size_t)length, MSG_NOSIGNAL);
	(void)ignored; /* who asked is gone */
}

void ctl_serve(struct ctl *ctl, struct lanes *lanes)
{
	int fd;

	while (ctl && (fd = accept4(ctl->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		ctl_serve_one(ctl, lanes, fd);
		close(fd);
	}
}

/* --- client ------------------------------------------------------------------------------------------------------------ */

static const char *const commands[] = { "status", "reload-prefilter", "rotate", "flush", "set-sample" };
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int usage(FILE *out, int status)
{
	fputs("Usage: flowlane ctl [--control PATH] COMMAND\n\n"
	      "Asks the flowlane that was started with --control PATH (default " CTL_PATH ").\n\n"
	      "  status             what it has done so far, a line each: name, value\n"
	      "  reload-prefilter   reads the file of --prefilter again; if it is wrong the old rules stay in force\n"
	      "  set-sample 1/N     one flow in N from now on; needs --sample at the start\n"
	      "  rotate             files that were moved away go on in new ones, numbered ones in the next; as SIGHUP\n"
	      "  flush              writes what waits in buffers\n\n"
	      "Exit code 0: done. 1: the command line, or what was asked for, is wrong. 2: nobody answers.\n",
		out);
	return status;
}

static bool is_command(const char *word)
{
	for (unsigned i = 0; i < COMMANDS; i++) {
		if (!strcmp(word, commands[i]))
			return true;
	}
	return false;
}

/* Prints the answer behind its first line, "ok" or "error". */
static int ctl_hear(int fd, const char *path)
{
	char answer[ANSWER_BYTES + 16];
	size_t used = 0;
	ssize_t got;

	while (used < sizeof(answer) - 1 && (got = recv(fd, answer + used, sizeof(answer) - 1 - used, 0)) > 0)
		used += (size_t)got;
	answer[used] = 0;
	char *said = strchr(answer, '\n');
	if (!said) {
		log_error("ctl: %s: no answer; it may just be ending", path);
		return EXIT_RUNTIME;
	}
	*said++ = 0;
	if (!strcmp(answer, "ok")) {
		fputs(said, stdout);
		return 0;
	}
	said[strcspn(said, "\n")] = 0;
	log_error("%s", said);
	return EXIT_USAGE;
}

int ctl_run(int argc, char **argv)
{
	const char *path = CTL_PATH;
	struct sockaddr_un address;
	char line[LINE_MAX_BYTES];
	int next = 1;

	if (next < argc && (!strcmp(argv[next], "--help") || !strcmp(argv[next], "-h")))
		return usage(stdout, 0);
	if (next + 1 < argc && !strcmp(argv[next], "--control")) {
		path = argv[next + 1];
		next += 2;
	}
	if (next == argc)
		return usage(stderr, EXIT_USAGE);
	if (!is_command(argv[next])) {
		const char *near = nearest_name(argv[next], commands, COMMANDS);
		log_error("ctl: there is no command '%s'%s%s%s; flowlane ctl --help lists them", argv[next],
			near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
		return EXIT_USAGE;
	}
	bool argument = !strcmp(argv[next], "set-sample");
	if (argc - next != 1 + argument) {
		log_error("ctl: %s takes %s", argv[next], argument ? "one argument, such as 1/8" : "no argument");
		return EXIT_USAGE;
	}
	if (snprintf(line, sizeof(line), "%s%s%s\n", argv[next], argument ? " " : "", argument ? argv[next + 1] : "") >=
			(int)sizeof(line) ||
		address_set(&address, path)) {
		log_error("ctl: the path or the argument is too long");
		return EXIT_USAGE;
	}
	int fd = ctl_connect(&address);
	if (fd < 0) {
		log_error("ctl: %s: %s; is a flowlane running with --control %s?", path,
			fd == -ECONNREFUSED ? "nobody answers, its flowlane is gone" : strerror(-fd), path);
		return EXIT_RUNTIME;
	}
	int status = send(fd, line, strlen(line), MSG_NOSIGNAL) < 0 ? EXIT_RUNTIME : ctl_hear(fd, path);
	close(fd);
	return status;
}
