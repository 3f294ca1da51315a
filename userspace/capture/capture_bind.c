/*
 * One interface's program and sockets.
 *
 *   NIC settings ─▶ load ─▶ memory ─▶ bind zero-copy, else copy ─▶ XSKMAP ─▶ (lanes start) ─▶ attach native, else generic
 */
#include "capture_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "busy_poll.h"
#include "log.h"
#include "phc.h"

#define SNAPLEN_LEAST                                                                                                              \
	256 /* bytes of a frame that are copied whatever --snaplen says: addresses, options, what DNS and QUIC begin with */
#define BIND_WAIT_US 2000000 /* for a queue that is taken */
#define BIND_STEP_US 10000

static const char *interface_name(const struct capture_interface *interface)
{
	return interface->info.name;
}

static bool wants_zerocopy_only(const struct config *config)
{
	return config->require_zerocopy || config->mode == CAPTURE_ZEROCOPY;
}

static struct capture_queue *interface_queue(struct capture *capture, const struct capture_interface *interface, unsigned i)
{
	return &capture->queue[interface->first + i];
}

/* --- program ------------------------------------------------------------------------------------------------------------- */

static int say_load_failed(const struct capture_interface *interface, int err, const char *why)
{
	const char *fix = "";

	if (err == -EPERM || err == -EACCES)
		fix = "; the kernel may be locked down (cat /sys/kernel/security/lockdown)";
	else if (err == -ENOMEM)
		fix = "; it may be the limit of locked memory: `ulimit -l unlimited`";
	else if (err == -ESRCH)
		fix = "; /sys/kernel/btf/vmlinux must be there (a kernel with CONFIG_DEBUG_INFO_BTF) and fit the memory that this "
		      "process may have (`ulimit -v unlimited`)";
	log_error("%s: the kernel does not load the XDP program: %s%s%s%s", interface_name(interface), strerror(-err),
		why[0] ? ": " : "", why, fix);
	return err;
}

/* With the filter expression in the program if it can be, else without: then it is for the lanes. */
static int interface_load_filter(struct capture_interface *interface, struct xdp_load_options *options,
	const struct capture_selection *selection, char why[256])
{
	interface->filters = false;
	if (selection->filter && options->hw_vlan) {
		snprintf(interface->filter_why, sizeof(interface->filter_why), "the NIC takes VLAN tags out of frames");
	} else if (selection->filter) {
		options->filter = selection->filter;
		options->filter_count = selection->filter_count;
		interface->filters = !xdp_load(options, &interface->xdp, why, 256);
		if (interface->filters)
			return 0;
		snprintf(interface->filter_why, sizeof(interface->filter_why), "%.190s", why);
		options->filter = NULL;
	}
	/* XDP would cut off flows by packets that the filter does not want, and count those. */
	if (selection->filter && options->cutoff_bytes) {
		log_error("%s: --flow-cutoff needs the filter in XDP, and that cannot be: %s; leave one of them out",
			interface_name(interface), interface->filter_why);
		return -EOPNOTSUPP;
	}
	return xdp_load(options, &interface->xdp, why, 256);
}

/* Headers stay whole: the lanes work on what is copied, and the pcap is cut to what was asked for in any case. */
static uint32_t snaplen_before_copy(uint32_t snaplen)
{
	return !snaplen || snaplen > SNAPLEN_LEAST ? snaplen : SNAPLEN_LEAST;
}

