#include "pcap_helper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static const struct source_info from_file = { .link = LINK_ETHERNET, .snaplen = 65535 };
static const struct source_info from_wire = { .link = LINK_ETHERNET, .snaplen = 65535, .nanoseconds = true, .live = true };

struct feeder {
	struct sink *sink;
	uint32_t lane, frames;
};

static void *feeder_run(void *argument)
{
	struct feeder *feeder = argument;

	helper_feed(feeder->sink, feeder->lane, 0, feeder->frames);
	sink_pcap.detach(feeder->sink);
	return NULL;
}

/* Four lanes write `frames` each, at once. */
static void lanes_run(const struct config *config, uint32_t frames, struct output_report *report)
{
	struct feeder feeders[HELPER_LANES];
	pthread_t threads[HELPER_LANES];
	struct output *output;

	assert_int_equal(sink_pcap.open(config, &from_file, &output), 0);
	for (uint32_t i = 0; i < HELPER_LANES; i++) {
		feeders[i] = (struct feeder){ .lane = i, .frames = frames };
		assert_int_equal(sink_pcap.attach(output, i, &feeders[i].sink), 0);
	}
	assert_int_equal(sink_pcap.start(output), 0);
	for (unsigned i = 0; i < HELPER_LANES; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, feeder_run, &feeders[i]), 0);
	for (unsigned i = 0; i < HELPER_LANES; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(sink_pcap.close(output, report), 1);
}

#define FRAMES 3000 /* of 800 bytes on average: five chunks */

static void pcap__when_several_lanes_write_one_file__then_each_lanes_packets_are_whole_and_in_order(void **state)
{
	(void)state;
	for (unsigned direct = 0; direct < 2; direct++) {
		struct config config = { .write_pcap = scratch_path("x.pcap"), .direct_io = direct };
		uint32_t next[HELPER_LANES] = { 0 };
		struct output_report report;
		lanes_run(&config, FRAMES, &report);
		assert_int_equal(helper_check(scratch_path("x.pcap"), next), 0);
		for (unsigned i = 0; i < HELPER_LANES; i++)
			assert_int_equal(next[i], FRAMES);
		assert_int_equal(report.records, HELPER_LANES * FRAMES);
		assert_int_equal(report.bytes, file_size(scratch_path("x.pcap")));
		assert_int_equal(report.lost, 0);
		assert_int_equal(report.files, 1);
	}
}

static void pcap__when_a_file_per_lane__then_each_has_its_own_and_the_report_names_them(void **state)
{
	static const struct {
		const char *name, *lane, *all; /* scanf's, printf's */
	} cases[] = {
		{ "x.pcap", "x.lane%u.pcap", "x.lane0-3.pcap" },
		{ "x", "x.lane%u", "x.lane0-3" },
		{ "a.b.pcap", "a.b.lane%u.pcap", "a.b.lane0-3.pcap" },
		{ ".x", ".x.lane%u", ".x.lane0-3" },
	};

	(void)state;
	for (unsigned c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		struct config config = { .write_pcap = scratch_path(cases[c].name), .pcap_per_lane = true, .direct_io = c % 2 };
		struct output_report report;
		uint64_t bytes = 0;
		lanes_run(&config, FRAMES, &report);
		for (unsigned i = 0; i < HELPER_LANES; i++) {
			uint32_t next[HELPER_LANES] = { 0 };
			char name[64];
			snprintf(name, sizeof(name), cases[c].lane, i);
			assert_int_equal(helper_check(scratch_path(name), next), 0);
			for (unsigned j = 0; j < HELPER_LANES; j++)
				assert_int_equal(next[j], i == j ? FRAMES : 0);
			bytes += (uint64_t)file_size(scratch_path(name));
		}
		assert_false(file_exists(scratch_path(cases[c].name)));
		assert_string_equal(report.path, scratch_path(cases[c].all));
		assert_int_equal(report.files, HELPER_LANES);
		assert_int_equal(report.records, HELPER_LANES * FRAMES);
		assert_int_equal(report.bytes, bytes);
	}
}

