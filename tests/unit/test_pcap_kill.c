/* A sensor that is killed while it writes: what is in its files then can be read up to the last complete chunk. */
#include "pcap_helper.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define KILLS 50
#define LANES 2

struct victim_lane {
	struct sink *sink;
	uint32_t lane;
};

static void *victim_lane_run(void *argument)
{
	struct victim_lane *lane = argument;

	/* Live lanes leave gaps where the disk is slow; files wait, so that a gap is a fault. */
	for (uint32_t number = 0;; number += FLOWLANE_BATCH)
		helper_feed(lane->sink, lane->lane, number, FLOWLANE_BATCH);
	return NULL;
}

/* Writes until it is killed, if need be by the end of the test: it would fill the disk. */
static void victim_run(const struct config *config, pid_t parent)
{
	struct source_info info = { .link = LINK_ETHERNET, .snaplen = 65535 };
	struct victim_lane lanes[LANES];
	struct output *output;
	pthread_t thread;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	if (sink_pcap.open(config, &info, &output) || sink_pcap.start(output))
		_exit(1);
	for (uint32_t i = 0; i < LANES; i++) {
		lanes[i].lane = i;
		if (sink_pcap.attach(output, i, &lanes[i].sink) || pthread_create(&thread, NULL, victim_lane_run, &lanes[i]))
			_exit(1);
	}
	pthread_join(thread, NULL);
}

static off_t files_size(void)
{
	static const char *const names[] = { "x.pcap", "x.lane0.pcap", "x.lane1.pcap" };
	off_t size = 0;

	for (unsigned i = 0; i < 3; i++)
		size += file_exists(scratch_path(names[i])) ? file_size(scratch_path(names[i])) : 0;
	return size;
}

static void pcap__when_killed_while_writing__then_readable_up_to_the_last_complete_chunk(void **state)
{
	uint64_t random = 88172645463325252, cut = 0;

	(void)state;
	for (unsigned i = 0; i < KILLS; i++) {
		struct config config = {
			.write_pcap = scratch_path("x.pcap"), .direct_io = i % 4 == 3, .pcap_per_lane = i % 4 == 2
		};
		off_t enough = (off_t)(random_next(&random) % (40 << 20));
		uint32_t next[HELPER_LANES] = { 0 };
		int status;
		pid_t parent = getpid(), child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			victim_run(&config, parent);
			_exit(0);
		}
		WAIT_FOR(files_size() >= enough);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		if (config.pcap_per_lane) {
			/* A file may not have been begun yet. */
			for (unsigned lane = 0; lane < LANES; lane++) {
				const char *path = scratch_path(lane ? "x.lane1.pcap" : "x.lane0.pcap");
				size_t rest =
					file_size(path) >= (off_t)sizeof(struct pcap_file_header) ? helper_check(path, next) : 0;
				assert_true(rest < sizeof(struct pcap_record_header) + HELPER_FRAME_MAX);
				cut += rest > 0;
				unlink(path);
			}
		} else if (file_size(scratch_path("x.pcap")) >= (off_t)sizeof(struct pcap_file_header)) {
			size_t rest = helper_check(scratch_path("x.pcap"), next);
			assert_true(rest < sizeof(struct pcap_record_header) + HELPER_FRAME_MAX);
			cut += rest > 0;
			unlink(scratch_path("x.pcap"));
		}
	}
	print_message("%u kills, %llu files end in a record that is cut off\n", KILLS, (unsigned long long)cut);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pcap__when_killed_while_writing__then_readable_up_to_the_last_complete_chunk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