static int interface_load(struct capture *capture, struct capture_interface *interface, bool hw_timestamp, bool hw_vlan)
{
	struct xdp_load_options options = {
		.interface = interface_name(interface),
		.ifindex = interface->info.ifindex,
		.queues = interface->info.rx_queues,
		.fanout = capture->fanout,
		.hash_seed = capture->hash_seed,
		.exclusive = capture->config->exclusive,
		.unstamped = capture->config->timestamps == TIMESTAMPS_BATCH,
		.shared_clock = capture->config->timestamps == TIMESTAMPS_AUTO,
		.frags = interface->frags,
		.hw_timestamp = hw_timestamp,
		.hw_vlan = hw_vlan,
		.rules = capture->selection.rules,
		.sample = capture->sample,
		.cutoff_bytes = capture->config->flow_cutoff,
		.key_vlan = capture->config->key_vlan,
		.max_flows = capture->config->max_flows,
		.snaplen = snaplen_before_copy(capture->config->snaplen),
	};
	char why[256] = "";
	int err = interface_load_filter(interface, &options, &capture->selection, why);

	if (err && !hw_timestamp && !hw_vlan)
		say_load_failed(interface, err, why);
	return err;
}

static void interface_close_phc(struct capture_interface *interface)
{
	if (interface->phc >= 0)
		close(interface->phc);
	interface->phc = -1;
}

/* Time stamps of the NIC, if it makes them and its clock can be read. */
static bool interface_open_phc(struct capture_interface *interface)
{
	if (!interface->info.xdp_rx_timestamp)
		return false;
	interface->phc = phc_open(interface_name(interface));
	if (interface->phc >= 0 && phc_measure(interface->phc, &interface->port.nic_offset_ns))
		interface_close_phc(interface);
	return interface->phc >= 0;
}

/* A program that asks the driver costs time for each frame, and works natively only: for what cannot be had without. */
static int interface_load_best(struct capture *capture, struct capture_interface *interface)
{
	bool native = capture->config->mode != CAPTURE_GENERIC;
	/* Tags that the NIC takes out of frames and would not leave in. */
	bool hw_vlan = native && interface->info.rx_vlan_strip && interface->info.xdp_rx_vlan_tag;
	bool hw_timestamp = native && capture->config->timestamps == TIMESTAMPS_AUTO && interface_open_phc(interface);

	if ((hw_timestamp || hw_vlan) && !interface_load(capture, interface, hw_timestamp, hw_vlan))
		return 0;
	interface_close_phc(interface);
	return interface_load(capture, interface, false, false);
}

/* --- sockets ------------------------------------------------------------------------------------------------------------- */

static void interface_unbind(struct capture *capture, struct capture_interface *interface)
{
	for (unsigned i = 0; i < interface->count; i++)
		xsk_queue_unbind(&interface_queue(capture, interface, i)->sockets);
	interface->bound = false;
}

/* The kernel needs a moment to forget the sockets of a process that has just ended, longer under load: it is no error yet. */
static int queue_bind(struct capture_queue *queue, const struct xsk_options *options)
{
	int err = xsk_queue_bind(&queue->sockets, options);

	for (unsigned waited_us = 0; err == -EBUSY && waited_us < BIND_WAIT_US; waited_us += BIND_STEP_US) {
		usleep(BIND_STEP_US);
		err = xsk_queue_bind(&queue->sockets, options);
	}
	return err;
}

/*
 * Buffers that go around. A NIC's ring holds as many as it has descriptors. When the kernel copies there is no such ring: more than fill
 * the RX rings and the lanes' hands are of no use, and each of them is one more to fall out of the caches before its turn comes
 * (measured on veth: 16 ns a frame with 8,192 instead of 4,224).
 */
static uint32_t interface_frames(const struct capture *capture, const struct capture_interface *interface, bool zerocopy)
{
	uint32_t hands = capture->fanout > 1 || interface->frags ? AFXDP_STASH : 2 * FLOWLANE_BATCH;
	uint32_t useful = (capture->config->ring_size + hands) * capture->fanout;

	return zerocopy || capture->config->frames || interface->frames < useful ? interface->frames : useful;
}