static void pcap__when_a_file_per_lane_rotates__then_each_lane_has_a_row_of_its_own(void **state)
{
	(void)state;
	for (unsigned direct = 0; direct < 2; direct++) {
		struct config config = { .write_pcap = scratch_path("x.pcap"),
			.pcap_per_lane = true,
			.direct_io = direct,
			.write_pcap_rotate_bytes = 300000 };
		struct output_report report;
		unsigned files = 0;
		lanes_run(&config, FRAMES, &report);
		for (unsigned i = 0; i < HELPER_LANES; i++) {
			uint32_t next[HELPER_LANES] = { 0 };
			for (unsigned index = 1;; index++, files++) {
				char name[64];
				snprintf(name, sizeof(name), "x.lane%u.%06u.pcap", i, index);
				if (!file_exists(scratch_path(name)))
					break;
				assert_int_equal(helper_check(scratch_path(name), next), 0);
				assert_in_range(file_size(scratch_path(name)), 24, 300000 + 16 + HELPER_FRAME_MAX);
				unlink(scratch_path(name));
			}
			assert_int_equal(next[i], FRAMES);
		}
		assert_int_equal(report.files, files);
		assert_true(files >= 7 * HELPER_LANES);
		assert_string_equal(report.path, scratch_path("x.lane0-3.*.pcap"));
	}
}

static void pcap__when_direct__then_byte_for_byte_what_it_is_without(void **state)
{
	static const uint64_t rotate[] = { 0, 1, 4096, 100000, 5000000 };

	(void)state;
	for (unsigned i = 0; i < sizeof(rotate) / sizeof(rotate[0]); i++) {
		struct output_report reports[2];
		struct output *output;
		struct sink *sink;
		for (unsigned direct = 0; direct < 2; direct++) {
			struct config config = { .write_pcap = scratch_path(direct ? "direct" : "cached"),
				.direct_io = direct,
				.write_pcap_rotate_bytes = rotate[i] };
			assert_int_equal(sink_pcap.open(&config, &from_file, &output), 0);
			assert_int_equal(sink_pcap.attach(output, 0, &sink), 0);
			assert_int_equal(sink_pcap.start(output), 0);
			helper_feed(sink, 0, 0, rotate[i] == 1 ? 100 : 10000);
			sink_pcap.detach(sink);
			assert_int_equal(sink_pcap.close(output, &reports[direct]), 1);
		}
		assert_int_equal(reports[0].files, reports[1].files);
		assert_int_equal(reports[0].records, reports[1].records);
		assert_int_equal(reports[0].bytes, reports[1].bytes);
		for (unsigned index = 1; index <= reports[0].files; index++) {
			char cached[64] = "cached", direct[64] = "direct";
			size_t bytes[2] = { 0 };
			if (rotate[i]) {
				snprintf(cached, sizeof(cached), "cached.%06u", index);
				snprintf(direct, sizeof(direct), "direct.%06u", index);
			}
			char *text = file_read(scratch_path(cached), &bytes[0]),
			     *other = file_read(scratch_path(direct), &bytes[1]);
			assert_non_null(text);
			assert_non_null(other);
			assert_int_equal(bytes[0], bytes[1]);
			assert_memory_equal(text, other, bytes[0]);
			free(text);
			free(other);
			unlink(scratch_path(cached));
			unlink(scratch_path(direct));
		}
	}
}

