/*
 * Sends a capture out of an interface, in its own time or faster, and says exactly how many frames went out. Through AF_PACKET
 * past the queueing discipline: what a full ring refuses comes back as an error, and is sent again.
 *
 * With several CPUs each has a thread and a socket, and sends the conversations (pairs of IP addresses) that hash to it: on a
 * veth pair those arrive on that CPU's RX queue.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "live.h"
#include "replay_file.h"

#define BATCH        64
#define CPUS_MAX     16
#define NS_PER_S     1000000000.0
#define START_IN_NS  20000000 /* from now, so that all threads begin at the same time */
#define ETHERNET_LEN 14
#define LENGTH_EXTRA (ETHERNET_LEN + 4) /* above the MTU: header, and a VLAN tag */

static const char usage[] =
	"Usage: live_replay FILE -i INTERFACE [OPTION]...\n"
	"\n"
	"  --speed X      X times as fast as captured (default 1)\n"
	"  --flat-out     as fast as it goes\n"
	"  --rate PPS     evenly, whatever the capture's timing\n"
	"  --loop N       so many times (default 1)\n"
	"  --cpus LIST    one thread on each, like 0,1; conversations are spread over them (default: one, anywhere)\n"
	"\n"
	"Prints one JSON line: frames = sent + too_long + too_short + unsent; unsent if it was stopped or the link failed.\n";

enum pace { PACE_CAPTURE, PACE_FLAT_OUT, PACE_RATE };

struct options {
	const char *file;
	const char *interface;
	enum pace pace;
	double speed;
	uint64_t rate;
	uint64_t loops;
	unsigned cpus;
	int cpu[CPUS_MAX];
};

struct sender {
	const struct options *options;
	const struct replay_file *file;
	unsigned number;
	int fd;
	uint32_t longest;
	uint64_t start_ns;
	uint64_t end_ns;
	uint64_t sent, bytes, too_long, too_short, retries;
	int error; /* errno of the link's failure */
	pthread_t thread;
	unsigned queued;
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
};

static void cpus_parse(struct options *options, char *text)
{
	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		if (options->cpus == CPUS_MAX)
			live_usage_die(usage, "--cpus: at most %d", CPUS_MAX);
		options->cpu[options->cpus++] = (int)live_number("cpus", word, 0, CPU_SETSIZE - 1);
	}
}

static void options_parse(struct options *options, int argc, char **argv)
{
	static const struct option table[] = {
		{ "interface", required_argument, NULL, 'i' },
		{ "speed", required_argument, NULL, 's' },
		{ "flat-out", no_argument, NULL, 'f' },
		{ "rate", required_argument, NULL, 'r' },
		{ "loop", required_argument, NULL, 'l' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "i:h", table, NULL)) != -1) {
		switch (option) {
		case 'i':
			options->interface = optarg;
			break;
		case 's':
			options->speed = live_seconds("speed", optarg);
			break;
		case 'f':
			options->pace = PACE_FLAT_OUT;
			break;
		case 'r':
			options->pace = PACE_RATE;
			options->rate = live_number("rate", optarg, 1, 100000000);
			break;
		case 'l':
			options->loops = live_number("loop", optarg, 1, 1000000);
			break;
		case 'c':
			cpus_parse(options, optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			live_usage_die(usage, "see above");
		}
	}
	if (optind + 1 != argc)
		live_usage_die(usage, "one capture file, please");
	if (!options->interface)
		live_usage_die(usage, "through which interface? -i NAME");
	options->file = argv[optind];
	if (!options->cpus)
		options->cpu[options->cpus++] = -1;
}

static uint32_t interface_longest(const char *name)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	if (fd < 0 || ioctl(fd, SIOCGIFMTU, &request))
		live_die("cannot ask for the MTU of %s: %s", name, strerror(errno));
	close(fd);
	return (uint32_t)request.ifr_mtu + LENGTH_EXTRA;
}

static void sender_open(struct sender *sender)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = (int)live_interface(sender->options->interface) };
	int on = 1;

	sender->fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (sender->fd < 0)
		live_die("cannot open a packet socket: %s; it takes root (CAP_NET_RAW)", strerror(errno));
	if (bind(sender->fd, (struct sockaddr *)&address, sizeof(address)))
		live_die("cannot bind to %s: %s", sender->options->interface, strerror(errno));
	if (setsockopt(sender->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)))
		live_die("cannot leave out the queueing discipline: %s", strerror(errno));
}

/* Everything that was queued. False: the link failed, or it was stopped. */
static bool sender_flush(struct sender *sender)
{
	unsigned done = 0;

	while (done < sender->queued) {
		int n = sendmmsg(sender->fd, sender->messages + done, sender->queued - done, 0);
		for (int i = 0; i < n; i++)
			sender->bytes += sender->messages[done + (unsigned)i].msg_len;
		if (n > 0) {
			done += (unsigned)n;
			sender->sent += (unsigned)n;
		} else if (errno == ENOBUFS || errno == EAGAIN) { /* its ring is full */
			sender->retries++;
			sched_yield();
		} else if (errno == EMSGSIZE) {
			sender->too_long++;
			done++;
		} else if (errno != EINTR) {
			sender->error = errno;
			return false;
		}
		if (live_stopped)
			return false;
	}
	sender->queued = 0;
	return true;
}

