/*
 * Sends frames out of an interface as fast as XDP can, or at a rate, and says exactly how many the link took: the reference
 * that captures are judged by.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gen.h"
#include "gen.skel.h"
#include "live.h"

/*
 * Slots per system call: all of them, as setting up and taking down the pages of one call takes 20 ms. A signal ends it earlier.
 * A rate is kept by letting slots pass in which no frame is due: this program uses a whole CPU at any rate.
 */
#define SLOTS     INT_MAX
#define BURST_MAX 32

static const char usage[] =
	"Usage: live_gen -i INTERFACE [OPTION]...\n"
	"\n"
	"  --udp | --tcp       datagrams one way (default), or conversations: SYN, SYN-ACK, ACK, then data and ACKs in turn\n"
	"  --flows N           1 to 4M (default 1)\n"
	"  --elephants P       datagrams: P of a hundred frames are of these flows, the others of ever new ones of 8 frames each\n"
	"  --first-flow N      number of the first one, so that two generators make different flows (default 0)\n"
	"  --segments N        data segments per TCP conversation and direction, then FIN and a new one; 0: endless (default)\n"
	"  --size BYTES        of data frames without FCS, 64 to 3072 (default 64); TCP frames without data have 64\n"
	"  --count N           frames, 0: until the end (default)\n"
	"  --first-seq N       sequence number in the first frame's last eight bytes (default 0)\n"
	"  --rate PPS          0: flat out (default)\n"
	"  --duration S        seconds\n"
	"  --cpu N             to run on; on a veth pair it decides the peer's RX queue: N modulo the number of queues (default "
	"0)\n"
	"\n"
	"Prints one JSON line: frames = sent + refused; refused were not taken by the link (its ring is full, or it is down).\n";

struct options {
	const char *interface;
	unsigned cpu;
	uint64_t rate;
	double duration;
	struct gen_config gen;
};

static void options_check(struct options *options)
{
	struct gen_config *gen = &options->gen;

	if (!options->interface)
		live_usage_die(usage, "which interface? -i NAME");
	if (gen->elephants && gen->tcp)
		live_usage_die(usage, "--elephants is for datagrams, not for --tcp");
	if (options->rate) {
		gen->burst = (unsigned)(options->rate / 1000);
		gen->burst = gen->burst < 1 ? 1 : gen->burst > BURST_MAX ? BURST_MAX : gen->burst;
		gen->burst_ns = (unsigned)(gen->burst * 1000000000ull / options->rate);
	}
	gen->tgid = (unsigned)getpid();
}

