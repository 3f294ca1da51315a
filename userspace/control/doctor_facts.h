/* What the doctor found out, before it judges. Private to the doctor. Gathering asks the kernel and tries things; judging is pure. */
#ifndef FLOWLANE_DOCTOR_FACTS_H
#define FLOWLANE_DOCTOR_FACTS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "doctor_report.h"
#include "nic.h"

/* Beyond it a frame takes several buffers: 4096 bytes, less headroom (256 + 16), an Ethernet header and two VLAN tags (22). */
#define DOCTOR_MTU_ONE_BUFFER 3802
#define DOCTOR_STRING(number) DOCTOR_STRING_(number)
#define DOCTOR_STRING_(text)  #text

#define DOCTOR_NOT_TRIED INT_MAX /* where else 0 is success, and a negative errno a failure */

/* What the kernel can do, tried in an empty network namespace of a child process, on that one's loopback: nothing of the machine's
 * own network is touched. Each 0, a negative errno, or DOCTOR_NOT_TRIED. */
struct doctor_probes {
	int namespace; /* of its own; else only what needs none is tried */
	int load;      /* a program of two instructions */
	int link;      /* attached by bpf_link: 5.9 */
	int busy_poll; /* preferred busy polling: 5.11 */
	int frags;     /* a program that takes frames of several buffers: 5.18 */
	int metadata;  /* a program bound to a device: 6.3 */
	int socket;    /* AF_XDP, copy mode */
	int socket_sg; /* AF_XDP, frames of several buffers: 6.6 */
	int io_uring;  /* 5.1, and not forbidden */
};

struct doctor_system {
	char kernel[64];
	char libbpf[16], pcap[96];
	struct doctor_probes probes;
	char executable[256];
	char missing[128];      /* capabilities; "" none */
	uint64_t memlock_bytes; /* UINT64_MAX: no limit */
	bool ipc_lock;
	int bpf_jit; /* net.core.bpf_jit_enable; -1: cannot be read */
	uint64_t memory_available_bytes;
	unsigned huge_2m_total, huge_2m_free, huge_1g_total, huge_1g_free;
	bool thp; /* always or madvise */
	unsigned cpus, cpus_allowed, numa_nodes;
	char isolated[128]; /* list of CPUs; "" none */
	bool irqbalance;
};

/* Who holds the XDP program of an interface. */
struct doctor_owner {
	int pid; /* 0: nobody found: attached by `ip link` or the like, or not ours to see */
	char name[32];
	bool by_link; /* a bpf_link: goes away with its holder, and cannot be replaced */
};

/* Tried on the interface itself. As in doctor_probes. */
struct doctor_trial {
	bool asked;       /* by the user */
	int native;       /* attach */
	int native_frags; /* attach of a program for frames of several buffers; tried if `native` failed */
	int generic;      /* attach; tried if native failed */
	int zerocopy;     /* bind to queue 0 */
	int copy;         /* bind; tried if zerocopy failed */
};

struct doctor_interface {
	struct nic_info info;
	bool lro_fixed, hw_gro_fixed, vlan_fixed; /* the driver does not let it be changed */
	struct doctor_owner owner;
	struct doctor_trial trial;
	unsigned cpus_near; /* allowed CPUs on the NIC's NUMA node */
};

void doctor_gather_system(struct doctor_system *system);
const char *doctor_libbpf_version(void); /* its headers and libpcap's do not go together */
/* Runs the probes in a child. */
void doctor_probe(struct doctor_probes *probes);
/* Attaches and detaches, binds and closes. For an interface that is up and has no program. */
void doctor_try(const struct nic_info *info, struct doctor_trial *trial);
void doctor_find_owner(uint32_t prog_id, struct doctor_owner *owner);
/* Of those that this process may run on. numa_node -1: all. */
unsigned doctor_count_cpus(int numa_node);

void doctor_judge_system(const struct doctor_system *system, struct doctor_report *report);
void doctor_judge_interface(
	const struct doctor_interface *interface, const struct doctor_system *system, struct doctor_report *report);

#endif
