#include "xdp.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "translate.h"
#include "xdp_link.h"
#include "xdp_private.h"

#ifndef BPF_F_XDP_DEV_BOUND_ONLY
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6) /* Linux 6.3 */
#endif

/* The first complaint of libbpf while a program is loaded: what the user can be told. Control thread only. */
static char complaint[256];

static int keep_complaint(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !complaint[0]) {
		vsnprintf(complaint, sizeof(complaint), format, args);
		complaint[strcspn(complaint, "\n")] = 0;
	}
	return 0;
}

static struct bpf_program *xdp_choose(const struct xdp *xdp, const struct xdp_load_options *options)
{
	bool hw = options->hw_timestamp || options->hw_vlan;

	if (options->frags)
		return hw ? xdp->skeleton->progs.flowlane_hw_frags : xdp->skeleton->progs.flowlane_frags;
	return hw ? xdp->skeleton->progs.flowlane_hw : xdp->skeleton->progs.flowlane;
}

static int xdp_configure(struct xdp *xdp, const struct xdp_load_options *options)
{
	struct flowlane_bpf *skeleton = xdp->skeleton;
	bool hw = options->hw_timestamp || options->hw_vlan;
	int err;

	skeleton->rodata->config = (struct xdp_config){
		.fanout = options->fanout,
		.hw_timestamp = options->hw_timestamp,
		.hw_vlan = options->hw_vlan,
		.exclusive = options->exclusive,
		.unstamped = options->unstamped,
		.filter = options->filter != NULL,
		.shared_clock = options->shared_clock,
		.hash_seed = options->hash_seed,
	};
	xdp->program = xdp_choose(xdp, options);
	err = bpf_program__set_autoload(xdp->program, true);
	if (!err && hw) {
		bpf_program__set_ifindex(xdp->program, options->ifindex);
		err = bpf_program__set_flags(xdp->program, bpf_program__flags(xdp->program) | BPF_F_XDP_DEV_BOUND_ONLY);
	}
	if (!err)
		err = bpf_map__set_max_entries(skeleton->maps.xsks, options->queues * options->fanout);
	if (!err)
		err = bpf_map__set_max_entries(skeleton->maps.counters, options->queues);
	return err ? err : xdp_select_configure(xdp, options);
}

/* Opens and loads it; the filter takes its place in it meanwhile. */
static int xdp_load_skeleton(struct xdp *xdp, const struct xdp_load_options *options, char *why, unsigned why_bytes)
{
	struct bpf_insn *function = NULL;
	const char *reason = "";
	int count = 0, err = xdp_link_register();

	if (!err)
		xdp->skeleton = flowlane_bpf__open();
	if (!xdp->skeleton)
		return err ? err : -errno;
	if (options->filter)
		count = translate_filter(options->filter, options->filter_count, options->frags, &function, &reason);
	if (count < 0) {
		snprintf(why, why_bytes, "%s", reason);
		return count;
	}
	xdp_link_function(function, (unsigned)count);
	err = xdp_configure(xdp, options);
	if (!err)
		err = flowlane_bpf__load(xdp->skeleton);
	xdp_link_function(NULL, 0);
	free(function);
	if (!err)
		err = xdp_select_start(xdp, options);
	if (err)
		snprintf(why, why_bytes, "%s", complaint);
	return err;
}

int xdp_load(const struct xdp_load_options *options, struct xdp **result, char *why, unsigned why_bytes)
{
	struct xdp *xdp = calloc(1, sizeof(*xdp));
	int err = -ENOMEM, cpus = libbpf_num_possible_cpus();

	if (!xdp)
		return -ENOMEM;
	*xdp = (struct xdp){ .ifindex = options->ifindex, .fanout = options->fanout, .queues = options->queues, .link = -1 };
	complaint[0] = 0;
	libbpf_print_fn_t before = libbpf_set_print(keep_complaint);
	xdp->cpus = cpus > 0 ? (unsigned)cpus : 1;
	xdp->per_cpu = calloc(xdp->cpus, sizeof(*xdp->per_cpu));
	if (xdp->per_cpu)
		err = xdp_load_skeleton(xdp, options, why, why_bytes);
	libbpf_set_print(before);
	if (err)
		xdp_unload(xdp);
	else
		*result = xdp;
	return err;
}

