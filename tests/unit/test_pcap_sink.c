#include "sink_helper.h"

#include <errno.h>

#include "flowlane/pcap_format.h"

extern const struct sink_ops sink_pcap;

static const struct source_info ethernet = { .link = LINK_ETHERNET, .snaplen = 65535 };

/* A packet of `length` bytes, all different from their neighbours, in memory of exactly that size. free(data) it. */
static struct frame frame_make(uint64_t ts_ns, uint32_t length)
{
	uint8_t *data = malloc(length ? length : 1);

	for (uint32_t i = 0; i < length; i++)
		data[i] = (uint8_t)(i + length);
	return (struct frame){ .data = data, .ts_ns = ts_ns, .cap_len = length, .wire_len = length, .link = LINK_ETHERNET };
}

static int run_frames(const struct config *config, const struct source_info *info, const struct frame *frames, unsigned n,
	struct output_report *report)
{
	struct output *output;
	struct sink *sink;
	int error = sink_pcap.open(config, info, &output);

	if (error)
		return error;
	assert_int_equal(sink_pcap.attach(output, 0, &sink), 0);
	assert_int_equal(sink_pcap.start(output), 0);
	for (unsigned i = 0; i < n; i += FLOWLANE_BATCH)
		sink_pcap.frames(sink, frames + i, n - i < FLOWLANE_BATCH ? n - i : FLOWLANE_BATCH);
	sink_pcap.detach(sink);
	assert_int_equal(sink_pcap.close(output, report), 1);
	return 0;
}

struct capture {
	char *bytes; /* free() it */
	size_t size;
	struct pcap_file_header header;
	unsigned records;
	struct pcap_record_header record[2048];
	const uint8_t *data[2048];
};

/* Reads a capture back, and fails if it does not end with a whole record. */
static void capture_read(const char *path, struct capture *capture)
{
	memset(capture, 0, sizeof(*capture));
	capture->bytes = file_read(path, &capture->size);
	assert_non_null(capture->bytes);
	assert_true(capture->size >= sizeof(capture->header));
	memcpy(&capture->header, capture->bytes, sizeof(capture->header));
	for (size_t at = sizeof(capture->header); at < capture->size; capture->records++) {
		struct pcap_record_header *record = &capture->record[capture->records];
		assert_true(at + sizeof(*record) <= capture->size);
		memcpy(record, capture->bytes + at, sizeof(*record));
		capture->data[capture->records] = (const uint8_t *)capture->bytes + at + sizeof(*record);
		at += sizeof(*record) + record->cap_len;
		assert_true(at <= capture->size);
	}
}

static void pcap__when_precision_is_chosen__then_magic_and_fractions_agree(void **state)
{
	static const struct {
		uint8_t precision;
		bool input_ns;
		uint32_t magic, fraction;
	} cases[] = {
		{ 0, false, PCAP_MAGIC_US, 123456 },
		{ 0, true, PCAP_MAGIC_NS, 123456789 },
		{ 6, true, PCAP_MAGIC_US, 123456 },
		{ 9, false, PCAP_MAGIC_NS, 123456789 },
	};
	struct frame frame = frame_make(1706123400123456789, 60);
	struct output_report report;
	struct capture capture;

	(void)state;
	frame.wire_len = 1500;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config config = { .write_pcap = scratch_path("x.pcap"), .pcap_precision = cases[i].precision };
		struct source_info info = ethernet;
		info.nanoseconds = cases[i].input_ns;
		assert_int_equal(run_frames(&config, &info, &frame, 1, &report), 0);
		capture_read(scratch_path("x.pcap"), &capture);
		assert_int_equal(capture.header.magic, cases[i].magic);
		assert_int_equal(capture.header.version_major, 2);
		assert_int_equal(capture.header.version_minor, 4);
		assert_int_equal(capture.header.snaplen, 65535);
		assert_int_equal(capture.header.network, LINK_ETHERNET);
		assert_int_equal(capture.records, 1);
		assert_int_equal(capture.record[0].seconds, 1706123400);
		assert_int_equal(capture.record[0].fraction, cases[i].fraction);
		assert_int_equal(capture.record[0].cap_len, 60);
		assert_int_equal(capture.record[0].wire_len, 1500);
		assert_memory_equal(capture.data[0], frame.data, 60);
		assert_int_equal(report.records, 1);
		assert_int_equal(report.bytes, 24 + 16 + 60);
		assert_int_equal(report.lost, 0);
		assert_int_equal(report.files, 1);
		assert_string_equal(report.name, "pcap");
		assert_string_equal(report.path, scratch_path("x.pcap"));
		free(capture.bytes);
	}
	free((void *)(uintptr_t)frame.data);
}

