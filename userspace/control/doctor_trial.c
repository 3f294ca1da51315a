#include "doctor_facts.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/io_uring.h>
#include <xdp/libxdp.h>

#include "xsk.h"

#ifndef BPF_F_XDP_DEV_BOUND_ONLY
#define BPF_F_XDP_DEV_BOUND_ONLY (1U << 6) /* Linux 6.3 */
#endif

#define LOOPBACK_IFINDEX 1 /* in every network namespace */
#define TRIAL_FRAMES     64
#define TRIAL_FRAME      4096
#define BUSY_TRIES       50
#define BUSY_WAIT_US     20000

const char *doctor_libbpf_version(void)
{
	return libbpf_version_string();
}

/* Returns XDP_PASS: to the frames it is as if it were not there. */
static int program_load(uint32_t flags, uint32_t ifindex)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_XDP, .prog_flags = flags, .prog_ifindex = ifindex);

	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "flowlane_doctor", "GPL", pass, sizeof(pass) / sizeof(*pass), &options);
	return fd < 0 ? -errno : fd;
}

static int try_load(uint32_t flags, uint32_t ifindex)
{
	int fd = program_load(flags, ifindex);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* By bpf_link: gone again when the link is closed, or this process ends. */
static int try_attach(uint32_t prog_flags, unsigned ifindex, uint32_t mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = mode);
	int error = 0;

	int program = program_load(prog_flags, 0);
	if (program < 0)
		return program;
	int link = bpf_link_create(program, (int)ifindex, BPF_XDP, &options);
	if (link < 0)
		error = -errno;
	else
		close(link);
	close(program);
	return error;
}

static int try_bind_once(const char *interface, bool zerocopy, bool sg)
{
	const struct xsk_options options = {
		.interface = interface,
		.rx_size = TRIAL_FRAMES,
		.fill_size = TRIAL_FRAMES,
		.frames = TRIAL_FRAMES,
		.zerocopy = zerocopy,
		.sg = sg,
	};
	struct xsk_queue queue;

	int error = xsk_queue_open(&queue, 1, TRIAL_FRAMES, TRIAL_FRAME, -1);
	if (error)
		return error;
	error = xsk_queue_bind(&queue, &options);
	if (!error && zerocopy && !queue.zerocopy)
		error = -EOPNOTSUPP;
	xsk_queue_close(&queue);
	return error;
}

/* The kernel takes a socket's buffers off its queue some time after it was closed; until then the queue is busy. */
static int try_bind(const char *interface, bool zerocopy, bool sg)
{
	int error = try_bind_once(interface, zerocopy, sg);

	for (unsigned i = 0; error == -EBUSY && i < BUSY_TRIES; i++) {
		usleep(BUSY_WAIT_US);
		error = try_bind_once(interface, zerocopy, sg);
	}
	return error;
}

static int try_busy_poll(void)
{
	int error = 0, on = 1;

	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &on, sizeof(on)) < 0)
		error = -errno;
	close(fd);
	return error;
}

static int try_io_uring(void)
{
	struct io_uring_params parameters = { 0 };

	long fd = syscall(SYS_io_uring_setup, 1u, &parameters);
	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

static int loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK };
	int error = 0;

	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		error = -errno;
	close(fd);
	return error;
}

static void quiet_libraries(void)
{
	libbpf_set_print(NULL);
	libxdp_set_print(NULL);
}

static void probe_in_child(struct doctor_probes *probes)
{
	quiet_libraries();
	probes->namespace = unshare(CLONE_NEWNET) < 0 ? -errno : loopback_up();
	probes->load = try_load(0, 0);
	probes->busy_poll = try_busy_poll();
	probes->io_uring = try_io_uring();
	if (!probes->load) {
		probes->frags = try_load(BPF_F_XDP_HAS_FRAGS, 0);
		probes->metadata = try_load(BPF_F_XDP_DEV_BOUND_ONLY, LOOPBACK_IFINDEX);
		if (probes->metadata == -EOPNOTSUPP) /* the kernel knows the flag, loopback has no such driver */
			probes->metadata = 0;
	}
	if (probes->namespace)
		return;
	if (!probes->load)
		probes->link = try_attach(0, LOOPBACK_IFINDEX, XDP_FLAGS_SKB_MODE);
	probes->socket = try_bind("lo", false, false);
	if (!probes->socket)
		probes->socket_sg = try_bind("lo", false, true);
}

void doctor_probe(struct doctor_probes *probes)
{
	const int no = DOCTOR_NOT_TRIED;
	const struct doctor_probes untried = { no, no, no, no, no, no, no, no, no };
	struct doctor_probes found = untried;
	int fds[2];

	*probes = untried;
	if (pipe(fds) < 0)
		return;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		probe_in_child(&found);
		ssize_t written = write(fds[1], &found, sizeof(found));
		_exit(written == (ssize_t)sizeof(found) ? 0 : 1);
	}
	close(fds[1]);
	if (child > 0 && read(fds[0], &found, sizeof(found)) == (ssize_t)sizeof(found))
		*probes = found;
	close(fds[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
}

/* As in a capture: sockets first, then the program. */
void doctor_try(const struct nic_info *info, struct doctor_trial *trial)
{
	quiet_libraries();
	trial->zerocopy = try_bind(info->name, true, false);
	if (trial->zerocopy)
		trial->copy = try_bind(info->name, false, false);
	trial->native = try_attach(0, info->ifindex, XDP_FLAGS_DRV_MODE);
	if (trial->native)
		trial->native_frags = try_attach(BPF_F_XDP_HAS_FRAGS, info->ifindex, XDP_FLAGS_DRV_MODE);
	if (trial->native && trial->native_frags)
		trial->generic = try_attach(0, info->ifindex, XDP_FLAGS_SKB_MODE);
}
