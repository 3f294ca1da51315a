/* One capture file: every variant of the format, every way it can be broken. Several files: test_pcap_set.c. */
#include "capture_builder.h"

#include <pthread.h>

#define T0 (UINT64_C(1700000000) * SECOND_NS)

static void open__each_byte_order_and_unit__same_frames(void **state)
{
	static const struct {
		const char *name;
		bool big_endian;
		uint64_t unit_ns;
	} cases[] = {
		{ "little-endian us", false, 1000 },
		{ "little-endian ns", false, 1 },
		{ "big-endian us", true, 1000 },
		{ "big-endian ns", true, 1 },
	};
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct capture capture = { .big_endian = cases[i].big_endian, .unit_ns = cases[i].unit_ns };
		struct drained got;

		capture_header(&capture, 1234, LINK_ETHERNET);
		capture_record(&capture, T0 + 123456000, 60, 1500);
		capture_record(&capture, UINT64_C(4294967295) * SECOND_NS + 999999000, 0, 0);
		capture_record(&capture, 5000, 61, 7); /* wire length below the captured one: as it is */
		assert_int_equal(file_drain(capture_write(&capture, cases[i].name), &got), 0);
		assert_int_equal(got.end, SOURCE_END);
		assert_int_equal(got.count, 3);
		assert_int_equal(got.frames[0].ts_ns, T0 + 123456000);
		assert_int_equal(got.frames[0].cap_len, 60);
		assert_int_equal(got.frames[0].wire_len, 1500);
		assert_int_equal(got.frames[0].link, LINK_ETHERNET);
		assert_int_equal(got.frames[0].vlan_tpid, 0);
		assert_int_equal(got.frames[1].ts_ns, UINT64_C(4294967295) * SECOND_NS + 999999000);
		assert_int_equal(got.frames[1].cap_len, 0);
		assert_int_equal(got.frames[2].wire_len, 7);
		assert_int_equal(got.info.snaplen, 1234);
		assert_int_equal(got.info.link, LINK_ETHERNET);
		assert_int_equal(got.info.nanoseconds, cases[i].unit_ns == 1);
		assert_false(got.info.live);
		assert_string_equal(capture_said, "");
		free(got.frames);
	}
}

static void rx_batch__fraction_beyond_a_second__adds_up(void **state)
{
	struct capture capture = capture_new();
	struct drained got;
	(void)state;

	capture_add_u32(&capture, 10);
	capture_add_u32(&capture, 2500000);
	capture_add_u32(&capture, 0);
	capture_add_u32(&capture, 0);
	assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
	assert_int_equal(got.frames[0].ts_ns, UINT64_C(12500000000));
	free(got.frames);
}

static void open__header_only__no_packets(void **state)
{
	struct capture capture = capture_new();
	struct drained got;
	(void)state;

	assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
	assert_int_equal(got.count, 0);
	assert_int_equal(got.end, SOURCE_END);
	assert_false(got.stats.truncated);
	assert_string_equal(capture_said, "");
}

static void open__link_types__read_or_named(void **state)
{
	static const struct {
		const char *name;
		uint32_t network;
		int link; /* -1: refused */
		const char *said;
	} cases[] = {
		{ "null", 0, LINK_NULL, "" },
		{ "ethernet", 1, LINK_ETHERNET, "" },
		{ "ethernet with FCS length", 0x24000001, LINK_ETHERNET, "" },
		{ "reserved bits", 0x00300001, -1, "has link type 3145729 (unknown)" },
		{ "raw 12", 12, LINK_RAW, "" },
		{ "raw 14", 14, LINK_RAW, "" },
		{ "raw", 101, LINK_RAW, "" },
		{ "loop", 108, LINK_LOOP, "" },
		{ "sll", 113, LINK_LINUX_SLL, "" },
		{ "ipv4", 228, LINK_IPV4, "" },
		{ "ipv6", 229, LINK_IPV6, "" },
		{ "sll2", 276, LINK_LINUX_SLL2, "" },
		{ "wifi", 105, -1, "has link type 105 (IEEE802_11), which flowlane does not read; it reads Ethernet (1)" },
		{ "slip", 102, -1, "link type 102 (SLIP_BSDOS)" },
		{ "none", 60000, -1, "link type 60000 (unknown)" },
	};
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct capture capture = { .unit_ns = 1000 };
		struct drained got;

		capture_header(&capture, 65535, cases[i].network);
		capture_record(&capture, T0, 4, 4);
		int error = file_drain(capture_write(&capture, cases[i].name), &got);
		assert_said(cases[i].said);
		assert_int_equal(error, cases[i].link < 0 ? -EPROTONOSUPPORT : 0);
		if (error)
			continue;
		assert_int_equal(got.info.link, cases[i].link);
		assert_int_equal(got.frames[0].link, cases[i].link);
		free(got.frames);
	}
}

