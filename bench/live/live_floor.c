/*
 * The bare AF_XDP receiver, the floor that flowlane is compared to: takes frames from one queue's ring, touches one byte of
 * each, and gives the buffers back. Copy mode or zero-copy, as the driver can; sleeps when there is nothing, as flowlane does.
 * And the bare filter (--drop): a program that drops each frame, the floor of an expression that rejects.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/xsk.h>

#include "arena.h"
#include "clock.h"
#include "floor.skel.h"
#include "live.h"

#define BATCH     64
#define AHEAD     16 /* frames prefetched */
#define FRAME_LEN 2048
#define SPINS     1024 /* as flowlane while packets come in numbers */

static const char usage[] = "Usage: live_floor -i INTERFACE [OPTION]...\n"
			    "\n"
			    "  --queue N     RX queue (default 0)\n"
			    "  --duration S  seconds (default: until SIGINT)\n"
			    "  --ring N      descriptors of the RX ring, a power of two (default 2048)\n"
			    "  --cpu N       to run on (default: anywhere)\n"
			    "  --spins N     looks at an empty ring before sleeping (default 1024, as flowlane under load)\n"
			    "  --drop        no receiver: the program drops each frame\n"
			    "  --ready       prints an empty line as soon as frames can come\n"
			    "\n"
			    "Prints one JSON line. The clock runs from the first frame to the last.\n";

struct options {
	const char *interface;
	unsigned queue;
	unsigned ring;
	int cpu;
	double duration;
	uint64_t spins;
	bool drop;
	bool ready;
};

/* Zeroed before libxdp sees it: it leaves the fill ring's cached producer as it finds it. */
struct receiver {
	struct xsk_ring_cons rx;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons completion;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	void *area;
	uint64_t received;
	uint64_t bytes;
	uint64_t first_ns;
	uint64_t last_ns; /* when the last batch was done */
	uint64_t first_cpu_ns;
	unsigned sum; /* of one byte of each frame, so that it is read */
};