static void pcap_tick__when_packets_have_waited_half_a_second__then_they_are_in_the_file(void **state)
{
	(void)state;
	for (unsigned direct = 0; direct < 2; direct++) {
		struct config config = { .write_pcap = scratch_path("x.pcap"), .direct_io = direct };
		uint32_t next[HELPER_LANES] = { 0 };
		struct output_report report;
		struct output *output;
		struct sink *sink;
		assert_int_equal(sink_pcap.open(&config, &from_wire, &output), 0);
		assert_int_equal(sink_pcap.attach(output, 0, &sink), 0);
		assert_int_equal(sink_pcap.start(output), 0);
		sink_pcap.tick(sink, 1000000000); /* nothing to do yet */
		for (uint32_t round = 0; round < 3; round++) {
			uint64_t now_ns = (2 + (uint64_t)round) * 1000000000;
			helper_feed(sink, 0, 10 * round, 10);
			sink_pcap.tick(sink, now_ns);
			off_t before = file_size(scratch_path("x.pcap"));
			sink_pcap.tick(sink, now_ns + 499999999);
			sink_pcap.tick(sink, now_ns + 500000000);
			WAIT_FOR(file_size(scratch_path("x.pcap")) > before);
			/* The tail of a direct file comes in a second step. */
			WAIT_FOR((memset(next, 0, sizeof(next)),
				helper_check(scratch_path("x.pcap"), next) == 0 && next[0] == 10 * (round + 1)));
		}
		sink_pcap.detach(sink);
		assert_int_equal(sink_pcap.close(output, &report), 1);
		assert_int_equal(report.records, 30);
	}
}

struct drain {
	int fd;
	uint8_t *bytes;
	size_t size;
};

/* Reads a pipe to its end, which is when the writer closes it. */
static void *drain_run(void *argument)
{
	struct drain *drain = argument;
	ssize_t n;

	while ((n = read(drain->fd, drain->bytes + drain->size, 1 << 20)) > 0)
		drain->size += (size_t)n;
	return NULL;
}

#define SLOW_FRAMES 100000 /* 80 MB; a lane has 32 MiB of chunks */

/* A pipe that nobody reads from is a disk that has come to a halt. */
static void pcap__when_live_and_the_disk_is_slow__then_what_has_no_place_is_left_out_and_said_once(void **state)
{
	struct config config = { .write_pcap = scratch_path("x.pcap") };
	struct drain drain = { .bytes = malloc((size_t)80 << 20) };
	size_t at = sizeof(struct pcap_file_header);
	struct output_report report;
	struct output *output;
	struct sink *sink;
	uint64_t records = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(mkfifo(scratch_path("x.pcap"), 0600), 0);
	drain.fd = open(scratch_path("x.pcap"), O_RDONLY | O_NONBLOCK);
	assert_int_equal(sink_pcap.open(&config, &from_wire, &output), 0);
	assert_int_equal(fcntl(drain.fd, F_SETFL, O_RDONLY), 0);
	assert_int_equal(sink_pcap.attach(output, 0, &sink), 0);
	assert_int_equal(sink_pcap.start(output), 0);
	helper_feed(sink, 0, 0, SLOW_FRAMES);
	/* Now it goes on: all that found a place comes out, whole. */
	assert_int_equal(pthread_create(&thread, NULL, drain_run, &drain), 0);
	messages_begin();
	sink_pcap.detach(sink);
	assert_int_equal(sink_pcap.close(output, &report), 1);
	char *messages = messages_end();
	pthread_join(thread, NULL);
	for (; at < drain.size; records++) {
		struct pcap_record_header record;
		memcpy(&record, drain.bytes + at, sizeof(record));
		at += sizeof(record) + record.cap_len;
	}
	assert_int_equal(at, drain.size);
	assert_int_equal(report.records, records);
	assert_int_equal(report.records + report.lost, SLOW_FRAMES);
	assert_in_range(report.lost, SLOW_FRAMES / 3, SLOW_FRAMES * 2 / 3);
	assert_int_equal(report.error, 0);
	assert_int_equal(count_of(messages, "\n"), 1);
	assert_non_null(strstr(messages, "the disk was too slow"));
	free(messages);
	free(drain.bytes);
	close(drain.fd);
}