/* All queues in the same way, or none; *failed: the queue that would not. Nothing is said. */
static int interface_bind_all(struct capture *capture, struct capture_interface *interface, bool zerocopy, unsigned *failed)
{
	struct xsk_options options = {
		.interface = interface_name(interface),
		.rx_size = capture->config->ring_size,
		.fill_size = xsk_ring_size(interface->frames),
		.frames = interface_frames(capture, interface, zerocopy),
		.zerocopy = zerocopy,
		.sg = interface->frags,
	};

	for (unsigned i = 0; i < interface->count; i++) {
		struct capture_queue *queue = interface_queue(capture, interface, i);
		options.queue = *failed = queue->number;
		int err = queue_bind(queue, &options);
		if (err) {
			interface_unbind(capture, interface);
			return err;
		}
	}
	interface->bound = true;
	return 0;
}

static const char *bind_fix(int err)
{
	switch (err) {
	case -EBUSY:
		return "; another AF_XDP socket has the queue: end that program, or choose other --queues";
	case -ENOBUFS:
		return "; the limit of locked memory is too low for its buffers: `ulimit -l unlimited`, CAP_IPC_LOCK, or lower "
		       "--frames";
	case -ENOMEM:
		return "; lower --frames or --ring-size";
	case -EAFNOSUPPORT:
		return "; this kernel is built without AF_XDP (CONFIG_XDP_SOCKETS)";
	case -EPERM:
		return "; CAP_NET_RAW is missing, or the kernel locked down";
	default:
		return "";
	}
}

static int say_bind_failed(const struct capture_interface *interface, unsigned queue, const char *what, int err)
{
	log_error("%s queue %u: %s: %s%s", interface_name(interface), queue, what, strerror(-err), bind_fix(err));
	return err;
}

static int say_no_zerocopy(const struct capture_interface *interface, unsigned queue, int err)
{
	if (err == -EBUSY)
		return say_bind_failed(interface, queue, "opening its AF_XDP socket", err);
	log_error("%s queue %u: no zero-copy with driver %s: %s; leave out --require-zerocopy and --mode zerocopy to let the "
		  "kernel copy",
		interface_name(interface), queue, interface->info.driver, strerror(-err));
	return err;
}

static int interface_bind(struct capture *capture, struct capture_interface *interface)
{
	const struct config *config = capture->config;
	unsigned queue = 0;
	int err;

	if (config->mode == CAPTURE_AUTO || wants_zerocopy_only(config)) {
		err = interface_bind_all(capture, interface, true, &queue);
		if (!err) {
			interface->rung = RUNG_ZEROCOPY;
			return 0;
		}
		if (wants_zerocopy_only(config))
			return say_no_zerocopy(interface, queue, err);
		interface->no_zerocopy = err;
	}
	interface->rung = config->mode == CAPTURE_GENERIC ? RUNG_GENERIC : RUNG_COPY;
	err = interface_bind_all(capture, interface, false, &queue);
	if (err && interface->frags)
		log_error("%s queue %u: its MTU is %u, and its frames do not come in several buffers here: %s; `ip link set %s mtu "
			  "%u`",
			interface_name(interface), queue, interface->info.mtu, strerror(-err), interface_name(interface),
			interface->info.mtu - (interface->longest - xsk_room(interface->frame_bytes, false)));
	else if (err)
		say_bind_failed(interface, queue, "opening its AF_XDP socket", err);
	return err;
}

static int interface_steer(struct capture *capture, struct capture_interface *interface)
{
	for (unsigned i = 0; i < interface->count; i++) {
		const struct capture_queue *queue = interface_queue(capture, interface, i);
		for (unsigned share = 0; share < capture->fanout; share++) {
			int err = xdp_set_socket(interface->xdp, queue->number, share, queue->sockets.share[share].fd);
			if (err) {
				log_error("%s queue %u: steering its frames to the socket: %s", interface_name(interface),
					queue->number, strerror(-err));
				return err;
			}
		}
	}
	return 0;
}

/* --- open ---------------------------------------------------------------------------------------------------------------- */