static void options_parse(struct options *options, int argc, char **argv)
{
	static const struct option table[] = {
		{ "interface", required_argument, NULL, 'i' },
		{ "udp", no_argument, NULL, 'u' },
		{ "tcp", no_argument, NULL, 't' },
		{ "flows", required_argument, NULL, 'f' },
		{ "elephants", required_argument, NULL, 'e' },
		{ "first-flow", required_argument, NULL, 'F' },
		{ "segments", required_argument, NULL, 'g' },
		{ "size", required_argument, NULL, 's' },
		{ "count", required_argument, NULL, 'n' },
		{ "first-seq", required_argument, NULL, 'S' },
		{ "rate", required_argument, NULL, 'r' },
		{ "duration", required_argument, NULL, 'd' },
		{ "cpu", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct gen_config *gen = &options->gen;
	int option, at = 0;

	while ((option = getopt_long(argc, argv, "i:h", table, &at)) != -1) {
		const char *name = table[at].name;
		switch (option) {
		case 'i':
			options->interface = optarg;
			break;
		case 'u':
		case 't':
			gen->tcp = option == 't';
			break;
		case 'f':
			gen->flows = (unsigned)live_number(name, optarg, 1, 4000000);
			break;
		case 'e':
			gen->elephants = (unsigned)live_number(name, optarg, 1, 99);
			break;
		case 'F':
			gen->first_flow = (unsigned)live_number(name, optarg, 0, 4000000);
			break;
		case 'g':
			gen->segments = (unsigned)live_number(name, optarg, 0, 1000000);
			break;
		case 's':
			gen->size = (unsigned)live_number(name, optarg, GEN_SIZE_MIN, GEN_SIZE_MAX);
			break;
		case 'n':
			gen->count = live_number(name, optarg, 0, UINT64_MAX);
			break;
		case 'S':
			gen->first_seq = live_number(name, optarg, 0, UINT64_MAX);
			break;
		case 'r':
			options->rate = live_number(name, optarg, 0, 100000000);
			break;
		case 'd':
			options->duration = live_seconds(name, optarg);
			break;
		case 'c':
			options->cpu = (unsigned)live_number(name, optarg, 0, CPU_SETSIZE - 1);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			live_usage_die(usage, "see above");
		}
	}
	if (optind < argc)
		live_usage_die(usage, "what is '%s'?", argv[optind]);
	options_check(options);
}

static struct gen *gen_load(const struct options *options, unsigned ifindex)
{
	struct gen *gen = gen__open();
	unsigned key = 0;

	if (!gen)
		live_die("cannot open the XDP program: %s", strerror(errno));
	memcpy((void *)&gen->rodata->config, &options->gen, sizeof(options->gen));
	gen->bss->state.len = GEN_SIZE_MIN;
	gen->bss->state.flags = 0x02; /* phase 0: SYN */
	int error = gen__load(gen);
	if (error)
		live_die("cannot load the XDP program: %s; it takes Linux 5.18 and root (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON)",
			strerror(-error));
	error = gen__attach(gen);
	if (error)
		live_die("cannot attach to the tracepoints that count what is sent: %s", strerror(-error));
	error = bpf_map_update_elem(bpf_map__fd(gen->maps.link), &key, &ifindex, 0) ? -errno : 0;
	if (error)
		live_die("cannot send through %s: %s", options->interface, strerror(-error));
	return gen;
}

/* One system call: up to `slots` frames or less, if fewer are due. */
static void slots_run(const struct options *options, int program, unsigned slots)
{
	unsigned char frame[GEN_SIZE_MAX] = { 0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x00 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = options->gen.size, .repeat = (int)slots,
		.flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);

	if (bpf_prog_test_run_opts(program, &run) && errno != EINTR)
		live_die("the kernel does not send frames from an XDP program: %s; it takes Linux 5.18", strerror(errno));
}

struct watcher {
	pthread_t sender;
	uint64_t count;
	const volatile struct gen_state *state;
};

/* Only a signal ends a system call whose slots are not used up. */
static void *watch(void *argument)
{
	const struct watcher *watcher = argument;

	while (watcher->state->frames < watcher->count)
		usleep(1000);
	pthread_kill(watcher->sender, SIGALRM);
	return NULL;
}

static void frames_send(const struct options *options, struct gen *gen)
{
	struct watcher watcher = { pthread_self(), options->gen.count, &gen->bss->state };
	int program = bpf_program__fd(gen->progs.gen_frame);
	pthread_t thread;

	if (options->rate && options->gen.count && pthread_create(&thread, NULL, watch, &watcher))
		live_die("cannot start a thread");
	while (!live_stopped && (!options->gen.count || watcher.state->frames < options->gen.count)) {
		uint64_t left = options->gen.count - watcher.state->frames;
		slots_run(options, program, options->rate || !options->gen.count || left > SLOTS ? SLOTS : (unsigned)left);
	}
}

int main(int argc, char **argv)
{
	struct options options = { .gen = { .flows = 1, .size = GEN_SIZE_MIN } };

	options_parse(&options, argc, argv);
	live_quiet_libbpf();
	unsigned ifindex = live_interface(options.interface);
	struct gen *gen = gen_load(&options, ifindex);
	const struct gen_state *state = &gen->bss->state;

	live_pin(options.cpu);
	live_stop_catch();
	live_stop_after(options.duration);
	frames_send(&options, gen);
	double seconds = (double)(state->last_ns - state->first_ns) / 1e9;

	printf("{\"tool\":\"live_gen\",\"frames\":%llu,\"sent\":%llu,\"refused\":%llu,\"bytes\":%llu,\"first_seq\":%llu,\"flows\":%"
	       "u,"
	       "\"size\":%u,\"tcp\":%s,\"cpu\":%u,\"seconds\":%.6f,\"pps\":%.0f}\n",
		state->frames, state->sent, state->frames - state->sent, state->bytes, options.gen.first_seq, options.gen.flows,
		options.gen.size, options.gen.tcp ? "true" : "false", options.cpu, seconds,
		seconds > 0 ? (double)state->sent / seconds : 0.0);
	if (state->frames < state->sent + state->refused)
		live_die(
			"lost count: %llu frames made, but %llu sent and %llu refused", state->frames, state->sent, state->refused);
	gen__destroy(gen);
	return 0;
}
