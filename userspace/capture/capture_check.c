/* Whether capturing may work at all, said before anything is touched: who, what, why, how to fix. */
#include "capture_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "log.h"
#include "number_list.h"

#ifndef CAP_BPF
#define CAP_PERFMON 38 /* Linux 5.8 */
#define CAP_BPF     39
#endif

#define HEADER_BYTES 22   /* Ethernet and two VLAN tags: what a frame is longer than the MTU */
#define BUFFER_LEAST 2048 /* the kernel's smallest */
#define BUFFER_MOST  4096 /* a page: its largest */
#define MIB(bytes)   (((bytes) + (1u << 20) - 1) >> 20)

bool kernel_at_least(unsigned major, unsigned minor)
{
	struct utsname name;
	unsigned is_major = 0, is_minor = 0;

	if (uname(&name) || sscanf(name.release, "%u.%u", &is_major, &is_minor) != 2)
		return true; /* then it will say no by itself */
	return is_major > major || (is_major == major && is_minor >= minor);
}

static bool have_capability(unsigned capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &header, data))
		return true;
	return data[capability / 32].effective >> (capability % 32) & 1;
}

static int check_capabilities(void)
{
	static const struct {
		unsigned number;
		const char *name, *what;
	} needed[] = {
		{ CAP_NET_ADMIN, "CAP_NET_ADMIN", "attach its XDP program" },
		{ CAP_NET_RAW, "CAP_NET_RAW", "open AF_XDP sockets" },
		{ CAP_BPF, "CAP_BPF", "load its XDP program" },
		{ CAP_PERFMON, "CAP_PERFMON", "load its XDP program, which computes with pointers" },
	};

	for (unsigned i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		/* Before there were these two, and still, CAP_SYS_ADMIN stands for them. */
		bool bpf = needed[i].number == CAP_BPF || needed[i].number == CAP_PERFMON;
		if (have_capability(needed[i].number) || (bpf && have_capability(CAP_SYS_ADMIN)))
			continue;
		log_error("capturing needs the capability %s, to %s; run it as root, or once "
			  "`sudo setcap cap_net_admin,cap_net_raw,cap_bpf,cap_perfmon,cap_ipc_lock+ep` on the program's file",
			needed[i].name, needed[i].what);
		return -EPERM;
	}
	return 0;
}

int check_system(void)
{
	struct utsname name;

	if (!kernel_at_least(5, 9)) {
		uname(&name);
		log_error("this kernel is Linux %s; capturing needs 5.9 or later (an XDP program that goes away with its process)",
			name.release);
		return -ENOSYS;
	}
	return check_capabilities();
}

/* --- the interface ------------------------------------------------------------------------------------------------------- */

static int say_no_interface(const char *name, int err)
{
	char nearest[IF_NAMESIZE];

	if (err != -ENODEV)
		log_error("%s: cannot be asked about its state: %s", name, strerror(-err));
	else if (nic_nearest(name, nearest))
		log_error("there is no interface '%s'; did you mean '%s'? `ip -br link` shows all", name, nearest);
	else
		log_error("there is no interface '%s'; `ip -br link` shows all", name);
	return err;
}

void say_other_program(const struct nic_info *info)
{
	char program[96] = "another XDP program";

	if (info->xdp_prog_id && info->xdp_prog_name[0])
		snprintf(program, sizeof(program), "the XDP program '%s' (id %u)", info->xdp_prog_name, info->xdp_prog_id);
	else if (info->xdp_prog_id)
		snprintf(program, sizeof(program), "another XDP program (id %u)", info->xdp_prog_id);
	log_error("%s: %s is attached to it, and there can be one only; end what it belongs to, or take over with --replace",
		info->name, program);
}

static int check_state(const struct capture *capture, const struct nic_info *info)
{
	for (unsigned i = 0; i < capture->interfaces; i++) {
		if (capture->interface[i].info.ifindex == info->ifindex) {
			log_error("-i %s is given twice", info->name);
			return -EINVAL;
		}
	}
	if (!info->up) {
		log_error("%s is down; `ip link set %s up`", info->name, info->name);
		return -ENETDOWN;
	}
	if (!info->ethernet && !info->loopback) {
		log_error("%s carries no Ethernet frames; capture from the interface below it, or read a capture of it with -r",
			info->name);
		return -EPROTONOSUPPORT;
	}
	if (info->xdp_prog_id && !capture->config->replace) {
		say_other_program(info);
		return -EBUSY;
	}
	return 0;
}

/* --- its queues ---------------------------------------------------------------------------------------------------------- */

static int say_bad_queues(const struct nic_info *info, const char *list, int err, unsigned bad)
{
	char range[32] = "queue 0 only", command[128] = "";
	unsigned numbers[CAPTURE_QUEUES_MAX], most = 0, ignored;

	if (info->rx_queues > 1)
		snprintf(range, sizeof(range), "queues 0-%u", info->rx_queues - 1);
	int count = number_list_parse(list, info->rx_queues_max - 1, numbers, CAPTURE_QUEUES_MAX, &ignored);
	for (int i = 0; i < count; i++)
		most = numbers[i] > most ? numbers[i] : most;
	if (count > 0)
		nic_queues_command(info, most + 1, "", command, sizeof(command));
	switch (err) {
	case -ERANGE:
		log_error("--queues %s: %s has no queue %u, it has RX %s; leave --queues out for all of them%s%s", list, info->name,
			bad, range, command[0] ? ", or give it more: " : "", command);
		break;
	case -EEXIST:
		log_error("--queues %s: queue %u is in it twice", list, bad);
		break;
	case -ENOSPC:
		log_error("--queues %s: more than %u queues", list, CAPTURE_QUEUES_MAX);
		break;
	default:
		log_error("--queues %s is no list of numbers; write it like 0-3,6", list);
	}
	/* A list that is none is an error of the command line; one that does not fit the interface is not. */
	return err == -ERANGE ? -ERANGE : -EINVAL;
}

