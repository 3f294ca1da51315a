#include "doctor_facts.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "privileges.h"

#define HUGE_PAGES_ADVISED 256u /* 512 MiB: a queue with the default rings takes 12, with a large MTU 24 */
#define MIB                ((uint64_t)1 << 20)

/* Said where several findings have this one reason: it is a problem of its own already. */
static bool lacks_capabilities(const struct doctor_system *system, int result)
{
	return (result == -EPERM || result == -EACCES || result == -ENOBUFS) && *system->missing;
}

static void judge_capabilities(const struct doctor_system *system, struct doctor_report *report)
{
	if (*system->missing) {
		doctor_add(report, DOCTOR_SYSTEM, "capabilities", DOCTOR_PROBLEM, "missing for live capture: %s", system->missing);
		doctor_fix(report, "sudo setcap %s %s    (or start it with sudo)", PRIVILEGES_SETCAP, system->executable);
		return;
	}
	doctor_add(report, DOCTOR_SYSTEM, "capabilities", DOCTOR_OK, "all that live capture needs");
	if (!system->ipc_lock && system->memlock_bytes != UINT64_MAX)
		doctor_add(report, DOCTOR_SYSTEM, "memlock", DOCTOR_OK,
			"without CAP_IPC_LOCK, buffers may take %" PRIu64 " MiB (ulimit -l)", system->memlock_bytes / MIB);
}

/* What cannot be done without: `lack` says what is missing then. */
static void judge_needed(const struct doctor_system *system, struct doctor_report *report, const char *check, int result,
	const char *works, const char *lack, const char *fix)
{
	if (result == 0) {
		doctor_add(report, DOCTOR_SYSTEM, check, DOCTOR_OK, "%s", works);
	} else if (result == DOCTOR_NOT_TRIED) {
		doctor_add(report, DOCTOR_SYSTEM, check, DOCTOR_CANNOT_TELL,
			"not tried: it needs root, or what comes before it failed");
	} else if (lacks_capabilities(system, result)) {
		doctor_add(report, DOCTOR_SYSTEM, check, DOCTOR_CANNOT_TELL, "not permitted without the missing capabilities");
	} else {
		doctor_add(report, DOCTOR_SYSTEM, check, DOCTOR_PROBLEM, "%s: %s", lack, strerror(-result));
		doctor_fix(report, "%s", fix);
	}
}

/* What makes it better, and is not missed by most. */
static void judge_optional(const struct doctor_system *system, struct doctor_report *report, const char *check, int result,
	const char *works, const char *lack)
{
	if (result == 0)
		doctor_add(report, DOCTOR_SYSTEM, check, DOCTOR_OK, "%s", works);
	else if (result == DOCTOR_NOT_TRIED || lacks_capabilities(system, result))
		doctor_add(report, DOCTOR_SYSTEM, check, DOCTOR_CANNOT_TELL,
			"not tried: it needs root, or what comes before it failed");
	else
		doctor_add(report, DOCTOR_SYSTEM, check, DOCTOR_NOTE, "%s", lack);
}