/* Interfaces that are no hardware often have no driver, only a kind. */
static void name_driver(struct nic_info *info)
{
	if (!info->driver[0])
		snprintf(info->driver, sizeof(info->driver), "%s",
			info->loopback  ? "loopback"
			: info->kind[0] ? info->kind
					: "unknown");
}

static int interface_prepare(struct capture *capture, struct capture_interface *interface)
{
	const struct nic_wishes wishes = {
		.promiscuous = capture->config->promiscuous,
		.no_lro = true,
		.no_hw_gro = true,
		.no_rx_vlan_strip = true,
		.symmetric_rss = capture->config->symmetric_rss,
	};
	struct nic_info now;
	int err = nic_prepare(&interface->info, &wishes, &interface->nic);

	if (err) {
		log_error("%s: preparing it: %s", interface_name(interface), strerror(-err));
		return err;
	}
	if (!nic_inspect(interface_name(interface), &now))
		interface->info = now;
	name_driver(&interface->info);
	return 0;
}

static int interface_map(struct capture *capture, struct capture_interface *interface)
{
	for (unsigned i = 0; i < interface->count; i++) {
		struct capture_queue *queue = interface_queue(capture, interface, i);
		int err = xsk_queue_open(
			&queue->sockets, capture->fanout, interface->frames, interface->frame_bytes, interface->info.numa_node);
		if (err) {
			log_error("%s queue %u: no memory for %u packet buffers of %u bytes: lower --frames or --ring-size",
				interface_name(interface), queue->number, interface->frames, interface->frame_bytes);
			return err;
		}
	}
	return 0;
}

int interface_open(struct capture *capture, struct capture_interface *interface)
{
	int err = 0;

	interface->port.clock = &capture->clock;
	interface->port.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (interface->port.wake < 0)
		err = -errno;
	if (!err)
		err = interface_prepare(capture, interface);
	if (!err)
		err = interface_load_best(capture, interface);
	if (!err)
		err = interface_map(capture, interface);
	if (!err)
		err = interface_bind(capture, interface);
	if (!err)
		err = interface_steer(capture, interface);
	if (!err && capture->config->busy_poll)
		err = busy_poll_start(capture, interface);
	return err;
}

/* --- attach -------------------------------------------------------------------------------------------------------------- */

static bool is_taken(int err)
{
	return err == -EBUSY || err == -EEXIST;
}

/* The kernel says more to its log than to us. */
static const char *attach_reason(const struct capture_interface *interface, int err)
{
	if (err == -ENOSPC && !strcmp(interface->info.driver, "veth"))
		return "it has fewer RX queues than its peer has TX queues (ethtool -L PEER tx N)";
	return strerror(-err);
}

/* Drivers have limits of their own, and do not say which. */
static bool may_be_mtu(const struct capture_interface *interface, int err)
{
	return (err == -ERANGE || err == -EINVAL) && interface->info.mtu > 1500;
}

static int say_attach_failed(struct capture_interface *interface, int err)
{
	const char *name = interface_name(interface);
	struct nic_info now;

	if (is_taken(err) && !nic_inspect(name, &now))
		say_other_program(&now);
	else if (err == -ENODEV)
		log_error("%s went away before its XDP program was attached", name);
	else if (may_be_mtu(interface, err))
		log_error("%s: its driver %s does not take an XDP program with an MTU of %u: %s; `ip link set %s mtu 1500`", name,
			interface->info.driver, interface->info.mtu, strerror(-err), name);
	else
		log_error("%s: its driver %s does not take an XDP program: %s%s", name, interface->info.driver,
			attach_reason(interface, err),
			interface->rung == RUNG_GENERIC ? "" : "; --mode generic works with any driver, slowly");
	return err;
}

