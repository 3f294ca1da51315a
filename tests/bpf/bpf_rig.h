/*
 * The XDP program loaded for a test, in a network namespace of the test's own: it has no name and goes away with the process,
 * whatever happens to it. Needs root; says SKIPPED and exits with 77 where the machine does not allow it.
 *
 *   flt0 ═══ veth ═══ flt1      frames are sent into flt0; flt1 is where the program is
 */
#ifndef BPF_RIG_H
#define BPF_RIG_H

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "flowlane/abi.h"
#include "flowlane.skel.h"

#define RIG_SKIPPED 77

#ifndef BPF_F_XDP_DEV_BOUND_ONLY /* Linux 6.3 */
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6)
#endif

enum rig_variant { RIG_PLAIN, RIG_FRAGS, RIG_HW, RIG_HW_FRAGS };

struct rig {
	struct flowlane_bpf *skel;
	struct bpf_program *program;
	int program_fd, counters_fd, xsks_fd;
	unsigned ifindex;
};

static inline int rig_quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return level == LIBBPF_WARN && getenv("FLOWLANE_TEST_VERBOSE") ? vfprintf(stderr, format, arguments) : 0;
}

static inline void rig_skip(const char *what)
{
	printf("SKIPPED: %s: %s\n", what, strerror(errno));
	exit(RIG_SKIPPED);
}

static inline void rig_shell(const char *command)
{
	if (system(command)) {
		printf("SKIPPED: this failed: %s\n", command);
		exit(RIG_SKIPPED);
	}
}

/* From here on the process is in a namespace of its own, with a veth pair of so many queues. IPv6 is off: it would speak. */
static inline void rig_namespace(unsigned queues)
{
	char command[256];

	libbpf_set_print(rig_quiet);
	if (unshare(CLONE_NEWNET))
		rig_skip("a network namespace needs root");
	if (access("/proc/sys/net/ipv6", F_OK) == 0)
		rig_shell("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
	snprintf(command, sizeof(command),
		"ip link add flt0 numrxqueues %u numtxqueues %u type veth peer name flt1 numrxqueues %u numtxqueues %u", queues,
		queues, queues, queues);
	rig_shell(command);
	rig_shell("ip link set flt0 up && ip link set flt1 up");
	/* The carrier comes up a moment later; what is sent before that is lost. */
	rig_shell("for i in $(seq 200); do ip -br link show flt0 | grep -q ' UP ' && exit 0; sleep 0.01; done; exit 1");
}

static inline void rig_unload(struct rig *rig)
{
	flowlane_bpf__destroy(rig->skel);
	memset(rig, 0, sizeof(*rig));
}

static inline struct bpf_program *rig_program(const struct flowlane_bpf *skel, enum rig_variant variant)
{
	struct bpf_program *const programs[] = { skel->progs.flowlane, skel->progs.flowlane_frags, skel->progs.flowlane_hw,
		skel->progs.flowlane_hw_frags };

	return programs[variant];
}

/* 0 or a negative errno. bound: for device flt1, as the kfuncs want it. */
static inline int rig_load(struct rig *rig, enum rig_variant variant, const struct xdp_config *config, unsigned queues, bool bound)
{
	int error;

	memset(rig, 0, sizeof(*rig));
	rig->ifindex = if_nametoindex("flt1");
	rig->skel = flowlane_bpf__open();
	if (!rig->skel)
		return -errno;
	rig->skel->rodata->config = *config;
	rig->program = rig_program(rig->skel, variant);
	bpf_program__set_autoload(rig->program, true);
	if (bound) {
		bpf_program__set_ifindex(rig->program, rig->ifindex);
		bpf_program__set_flags(rig->program, bpf_program__flags(rig->program) | BPF_F_XDP_DEV_BOUND_ONLY);
	}
	bpf_map__set_max_entries(rig->skel->maps.counters, queues);
	bpf_map__set_max_entries(rig->skel->maps.xsks, queues * config->fanout);
	error = flowlane_bpf__load(rig->skel);
	if (error) {
		rig_unload(rig);
		return error;
	}
	rig->program_fd = bpf_program__fd(rig->program);
	rig->counters_fd = bpf_map__fd(rig->skel->maps.counters);
	rig->xsks_fd = bpf_map__fd(rig->skel->maps.xsks);
	return 0;
}

/* Not allowed: skipped. Refused by the verifier is no reason to skip. */
static inline void rig_probe(const struct xdp_config *config)
{
	struct rig rig;
	int error = rig_load(&rig, RIG_PLAIN, config, 1, false);

	errno = -error;
	if (error == -EPERM)
		rig_skip("loading an XDP program");
	if (error) {
		printf("the XDP program does not load: %s (FLOWLANE_TEST_VERBOSE=1 shows why)\n", strerror(errno));
		exit(EXIT_FAILURE);
	}
	rig_unload(&rig);
}

/* Whether the kernel has this kfunc, by its own type information. */
static inline bool rig_kernel_has(const char *kfunc)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has = btf && btf__find_by_name_kind(btf, kfunc, BTF_KIND_FUNC) > 0;

	btf__free(btf);
	return has;
}

/* Of one queue, over all CPUs. */
static inline struct xdp_counters rig_counters(const struct rig *rig, uint32_t queue)
{
	int cpus = libbpf_num_possible_cpus();
	struct xdp_counters *each = calloc((size_t)cpus, sizeof(*each)), sum = { 0 };

	if (!each || bpf_map_lookup_elem(rig->counters_fd, &queue, each))
		abort();
	for (int cpu = 0; cpu < cpus; cpu++) {
		for (int verdict = 0; verdict < XDP_VERDICT_COUNT; verdict++) {
			sum.packets[verdict] += each[cpu].packets[verdict];
			sum.bytes[verdict] += each[cpu].bytes[verdict];
		}
		sum.meta_failed += each[cpu].meta_failed;
	}
	free(each);
	return sum;
}

#endif