static void sleep_until(uint64_t ns)
{
	struct timespec until = { .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* When frame `index` of loop `loop` is due, from the start; one loop takes as long as the capture and a microsecond. */
static uint64_t due_ns(const struct sender *sender, uint64_t loop, size_t index)
{
	const struct options *options = sender->options;
	const struct replay_frame *frames = sender->file->frames;
	uint64_t first = frames[0].ts_ns, last = frames[sender->file->count - 1].ts_ns, ts = frames[index].ts_ns;

	if (options->pace == PACE_FLAT_OUT)
		return 0;
	if (options->pace == PACE_RATE)
		return (uint64_t)((double)(loop * sender->file->count + index) * NS_PER_S / (double)options->rate);
	/* A frame that is older than the one before it goes out right behind it. */
	return (uint64_t)((double)(loop * (last > first ? last - first + 1000 : 1000) + (ts > first ? ts - first : 0)) /
			  options->speed);
}

static bool frame_send(struct sender *sender, const struct replay_frame *frame, uint64_t at_ns)
{
	unsigned i;

	if (frame->len < ETHERNET_LEN || frame->len > sender->longest) {
		(frame->len < ETHERNET_LEN ? sender->too_short++ : sender->too_long++);
		return true;
	}
	if (at_ns && clock_monotonic_ns() < at_ns) {
		if (!sender_flush(sender))
			return false;
		while (clock_monotonic_ns() < at_ns && !live_stopped)
			sleep_until(at_ns);
	}
	i = sender->queued++;
	sender->parts[i] = (struct iovec){ (void *)frame->data, frame->len };
	sender->messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &sender->parts[i], .msg_iovlen = 1 } };
	return sender->queued < BATCH || sender_flush(sender);
}

static void *sender_run(void *argument)
{
	struct sender *sender = argument;
	const struct options *options = sender->options;
	bool going = true;

	if (options->cpu[sender->number] >= 0)
		live_pin((unsigned)options->cpu[sender->number]);
	prctl(PR_SET_TIMERSLACK, 1);
	for (uint64_t loop = 0; loop < options->loops && going; loop++) {
		for (size_t i = 0; i < sender->file->count && going && !live_stopped; i++) {
			const struct replay_frame *frame = &sender->file->frames[i];
			if (frame->hash % options->cpus == sender->number)
				going = frame_send(sender, frame, sender->start_ns + due_ns(sender, loop, i));
		}
	}
	if (going)
		sender_flush(sender);
	sender->end_ns = clock_monotonic_ns();
	close(sender->fd);
	return NULL;
}

static int report(const struct sender *senders, const struct options *options, const struct replay_file *file)
{
	uint64_t frames = file->count * options->loops;
	struct sender sum = { .start_ns = senders[0].start_ns };

	for (unsigned i = 0; i < options->cpus; i++) {
		sum.sent += senders[i].sent;
		sum.bytes += senders[i].bytes;
		sum.too_long += senders[i].too_long;
		sum.too_short += senders[i].too_short;
		sum.retries += senders[i].retries;
		sum.error = sum.error ? sum.error : senders[i].error;
		sum.end_ns = senders[i].end_ns > sum.end_ns ? senders[i].end_ns : sum.end_ns;
	}
	double seconds = (double)(sum.end_ns - sum.start_ns) / NS_PER_S;
	printf("{\"tool\":\"live_replay\",\"frames\":%llu,\"sent\":%llu,\"bytes\":%llu,\"too_long\":%llu,\"too_short\":%llu,"
	       "\"unsent\":%llu,\"retries\":%llu,\"cut\":%zu,\"seconds\":%.6f,\"pps\":%.0f}\n",
		(unsigned long long)frames, (unsigned long long)sum.sent, (unsigned long long)sum.bytes,
		(unsigned long long)sum.too_long, (unsigned long long)sum.too_short,
		(unsigned long long)(frames - sum.sent - sum.too_long - sum.too_short), (unsigned long long)sum.retries, file->cut,
		seconds, (double)sum.sent / seconds);
	fflush(stdout);
	if (sum.too_long)
		fprintf(stderr,
			"live_replay: %llu frames were not sent: longer than the %u bytes that %s takes; 'ip link set %s mtu N'\n",
			(unsigned long long)sum.too_long, senders[0].longest, options->interface, options->interface);
	if (sum.too_short)
		fprintf(stderr, "live_replay: %llu frames were not sent: shorter than an Ethernet header\n",
			(unsigned long long)sum.too_short);
	if (sum.error)
		live_die("%s does not send any more: %s", options->interface, strerror(sum.error));
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = { .speed = 1, .loops = 1 };
	struct replay_file file;

	options_parse(&options, argc, argv);
	struct sender *senders = calloc(options.cpus, sizeof(*senders));
	if (!senders)
		live_die("no memory");
	replay_file_read(&file, options.file);
	if (!file.count)
		live_die("%s holds no frames", options.file);
	live_stop_catch();
	uint64_t start_ns = clock_monotonic_ns() + START_IN_NS;
	for (unsigned i = 0; i < options.cpus; i++) {
		senders[i] = (struct sender){ .options = &options,
			.file = &file,
			.number = i,
			.start_ns = start_ns,
			.longest = interface_longest(options.interface) };
		sender_open(&senders[i]);
	}
	for (unsigned i = 0; i < options.cpus; i++) {
		if (pthread_create(&senders[i].thread, NULL, sender_run, &senders[i]))
			live_die("cannot start a thread");
	}
	for (unsigned i = 0; i < options.cpus; i++)
		pthread_join(senders[i].thread, NULL);
	int result = report(senders, &options, &file);
	replay_file_free(&file);
	free(senders);
	return result;
}
