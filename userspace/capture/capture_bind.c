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

#include "busy_poll.h"
#include "log.h"

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

	if ((err == -EPERM || err == -EACCES) && !have_capability(CAP_PERFMON) && !have_capability(CAP_SYS_ADMIN))
		fix = "; it takes the capability CAP_PERFMON: run it as root, or add cap_perfmon to the file's capabilities";
	else if (err == -EPERM || err == -EACCES)
		fix = "; the kernel may be locked down (cat /sys/kernel/security/lockdown)";
	else if (err == -ENOMEM)
		fix = "; it may be the limit of locked memory: `ulimit -l unlimited`";
	log_error("%s: the kernel does not load the XDP program: %s%s%s%s", interface_name(interface), strerror(-err),
		why[0] ? ": " : "", why, fix);
	return err;
}

/* `hw`: the program that asks the driver for what it knows of a frame. Not every driver has it, hence only a try. */
static int interface_load(struct capture *capture, struct capture_interface *interface, bool hw)
{
	struct xdp_load_options options = {
		.interface = interface_name(interface),
		.ifindex = interface->info.ifindex,
		.queues = interface->info.rx_queues,
		.fanout = capture->fanout,
		.hash_seed = capture->hash_seed,
		.exclusive = capture->config->exclusive,
		.frags = interface->frags,
		.hw_vlan = hw,
	};
	char why[256] = "";
	int err = xdp_load(&options, &interface->xdp, why, sizeof(why));

	if (err && !hw)
		say_load_failed(interface, err, why);
	return err;
}

/* Tags that the NIC takes out of frames and will not leave in: only the driver can say what they were (Linux 6.8). */
static int interface_load_best(struct capture *capture, struct capture_interface *interface)
{
	bool hw = interface->info.rx_vlan_strip && capture->config->mode != CAPTURE_GENERIC && kernel_at_least(6, 8);

	if (hw && !interface_load(capture, interface, true))
		return 0;
	return interface_load(capture, interface, false);
}

/* --- sockets ------------------------------------------------------------------------------------------------------------- */

static void interface_unbind(struct capture *capture, struct capture_interface *interface)
{
	for (unsigned i = 0; i < interface->count; i++)
		xsk_queue_unbind(&interface_queue(capture, interface, i)->sockets);
	interface->bound = false;
}

static uint32_t power_of_two(uint32_t least)
{
	return least <= 1 ? 1 : 1u << (32 - __builtin_clz(least - 1));
}

/* All queues in the same way, or none; *failed: the queue that would not. Nothing is said. */
static int interface_bind_all(struct capture *capture, struct capture_interface *interface, bool zerocopy, unsigned *failed)
{
	struct xsk_options options = {
		.interface = interface_name(interface),
		.rx_size = capture->config->ring_size,
		.fill_size = power_of_two(interface->frames),
		.zerocopy = zerocopy,
		.sg = interface->frags,
	};

	for (unsigned i = 0; i < interface->count; i++) {
		struct capture_queue *queue = interface_queue(capture, interface, i);
		options.queue = *failed = queue->number;
		int err = xsk_queue_bind(&queue->sockets, &options);
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
		.symmetric_rss = interface->info.rx_queues > 1,
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
	int err = interface_prepare(capture, interface);

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

static int say_attach_failed(struct capture_interface *interface, int err)
{
	const char *name = interface_name(interface);
	struct nic_info now;

	if (is_taken(err) && !nic_inspect(name, &now))
		say_other_program(&now);
	else if (err == -ENODEV)
		log_error("%s went away before its XDP program was attached", name);
	else if ((err == -ERANGE || err == -EINVAL) && interface->info.mtu > 1500)
		log_error("%s: its driver %s does not take an XDP program with an MTU of %u: %s; `ip link set %s mtu 1500`", name,
			interface->info.driver, interface->info.mtu, strerror(-err), name);
	else
		log_error("%s: its driver %s does not take an XDP program: %s; --mode generic works with any driver, slowly", name,
			interface->info.driver, strerror(-err));
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
	interface->rung = RUNG_GENERIC;
	xdp_unload(interface->xdp);
	interface->xdp = NULL;
	err = interface_load(capture, interface, false);
	return err ? err : interface_steer(capture, interface);
}

static void say_mode(const struct capture_interface *interface)
{
	static const char *const rungs[RUNG_COUNT] = { "zero-copy", "native XDP, the kernel copies each frame",
		"generic XDP, the slowest way" };

	log_info("%s: driver %s, %u of %u RX queues, %s%s%s%s", interface_name(interface), interface->info.driver, interface->count,
		interface->info.rx_queues, rungs[interface->rung], interface->no_zerocopy ? " (zero-copy: " : "",
		interface->no_zerocopy ? strerror(-interface->no_zerocopy) : "", interface->no_zerocopy ? ")" : "");
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
		log_warning("%s: no native XDP with driver %s: %s; trying generic XDP, which is slower", interface_name(interface),
			interface->info.driver, strerror(-err));
		err = interface_step_down(capture, interface);
		if (err)
			return err;
		err = xdp_attach(interface->xdp, true);
	}
	if (err)
		return say_attach_failed(interface, err);
	say_mode(interface);
	return 0;
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
}