static void judge_kernel(const struct doctor_system *system, struct doctor_report *report)
{
	const struct doctor_probes *probes = &system->probes;
	bool sg_tried = probes->frags != DOCTOR_NOT_TRIED && probes->socket_sg != DOCTOR_NOT_TRIED;
	int sg = probes->frags ? probes->frags : probes->socket_sg;

	doctor_add(report, DOCTOR_SYSTEM, "kernel", DOCTOR_OK, "Linux %s", system->kernel);
	judge_needed(system, report, "bpf", probes->load, "XDP programs can be loaded", "the kernel refuses to load an XDP program",
		"cat /sys/kernel/security/lockdown    (must not be \"confidentiality\"; in a container, give it CAP_BPF)");
	if (system->bpf_jit == 0) {
		doctor_add(report, DOCTOR_SYSTEM, "bpf_jit", DOCTOR_PROBLEM,
			"BPF programs are interpreted, at a fraction of the speed");
		doctor_fix(report, "sudo sysctl -w net.core.bpf_jit_enable=1");
	} else if (system->bpf_jit > 0) {
		doctor_add(report, DOCTOR_SYSTEM, "bpf_jit", DOCTOR_OK, "BPF programs are compiled");
	}
	judge_needed(system, report, "bpf_link", probes->link, "XDP programs go away with the process that attached them",
		"no bpf_link for XDP", "install Linux 5.9 or newer");
	judge_needed(system, report, "af_xdp", probes->socket, "AF_XDP sockets work (copy mode, loopback)",
		"no AF_XDP socket can be bound", "install a kernel built with CONFIG_XDP_SOCKETS=y");
	judge_optional(system, report, "multi_buffer", sg_tried ? sg : DOCTOR_NOT_TRIED,
		"frames longer than a buffer can be received",
		"frames longer than a buffer cannot be received (Linux 6.6 can): keep the MTU at " DOCTOR_STRING(
			DOCTOR_MTU_ONE_BUFFER) " or less");
	judge_optional(system, report, "metadata", probes->metadata, "programs can ask the driver for time stamps and VLAN tags",
		"no time stamps by the NIC (Linux 6.3 has them): XDP takes the time itself");
	judge_optional(system, report, "busy_poll", probes->busy_poll, "preferred busy polling",
		"no preferred busy polling (Linux 5.11 has it): --busy-poll will not work");
	if (probes->io_uring == -EPERM) {
		doctor_add(report, DOCTOR_SYSTEM, "io_uring", DOCTOR_NOTE, "forbidden: -w waits for the disk at each write");
		doctor_fix(report, "sudo sysctl -w kernel.io_uring_disabled=0");
	} else {
		judge_optional(system, report, "io_uring", probes->io_uring, "files can be written while the lane goes on",
			"the kernel has none: -w waits for the disk at each write");
	}
	doctor_add(report, DOCTOR_SYSTEM, "libraries", DOCTOR_OK, "libbpf %s, %s", system->libbpf, system->pcap);
}

static void judge_memory(const struct doctor_system *system, struct doctor_report *report)
{
	if (system->huge_2m_free) {
		doctor_add(report, DOCTOR_SYSTEM, "huge_pages", DOCTOR_OK, "%u of %u of 2 MiB free, %u of %u of 1 GiB",
			system->huge_2m_free, system->huge_2m_total, system->huge_1g_free, system->huge_1g_total);
	} else {
		doctor_add(report, DOCTOR_SYSTEM, "huge_pages", DOCTOR_NOTE, "none of 2 MiB free (%u reserved): buffers take %s",
			system->huge_2m_total,
			system->thp ? "transparent huge pages where the kernel finds some" : "pages of 4 KiB, which is slower");
		doctor_fix(report, "sudo sysctl -w vm.nr_hugepages=%u", system->huge_2m_total + HUGE_PAGES_ADVISED);
	}
	if (!system->thp) {
		doctor_add(report, DOCTOR_SYSTEM, "thp", DOCTOR_NOTE, "transparent huge pages are off: the flow table is slower");
		doctor_fix(report, "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled");
	}
}

static void judge_cpus(const struct doctor_system *system, struct doctor_report *report)
{
	bool few = system->cpus_allowed < 2;

	doctor_add(report, DOCTOR_SYSTEM, "cpus", few ? DOCTOR_NOTE : DOCTOR_OK,
		"%u of %u may be used, %u NUMA node%s, isolated: %s%s", system->cpus_allowed, system->cpus,
		system->numa_nodes ? system->numa_nodes : 1, system->numa_nodes > 1 ? "s" : "",
		*system->isolated ? system->isolated : "none",
		few ? "; a lane shares its CPU with the NIC's interrupts and all else" : "");
	if (system->irqbalance) {
		doctor_add(report, DOCTOR_SYSTEM, "irqbalance", DOCTOR_NOTE,
			"is running, and may move the NIC's interrupts to the CPUs of lanes while they capture");
		doctor_fix(report, "sudo systemctl stop irqbalance");
	}
}

void doctor_judge_system(const struct doctor_system *system, struct doctor_report *report)
{
	judge_capabilities(system, report);
	judge_kernel(system, report);
	judge_memory(system, report);
	judge_cpus(system, report);
}