static void pcap__when_snaplen__then_packets_are_cut_and_keep_their_wire_length(void **state)
{
	static const struct {
		uint32_t wanted, input, header, cap_len;
	} cases[] = {
		{ 0, 65535, 65535, 200 }, { 96, 65535, 96, 96 }, { 200, 65535, 200, 200 }, { 96, 0, 96, 96 },
		{ 0, 0, PCAP_CAP_LEN_MAX, 200 },
		{ 1000, 128, 128, 200 }, /* an input that lies about its snaplen is copied as it is */
	};
	struct frame frame = frame_make(1000000000, 200);
	struct output_report report;
	struct capture capture;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config config = { .write_pcap = scratch_path("x.pcap"), .snaplen = cases[i].wanted };
		struct source_info info = ethernet;
		info.snaplen = cases[i].input;
		assert_int_equal(run_frames(&config, &info, &frame, 1, &report), 0);
		capture_read(scratch_path("x.pcap"), &capture);
		assert_int_equal(capture.header.snaplen, cases[i].header);
		assert_int_equal(capture.record[0].cap_len, cases[i].cap_len);
		assert_int_equal(capture.record[0].wire_len, 200);
		free(capture.bytes);
	}
	free((void *)(uintptr_t)frame.data);
}

static void pcap__when_hardware_took_the_tag_out__then_it_is_back_in_ethernet_frames(void **state)
{
	static const uint8_t tag[4] = { 0x88, 0xa8, 0x20, 0x07 };
	static const struct {
		const char *name;
		uint16_t link;
		uint32_t length, snaplen, cap_len, wire_len;
	} cases[] = {
		{ "whole", LINK_ETHERNET, 60, 0, 64, 64 },
		{ "cut behind the tag", LINK_ETHERNET, 60, 40, 40, 64 },
		{ "cut inside the tag", LINK_ETHERNET, 60, 14, 14, 64 },
		{ "addresses alone", LINK_ETHERNET, 12, 0, 16, 16 },
		{ "too short for a tag", LINK_ETHERNET, 11, 0, 11, 11 },
		{ "no Ethernet", LINK_LINUX_SLL, 60, 0, 60, 60 },
	};
	struct output_report report;
	struct capture capture;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config config = { .write_pcap = scratch_path("x.pcap"), .snaplen = cases[i].snaplen };
		struct source_info info = ethernet;
		struct frame frame = frame_make(1000000000, cases[i].length);
		uint8_t expected[64];
		bool tagged = cases[i].wire_len != cases[i].length;
		info.link = frame.link = cases[i].link;
		frame.vlan_tpid = 0x88a8;
		frame.vlan_tci = 0x2007;
		memcpy(expected, frame.data, cases[i].length);
		if (tagged) {
			memcpy(expected + 12, tag, 4);
			memcpy(expected + 16, frame.data + 12, cases[i].length - 12);
		}
		assert_int_equal(run_frames(&config, &info, &frame, 1, &report), 0);
		capture_read(scratch_path("x.pcap"), &capture);
		if (capture.record[0].cap_len != cases[i].cap_len || capture.record[0].wire_len != cases[i].wire_len)
			fail_msg("%s: %u of %u bytes", cases[i].name, capture.record[0].cap_len, capture.record[0].wire_len);
		assert_memory_equal(capture.data[0], expected, cases[i].cap_len);
		free(capture.bytes);
		free((void *)(uintptr_t)frame.data);
	}
}

static void pcap__when_there_are_no_packets__then_a_header_alone(void **state)
{
	struct config config = { .write_pcap = scratch_path("x.pcap") };
	struct output_report report;
	struct capture capture;

	(void)state;
	assert_int_equal(run_frames(&config, &ethernet, NULL, 0, &report), 0);
	capture_read(scratch_path("x.pcap"), &capture);
	assert_int_equal(capture.size, 24);
	assert_int_equal(report.bytes, 24);
	free(capture.bytes);
}