static void options_parse(struct options *options, int argc, char **argv)
{
	static const struct option table[] = {
		{ "interface", required_argument, NULL, 'i' },
		{ "queue", required_argument, NULL, 'q' },
		{ "duration", required_argument, NULL, 'd' },
		{ "ring", required_argument, NULL, 'r' },
		{ "cpu", required_argument, NULL, 'c' },
		{ "spins", required_argument, NULL, 's' },
		{ "drop", no_argument, NULL, 'D' },
		{ "ready", no_argument, NULL, 'R' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option, at = 0;

	while ((option = getopt_long(argc, argv, "i:h", table, &at)) != -1) {
		switch (option) {
		case 'i':
			options->interface = optarg;
			break;
		case 'q':
			options->queue = (unsigned)live_number("queue", optarg, 0, 63);
			break;
		case 'd':
			options->duration = live_seconds("duration", optarg);
			break;
		case 'r':
			options->ring = (unsigned)live_number("ring", optarg, 64, 1 << 20);
			break;
		case 'c':
			options->cpu = (int)live_number("cpu", optarg, 0, CPU_SETSIZE - 1);
			break;
		case 's':
			options->spins = live_number("spins", optarg, 0, UINT64_MAX);
			break;
		case 'D':
			options->drop = true;
			break;
		case 'R':
			options->ready = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			live_usage_die(usage, "see above");
		}
	}
	if (!options->interface || optind < argc)
		live_usage_die(usage, "which interface? -i NAME, and nothing else without a dash");
	if (options->ring & (options->ring - 1))
		live_usage_die(usage, "--ring %u is no power of two", options->ring);
}

/* Copy mode: a frame for each place of the RX ring, and what is in hand. More would be colder, and of no use. */
static void receiver_open(struct receiver *receiver, const struct options *options)
{
	unsigned frames = options->ring + 2 * BATCH, at;
	size_t bytes = (size_t)frames * FRAME_LEN;
	struct xsk_umem_config umem = { .fill_size = 2 * options->ring, .comp_size = 64, .frame_size = FRAME_LEN };
	struct xsk_socket_config socket = {
		.rx_size = options->ring, .libbpf_flags = XSK_LIBBPF_FLAGS__INHIBIT_PROG_LOAD, .bind_flags = XDP_USE_NEED_WAKEUP
	};

	memset(receiver, 0, sizeof(*receiver));
	receiver->area = arena_map(bytes); /* huge pages, as for flowlane's buffers */
	if (!receiver->area)
		live_die("no memory for %u frames: %s", frames, strerror(errno));
	memset(receiver->area, 0, bytes);
	int error = xsk_umem__create(&receiver->umem, receiver->area, bytes, &receiver->fill, &receiver->completion, &umem);
	if (error)
		live_die("cannot make a UMEM: %s", strerror(-error));
	if (xsk_ring_prod__reserve(&receiver->fill, frames, &at) != frames)
		live_die("the fill ring does not take %u frames", frames);
	for (unsigned i = 0; i < frames; i++)
		*xsk_ring_prod__fill_addr(&receiver->fill, at + i) = (uint64_t)i * FRAME_LEN;
	xsk_ring_prod__submit(&receiver->fill, frames);
	/* The kernel takes a while to forget the socket of a process that has just ended. */
	for (unsigned tries = 0; tries < 200; tries++) {
		error = xsk_socket__create(
			&receiver->socket, options->interface, options->queue, receiver->umem, &receiver->rx, NULL, &socket);
		if (error != -EBUSY)
			break;
		usleep(10000);
	}
	if (error)
		live_die("cannot bind to %s queue %u: %s", options->interface, options->queue, strerror(-error));
}

static const unsigned char *frame_at(const struct receiver *receiver, uint32_t at)
{
	return xsk_umem__get_data(receiver->area, xsk_ring_cons__rx_desc(&receiver->rx, at)->addr);
}

static void receiver_batch(struct receiver *receiver, uint32_t at, unsigned n)
{
	uint32_t fill = 0;

	/* As many as were taken out fit. */
	xsk_ring_prod__reserve(&receiver->fill, n, &fill);
	for (unsigned i = 0; i < n && i < AHEAD; i++)
		__builtin_prefetch(frame_at(receiver, at + i));
	for (unsigned i = 0; i < n; i++) {
		const struct xdp_desc *frame = xsk_ring_cons__rx_desc(&receiver->rx, at + i);
		if (i + AHEAD < n)
			__builtin_prefetch(frame_at(receiver, at + i + AHEAD));
		receiver->bytes += frame->len;
		receiver->sum += *(const unsigned char *)xsk_umem__get_data(receiver->area, frame->addr);
		*xsk_ring_prod__fill_addr(&receiver->fill, fill + i) = frame->addr & ~(uint64_t)(FRAME_LEN - 1);
	}
	xsk_ring_cons__release(&receiver->rx, n);
	xsk_ring_prod__submit(&receiver->fill, n);
	receiver->received += n;
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static bool receiver_look(const struct receiver *receiver, uint64_t spins)
{
	for (uint64_t i = 0; i < spins && !live_stopped; i++) {
		if (__atomic_load_n(receiver->rx.producer, __ATOMIC_RELAXED) != receiver->rx.cached_cons)
			return true;
		relax();
	}
	return false;
}

static void receiver_run(struct receiver *receiver, uint64_t spins)
{
	struct pollfd ready = { .fd = xsk_socket__fd(receiver->socket), .events = POLLIN };
	uint64_t dry_after = 0;
	uint32_t at;

	while (!live_stopped) {
		unsigned n = xsk_ring_cons__peek(&receiver->rx, BATCH, &at);
		if (!n) {
			if (dry_after != receiver->received)
				receiver->last_ns = clock_monotonic_ns();
			dry_after = receiver->received;
			if (!receiver_look(receiver, spins))
				poll(&ready, 1, 100);
			continue;
		}
		if (!receiver->received) {
			receiver->first_ns = clock_monotonic_ns();
			receiver->first_cpu_ns = clock_thread_cpu_ns();
		}
		receiver_batch(receiver, at, n);
		if (xsk_ring_prod__needs_wakeup(&receiver->fill))
			recvfrom(ready.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	}
}

static void report(const struct receiver *receiver, const struct options *options)
{
	struct xdp_statistics stats = { 0 };
	struct xdp_options mode = { 0 };
	socklen_t length = sizeof(stats);
	int fd = xsk_socket__fd(receiver->socket);
	double seconds = (double)(receiver->last_ns - receiver->first_ns) / 1e9;
	uint64_t cpu_ns = receiver->received ? clock_thread_cpu_ns() - receiver->first_cpu_ns : 0;

	getsockopt(fd, SOL_XDP, XDP_STATISTICS, &stats, &length);
	length = sizeof(mode);
	getsockopt(fd, SOL_XDP, XDP_OPTIONS, &mode, &length);
	printf("{\"tool\":\"live_floor\",\"received\":%llu,\"bytes\":%llu,\"ring_full\":%llu,\"fill_empty\":%llu,\"dropped\":%llu,"
	       "\"zero_copy\":%s,\"queue\":%u,\"seconds\":%.6f,\"pps\":%.0f,\"cpu_ns_per_packet\":%.1f}\n",
		(unsigned long long)receiver->received, (unsigned long long)receiver->bytes, (unsigned long long)stats.rx_ring_full,
		(unsigned long long)stats.rx_fill_ring_empty_descs, (unsigned long long)stats.rx_dropped,
		mode.flags & XDP_OPTIONS_ZEROCOPY ? "true" : "false", options->queue, seconds,
		seconds > 0 ? (double)receiver->received / seconds : 0.0,
		receiver->received ? (double)cpu_ns / (double)receiver->received : 0.0);
}

static struct bpf_link *floor_attach(const struct bpf_program *program, const struct options *options)
{
	struct bpf_link *link = bpf_program__attach_xdp(program, (int)live_interface(options->interface));

	if (!link)
		live_die("cannot attach to %s: %s", options->interface, strerror(errno));
	if (options->cpu >= 0)
		live_pin((unsigned)options->cpu);
	live_stop_catch();
	live_stop_after(options->duration);
	if (options->ready) {
		puts("");
		fflush(stdout);
	}
	return link;
}

static void floor_drop(const struct floor *floor, const struct options *options)
{
	struct bpf_link *link = floor_attach(floor->progs.floor_drop, options);

	while (!live_stopped)
		poll(NULL, 0, 100);
	bpf_link__destroy(link);
}

static void floor_receive(const struct floor *floor, const struct options *options)
{
	struct receiver receiver;

	receiver_open(&receiver, options);
	int fd = xsk_socket__fd(receiver.socket);
	if (bpf_map_update_elem(bpf_map__fd(floor->maps.sockets), &options->queue, &fd, 0))
		live_die("cannot put the socket into the map: %s", strerror(errno));
	struct bpf_link *link = floor_attach(floor->progs.floor_frame, options);
	receiver_run(&receiver, options->spins);
	bpf_link__destroy(link);
	if (receiver.last_ns < receiver.first_ns)
		receiver.last_ns = clock_monotonic_ns();
	report(&receiver, options);
	xsk_socket__delete(receiver.socket);
	xsk_umem__delete(receiver.umem);
}

int main(int argc, char **argv)
{
	struct options options = { .ring = 2048, .cpu = -1, .spins = SPINS };

	options_parse(&options, argc, argv);
	live_quiet_libbpf();
	struct floor *floor = floor__open_and_load();
	if (!floor)
		live_die("cannot load the XDP program: %s; it takes root (CAP_BPF, CAP_NET_ADMIN)", strerror(errno));
	if (options.drop)
		floor_drop(floor, &options);
	else
		floor_receive(floor, &options);
	floor__destroy(floor);
	return 0;
}