/* One rung down: sockets that copy, and the program without what only a driver can do. Lanes do not touch the rings yet. */
static int interface_step_down(struct capture *capture, struct capture_interface *interface)
{
	unsigned queue = 0;
	int err;

	if (interface->rung == RUNG_ZEROCOPY) {
		interface_unbind(capture, interface);
		err = interface_bind_all(capture, interface, false, &queue);
		if (err)
			return say_bind_failed(interface, queue, "opening its AF_XDP socket", err);
	}
	busy_poll_stop(capture, interface);
	interface_close_phc(interface);
	interface->rung = RUNG_GENERIC;
	xdp_unload(interface->xdp);
	interface->xdp = NULL;
	err = interface_load(capture, interface, false, false);
	return err ? err : interface_steer(capture, interface);
}

static void say_mode(const struct capture *capture, const struct capture_interface *interface)
{
	static const char *const rungs[RUNG_COUNT] = { "zero-copy", "native XDP, the kernel copies each frame",
		"generic XDP, the slowest way" };

	log_info("%s: driver %s, %u of %u RX queues, %s%s%s%s", interface_name(interface), interface->info.driver, interface->count,
		interface->info.rx_queues, rungs[interface->rung], interface->no_zerocopy ? " (zero-copy: " : "",
		interface->no_zerocopy ? strerror(-interface->no_zerocopy) : "", interface->no_zerocopy ? ")" : "");
	if (interface->filters)
		log_info("%s: the filter runs in XDP", interface_name(interface));
	else if (capture->selection.filter)
		log_info("%s: the filter runs in user space, on packets that have been copied: %s", interface_name(interface),
			interface->filter_why);
}

static int interface_take_over(const struct capture_interface *interface)
{
	const char *name = interface_name(interface);
	uint32_t program = interface->info.xdp_prog_id;
	int err = xdp_remove_other(interface->info.ifindex, program);

	if (err)
		log_error("%s: taking the other XDP program (id %u) away: %s%s; end what it belongs to", name, program,
			strerror(-err), err == -EPERM ? " (it takes CAP_SYS_ADMIN)" : "");
	else
		log_info("%s: took the other XDP program (id %u) away", name, program);
	return err;
}

int interface_attach(struct capture *capture, struct capture_interface *interface)
{
	const struct config *config = capture->config;
	int err;

	if (config->replace && interface->info.xdp_prog_id) {
		err = interface_take_over(interface);
		if (err)
			return err;
	}
	err = xdp_attach(interface->xdp, interface->rung == RUNG_GENERIC);
	if (err && !is_taken(err) && config->mode == CAPTURE_AUTO && !config->require_zerocopy && err != -ENODEV) {
		if (may_be_mtu(interface, err))
			log_warning("%s: no native XDP with driver %s and an MTU of %u: %s; trying generic XDP, which is slower; "
				    "`ip link set %s mtu 1500` may do",
				interface_name(interface), interface->info.driver, interface->info.mtu, strerror(-err),
				interface_name(interface));
		else
			log_warning("%s: no native XDP with driver %s: %s; trying generic XDP, which is slower",
				interface_name(interface), interface->info.driver, attach_reason(interface, err));
		err = interface_step_down(capture, interface);
		if (err)
			return err;
		err = xdp_attach(interface->xdp, true);
	}
	if (err)
		return say_attach_failed(interface, err);
	say_mode(capture, interface);
	return 0;
}

void interface_set_phase(struct capture_interface *interface, enum afxdp_phase phase)
{
	__atomic_store_n(&interface->port.phase, (int)phase, __ATOMIC_RELEASE);
	if (interface->port.wake >= 0)
		eventfd_write(interface->port.wake, 1);
}

void interface_close(struct capture *capture, struct capture_interface *interface)
{
	xdp_unload(interface->xdp);
	interface->xdp = NULL;
	busy_poll_stop(capture, interface);
	for (unsigned i = 0; i < interface->count; i++)
		xsk_queue_close(&interface_queue(capture, interface, i)->sockets);
	nic_restore(interface->nic);
	interface->nic = NULL;
	interface_close_phc(interface);
	if (interface->port.wake >= 0)
		close(interface->port.wake);
	interface->port.wake = -1;
}
