#include "doctor_facts.h"

#include <errno.h>
#include <string.h>

struct judging {
	const struct doctor_interface *interface;
	const struct nic_info *info;
	const struct doctor_system *system;
	struct doctor_report *report;
};

static void add(const struct judging *j, const char *check, enum doctor_verdict verdict, const char *text)
{
	doctor_add(j->report, j->info->name, check, verdict, "%s", text);
}

/* Loopback's begin with an Ethernet header, too. */
static bool has_ethernet_frames(const struct nic_info *info)
{
	return info->ethernet || info->loopback;
}

static void judge_link(const struct judging *j)
{
	const struct nic_info *info = j->info;

	if (!has_ethernet_frames(info)) {
		add(j, "link", DOCTOR_PROBLEM, "its frames are not Ethernet, which live capture needs");
		doctor_fix(j->report, "flowlane doctor    (lists those that are)");
	} else if (!info->up) {
		add(j, "link", DOCTOR_PROBLEM, "the interface is down");
		doctor_fix(j->report, "sudo ip link set dev %s up", info->name);
	} else if (!info->running) {
		add(j, "link", DOCTOR_PROBLEM, "no carrier: nothing can arrive");
		doctor_fix(j->report, "%s",
			!strcmp(info->kind, "veth") ? "ip link    (shows the peer, which is to be set up, too)"
						    : "connect the cable, or bring the other end up");
	} else if (info->speed_mbps) {
		doctor_add(j->report, info->name, "link", DOCTOR_OK, "up, %u Mbit/s", info->speed_mbps);
	} else {
		add(j, "link", DOCTOR_OK, "up, speed unknown");
	}
}

static void judge_driver(const struct judging *j)
{
	const struct nic_info *info = j->info;
	const char *driver = *info->driver ? info->driver : *info->kind ? info->kind : "unknown";

	if (info->numa_node < 0) {
		doctor_add(j->report, info->name, "driver", DOCTOR_OK, "%s%s%s", driver, *info->bus ? " at " : "", info->bus);
		return;
	}
	bool far = j->interface->cpus_near == 0;
	doctor_add(j->report, info->name, "driver", far ? DOCTOR_NOTE : DOCTOR_OK,
		"%s at %s, NUMA node %d, where %u of the allowed CPUs are", driver, info->bus, info->numa_node,
		j->interface->cpus_near);
	if (far)
		doctor_fix(j->report,
			"cat /sys/devices/system/node/node%d/cpulist    (start flowlane where these CPUs are allowed)",
			info->numa_node);
}

static void fix_queues(const struct judging *j, unsigned queues, const char *more)
{
	char command[160];

	nic_queues_command(j->info, queues, "sudo ", command, sizeof(command));
	if (*command)
		doctor_fix(j->report, "%s%s", command, more);
}

/* veth chooses the queue by the sender's CPU, so there more of them would tear flows apart. */
static void judge_queues(const struct judging *j)
{
	const struct nic_info *info = j->info;
	unsigned cpus = j->system->cpus_allowed;

	if (info->rx_queues > cpus && cpus > 0) {
		doctor_add(j->report, info->name, "queues", DOCTOR_NOTE, "%u RX queues, a lane for each, on %u CPU%s",
			info->rx_queues, cpus, cpus == 1 ? "" : "s");
		fix_queues(j, cpus, "");
	} else if (info->rx_queues == 1 && info->rx_queues_max > 1 && cpus > 1 && strcmp(info->kind, "veth") != 0) {
		doctor_add(j->report, info->name, "queues", DOCTOR_NOTE, "1 RX queue of %u possible: one lane (more by --fanout)",
			info->rx_queues_max);
		fix_queues(j, info->rx_queues_max < cpus ? info->rx_queues_max : cpus, "");
	} else {
		doctor_add(j->report, info->name, "queues", DOCTOR_OK, "%u RX queue%s of %u possible", info->rx_queues,
			info->rx_queues == 1 ? "" : "s", info->rx_queues_max);
	}
}

static void judge_rings(const struct judging *j)
{
	const struct nic_info *info = j->info;

	if (!info->rx_ring) {
		add(j, "rings", DOCTOR_OK, "the driver has none, or does not say");
	} else if (info->rx_ring < info->rx_ring_max) {
		doctor_add(j->report, info->name, "rings", DOCTOR_NOTE,
			"%u RX descriptors of %u possible: bursts may be lost in the NIC", info->rx_ring, info->rx_ring_max);
		doctor_fix(j->report, "sudo ethtool -G %s rx %u", info->name, info->rx_ring_max);
	} else {
		doctor_add(j->report, info->name, "rings", DOCTOR_OK, "%u RX descriptors of %u possible", info->rx_ring,
			info->rx_ring_max);
	}
}