#define MANY 1500 /* of 1,000 bytes: three chunks */

static void pcap__when_packets_fill_several_chunks__then_all_are_there_in_order(void **state)
{
	struct config config = { .write_pcap = scratch_path("x.pcap") };
	struct frame *frames = malloc(MANY * sizeof(*frames));
	struct frame large = frame_make(0, 1000);
	struct output_report report;
	struct capture capture;

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		frames[i] = large;
		frames[i].ts_ns = (uint64_t)i * 1000000000;
		frames[i].cap_len = i % 1001;
	}
	assert_int_equal(run_frames(&config, &ethernet, frames, MANY, &report), 0);
	capture_read(scratch_path("x.pcap"), &capture);
	assert_int_equal(capture.records, MANY);
	assert_int_equal(report.bytes, capture.size);
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(capture.record[i].seconds, i);
		assert_int_equal(capture.record[i].cap_len, i % 1001);
		assert_memory_equal(capture.data[i], large.data, i % 1001);
	}
	free(capture.bytes);
	free((void *)(uintptr_t)large.data);
	free(frames);
}

static void pcap__when_a_packet_is_longer_than_readers_take__then_cut_to_what_they_do(void **state)
{
	struct config config = { .write_pcap = scratch_path("x.pcap") };
	struct source_info info = { .link = LINK_ETHERNET, .snaplen = 1000000 };
	struct frame frames[3] = { frame_make(0, 300000), frame_make(0, PCAP_CAP_LEN_MAX), frame_make(0, 1) };
	struct output_report report;
	struct capture capture;

	(void)state;
	assert_int_equal(run_frames(&config, &info, frames, 3, &report), 0);
	capture_read(scratch_path("x.pcap"), &capture);
	assert_int_equal(capture.records, 3);
	assert_int_equal(capture.record[0].cap_len, PCAP_CAP_LEN_MAX);
	assert_int_equal(capture.record[0].wire_len, 300000);
	assert_int_equal(capture.record[1].cap_len, PCAP_CAP_LEN_MAX);
	assert_int_equal(capture.record[2].cap_len, 1);
	free(capture.bytes);
	for (unsigned i = 0; i < 3; i++)
		free((void *)(uintptr_t)frames[i].data);
}

/* Ten packets of 84 bytes, 16 + 84 in the file, a second apart. */
static int run_rotating(struct config *config, struct output_report *report)
{
	struct frame frame = frame_make(1000000000, 84), frames[10];

	config->write_pcap = scratch_path("x.pcap");
	for (unsigned i = 0; i < 10; i++) {
		frames[i] = frame;
		frames[i].ts_ns = (1000 + (uint64_t)i) * 1000000000;
	}
	int error = run_frames(config, &ethernet, frames, 10, report);
	free((void *)(uintptr_t)frame.data);
	return error;
}

static unsigned count_records(const char *name)
{
	struct capture capture;

	capture_read(scratch_path(name), &capture);
	free(capture.bytes);
	return capture.records;
}

