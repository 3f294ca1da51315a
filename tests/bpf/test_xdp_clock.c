/*
 * How often the XDP program reads the clock: for each frame, or under load for one in XDP_CLOCK_SHARE. BPF_PROG_TEST_RUN with a high
 * `repeat` is the load; the stamps are those of single frames right behind it.
 */
#include <sched.h>
#include <setjmp.h>
#include <time.h>
#include <unistd.h>

#include "bpf_rig.h"

#include <cmocka.h>

#include "receiver.h"

#define LOAD    200000 /* frames: at 0.1 us each, several ticks of the kernel, of up to 10 ms */
#define SINGLES (4 * XDP_CLOCK_SHARE)
#define TRIES   100 /* where others want the CPU a tick has too few frames, or SINGLES take more than one */

static struct receiver receiver;

/* The program's clock is the CPU's: stay on one. */
static void stay_on_cpu(unsigned number)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(number % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus); /* not allowed: then it stays where it was */
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct rig load_rig(bool shared_clock)
{
	struct xdp_config config = { .fanout = 1, .shared_clock = shared_clock };
	uint32_t slot = 0;
	struct rig rig;
	int fd = xsk_socket__fd(receiver.socket[0]);

	assert_int_equal(rig_load(&rig, RIG_PLAIN, &config, 1, false), 0);
	assert_int_equal(bpf_map_update_elem(rig.xsks_fd, &slot, &fd, BPF_ANY), 0);
	return rig;
}

/* What the program leaves behind is not asked for: in front of the one frame that it gets again and again the room for metadata ends. */
static void run_load(const struct rig *rig)
{
	uint8_t frame[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame), .repeat = LOAD);

	assert_int_equal(bpf_prog_test_run_opts(rig->program_fd, &opts), 0);
	assert_int_equal(opts.retval, XDP_REDIRECT);
}

/* The stamp of one frame. */
static uint64_t run_frame(const struct rig *rig)
{
	uint8_t frame[64] = { 0 }, out[256];
	struct frame_meta meta;
	struct xdp_md in = { .data_end = sizeof(frame), .ingress_ifindex = rig->ifindex }, after = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame), .data_out = out,
		.data_size_out = sizeof(out), .ctx_in = &in, .ctx_size_in = sizeof(in), .ctx_out = &after,
		.ctx_size_out = sizeof(after), .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(rig->program_fd, &opts), 0);
	assert_int_equal(after.data, sizeof(meta));
	memcpy(&meta, out, sizeof(meta));
	assert_int_equal(meta.ts_kind, FRAME_TS_KTIME);
	return meta.ts_ns;
}

/* Different stamps among SINGLES frames right behind the load; each within [from, now], none before the one before it. */
static unsigned count_stamps(const struct rig *rig, uint64_t from_ns)
{
	uint64_t before_ns = from_ns;
	unsigned different = 0;

	for (unsigned i = 0; i < SINGLES; i++) {
		uint64_t ts_ns = run_frame(rig);
		assert_in_range(ts_ns, before_ns, monotonic_ns());
		different += ts_ns != before_ns;
		before_ns = ts_ns;
	}
	return different;
}

static void clock__when_shared_and_under_load__then_one_reading_for_several_frames(void **context)
{
	struct rig rig = load_rig(true);
	unsigned least = SINGLES;

	(void)context;
	for (unsigned i = 0; i < TRIES && least > SINGLES / XDP_CLOCK_SHARE + 1; i++) {
		stay_on_cpu(i);
		uint64_t from_ns = monotonic_ns();
		run_load(&rig);
		unsigned different = count_stamps(&rig, from_ns);
		least = different < least ? different : least;
	}
	assert_in_range(least, SINGLES / XDP_CLOCK_SHARE, SINGLES / XDP_CLOCK_SHARE + 1);
	rig_unload(&rig);
}

static void clock__when_shared_and_the_load_is_over__then_each_frame_has_its_own_time(void **context)
{
	const struct timespec pause = { .tv_nsec = 30000000 }; /* more than a tick */
	struct rig rig = load_rig(true);

	(void)context;
	run_load(&rig);
	for (unsigned i = 0; i < 5; i++) {
		nanosleep(&pause, NULL);
		uint64_t from_ns = monotonic_ns();
		uint64_t ts_ns = run_frame(&rig);
		assert_in_range(ts_ns, from_ns, monotonic_ns());
	}
	nanosleep(&pause, NULL);
	run_frame(&rig); /* the tick before had one frame: so this one is slow */
	assert_int_equal(count_stamps(&rig, 0), SINGLES);
	rig_unload(&rig);
}

static void clock__when_not_shared__then_each_frame_has_its_own_time_under_load_too(void **context)
{
	struct rig rig = load_rig(false);
	uint64_t from_ns = monotonic_ns();

	(void)context;
	run_load(&rig);
	assert_int_equal(count_stamps(&rig, from_ns), SINGLES);
	rig_unload(&rig);
}

static int open_receiver(void **context)
{
	(void)context;
	receiver_open(&receiver, 0, 1);
	return 0;
}

static int close_receiver(void **context)
{
	(void)context;
	receiver_close(&receiver);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(clock__when_shared_and_under_load__then_one_reading_for_several_frames),
		cmocka_unit_test(clock__when_shared_and_the_load_is_over__then_each_frame_has_its_own_time),
		cmocka_unit_test(clock__when_not_shared__then_each_frame_has_its_own_time_under_load_too),
	};
	struct xdp_config config = { .fanout = 1, .shared_clock = 1 };

	stay_on_cpu((unsigned)sched_getcpu());
	rig_namespace(1);
	rig_probe(&config);
	return cmocka_run_group_tests(tests, open_receiver, close_receiver);
}