static void judge_mtu(const struct judging *j)
{
	const struct doctor_probes *probes = &j->system->probes;
	const struct nic_info *info = j->info;
	bool possible = probes->frags == 0 && probes->socket_sg == 0;
	bool unknown = probes->frags == DOCTOR_NOT_TRIED || probes->socket_sg == DOCTOR_NOT_TRIED;

	if (info->mtu <= DOCTOR_MTU_ONE_BUFFER) {
		doctor_add(j->report, info->name, "mtu", DOCTOR_OK,
			"%u: a frame fits one buffer (up to %d; native XDP of some drivers ends at about 3500, or 3000)", info->mtu,
			DOCTOR_MTU_ONE_BUFFER);
		return;
	}
	doctor_add(j->report, info->name, "mtu",
		possible  ? DOCTOR_OK
		: unknown ? DOCTOR_CANNOT_TELL
			  : DOCTOR_PROBLEM,
		"%u: a frame needs several buffers, which this kernel %s", info->mtu,
		possible  ? "has"
		: unknown ? "may have"
			  : "has not");
	if (!possible)
		doctor_fix(j->report, "sudo ip link set dev %s mtu %d    (or Linux 6.6)", info->name, DOCTOR_MTU_ONE_BUFFER);
}

static void judge_program(const struct judging *j)
{
	static const char *const modes[] = { "", "xdpdrv", "xdpgeneric", "xdpoffload", "xdp" };
	const struct doctor_owner *owner = &j->interface->owner;
	const struct nic_info *info = j->info;
	const char *name = *info->xdp_prog_name ? info->xdp_prog_name : "?";

	if (!info->xdp_prog_id && info->xdp_mode == NIC_XDP_NONE) {
		add(j, "xdp_program", DOCTOR_OK, "none attached");
		return;
	}
	if (owner->pid && owner->by_link) {
		doctor_add(j->report, info->name, "xdp_program", DOCTOR_PROBLEM,
			"'%s' (id %u) is attached by a link of process %s (%d): it must end first", name, info->xdp_prog_id,
			owner->name, owner->pid);
		doctor_fix(j->report, "sudo kill %d", owner->pid);
		return;
	}
	doctor_add(j->report, info->name, "xdp_program", DOCTOR_PROBLEM,
		"'%s' (id %u) is attached%s%s: flowlane starts only with --replace", name, info->xdp_prog_id,
		owner->pid ? ", and in use by " : "", owner->name);
	doctor_fix(j->report, "sudo ip link set dev %s %s off", info->name, modes[info->xdp_mode]);
}

static void judge_xdp(const struct judging *j)
{
	const struct doctor_trial *trial = &j->interface->trial;

	if (trial->native == 0) {
		add(j, "xdp", DOCTOR_OK, "native (tried: a program that passes all)");
	} else if (trial->native_frags == 0) {
		add(j, "xdp", DOCTOR_OK, "native, for this MTU only with programs that take several buffers");
	} else if (trial->generic == 0) {
		doctor_add(j->report, j->info->name, "xdp", DOCTOR_NOTE, "generic only, which is slow (native: %s)",
			strerror(-trial->native));
		if (trial->native == -ENOSPC && !strcmp(j->info->kind, "veth"))
			doctor_fix(j->report,
				"sudo ethtool -L PEER tx %u    (the other end has more TX queues than this one RX queues)",
				j->info->rx_queues);
		else if (trial->native == -ERANGE || trial->native == -EINVAL)
			doctor_fix(j->report, "sudo ip link set dev %s mtu 1500    (native XDP often fails for a large MTU)",
				j->info->name);
	} else {
		doctor_add(j->report, j->info->name, "xdp", DOCTOR_PROBLEM, "no program can be attached (native: %s, generic: %s)",
			strerror(-trial->native), strerror(-trial->generic));
		doctor_fix(j->report, "ip -details link show %s    (what it is, and what it is part of)", j->info->name);
	}
}

static void judge_zerocopy(const struct judging *j)
{
	const struct doctor_trial *trial = &j->interface->trial;

	if (trial->zerocopy == 0) {
		add(j, "zero_copy", DOCTOR_OK, "works (tried: a socket on queue 0)");
	} else if (trial->zerocopy == -EBUSY || trial->copy == -EBUSY) {
		add(j, "zero_copy", DOCTOR_CANNOT_TELL, "queue 0 has an AF_XDP socket of another process");
	} else if (trial->copy == 0 && trial->zerocopy == -EOPNOTSUPP) {
		add(j, "zero_copy", DOCTOR_NOTE, "not with this driver: frames are copied once (--mode auto does so)");
	} else if (trial->copy == 0) {
		doctor_add(j->report, j->info->name, "zero_copy", DOCTOR_NOTE,
			"fails: %s; frames are copied once (--mode auto does so)", strerror(-trial->zerocopy));
	} else {
		doctor_add(j->report, j->info->name, "zero_copy", DOCTOR_PROBLEM, "no AF_XDP socket can be bound to queue 0 (%s)",
			strerror(-trial->copy));
		doctor_fix(j->report, "sudo dmesg | tail    (drivers give their reasons there)");
	}
}

