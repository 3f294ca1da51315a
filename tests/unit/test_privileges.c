/* Each case gives up privileges in a child, which reports by its exit code. Most need root to have something to give up. */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <linux/capability.h>

#include "log.h"

/* The first check that does not hold in the child, by its line; 0: all hold. */
#define CHECK(condition)                                                                                                           \
	do {                                                                                                                       \
		if (!(condition))                                                                                                  \
			return __LINE__;                                                                                           \
	} while (0)

static int in_child(int (*checks)(void))
{
	int pipe_fds[2], line = -1, status;

	assert_int_equal(pipe(pipe_fds), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		log_mute(true);
		line = checks();
		_exit(write(pipe_fds[1], &line, sizeof(line)) == (ssize_t)sizeof(line) ? 0 : 1);
	}
	close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &line, sizeof(line)), sizeof(line));
	close(pipe_fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return line;
}

static void need_root(void)
{
	if (geteuid() != 0 || !privileges_have(CAP_SETUID) || !getpwnam("nobody")) {
		print_message("SKIPPED: needs root and a user nobody\n");
		skip();
	}
}

static uint64_t capabilities_line(const char *name)
{
	char line[256];
	uint64_t value = UINT64_MAX;
	FILE *file = fopen("/proc/self/status", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, strlen(name)))
			value = strtoull(line + strlen(name), NULL, 16);
	}
	if (file)
		fclose(file);
	return value;
}

static bool root_comes_back(void)
{
	gid_t root_group = 0;

	return setuid(0) == 0 || seteuid(0) == 0 || setresuid(0, 0, 0) == 0 || setgid(0) == 0 || setgroups(1, &root_group) == 0;
}

static int checks_nobody(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	uid_t uid = nobody->pw_uid;
	gid_t gid = nobody->pw_gid, groups[64] = { 0, 4 };

	CHECK(setgroups(2, groups) == 0);
	CHECK(privileges_drop("nobody", false) == 0);
	CHECK(getuid() == uid && geteuid() == uid && getgid() == gid && getegid() == gid);
	for (int i = getgroups(64, groups) - 1; i >= 0; i--)
		CHECK(groups[i] == gid);
	CHECK(capabilities_line("CapEff:") == 0 && capabilities_line("CapPrm:") == 0 && capabilities_line("CapInh:") == 0);
	CHECK(capabilities_line("CapBnd:") == 0 && capabilities_line("CapAmb:") == 0);
	CHECK(!root_comes_back());
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
	return 0;
}

static void privileges_drop__when_another_user__then_nothing_is_left_and_root_does_not_come_back(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(in_child(checks_nobody), 0);
}

static int checks_net_admin(void)
{
	CHECK(privileges_drop("nobody", true) == 0);
	CHECK(getuid() == getpwnam("nobody")->pw_uid);
	CHECK(capabilities_line("CapEff:") == 1u << CAP_NET_ADMIN && capabilities_line("CapPrm:") == 1u << CAP_NET_ADMIN);
	CHECK(privileges_have(CAP_NET_ADMIN) && !privileges_have(CAP_NET_RAW) && !privileges_have(CAP_SETUID));
	CHECK(!root_comes_back());
	return 0;
}

static void privileges_drop__when_a_nic_is_to_be_put_back__then_only_net_admin_is_kept(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(in_child(checks_net_admin), 0);
}

static int checks_root_stays(void)
{
	CHECK(privileges_drop(NULL, false) == 0);
	CHECK(geteuid() == 0);
	CHECK(capabilities_line("CapEff:") == 1u << CAP_DAC_OVERRIDE && capabilities_line("CapBnd:") == 0);
	/* Without CAP_SETUID even root cannot become someone else, who might have more rights elsewhere. */
	CHECK(setresuid(1, 1, 1) < 0 && errno == EPERM);
	/* And it does not come back by executing something as root. */
	CHECK(system("test $(( 0x$(sed -n 's/CapEff:[[:space:]]*//p' /proc/self/status) & ~0x2 )) -eq 0") == 0);
	return 0;
}

static void privileges_drop__when_root_stays_root__then_it_may_write_files_and_nothing_else(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(in_child(checks_root_stays), 0);
}

/* As a user that was given capabilities by setcap. */
static int checks_file_capabilities(void)
{
	CHECK(privileges_drop("nobody", true) == 0);
	CHECK(privileges_drop(NULL, true) == 0);
	CHECK(capabilities_line("CapEff:") == 1u << CAP_NET_ADMIN);
	CHECK(privileges_drop("nobody", false) == 0);
	CHECK(capabilities_line("CapEff:") == 0);
	CHECK(privileges_drop(NULL, true) == 0);
	CHECK(capabilities_line("CapEff:") == 0);
	CHECK(privileges_drop("root", false) == -EPERM);
	return 0;
}

static void privileges_drop__when_called_again__then_less_is_possible_but_never_more(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(in_child(checks_file_capabilities), 0);
}

static int checks_unknown_user(void)
{
	uid_t uid = geteuid();

	CHECK(privileges_check_user("no-such-user-here") == -EINVAL);
	CHECK(privileges_check_user("") == -EINVAL);
	CHECK(privileges_check_user("root") == 0);
	CHECK(privileges_drop("no-such-user-here", false) == -EINVAL);
	CHECK(geteuid() == uid);
	return 0;
}

static void privileges_check_user__when_there_is_no_such_user__then_it_is_invalid_and_nothing_changes(void **state)
{
	(void)state;
	assert_int_equal(in_child(checks_unknown_user), 0);
}

static int checks_missing(void)
{
	struct rlimit little = { 8 << 20, 8 << 20 };
	char *text = malloc(64), *small = malloc(9);

	if (geteuid() == 0)
		CHECK(privileges_missing(text, 64) == 0 && text[0] == '\0');
	CHECK(setrlimit(RLIMIT_MEMLOCK, &little) == 0);
	CHECK(privileges_drop(NULL, true) == 0);
	unsigned missing = privileges_missing(text, 64);
	if (geteuid() == 0)
		CHECK(missing == 4 && strcmp(text, "CAP_NET_RAW, CAP_BPF, CAP_PERFMON, CAP_IPC_LOCK") == 0);
	else
		CHECK(missing >= 4);
	CHECK(privileges_missing(small, 9) == missing && strlen(small) == 8);
	CHECK(privileges_missing(small, 1) == missing && small[0] == '\0');
	CHECK(privileges_missing(NULL, 0) == missing);
	free(text);
	free(small);
	return 0;
}

static void privileges_missing__when_they_were_given_up__then_they_are_named(void **state)
{
	(void)state;
	assert_int_equal(in_child(checks_missing), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(privileges_drop__when_another_user__then_nothing_is_left_and_root_does_not_come_back),
		cmocka_unit_test(privileges_drop__when_a_nic_is_to_be_put_back__then_only_net_admin_is_kept),
		cmocka_unit_test(privileges_drop__when_root_stays_root__then_it_may_write_files_and_nothing_else),
		cmocka_unit_test(privileges_drop__when_called_again__then_less_is_possible_but_never_more),
		cmocka_unit_test(privileges_check_user__when_there_is_no_such_user__then_it_is_invalid_and_nothing_changes),
		cmocka_unit_test(privileges_missing__when_they_were_given_up__then_they_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
