/* What is looked at about once a second. What is found is said once. */
#include "capture_internal.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "busy_poll.h"
#include "counters.h"
#include "log.h"
#include "phc.h"

void watch_nic(struct capture_interface *interface)
{
	struct nic_counters now;

	if (!interface->gone && !nic_read_counters(interface->info.name, &now))
		interface->nic_last = now;
}

void watch_start(struct capture_interface *interface)
{
	watch_nic(interface);
	interface->nic_start = interface->nic_last;
}

/* Its flags, by its index: a renamed interface is the same one. False: there is none with this index. */
static bool interface_flags(struct capture_interface *interface, unsigned *flags)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	*flags = IFF_UP;
	if (fd < 0)
		return true; /* who knows */
	request.ifr_ifindex = (int)interface->info.ifindex;
	bool there = !ioctl(fd, SIOCGIFNAME, &request);
	if (there) {
		memcpy(interface->info.name, request.ifr_name, sizeof(interface->info.name));
		if (!ioctl(fd, SIOCGIFFLAGS, &request))
			*flags = (unsigned short)request.ifr_flags;
	}
	close(fd);
	return there;
}

static void watch_link(struct capture_interface *interface)
{
	const char *name = interface->info.name;
	unsigned flags;

	if (!interface_flags(interface, &flags)) {
		interface->gone = true;
		log_warning("%s: the interface is gone; no more packets come from it", name);
		return;
	}
	bool down = !(flags & IFF_UP);
	if (down && !interface->down)
		log_warning("%s went down; nothing comes from it until `ip link set %s up`", name, name);
	else if (!down && interface->down)
		log_info("%s is up again", name);
	interface->down = down;
}

/* Frames of queues that have no socket go to the host only: said once for all of an interface's queues. */
static void watch_sockets(struct capture_interface *interface)
{
	char queues[64] = "", command[128] = "";
	unsigned lost = 0, used = 0;

	for (unsigned i = 0; i < interface->info.rx_queues && !interface->no_socket_said; i++) {
		struct xdp_counters counters;
		if (xdp_read_counters(interface->xdp, i, &counters) || !counters.packets[XDP_VERDICT_NO_SOCKET])
			continue;
		if (used + 12 < sizeof(queues))
			used += (unsigned)snprintf(queues + used, sizeof(queues) - used, "%s%u", lost ? "," : "", i);
		lost++;
	}
	if (!lost)
		return;
	interface->no_socket_said = true;
	nic_queues_command(&interface->info, interface->count, "", command, sizeof(command));
	log_warning("%s: packets come on RX queue %s, which is not among --queues: they are not captured; add it there%s%s",
		interface->info.name, queues, command[0] ? ", or let the NIC use fewer queues: " : "", command);
}

/* The NIC's clock runs at its own rate. */
static void watch_phc(struct capture_interface *interface)
{
	int64_t *offset_ns = &interface->port.nic_offset_ns, measured_ns;

	if (interface->phc >= 0 && !phc_measure(interface->phc, &measured_ns))
		__atomic_store_n(offset_ns, live_clock_follow(*offset_ns, measured_ns), __ATOMIC_RELAXED);
}

/* And sees to what the program says beside. */
static uint64_t seen_by_program(struct capture_interface *interface)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < interface->info.rx_queues; i++) {
		struct xdp_counters counters;
		if (xdp_read_counters(interface->xdp, i, &counters))
			continue;
		for (unsigned verdict = 0; verdict < XDP_VERDICT_COUNT; verdict++)
			seen += counters.packets[verdict];
		if (counters.meta_failed)
			__atomic_store_n(&interface->port.meta_missing, true, __ATOMIC_RELAXED);
	}
	return seen;
}

static void watch_busy_poll(struct capture *capture, struct capture_interface *interface)
{
	const struct nic_counters *now = &interface->nic_last, *start = &interface->nic_start;
	uint64_t seen = seen_by_program(interface);
	bool stalls = busy_poll_stalls(&interface->busy_watch, now->packets - start->packets, now->missed - start->missed, seen);

	if (!interface->busy || !stalls)
		return;
	log_warning(
		"%s: busy polling does not work with driver %s here (its counters move, but no packet was fetched for a second); "
		"back to interrupts",
		interface->info.name, interface->info.driver);
	busy_poll_stop(capture, interface);
}

bool watch_interface(struct capture *capture, struct capture_interface *interface)
{
	if (interface->gone)
		return false;
	watch_link(interface);
	if (interface->gone)
		return false;
	watch_nic(interface);
	watch_phc(interface);
	watch_sockets(interface);
	watch_busy_poll(capture, interface);
	return true;
}