static void pcap__when_the_disk_is_full__then_a_valid_file_and_every_packet_accounted_for(void **state)
{
	(void)state;
	for (unsigned direct = 0; direct < 2; direct++) {
		struct config config = { .write_pcap = scratch_path("x.pcap"), .direct_io = direct };
		void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
		uint32_t next[HELPER_LANES] = { 0 };
		struct output_report report;
		struct rlimit before, limit;
		struct output *output;
		struct sink *sink;
		assert_int_equal(sink_pcap.open(&config, &from_file, &output), 0);
		assert_int_equal(sink_pcap.attach(output, 0, &sink), 0);
		assert_int_equal(sink_pcap.start(output), 0);
		messages_begin();
		getrlimit(RLIMIT_FSIZE, &before);
		limit = before;
		limit.rlim_cur = 2000000; /* three chunks, and a part of the fourth */
		setrlimit(RLIMIT_FSIZE, &limit);
		helper_feed(sink, 0, 0, 10000);
		sink_pcap.detach(sink);
		assert_int_equal(sink_pcap.close(output, &report), 1);
		setrlimit(RLIMIT_FSIZE, &before);
		signal(SIGXFSZ, handler);
		char *messages = messages_end();
		assert_int_equal(helper_check(scratch_path("x.pcap"), next), 0);
		assert_int_equal(report.records, next[0]);
		assert_int_equal(report.records + report.lost, 10000);
		assert_in_range(report.bytes, 3 * 500000, 2000000);
		assert_int_equal(report.bytes, file_size(scratch_path("x.pcap")));
		assert_int_equal(report.error, -EFBIG);
		assert_int_equal(count_of(messages, "cannot write"), 1);
		assert_int_equal(count_of(messages, "too slow"), 0);
		free(messages);
	}
}

static void pcap_attach__when_a_lanes_file_cannot_be_made__then_the_error_is_said(void **state)
{
	struct config config = { .write_pcap = scratch_path("x.pcap"), .pcap_per_lane = true };
	struct output *output;
	struct sink *sink;

	(void)state;
	assert_int_equal(sink_pcap.open(&config, &from_wire, &output), 0);
	assert_int_equal(mkdir(scratch_path("x.lane1.pcap"), 0700), 0);
	assert_int_equal(sink_pcap.attach(output, 0, &sink), 0);
	assert_int_equal(sink_pcap.start(output), 0);
	messages_begin();
	struct sink *second = NULL;
	assert_int_equal(sink_pcap.attach(output, 1, &second), -EISDIR);
	char *messages = messages_end();
	assert_null(second);
	assert_int_equal(count_of(messages, "\n"), 1);
	assert_non_null(strstr(messages, "x.lane1.pcap"));
	free(messages);
	sink_pcap.detach(sink);
	assert_int_equal(sink_pcap.close(output, NULL), 0);
	assert_false(file_exists(scratch_path("x.lane0.pcap")));
}

static void pcap_reopen__when_a_file_per_lane_was_moved__then_each_goes_on_in_a_new_one(void **state)
{
	(void)state;
	for (unsigned direct = 0; direct < 2; direct++) {
		struct config config = { .write_pcap = scratch_path("x.pcap"), .pcap_per_lane = true, .direct_io = direct };
		uint32_t next[HELPER_LANES] = { 0 };
		struct output_report report;
		struct output *output;
		struct sink *sinks[2];
		assert_int_equal(sink_pcap.open(&config, &from_wire, &output), 0);
		assert_int_equal(sink_pcap.start(output), 0); /* files of lanes may also come while it runs */
		for (uint32_t i = 0; i < 2; i++) {
			assert_int_equal(sink_pcap.attach(output, i, &sinks[i]), 0);
			helper_feed(sinks[i], i, 0, 1000);
			sink_pcap.tick(sinks[i], 1);
			sink_pcap.tick(sinks[i], 1000000000);
		}
		/* Both chunks are in the files before these are moved. */
		WAIT_FOR((memset(next, 0, sizeof(next)), helper_check(scratch_path("x.lane0.pcap"), next) == 0 && next[0] == 1000));
		WAIT_FOR((memset(next, 0, sizeof(next)), helper_check(scratch_path("x.lane1.pcap"), next) == 0 && next[1] == 1000));
		rename(scratch_path("x.lane0.pcap"), scratch_path("moved0"));
		rename(scratch_path("x.lane1.pcap"), scratch_path("moved1"));
		sink_pcap.reopen(output);
		for (uint32_t i = 0; i < 2; i++) {
			helper_feed(sinks[i], i, 1000, 500);
			sink_pcap.detach(sinks[i]);
		}
		assert_int_equal(sink_pcap.close(output, &report), 1);
		memset(next, 0, sizeof(next));
		assert_int_equal(helper_check(scratch_path("moved0"), next), 0);
		assert_int_equal(helper_check(scratch_path("moved1"), next), 0);
		assert_int_equal(next[0], 1000);
		assert_int_equal(helper_check(scratch_path("x.lane0.pcap"), next), 0);
		assert_int_equal(helper_check(scratch_path("x.lane1.pcap"), next), 0);
		assert_int_equal(next[0], 1500);
		assert_int_equal(next[1], 1500);
		assert_int_equal(report.records, 3000);
	}
}