static void pcap__when_rotating_by_size__then_a_file_ends_with_the_packet_that_fills_it(void **state)
{
	static const struct {
		uint64_t bytes;
		unsigned files, first, last;
	} cases[] = {
		{ 424, 3, 4, 2 }, /* 24 + 4 * 100: full with the fourth */
		{ 425, 2, 5, 5 },
		{ 224, 5, 2, 2 }, /* no empty file behind the last */
		{ 1, 10, 1, 1 },
		{ 100000, 1, 10, 10 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config config = { .write_pcap_rotate_bytes = cases[i].bytes };
		struct output_report report;
		char name[32], next[32], expected[512];
		assert_int_equal(run_rotating(&config, &report), 0);
		snprintf(name, sizeof(name), "x.%06u.pcap", cases[i].files);
		snprintf(next, sizeof(next), "x.%06u.pcap", cases[i].files + 1);
		assert_int_equal(count_records("x.000001.pcap"), cases[i].first);
		assert_int_equal(count_records(name), cases[i].last);
		assert_false(file_exists(scratch_path(next)));
		assert_false(file_exists(scratch_path("x.pcap")));
		assert_int_equal(report.files, cases[i].files);
		assert_int_equal(report.records, 10);
		assert_int_equal(report.bytes, 10 * 100 + cases[i].files * 24);
		if (cases[i].files > 1)
			snprintf(expected, sizeof(expected), "%s/x.000001-%06u.pcap", scratch, cases[i].files);
		else
			snprintf(expected, sizeof(expected), "%s/x.000001.pcap", scratch);
		assert_string_equal(report.path, expected);
		for (unsigned j = 1; j <= cases[i].files; j++) {
			snprintf(name, sizeof(name), "x.%06u.pcap", j);
			unlink(scratch_path(name));
		}
	}
}

static void pcap__when_rotating_by_time__then_by_packet_time_from_each_files_first(void **state)
{
	struct config config = { .write_pcap_rotate_ns = 4000000000 };
	struct output_report report;

	(void)state;
	assert_int_equal(run_rotating(&config, &report), 0);
	assert_int_equal(report.files, 3);
	assert_int_equal(count_records("x.000001.pcap"), 4);
	assert_int_equal(count_records("x.000002.pcap"), 4);
	assert_int_equal(count_records("x.000003.pcap"), 2);
}

static void pcap__when_earlier_runs_left_files__then_they_are_adopted_and_the_oldest_go(void **state)
{
	static const char *const others[] = { "x.00001.pcap", "x.000009.pcapng", "y.000009.pcap", "x.pcap", "x.0000a9.pcap",
		"x.000009.pcap.bak" };
	struct config config = { .write_pcap_rotate_bytes = 424, .write_pcap_max_files = 4 };
	struct output_report report;

	(void)state;
	file_write(scratch_path("x.000003.pcap"), "");
	file_write(scratch_path("x.000005.pcap"), "");
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		file_write(scratch_path(others[i]), "");
	assert_int_equal(run_rotating(&config, &report), 0);
	assert_false(file_exists(scratch_path("x.000003.pcap")));
	assert_true(file_exists(scratch_path("x.000005.pcap")));
	assert_int_equal(count_records("x.000006.pcap"), 4);
	assert_int_equal(count_records("x.000008.pcap"), 2);
	assert_int_equal(report.files, 3);
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_true(file_exists(scratch_path(others[i])));
	config.write_pcap_max_files = 1;
	assert_int_equal(run_rotating(&config, &report), 0);
	assert_false(file_exists(scratch_path("x.000010.pcap")));
	assert_int_equal(count_records("x.000011.pcap"), 2);
}

static void pcap__when_rotating_many_times__then_only_the_newest_stay(void **state)
{
	struct config config = { .write_pcap_rotate_bytes = 1, .write_pcap_max_files = 3 };
	struct output_report report;
	char name[32];

	(void)state;
	for (unsigned run = 0; run < 5; run++)
		assert_int_equal(run_rotating(&config, &report), 0);
	for (unsigned i = 1; i <= 51; i++) {
		snprintf(name, sizeof(name), "x.%06u.pcap", i);
		assert_int_equal(file_exists(scratch_path(name)), i > 47 && i <= 50);
	}
}

static void pcap__when_rotating_without_packets__then_no_file(void **state)
{
	struct config config = { .write_pcap = scratch_path("x.pcap"), .write_pcap_rotate_bytes = 1000 };
	struct output_report report;

	(void)state;
	assert_int_equal(run_frames(&config, &ethernet, NULL, 0, &report), 0);
	assert_int_equal(report.files, 0);
	assert_int_equal(report.bytes, 0);
	assert_false(file_exists(scratch_path("x.000001.pcap")));
	assert_false(file_exists(scratch_path("x.pcap")));
}

static void pcap_open__when_it_cannot_be_done__then_a_sentence_says_why(void **state)
{
	static const struct {
		const char *path;
		int link;
		uint64_t rotate_bytes;
		int error;
		const char *reason;
	} cases[] = {
		{ "x.pcap", -1, 0, -EINVAL, "different link types" },
		{ "nowhere/x.pcap", LINK_ETHERNET, 0, -ENOENT, "create the directory" },
		{ "nowhere/x.pcap", LINK_ETHERNET, 1000, -ENOENT, "directory must exist" },
		{ "/dev/full", LINK_ETHERNET, 0, -ENOSPC, "No space left" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[600];
		snprintf(path, sizeof(path), "%s", cases[i].path[0] == '/' ? cases[i].path : scratch_path(cases[i].path));
		struct config config = { .write_pcap = path, .write_pcap_rotate_bytes = cases[i].rotate_bytes };
		struct source_info info = { .link = cases[i].link };
		struct output *output = NULL;
		messages_begin();
		int error = sink_pcap.open(&config, &info, &output);
		char *messages = messages_end();
		assert_int_equal(error, cases[i].error);
		assert_null(output);
		assert_int_equal(count_of(messages, "\n"), 1);
		assert_non_null(strstr(messages, cases[i].reason));
		assert_non_null(strstr(messages, path));
		free(messages);
	}
}

static void pcap__when_a_segment_cannot_be_made__then_the_rest_is_counted_as_lost(void **state)
{
	struct config config = { .write_pcap_rotate_bytes = 424 };
	struct output_report report;

	(void)state;
	struct frame frame = frame_make(0, 84);
	struct output *output;
	struct sink *sink;
	config.write_pcap = scratch_path("x.pcap");
	assert_int_equal(sink_pcap.open(&config, &ethernet, &output), 0);
	assert_int_equal(symlink("/dev/full", scratch_path("x.000002.pcap")), 0); /* the second one meets a full disk */
	assert_int_equal(sink_pcap.attach(output, 0, &sink), 0);
	assert_int_equal(sink_pcap.start(output), 0);
	for (unsigned i = 0; i < 10; i++)
		sink_pcap.frames(sink, &frame, 1);
	messages_begin();
	sink_pcap.detach(sink);
	assert_int_equal(sink_pcap.close(output, &report), 1);
	char *messages = messages_end();
	assert_int_equal(report.records, 4);
	assert_int_equal(report.lost, 6);
	assert_int_equal(report.error, -ENOSPC);
	assert_int_equal(report.bytes, 424);
	assert_int_equal(count_of(messages, "\n"), 1);
	assert_int_equal(count_records("x.000001.pcap"), 4);
	free(messages);
	free((void *)(uintptr_t)frame.data);
}

static void pcap__when_reopened_after_a_move__then_the_new_file_is_a_capture_too(void **state)
{
	struct config config = { .write_pcap = scratch_path("x.pcap") };
	struct frame frame = frame_make(0, 84);
	struct output_report report;
	struct output *output;
	struct sink *sink;

	(void)state;
	assert_int_equal(sink_pcap.open(&config, &ethernet, &output), 0);
	assert_int_equal(sink_pcap.attach(output, 0, &sink), 0);
	assert_int_equal(sink_pcap.start(output), 0);
	assert_int_equal(rename(scratch_path("x.pcap"), scratch_path("moved.pcap")), 0);
	sink_pcap.reopen(output);
	sink_pcap.frames(sink, &frame, 1);
	sink_pcap.detach(sink);
	assert_int_equal(sink_pcap.close(output, &report), 1);
	assert_int_equal(count_records("moved.pcap"), 0);
	assert_int_equal(count_records("x.pcap"), 1);
	free((void *)(uintptr_t)frame.data);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_make, scratch_remove)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pcap__when_precision_is_chosen__then_magic_and_fractions_agree),
		TEST(pcap__when_snaplen__then_packets_are_cut_and_keep_their_wire_length),
		TEST(pcap__when_hardware_took_the_tag_out__then_it_is_back_in_ethernet_frames),
		TEST(pcap__when_there_are_no_packets__then_a_header_alone),
		TEST(pcap__when_packets_fill_several_chunks__then_all_are_there_in_order),
		TEST(pcap__when_a_packet_is_longer_than_readers_take__then_cut_to_what_they_do),
		TEST(pcap__when_rotating_by_size__then_a_file_ends_with_the_packet_that_fills_it),
		TEST(pcap__when_rotating_by_time__then_by_packet_time_from_each_files_first),
		TEST(pcap__when_earlier_runs_left_files__then_they_are_adopted_and_the_oldest_go),
		TEST(pcap__when_rotating_many_times__then_only_the_newest_stay),
		TEST(pcap__when_rotating_without_packets__then_no_file),
		TEST(pcap_open__when_it_cannot_be_done__then_a_sentence_says_why),
		TEST(pcap__when_a_segment_cannot_be_made__then_the_rest_is_counted_as_lost),
		TEST(pcap__when_reopened_after_a_move__then_the_new_file_is_a_capture_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