void xdp_unload(struct xdp *xdp)
{
	if (!xdp)
		return;
	xdp_detach(xdp);
	flowlane_bpf__destroy(xdp->skeleton);
	xdp_select_free(xdp);
	free(xdp->per_cpu);
	free(xdp);
}

int xdp_set_socket(struct xdp *xdp, unsigned queue, unsigned share, int fd)
{
	uint32_t key = queue * xdp->fanout + share, value = (uint32_t)fd;

	return bpf_map_update_elem(bpf_map__fd(xdp->skeleton->maps.xsks), &key, &value, BPF_ANY) ? -errno : 0;
}

int xdp_attach(struct xdp *xdp, bool generic)
{
	DECLARE_LIBBPF_OPTS(bpf_link_create_opts, options, .flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	int link = bpf_link_create(bpf_program__fd(xdp->program), (int)xdp->ifindex, BPF_XDP, &options);

	if (link < 0)
		return -errno;
	xdp->link = link;
	return 0;
}

/* An RCU grace period, and with it every poll of a NIC that began before: each ends with flushing its redirects to the rings. Where it
 * is not allowed (nohz_full CPUs), some time must do. */
void xdp_wait_for_program(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		usleep(20000);
}

void xdp_detach(struct xdp *xdp)
{
	if (xdp->link < 0)
		return;
	bpf_link_detach(xdp->link);
	close(xdp->link);
	xdp->link = -1;
	xdp_wait_for_program();
}

int xdp_read_counters(const struct xdp *xdp, unsigned queue, struct xdp_counters *counters)
{
	uint32_t key = queue;

	if (!xdp)
		return -ENOENT;
	if (bpf_map_lookup_elem(bpf_map__fd(xdp->skeleton->maps.counters), &key, xdp->per_cpu))
		return -errno;
	memset(counters, 0, sizeof(*counters));
	for (unsigned cpu = 0; cpu < xdp->cpus; cpu++) {
		for (unsigned i = 0; i < XDP_VERDICT_COUNT; i++) {
			counters->packets[i] += xdp->per_cpu[cpu].packets[i];
			counters->bytes[i] += xdp->per_cpu[cpu].bytes[i];
		}
		counters->meta_failed += xdp->per_cpu[cpu].meta_failed;
	}
	return 0;
}

/*
 * The link that holds the program on the interface: its file descriptor, or a negative errno. Interfaces of other network namespaces
 * may have the same index, hence also the program; where both are the same, nobody can say which link it is.
 */
static int xdp_find_link(unsigned ifindex, uint32_t program)
{
	uint32_t id = 0;
	int found = -ENOENT;

	while (!bpf_link_get_next_id(id, &id)) {
		struct bpf_link_info info = { 0 };
		uint32_t bytes = sizeof(info);
		int link = bpf_link_get_fd_by_id(id);
		if (link < 0 && (errno == EPERM || errno == EACCES))
			return -errno;
		if (link < 0)
			continue;
		bool match = !bpf_obj_get_info_by_fd(link, &info, &bytes) && info.type == BPF_LINK_TYPE_XDP &&
			     info.xdp.ifindex == ifindex && info.prog_id == program;
		if (match && found < 0) {
			found = link;
			continue;
		}
		close(link);
		if (match) {
			close(found);
			return -ENOTUNIQ;
		}
	}
	return found;
}

int xdp_remove_other(unsigned ifindex, uint32_t program)
{
	/* By its mode, of which there may be two. The one that holds nothing says so, or nothing. */
	int native = bpf_xdp_detach((int)ifindex, XDP_FLAGS_DRV_MODE, NULL);
	int generic = bpf_xdp_detach((int)ifindex, XDP_FLAGS_SKB_MODE, NULL);

	if (native != -EBUSY && generic != -EBUSY)
		return native && generic ? native : 0;
	/* A link holds it. */
	int link = xdp_find_link(ifindex, program);
	if (link < 0)
		return link;
	int err = bpf_link_detach(link) ? -errno : 0;
	close(link);
	return err;
}