/* Files that follow each other: nothing has to be moved away, and one without packets is not left for the next. */
static void pcap_reopen__when_files_follow_each_other__then_the_next_one_begins(void **state)
{
	(void)state;
	for (unsigned direct = 0; direct < 2; direct++) {
		struct config config = { .write_pcap = strdup(scratch_path(direct ? "d.pcap" : "x.pcap")),
			.write_pcap_rotate_bytes = 1u << 30,
			.direct_io = direct };
		uint32_t next[HELPER_LANES] = { 0 };
		struct output_report report;
		struct output *output;
		struct sink *sink;
		char name[32];
		assert_int_equal(sink_pcap.open(&config, &from_wire, &output), 0);
		assert_int_equal(sink_pcap.start(output), 0);
		assert_int_equal(sink_pcap.attach(output, 0, &sink), 0);
		sink_pcap.reopen(output); /* there is none yet */
		for (uint32_t i = 0; i < 3; i++) {
			snprintf(name, sizeof(name), "%c.%06u.pcap", direct ? 'd' : 'x', i + 1);
			assert_false(file_exists(scratch_path(name)));
			helper_feed(sink, 0, 1000 * i, 1000);
			sink_pcap.tick(sink, 1 + i * 2000000000ull);
			sink_pcap.tick(sink, 1 + i * 2000000000ull + 1000000000);
			uint32_t sofar = 1000 * i;
			WAIT_FOR((next[0] = sofar, file_size(scratch_path(name)) > 24 &&
							   helper_check(scratch_path(name), next) == 0 && next[0] == sofar + 1000));
			sink_pcap.reopen(output);
			sink_pcap.reopen(output); /* a file without packets would be between */
		}
		sink_pcap.detach(sink);
		assert_int_equal(sink_pcap.close(output, &report), 1);
		assert_int_equal(report.records, 3000);
		assert_int_equal(report.files, 3);
		assert_int_equal(report.error, 0);
		next[0] = 2000;
		assert_int_equal(helper_check(scratch_path(name), next), 0);
		assert_int_equal(next[0], 3000);
		snprintf(name, sizeof(name), "%c.000004.pcap", direct ? 'd' : 'x');
		assert_false(file_exists(scratch_path(name)));
		free((char *)(uintptr_t)config.write_pcap);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pcap__when_several_lanes_write_one_file__then_each_lanes_packets_are_whole_and_in_order),
		TEST(pcap__when_a_file_per_lane__then_each_has_its_own_and_the_report_names_them),
		TEST(pcap__when_a_file_per_lane_rotates__then_each_lane_has_a_row_of_its_own),
		TEST(pcap__when_direct__then_byte_for_byte_what_it_is_without),
		TEST(pcap_tick__when_packets_have_waited_half_a_second__then_they_are_in_the_file),
		TEST(pcap__when_live_and_the_disk_is_slow__then_what_has_no_place_is_left_out_and_said_once),
		TEST(pcap__when_the_disk_is_full__then_a_valid_file_and_every_packet_accounted_for),
		TEST(pcap_attach__when_a_lanes_file_cannot_be_made__then_the_error_is_said),
		TEST(pcap_reopen__when_a_file_per_lane_was_moved__then_each_goes_on_in_a_new_one),
		TEST(pcap_reopen__when_files_follow_each_other__then_the_next_one_begins),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