static void open__not_a_capture__sentence(void **state)
{
	static const struct {
		const char *name;
		const char *bytes;
		size_t size;
		const char *said;
	} cases[] = {
		{ "empty", "", 0, "is empty (0 bytes)" },
		{ "one byte", "x", 1, "is not a capture file: it has only 1 bytes" },
		{ "magic only", "\xd4\xc3\xb2\xa1", 4, "cut off inside its file header (4 bytes of 24)" },
		{ "big-endian, 23 bytes", "\xa1\xb2\xc3\xd4\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 23, "(23 bytes of 24)" },
		{ "text", "the quick brown fox jumps over", 30,
			"is not a capture file: it starts with 74 68 65 20; flowlane reads pcap, pcapng, and both gzip'ed" },
		{ "zstd", "\x28\xb5\x2f\xfd\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24,
			" is compressed, but not by gzip; unpack it into a pipe: zstd -dc FILE | flowlane -r -" },
		{ "bzip2", "BZh91AY&SY\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, "bzip2 -dc FILE" },
		{ "archaic version", "\xd4\xc3\xb2\xa1\1\0\4\0\0\0\0\0\0\0\0\0\xff\xff\0\0\1\0\0\0", 24,
			"cannot be read as a capture file" },
		{ "pcapng, cut", "\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\1\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 24,
			"cut off inside its file header" },
		{ "gzip of nothing", "\x1f\x8b\x08\0\0\0\0\0\0\3\3\0\0\0\0\0\0\0\0\0", 20, "is empty (0 bytes)" },
		{ "gzip broken", "\x1f\x8b\x08\0\0\0\0\0\0\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 24,
			"the gzip data are damaged" },
	};
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *path = capture_path(cases[i].name);
		struct drained got;

		file_write(path, cases[i].bytes, cases[i].size);
		assert_int_equal(file_drain(path, &got), -EBADMSG);
		assert_said(cases[i].said);
		assert_said(path);
		assert_null(strchr(strchr(capture_said, '\n') + 1, '\n')); /* said once */
	}
}

static void open__cannot_be_opened__sentence(void **state)
{
	const char *missing = capture_path("missing");
	const char *const twice[] = { "-", "-" };
	struct drained got;
	(void)state;

	assert_int_equal(file_drain(missing, &got), -ENOENT);
	assert_said("cannot open ");
	assert_said("No such file or directory");
	assert_int_equal(file_drain(capture_dir, &got), -EISDIR);
	assert_said("is a directory");
	assert_int_equal(files_drain(twice, 2, &got, true), -EINVAL);
	assert_said("can be read only once");
	assert_int_equal(files_drain(twice, 0, &got, true), -EINVAL);
	assert_said("no capture file");
	if (geteuid() != 0) { /* root may read everything */
		file_write(missing, "x", 1);
		chmod(missing, 0);
		assert_int_equal(file_drain(missing, &got), -EACCES);
		assert_said("Permission denied");
	}
}

static void rx_batch__cut_at_any_byte__whole_packets_and_a_warning(void **state)
{
	static const uint32_t lengths[] = { 5, 0, 33, 1 };
	struct capture capture = capture_new();
	size_t ends[4], size;
	(void)state;

	for (unsigned i = 0; i < 4; i++) {
		capture_record(&capture, T0 + i * 1000, lengths[i], lengths[i]);
		ends[i] = capture.size;
	}
	for (size = 24; size <= capture.size; size++) {
		unsigned whole = 0;
		struct drained got;
		char said[128];

		while (whole < 4 && ends[whole] <= size)
			whole++;
		bool cut = size != 24 && (whole == 0 || ends[whole - 1] != size);
		assert_int_equal(file_drain(capture_write_cut(&capture, "cut", size), &got), 0);
		assert_int_equal(got.count, whole);
		assert_int_equal(got.end, SOURCE_END);
		assert_int_equal(got.stats.truncated, cut);
		snprintf(said, sizeof(said), "cut: cut off inside packet %u at byte %zu; the %u packets before it are processed\n",
			whole + 1, size, whole);
		assert_said(cut ? said : "");
		assert_int_equal(capture_said[0] != 0, cut);
		free(got.frames);
	}
	capture_free(&capture);
}

static void rx_batch__impossible_length__earlier_frames_then_error(void **state)
{
	for (unsigned gzip = 0; gzip < 2; gzip++) {
		struct capture capture = capture_new();
		struct drained got;
		(void)state;

		capture_record(&capture, T0, PCAP_CAP_LEN_MAX, PCAP_CAP_LEN_MAX); /* the greatest that can be */
		capture_record(&capture, T0 + 1000, 10, 10);
		capture_add_u32(&capture, 1);
		capture_add_u32(&capture, 1);
		capture_add_u32(&capture, PCAP_CAP_LEN_MAX + 1);
		capture_add_u32(&capture, 1);
		capture_pattern(&capture, 0, 100000);
		if (gzip)
			capture = capture_gzip(&capture);
		assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
		assert_int_equal(got.end, -EBADMSG);
		assert_int_equal(got.count, 2);
		assert_int_equal(got.frames[0].cap_len, PCAP_CAP_LEN_MAX);
		assert_false(got.stats.truncated);
		assert_said("f: damaged at packet 3, byte 262210: it claims 262145 captured bytes");
		free(got.frames);
	}
}

/* Lengths that make records straddle the ends of blocks in every way, among them records greater than a block. */
static uint32_t odd_length(unsigned i)
{
	if (i % 97 == 0)
		return 200000 + i % 60000;
	if (i % 31 == 0)
		return PCAP_CAP_LEN_MAX - i % 40;
	return i * 7919 % 3000;
}

static struct capture capture_of_odd_lengths(unsigned packets)
{
	struct capture capture = capture_new();

	for (unsigned i = 0; i < packets; i++)
		capture_record(&capture, T0 + i * 1000, odd_length(i), i);
	return capture;
}

static void assert_odd_lengths(const struct drained *got, unsigned packets)
{
	assert_int_equal(got->end, SOURCE_END);
	assert_int_equal(got->count, packets);
	for (unsigned i = 0; i < packets; i++) {
		assert_int_equal(got->frames[i].ts_ns, T0 + i * 1000);
		assert_int_equal(got->frames[i].cap_len, odd_length(i));
		assert_int_equal(got->frames[i].wire_len, i);
	}
}

static void rx_batch__records_across_blocks__all_whole(void **state)
{
	struct capture capture = capture_of_odd_lengths(600);
	struct drained got;
	uint64_t size = capture.size;
	(void)state;

	assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
	assert_odd_lengths(&got, 600);
	assert_int_equal(got.stats.bytes_total, size);
	assert_int_equal(got.stats.bytes_done, size);
	free(got.frames);
}

static void rx_batch__gzip__as_unpacked(void **state)
{
	struct capture capture = capture_of_odd_lengths(200);
	struct capture packed = { 0 };
	struct drained got;
	(void)state;

	/* three members, cut where no record ends, and padding behind, as from a tape */
	capture_add_gzip(&packed, capture.bytes, 3);
	capture_add_gzip(&packed, capture.bytes + 3, 300000);
	capture_add_gzip(&packed, capture.bytes + 300003, capture.size - 300003);
	capture_add(&packed, "\0\0\0\0\0\0\0", 7);
	uint64_t size = packed.size;
	assert_int_equal(file_drain(capture_write(&packed, "f.gz"), &got), 0);
	assert_odd_lengths(&got, 200);
	assert_int_equal(got.stats.bytes_total, size);
	assert_int_equal(got.stats.bytes_done, size);
	assert_string_equal(capture_said, "");
	free(got.frames);
	capture_free(&capture);
}

static void rx_batch__gzip_cut__frames_before_and_a_warning(void **state)
{
	struct capture capture = capture_new();
	(void)state;

	for (unsigned i = 0; i < 1000; i++)
		capture_record(&capture, T0 + i * 1000, i % 100, 100);
	struct capture packed = capture_gzip(&capture);
	for (size_t less = 1; less < packed.size / 2; less += 97) { /* 1 to 8: all packets are there, the checksum is not */
		struct drained got;

		assert_int_equal(file_drain(capture_write_cut(&packed, "f.gz", packed.size - less), &got), 0);
		assert_int_equal(got.end, SOURCE_END);
		assert_true(got.stats.truncated);
		assert_true(less <= 8 ? got.count == 1000 : got.count < 1000 && got.count > 100);
		assert_said("cut off inside packet ");
		free(got.frames);
	}
	capture_free(&packed);
}

static void rx_batch__gzip_damaged__frames_before_then_error(void **state)
{
	struct capture capture = capture_of_odd_lengths(200);
	struct drained got;
	(void)state;

	struct capture packed = capture_gzip(&capture);
	packed.bytes[packed.size - 6] ^= 1; /* in the checksum: zlib notices after the last byte */
	assert_int_equal(file_drain(capture_write(&packed, "f.gz"), &got), 0);
	assert_int_equal(got.count, 200);
	assert_int_equal(got.end, -EBADMSG);
	assert_said("the gzip data are damaged");
	free(got.frames);
}

struct feeder {
	struct capture *capture;
	int fd;
	size_t piece;
};

static void *feed(void *argument)
{
	struct feeder *feeder = argument;

	for (size_t at = 0; at < feeder->capture->size; at += feeder->piece) {
		size_t left = feeder->capture->size - at;
		ssize_t n = write(feeder->fd, feeder->capture->bytes + at, left < feeder->piece ? left : feeder->piece);
		assert_true(n > 0);
	}
	close(feeder->fd);
	return NULL;
}

/* Reads the capture through a pipe that is standard input; pieces of an odd size, so that reads end anywhere. */
static void pipe_drain(struct capture *capture, struct drained *got)
{
	struct feeder feeder = { .capture = capture, .piece = 1237 };
	pthread_t thread;
	int saved = dup(STDIN_FILENO), ends[2];

	assert_int_equal(pipe(ends), 0);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	feeder.fd = ends[1];
	assert_int_equal(pthread_create(&thread, NULL, feed, &feeder), 0);
	assert_int_equal(file_drain("-", got), 0);
	pthread_join(thread, NULL);
	dup2(saved, STDIN_FILENO);
	close(saved);
}

static void rx_batch__standard_input_is_a_pipe__same_frames(void **state)
{
	struct capture capture = capture_of_odd_lengths(200);
	struct drained got;
	(void)state;

	pipe_drain(&capture, &got);
	assert_odd_lengths(&got, 200);
	assert_int_equal(got.stats.bytes_total, 0);
	assert_int_equal(got.stats.bytes_done, capture.size);
	free(got.frames);

	struct capture packed = capture_gzip(&capture);
	pipe_drain(&packed, &got);
	assert_odd_lengths(&got, 200);
	free(got.frames);

	packed.size -= 9;
	pipe_drain(&packed, &got);
	assert_true(got.stats.truncated);
	assert_said("standard input: cut off inside packet ");
	free(got.frames);
	capture_free(&packed);
}

static void rx_batch__silent_pipe__returns_nothing_and_goes_on(void **state)
{
	struct capture capture = capture_new();
	const char *path = capture_path("fifo");
	struct frame frames[FLOWLANE_BATCH];
	struct source *source;
	(void)state;

	assert_int_equal(mkfifo(path, 0600), 0);
	int fd = open(path, O_RDWR);
	capture_record(&capture, T0, 50, 50);
	assert_int_equal(write(fd, capture.bytes, capture.size - 20), capture.size - 20);
	assert_int_equal(pcap_source_open((char *const *)&path, 1, &source), 0);
	assert_int_equal(source->ops->rx_batch(source, frames, FLOWLANE_BATCH), 0); /* half a packet */
	assert_int_equal(write(fd, capture.bytes + capture.size - 20, 20), 20);
	assert_int_equal(source->ops->rx_batch(source, frames, FLOWLANE_BATCH), 1);
	frame_check(&frames[0]);
	assert_int_equal(source->ops->rx_batch(source, frames, FLOWLANE_BATCH), 0);
	close(fd);
	assert_int_equal(source->ops->rx_batch(source, frames, FLOWLANE_BATCH), SOURCE_END);
	source->ops->close(source);
	capture_free(&capture);
}

static void rx_batch__small_batches__nothing_lost(void **state)
{
	struct capture capture = capture_new();
	struct source *source;
	struct frame frame;
	(void)state;

	for (unsigned i = 0; i < 10; i++)
		capture_record(&capture, T0 + i * 1000, i, i);
	const char *path = capture_write(&capture, "f");
	assert_int_equal(pcap_source_open((char *const *)&path, 1, &source), 0);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(source->ops->rx_batch(source, &frame, 1), 1);
		assert_int_equal(frame.cap_len, i);
	}
	assert_int_equal(source->ops->rx_batch(source, &frame, 1), SOURCE_END);
	source->ops->close(source);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open__each_byte_order_and_unit__same_frames),
		cmocka_unit_test(rx_batch__fraction_beyond_a_second__adds_up),
		cmocka_unit_test(open__header_only__no_packets),
		cmocka_unit_test(open__link_types__read_or_named),
		cmocka_unit_test(open__not_a_capture__sentence),
		cmocka_unit_test(open__cannot_be_opened__sentence),
		cmocka_unit_test(rx_batch__cut_at_any_byte__whole_packets_and_a_warning),
		cmocka_unit_test(rx_batch__impossible_length__earlier_frames_then_error),
		cmocka_unit_test(rx_batch__records_across_blocks__all_whole),
		cmocka_unit_test(rx_batch__gzip__as_unpacked),
		cmocka_unit_test(rx_batch__gzip_cut__frames_before_and_a_warning),
		cmocka_unit_test(rx_batch__gzip_damaged__frames_before_then_error),
		cmocka_unit_test(rx_batch__standard_input_is_a_pipe__same_frames),
		cmocka_unit_test(rx_batch__silent_pipe__returns_nothing_and_goes_on),
		cmocka_unit_test(rx_batch__small_batches__nothing_lost),
	};
	return cmocka_run_group_tests(tests, capture_dir_make, capture_dir_remove);
}
