#include "busy_poll.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"

#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69 /* Linux 5.11 */
#endif
#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET 70
#endif

#define STALL_PACKETS 8 /* fewer may have come between the reading of one counter and the next */
#define STALL_LOOKS   2

#define POLL_US 20 /* how long one call polls at most */
#define BUDGET  64 /* frames of one poll: a batch */

/* How long interrupts stay off when nobody polls: long enough to outlast a batch, short enough not to matter if a lane is stuck. */
#define DEFER_IRQS       "2"
#define FLUSH_TIMEOUT_NS "200000"

struct setting {
	const char *file;
	const char *value;
	char before[32]; /* "": not changed */
};

struct busy_poll {
	struct setting settings[2];
};

bool busy_poll_stalls(struct busy_poll_watch *watch, uint64_t packets, uint64_t missed, uint64_t seen)
{
	bool still = seen == watch->seen;
	int64_t ahead = (int64_t)(packets - seen);
	bool left = still && ahead > watch->ahead + STALL_PACKETS;

	watch->missed_looks = still ? watch->missed_looks + (missed > watch->missed) : 0;
	watch->seen = seen;
	watch->missed = missed;
	watch->ahead = ahead > watch->ahead ? ahead : watch->ahead;
	return left || watch->missed_looks >= STALL_LOOKS;
}

/* Files of the network namespace that this process's /sys shows. */
static FILE *setting_open(const char *interface, const char *file, const char *mode)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", interface, file);
	return fopen(path, mode);
}

static int setting_write(const char *interface, const char *file, const char *value)
{
	FILE *out = setting_open(interface, file, "we");

	if (!out)
		return -errno;
	fputs(value, out);
	return fclose(out) ? -errno : 0;
}

static int setting_change(const char *interface, struct setting *setting)
{
	char before[32] = "";
	FILE *in = setting_open(interface, setting->file, "re");

	if (!in)
		return -errno;
	bool known = fgets(before, sizeof(before), in);
	fclose(in);
	before[strcspn(before, "\n")] = 0;
	if (!known || !before[0])
		return -EIO;
	if (!strcmp(before, setting->value))
		return 0;
	int err = setting_write(interface, setting->file, setting->value);
	if (!err) {
		memcpy(setting->before, before, sizeof(before));
		log_info("%s: %s: %s instead of %s", interface, setting->file, setting->value, before);
	}
	return err;
}

static int socket_set(const struct xsk *xsk, bool on)
{
	const struct {
		int option, value;
	} options[] = {
		{ SO_PREFER_BUSY_POLL, on },
		{ SO_BUSY_POLL, on ? POLL_US : 0 },
		{ SO_BUSY_POLL_BUDGET, BUDGET },
	};

	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]) - !on; i++) {
		if (setsockopt(xsk->fd, SOL_SOCKET, options[i].option, &options[i].value, sizeof(options[i].value)))
			return -errno;
	}
	return 0;
}

static int sockets_set(struct capture *capture, const struct capture_interface *interface, bool on)
{
	for (unsigned i = 0; i < interface->count; i++) {
		struct xsk_queue *queue = &capture->queue[interface->first + i].sockets;
		for (unsigned share = 0; share < queue->shares; share++) {
			int err = queue->share[share].socket ? socket_set(&queue->share[share], on) : 0;
			if (err)
				return err;
		}
	}
	return 0;
}

int busy_poll_start(struct capture *capture, struct capture_interface *interface)
{
	struct busy_poll *busy = calloc(1, sizeof(*busy));
	int err = 0;

	if (!busy)
		return -ENOMEM;
	interface->busy = busy;
	busy->settings[0] = (struct setting){ .file = "napi_defer_hard_irqs", .value = DEFER_IRQS };
	busy->settings[1] = (struct setting){ .file = "gro_flush_timeout", .value = FLUSH_TIMEOUT_NS };
	for (unsigned i = 0; i < 2 && !err; i++)
		err = setting_change(interface->info.name, &busy->settings[i]);
	if (!err)
		err = sockets_set(capture, interface, true);
	if (err) {
		log_warning("%s: no busy polling: %s (needs Linux 5.11 and CAP_NET_ADMIN); going on without", interface->info.name,
			strerror(-err));
		busy_poll_stop(capture, interface);
		return 0;
	}
	__atomic_store_n(&interface->port.busy_poll, true, __ATOMIC_RELAXED);
	return 0;
}

void busy_poll_stop(struct capture *capture, struct capture_interface *interface)
{
	struct busy_poll *busy = interface->busy;

	if (!busy)
		return;
	__atomic_store_n(&interface->port.busy_poll, false, __ATOMIC_RELAXED);
	sockets_set(capture, interface, false);
	for (unsigned i = 0; i < 2; i++) {
		const struct setting *setting = &busy->settings[i];
		if (!setting->before[0] || interface->gone)
			continue;
		int err = setting_write(interface->info.name, setting->file, setting->before);
		if (err)
			log_warning("%s: %s could not be set back to %s: %s", interface->info.name, setting->file, setting->before,
				strerror(-err));
		else
			log_info("%s: %s: %s again", interface->info.name, setting->file, setting->before);
	}
	free(busy);
	interface->busy = NULL;
}

bool busy_poll_needs_admin(const struct capture_interface *interface)
{
	return interface->busy && (interface->busy->settings[0].before[0] || interface->busy->settings[1].before[0]);
}
