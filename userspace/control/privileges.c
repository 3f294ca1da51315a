#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <linux/capability.h>

#include "log.h"

#define MEMLOCK_NEEDED ((rlim_t)1 << 30) /* more than the UMEMs of 64 queues with the default rings */

#define CAPABILITY_BIT(capability) (UINT64_C(1) << (capability))

struct capabilities {
	uint64_t effective, permitted, inheritable;
};

/* The system calls themselves: glibc has no wrappers, and a library for two calls is one more to install. */
static int capabilities_get(struct capabilities *have)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	have->effective = (uint64_t)data[1].effective << 32 | data[0].effective;
	have->permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	have->inheritable = (uint64_t)data[1].inheritable << 32 | data[0].inheritable;
	return 0;
}

/* None are inheritable. */
static int capabilities_set(uint64_t effective, uint64_t permitted)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{ .effective = (uint32_t)effective, .permitted = (uint32_t)permitted },
		{ .effective = (uint32_t)(effective >> 32), .permitted = (uint32_t)(permitted >> 32) },
	};

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

bool privileges_have(unsigned capability)
{
	struct capabilities have = { 0 }; /* gcc does not see that a success fills it */

	return !capabilities_get(&have) && (have.effective & CAPABILITY_BIT(capability));
}

static bool memlock_suffices(void)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_MEMLOCK, &limit) && (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= MEMLOCK_NEEDED);
}

unsigned privileges_missing(char *text, size_t size)
{
	const struct {
		const char *name;
		bool there;
	} needed[] = {
		{ "CAP_NET_ADMIN", privileges_have(CAP_NET_ADMIN) },
		{ "CAP_NET_RAW", privileges_have(CAP_NET_RAW) },
		{ "CAP_BPF", privileges_have(CAP_BPF) || privileges_have(CAP_SYS_ADMIN) },
		{ "CAP_PERFMON", privileges_have(CAP_PERFMON) || privileges_have(CAP_SYS_ADMIN) },
		{ "CAP_IPC_LOCK", privileges_have(CAP_IPC_LOCK) || memlock_suffices() },
	};
	unsigned missing = 0;
	size_t used = 0;

	if (size)
		text[0] = '\0';
	for (unsigned i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
		if (needed[i].there)
			continue;
		if (used < size)
			used += (size_t)snprintf(text + used, size - used, "%s%s", missing ? ", " : "", needed[i].name);
		missing++;
	}
	return missing;
}

/* *buffer holds what *entry points to, and is to be freed. */
static int user_find(const char *user, struct passwd *entry, char **buffer)
{
	size_t size = 16384;
	struct passwd *found = NULL;

	*buffer = malloc(size);
	if (!*buffer)
		return -ENOMEM;
	int error = getpwnam_r(user, entry, *buffer, size, &found);
	if (found)
		return 0;
	free(*buffer);
	*buffer = NULL;
	if (error && error != ENOENT && error != ESRCH)
		log_error("--user %s: cannot be looked up: %s", user, strerror(error));
	else
		log_error("--user %s: there is no such user; `getent passwd` lists those there are, and `adduser --system %s` "
			  "makes it",
			user, user);
	return -EINVAL;
}

int privileges_check_user(const char *user)
{
	struct passwd entry;
	char *buffer;

	int error = user_find(user, &entry, &buffer);
	if (!error)
		free(buffer);
	return error;
}

/* What could be gained by executing a program with file capabilities, in case that no_new_privs is not enough. Needs CAP_SETPCAP,
 * so it is done while there are capabilities, and not having it is no error. */
static void bounding_set_clear(void)
{
	for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return;
	}
}

static int user_become(const char *user, bool keep_capabilities, uid_t *uid)
{
	struct passwd entry;
	char *buffer;

	int error = user_find(user, &entry, &buffer);
	if (error)
		return error;
	*uid = entry.pw_uid;
	if (prctl(PR_SET_KEEPCAPS, keep_capabilities ? 1ul : 0ul, 0, 0, 0) < 0)
		error = -errno;
	if (!error && entry.pw_uid != geteuid() &&
		(initgroups(user, entry.pw_gid) < 0 || setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid) < 0))
		error = -errno;
	if (!error && setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid) < 0)
		error = -errno;
	free(buffer);
	if (error)
		log_error("--user %s: cannot become this user: %s; start flowlane as root, or leave --user out", user,
			strerror(-error));
	return error;
}

/* By trying what must not work any more, and asking the kernel what is left. */
static int drop_verify(uint64_t kept, bool other_user, uid_t uid)
{
	struct capabilities have = { 0 }; /* gcc does not see that a success fills it */
	uid_t real, effective, saved;

	if (capabilities_get(&have) || have.effective != kept || have.permitted != kept || have.inheritable)
		return -EPERM;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return -EPERM;
	if (!other_user)
		return 0;
	if (getresuid(&real, &effective, &saved) || real != uid || effective != uid || saved != uid)
		return -EPERM;
	if (uid != 0 && (setresuid(0, 0, 0) == 0 || seteuid(0) == 0 || setuid(0) == 0))
		return -EPERM;
	return 0;
}

/* Tried with the capabilities put aside for a moment: asking for a map that is not there says EBADF, or that asking is not permitted. */
static bool maps_need_capability(const struct capabilities *have)
{
	union bpf_attr attribute = { .map_fd = UINT32_MAX };
	uint64_t aside = CAPABILITY_BIT(CAP_BPF) | CAPABILITY_BIT(CAP_SYS_ADMIN);

	if (capabilities_set(have->effective & ~aside, have->permitted))
		return false;
	bool forbidden = syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attribute, sizeof(attribute)) < 0 && errno == EPERM;
	capabilities_set(have->effective, have->permitted);
	return forbidden;
}

int privileges_drop(const char *user, bool keep_net_admin)
{
	struct capabilities have;
	uint64_t keep = keep_net_admin ? CAPABILITY_BIT(CAP_NET_ADMIN) : 0;
	uid_t uid = geteuid();

	int error = capabilities_get(&have);
	if (error)
		goto fail;
	if (maps_need_capability(&have))
		keep |= CAPABILITY_BIT(CAP_BPF);
	bounding_set_clear();
	error = user ? user_become(user, keep != 0, &uid) : 0;
	if (error)
		return error;
	if (uid == 0)
		keep |= CAPABILITY_BIT(CAP_DAC_OVERRIDE);
	error = capabilities_get(&have);
	if (error)
		goto fail;
	keep &= have.permitted;
	/* Ambient ones go with the inheritable. */
	error = capabilities_set(keep, keep);
	if (!error && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		error = -errno;
	if (!error)
		error = drop_verify(keep, user != NULL, uid);
	if (!error)
		return 0;
fail:
	log_error("privileges cannot be given up: %s; not going on with them", strerror(-error));
	return error;
}