static int say_many_queues(const struct capture *capture, const struct nic_info *info, unsigned wanted)
{
	unsigned others = capture->queues * capture->fanout;
	char command[128];

	nic_queues_command(info, CAPTURE_LANES_MAX / capture->fanout, "", command, sizeof(command));
	log_error("%s: %u RX queues with %u lane%s each%s are more than the %u lanes that there can be; use fewer queues: "
		  "--queues%s%s%s",
		info->name, wanted, capture->fanout, capture->fanout == 1 ? "" : "s",
		others ? ", besides those of the other interfaces," : "", CAPTURE_LANES_MAX,
		capture->fanout > 1 ? ", a lower --fanout" : "", command[0] && !others ? ", or " : "", others ? "" : command);
	return -E2BIG;
}

static int check_queues(struct capture *capture, struct capture_interface *interface)
{
	const struct nic_info *info = &interface->info;
	const char *list = capture->config->queues;
	unsigned numbers[CAPTURE_QUEUES_MAX], bad = 0;
	int count = (int)info->rx_queues;

	if (list) {
		count = number_list_parse(list, info->rx_queues - 1, numbers, CAPTURE_QUEUES_MAX, &bad);
		if (count < 0)
			return say_bad_queues(info, list, count, bad);
	}
	if ((capture->queues + (unsigned)count) * capture->fanout > CAPTURE_LANES_MAX)
		return say_many_queues(capture, info, (unsigned)count);
	interface->first = capture->queues;
	interface->count = (unsigned)count;
	for (unsigned i = 0; i < (unsigned)count; i++) {
		capture->queue[capture->queues++] = (struct capture_queue){
			.number = list ? numbers[i] : i,
			.interface = (unsigned)(interface - capture->interface),
		};
	}
	return 0;
}

int check_interface(struct capture *capture, struct capture_interface *interface, const char *name)
{
	int err = nic_inspect(name, &interface->info);

	interface->phc = interface->port.wake = -1; /* nothing is open yet */
	if (err)
		return say_no_interface(name, err);
	err = check_state(capture, &interface->info);
	return err ? err : check_queues(capture, interface);
}

/* --- its buffers --------------------------------------------------------------------------------------------------------- */

/* Drivers that tell their hardware the length of a buffer in steps of 1 KiB, downwards: a 2 KiB buffer, of which 256 bytes are the
 * kernel's, would take no frame beyond 1 KiB in zero-copy mode. */
static bool counts_in_kib(const char *driver)
{
	static const char *const drivers[] = { "igb", "igc", "ixgbe" };

	for (unsigned i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (!strcmp(driver, drivers[i]))
			return true;
	}
	return false;
}

static bool fits(const struct nic_info *info, uint32_t longest, uint32_t frame_bytes)
{
	uint32_t zerocopy_room = xsk_room(frame_bytes, true);

	if (counts_in_kib(info->driver))
		zerocopy_room &= ~(uint32_t)1023;
	return longest <= zerocopy_room && longest <= xsk_room(frame_bytes, false);
}

static int check_mtu(struct capture_interface *interface)
{
	const struct nic_info *info = &interface->info;
	uint32_t most = xsk_room(BUFFER_MOST, false) - HEADER_BYTES;

	interface->longest = info->mtu + HEADER_BYTES;
	interface->frame_bytes = fits(info, interface->longest, BUFFER_LEAST) ? BUFFER_LEAST : BUFFER_MOST;
	interface->frags = interface->longest > xsk_room(BUFFER_MOST, false);
	if (!interface->frags)
		return 0;
	if (!kernel_at_least(6, 6)) {
		log_error("%s: its MTU is %u, and before Linux 6.6 a frame must fit one buffer, that is an MTU of %u at most; "
			  "`ip link set %s mtu %u`, or a newer kernel",
			info->name, info->mtu, most, info->name, most);
		return -EMSGSIZE;
	}
	return 0;
}

int check_buffers(const struct capture *capture, struct capture_interface *interface)
{
	const struct config *config = capture->config;
	int err = check_mtu(interface);

	if (err)
		return err;
	/* Enough for the NIC's ring and one RX ring to be full at once and the fill ring to have more, and for the other RX rings. */
	uint32_t enough = xsk_ring_size(interface->info.rx_ring + config->ring_size) + config->ring_size * capture->fanout;
	/* What the lanes hold in their hands must not be all. */
	uint32_t least = 2 * FLOWLANE_BATCH * capture->fanout;
	interface->frames = config->frames ? config->frames : enough > least ? enough : least;
	if (interface->frames < least) {
		log_error(
			"--frames %u: with --fanout %u a queue needs %u buffers at least", config->frames, capture->fanout, least);
		return -EINVAL;
	}
	return 0;
}

int check_memory(const struct capture *capture)
{
	uint64_t available = umem_available_bytes(), wanted = 0;

	for (unsigned i = 0; i < capture->interfaces; i++) {
		const struct capture_interface *interface = &capture->interface[i];
		wanted += (uint64_t)interface->count * interface->frames * interface->frame_bytes;
	}
	if (wanted <= available - available / 16)
		return 0;
	log_error("packet buffers: %u queues x %u buffers x %u bytes are %" PRIu64 " MiB, but only %" PRIu64
		  " MiB of memory are free; lower --frames or --ring-size, or use fewer --queues",
		capture->queues, capture->interface[0].frames, capture->interface[0].frame_bytes, MIB(wanted), available >> 20);
	return -ENOMEM;
}