/* What the driver says of itself, where nothing was tried. */
static void judge_untried(const struct judging *j, const char *why)
{
	const struct nic_info *info = j->info;
	const char *name = info->name;

	if (!info->xdp_known) {
		doctor_add(j->report, name, "xdp", DOCTOR_CANNOT_TELL, "not tried: %s", why);
		doctor_add(j->report, name, "zero_copy", DOCTOR_CANNOT_TELL, "not tried: %s", why);
		return;
	}
	doctor_add(j->report, name, "xdp", info->xdp_native ? DOCTOR_OK : DOCTOR_NOTE, "the driver says: %s (not tried: %s)",
		info->xdp_native ? "native" : "generic only, which is slow", why);
	doctor_add(j->report, name, "zero_copy", info->xdp_zerocopy ? DOCTOR_OK : DOCTOR_NOTE,
		"the driver says: %s (not tried: %s)", info->xdp_zerocopy ? "yes" : "no; frames are copied once", why);
}

/* Another's program is not disturbed, an interface that is down refuses for that reason alone. */
static void judge_trials(const struct judging *j)
{
	const char *why = NULL;

	if (!j->interface->trial.asked)
		why = "--no-trial";
	else if (*j->system->missing)
		why = "capabilities are missing";
	else if (j->info->xdp_prog_id)
		why = "another program is attached";
	else if (!j->info->up)
		why = "the interface is down";
	if (why) {
		judge_untried(j, why);
		return;
	}
	judge_xdp(j);
	judge_zerocopy(j);
}

/* veth says that it has time stamps, and gives 0. */
static void judge_timestamps(const struct judging *j)
{
	const struct nic_info *info = j->info;

	if (!info->xdp_known)
		add(j, "timestamps", DOCTOR_CANNOT_TELL,
			"the kernel does not say whether the NIC has time stamps (Linux 6.3 does)");
	else if (info->xdp_rx_timestamp && strcmp(info->kind, "veth") != 0)
		add(j, "timestamps", DOCTOR_OK, "the NIC's own can be had");
	else
		add(j, "timestamps", DOCTOR_OK, "none by the NIC: XDP takes the time when it sees the frame");
}

static void judge_offload(const struct judging *j, const char *check, bool on, bool fixed, const char *harm)
{
	if (!on)
		add(j, check, DOCTOR_OK, "off");
	else if (fixed)
		doctor_add(j->report, j->info->name, check, DOCTOR_NOTE, "on, and the driver does not let it be switched off: %s",
			harm);
	else
		doctor_add(j->report, j->info->name, check, DOCTOR_OK, "on (%s): flowlane switches it off while it captures", harm);
}

static void judge_offloads(const struct judging *j)
{
	const char *merge = "several packets arrive as one";

	judge_offload(j, "lro", j->info->lro, j->interface->lro_fixed, merge);
	judge_offload(j, "hw_gro", j->info->hw_gro, j->interface->hw_gro_fixed, merge);
	judge_offload(j, "vlan_strip", j->info->rx_vlan_strip, j->interface->vlan_fixed, "tags are missing from the frames");
	if (j->info->rx_vlan_filter) {
		add(j, "vlan_filter", DOCTOR_NOTE,
			"on: some NICs drop frames of VLANs that are not configured here, even in promiscuous mode");
		doctor_fix(j->report, "sudo ethtool -K %s rx-vlan-filter off", j->info->name);
	} else {
		add(j, "vlan_filter", DOCTOR_OK, "off");
	}
}

static void judge_rss(const struct judging *j)
{
	const struct nic_info *info = j->info;

	if (info->rss_symmetric) {
		doctor_add(j->report, info->name, "rss", DOCTOR_OK, "both directions of a flow come to the same lane (%s)",
			info->rss_text);
	} else if (info->rss_readable) {
		doctor_add(j->report, info->name, "rss", DOCTOR_NOTE,
			"the directions of a flow may come to different lanes (%s); flowlane changes that while it captures, if "
			"the NIC can",
			info->rss_text);
		doctor_fix(j->report, "sudo ethtool -X %s hfunc toeplitz symmetric-xor    (tells whether it can)", info->name);
	} else {
		doctor_add(j->report, info->name, "rss", DOCTOR_PROBLEM,
			"the directions of a flow may come to different lanes, as two flows (%s)", info->rss_text);
		fix_queues(j, 1, ", then --fanout N for N lanes");
	}
}

void doctor_judge_interface(
	const struct doctor_interface *interface, const struct doctor_system *system, struct doctor_report *report)
{
	const struct judging j = { .interface = interface, .info = &interface->info, .system = system, .report = report };

	judge_link(&j);
	if (!has_ethernet_frames(j.info))
		return;
	judge_driver(&j);
	judge_queues(&j);
	judge_rings(&j);
	judge_mtu(&j);
	judge_program(&j);
	judge_trials(&j);
	judge_timestamps(&j);
	judge_offloads(&j);
	judge_rss(&j);
}
