/* pcapng, and the old variants of pcap that libpcap reads for us. */
#include "capture_builder.h"
#include "pcapng.h"

#define T0 (UINT64_C(1700000000) * SECOND_NS)

/* A section with one Ethernet interface in microseconds. */
static struct capture pcapng_new(void)
{
	struct capture capture = { 0 };

	pcapng_section(&capture);
	pcapng_interface(&capture, LINK_ETHERNET, 65535, 0);
	return capture;
}

static void packet_us(struct capture *capture, uint32_t interface, uint64_t ts_ns, uint32_t cap_len)
{
	pcapng_packet(capture, interface, ts_ns / 1000, ts_ns, cap_len, cap_len + 1);
}

static void open__each_byte_order__same_frames(void **state)
{
	(void)state;
	for (unsigned big_endian = 0; big_endian < 2; big_endian++) {
		struct capture capture = { .big_endian = big_endian };
		struct drained got;

		pcapng_section(&capture);
		pcapng_interface(&capture, LINK_ETHERNET, 1234, 0);
		for (uint32_t i = 0; i < 9; i++)
			packet_us(&capture, 0, T0 + i * 1000, i);
		assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
		assert_int_equal(got.end, SOURCE_END);
		assert_int_equal(got.count, 9);
		for (uint32_t i = 0; i < 9; i++) {
			assert_int_equal(got.frames[i].ts_ns, T0 + i * 1000);
			assert_int_equal(got.frames[i].cap_len, i);
			assert_int_equal(got.frames[i].wire_len, i + 1);
			assert_int_equal(got.frames[i].link, LINK_ETHERNET);
		}
		assert_int_equal(got.info.snaplen, 1234);
		assert_int_equal(got.info.link, LINK_ETHERNET);
		assert_false(got.info.nanoseconds);
		assert_false(got.stats.truncated);
		assert_string_equal(capture_said, "");
		free(got.frames);
	}
}

static void rx_batch__each_time_resolution__nanoseconds(void **state)
{
	static const struct {
		const char *name;
		uint8_t resolution;
		uint64_t ticks;
		uint64_t ts_ns;
		bool nanoseconds;
	} cases[] = {
		{ "absent: us", 0, 1700000000123456, UINT64_C(1700000000123456000), false },
		{ "ms", 3, 1700000000123, UINT64_C(1700000000123000000), false },
		{ "us", 6, 1700000000123456, UINT64_C(1700000000123456000), false },
		{ "100 ns", 7, 17000000001234567, UINT64_C(1700000000123456700), true },
		{ "ns", 9, 1700000000123456789, UINT64_C(1700000000123456789), true },
		{ "ps", 12, 1700000123456789, UINT64_C(1700000123456), true },
		{ "finest decimal", 127, UINT64_MAX, 0, true },
		{ "1/1024 s", 0x80 | 10, 1700000000 * UINT64_C(1024) + 512, UINT64_C(1700000000500000000), false },
		{ "2^-32 s, as NTP", 0x80 | 32, (UINT64_C(1700000000) << 32) + (UINT64_C(1) << 30), UINT64_C(1700000000250000000),
			true },
		{ "2^-63 s", 0x80 | 63, (UINT64_C(1) << 63) + (UINT64_C(1) << 62), UINT64_C(1500000000), true },
		{ "us, last of 64 bits of ns", 6, UINT64_MAX / 1000, UINT64_MAX / 1000 * 1000, false },
		{ "us, beyond them", 6, (UINT64_C(1102) << 32) * 1000000 + 1177611630539464, UINT64_C(1177611630539464000), false },
		{ "us, beyond them, after 2038", 6, (UINT64_C(1102) << 32) * 1000000 + 3000000000000000,
			UINT64_C(3000000000000000000), false },
		{ "s, beyond them", 0x80, (UINT64_C(5) << 32) + 1700000000, UINT64_C(1700000000000000000), false },
		{ "2^-127 s", 0xff, UINT64_MAX, 0, true },
	};
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct capture capture = { 0 };
		struct drained got;

		pcapng_section(&capture);
		pcapng_interface(&capture, LINK_ETHERNET, 0, cases[i].resolution);
		pcapng_packet(&capture, 0, cases[i].ticks, cases[i].ts_ns, 20, 20);
		assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
		assert_int_equal(got.count, 1);
		assert_int_equal(got.frames[0].ts_ns, cases[i].ts_ns);
		assert_int_equal(got.info.nanoseconds, cases[i].nanoseconds);
		assert_int_equal(got.info.snaplen, PCAP_CAP_LEN_MAX); /* 0 means no limit */
		free(got.frames);
	}
}

static void rx_batch__time_offset__added(void **state)
{
	struct capture capture = { 0 };
	struct drained got;
	(void)state;

	pcapng_section(&capture);
	capture_add_u32(&capture, 1);
	capture_add_u32(&capture, 44);
	capture_add_u32(&capture, LINK_ETHERNET);
	capture_add_u32(&capture, 0);
	capture_add(&capture, "\2\0\1\0x\0\0\0", 8);                             /* if_name: skipped */
	capture_add(&capture, "\16\0\10\0\xff\xff\xff\xff\xff\xff\xff\xff", 12); /* if_tsoffset: -1 s */
	capture_add_u32(&capture, 0);                                            /* opt_endofopt */
	capture_add_u32(&capture, 44);
	packet_us(&capture, 0, T0, 0);
	assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
	assert_int_equal(got.frames[0].ts_ns, T0 - SECOND_NS);
	free(got.frames);
}

static void rx_batch__interfaces_differ__each_frame_its_own(void **state)
{
	struct capture capture = pcapng_new();
	struct drained got;
	(void)state;

	pcapng_interface(&capture, LINK_LINUX_SLL, 300, 9);
	pcapng_interface(&capture, 12, 70000, 0); /* DLT_RAW as a number */
	pcapng_interface(&capture, 105, 1, 0);
	pcapng_packet(&capture, 1, T0 + 7, T0 + 7, 30, 30);
	packet_us(&capture, 0, T0 + 1000, 31);
	packet_us(&capture, 2, T0 + 2000, 32);
	packet_us(&capture, 3, T0 + 3000, 33); /* flowlane does not decode it: for the decoder to count */
	assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
	assert_int_equal(got.end, SOURCE_END);
	assert_int_equal(got.count, 4);
	assert_int_equal(got.frames[0].ts_ns, T0 + 7);
	assert_int_equal(got.frames[0].link, LINK_LINUX_SLL);
	assert_int_equal(got.frames[1].link, LINK_ETHERNET);
	assert_int_equal(got.frames[2].link, LINK_RAW);
	assert_int_equal(got.frames[3].link, 105);
	assert_int_equal(got.info.link, -1);
	assert_int_equal(got.info.snaplen, 70000);
	assert_true(got.info.nanoseconds);
	free(got.frames);
}

static void open__unused_interface_of_another_type__does_not_matter(void **state)
{
	struct capture capture = { 0 };
	struct drained got;
	(void)state;

	pcapng_section(&capture);
	pcapng_interface(&capture, 105, 65535, 0);
	pcapng_interface(&capture, LINK_IPV4, 65535, 0);
	packet_us(&capture, 1, T0, 40);
	assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
	assert_int_equal(got.info.link, LINK_IPV4);
	assert_int_equal(got.count, 1);
	free(got.frames);
}

static void rx_batch__other_link_type_late__frames_before_then_error(void **state)
{
	struct capture capture = pcapng_new();
	struct drained got;
	(void)state;

	for (uint32_t i = 0; i < 400; i++)
		packet_us(&capture, 0, T0 + i * 1000, 1000);
	pcapng_interface(&capture, LINK_RAW, 65535, 0); /* unused: nothing happens */
	for (uint32_t i = 0; i < 400; i++)
		packet_us(&capture, 0, T0 + i * 1000, 1000);
	packet_us(&capture, 1, T0, 50);
	assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
	assert_int_equal(got.count, 800);
	assert_int_equal(got.end, -EPROTONOSUPPORT);
	assert_said("f: packet 801 has link type 101 (RAW), and the ones before it 1;");
	free(got.frames);
}

static void rx_batch__second_section__own_byte_order_and_interfaces(void **state)
{
	struct capture capture = pcapng_new();
	struct drained got;
	(void)state;

	packet_us(&capture, 0, T0, 10);
	capture.big_endian = true;
	pcapng_section(&capture);
	pcapng_interface(&capture, LINK_ETHERNET, 65535, 9);
	pcapng_packet(&capture, 0, T0 + 1, T0 + 1, 11, 11);
	assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
	assert_int_equal(got.count, 2);
	assert_int_equal(got.frames[0].ts_ns, T0);
	assert_int_equal(got.frames[1].ts_ns, T0 + 1);
	free(got.frames);
}

static void rx_batch__second_section_that_is_broken__frames_before_then_error(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct capture capture = pcapng_new();
		struct drained got;

		packet_us(&capture, 0, T0, 20);
		size_t second = capture.size;
		pcapng_section(&capture);
		store_le32(capture.bytes + second + (i ? 4 : 12), i ? 12 : 2);
		assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
		assert_int_equal(got.count, 1);
		assert_int_equal(got.end, -EBADMSG);
		assert_said(i ? "a section header that is too short" : "a section of another version than 1");
		free(got.frames);
	}
}

static void rx_batch__other_packet_blocks__read_as_well(void **state)
{
	struct capture capture = { 0 };
	struct drained got;
	(void)state;

	pcapng_section(&capture);
	pcapng_interface(&capture, LINK_ETHERNET, 5, 0);
	/* simple: 9 bytes on the wire, snapped to 5, padded to 8 */
	capture_add_u32(&capture, 3);
	capture_add_u32(&capture, 24);
	capture_add_u32(&capture, 9);
	capture_pattern(&capture, 0, 5);
	capture_add(&capture, "\0\0\0", 3);
	capture_add_u32(&capture, 24);
	/* simple, whole */
	capture_add_u32(&capture, 3);
	capture_add_u32(&capture, 20);
	capture_add_u32(&capture, 2);
	capture_pattern(&capture, 0, 2);
	capture_add(&capture, "\0\0", 2);
	capture_add_u32(&capture, 20);
	/* obsolete: 16-bit interface, then a drop count */
	capture_add_u32(&capture, 2);
	capture_add_u32(&capture, 36);
	capture_add_u16(&capture, 0);
	capture_add_u16(&capture, 7);
	capture_add_u32(&capture, (uint32_t)(T0 / 1000 >> 32));
	capture_add_u32(&capture, (uint32_t)(T0 / 1000));
	capture_add_u32(&capture, 4);
	capture_add_u32(&capture, 40);
	capture_pattern(&capture, T0, 4);
	capture_add_u32(&capture, 36);
	assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
	assert_int_equal(got.end, SOURCE_END);
	assert_int_equal(got.count, 3);
	assert_int_equal(got.frames[0].cap_len, 5);
	assert_int_equal(got.frames[0].wire_len, 9);
	assert_int_equal(got.frames[0].ts_ns, 0);
	assert_int_equal(got.frames[1].cap_len, 2);
	assert_int_equal(got.frames[2].cap_len, 4);
	assert_int_equal(got.frames[2].wire_len, 40);
	assert_int_equal(got.frames[2].ts_ns, T0);
	free(got.frames);
}

/* A block of a type that flowlane does not know, of any length. */
static void unknown_block(struct capture *capture, uint32_t bytes)
{
	capture_add_u32(capture, 0x80000bad);
	capture_add_u32(capture, bytes);
	capture_pattern(capture, 1, bytes - 12);
	capture_add_u32(capture, bytes);
}

static void rx_batch__unknown_blocks_of_any_length__skipped(void **state)
{
	static const uint32_t lengths[] = { 12, 16, 1000, (uint32_t)PCAPNG_BLOCK_MAX, (uint32_t)PCAPNG_BLOCK_MAX + 4, 3000000 };
	struct capture capture = pcapng_new();
	struct drained got;
	size_t size;
	(void)state;

	for (unsigned i = 0; i < 6; i++) {
		unknown_block(&capture, lengths[i]);
		packet_us(&capture, 0, T0 + i * 1000, 100 + i);
	}
	unknown_block(&capture, 1000000);
	size = capture.size;
	const char *path = capture_write_cut(&capture, "f", size);
	assert_int_equal(file_drain(path, &got), 0);
	assert_int_equal(got.count, 6);
	assert_int_equal(got.end, SOURCE_END);
	assert_false(got.stats.truncated);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(got.frames[i].cap_len, 100 + i);
	free(got.frames);

	assert_int_equal(file_drain(capture_write_cut(&capture, "f", size - 1), &got), 0);
	assert_int_equal(got.count, 6);
	assert_true(got.stats.truncated);
	free(got.frames);
	capture_free(&capture);
}

static void rx_batch__cut_at_any_byte__whole_packets_and_a_warning(void **state)
{
	struct capture capture = pcapng_new();
	size_t begin = capture.size, ends[3];
	(void)state;

	for (unsigned i = 0; i < 3; i++) {
		packet_us(&capture, 0, T0 + i * 1000, i * 5);
		ends[i] = capture.size;
	}
	for (size_t size = 28; size <= capture.size; size++) {
		unsigned whole = 0;
		struct drained got;

		while (whole < 3 && ends[whole] <= size)
			whole++;
		bool cut = size != 28 && size != begin && (whole == 0 || ends[whole - 1] != size);
		assert_int_equal(file_drain(capture_write_cut(&capture, "cut", size), &got), 0);
		assert_int_equal(got.count, whole);
		assert_int_equal(got.end, SOURCE_END);
		assert_int_equal(got.stats.truncated, cut);
		assert_said(cut ? "cut: cut off inside packet " : "");
		assert_int_equal(capture_said[0] != 0, cut);
		free(got.frames);
	}
	capture_free(&capture);
}

static void rx_batch__damaged_block__frames_before_then_error(void **state)
{
	static const struct {
		const char *name;
		size_t at; /* in the second packet block */
		uint32_t value;
		const char *said;
	} cases[] = {
		{ "too short", 4, 8, "a block shorter than its own header" }, { "odd length", 4, 54, "not a multiple of four" },
		{ "far too long", 4, 0x7ffffffc, "longer than any such block" },
		{ "lengths differ", 48, 56, "the two lengths of a block differ" },
		{ "no such interface", 8, 1, "an interface that is not described" },
		{ "captured more than the block", 20, 21, "a packet longer than its block" },
		{ "captured more than there can be", 20, 0xffffffff, "a packet longer than its block" },
		{ "a section without byte order", 0, 0x0a0d0d0a, "a section header without byte order mark" },
		{ "no longer a packet", 0, 5, NULL }, /* nothing is wrong with that */
	};
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct capture capture = pcapng_new();
		struct drained got;

		packet_us(&capture, 0, T0, 20);
		size_t second = capture.size;
		packet_us(&capture, 0, T0 + 1000, 20);
		store_le32(capture.bytes + second + cases[i].at, cases[i].value);
		assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
		assert_int_equal(got.count, 1);
		assert_int_equal(got.end, cases[i].said ? -EBADMSG : SOURCE_END);
		if (cases[i].said) {
			assert_said("f: damaged behind packet 1, at byte 100: ");
			assert_said(cases[i].said);
		}
		free(got.frames);
	}
}

static void open__not_for_flowlane__sentence(void **state)
{
	static const struct {
		const char *name;
		size_t at;
		uint32_t value;
		int error;
		const char *said;
	} cases[] = {
		{ "no byte order mark", 8, 0, -EBADMSG,
			"f is not a capture file: it starts like pcapng, but with a section header without" },
		{ "version", 12, 2, -EBADMSG, "f is pcapng of version 2; flowlane reads version 1" },
		{ "length", 4, 4, -EBADMSG, "it starts like pcapng, but with a block shorter" },
		{ "link type", 36, 105, -EPROTONOSUPPORT, "f has link type 105 (IEEE802_11), which flowlane does not read" },
	};
	struct drained got;
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct capture capture = pcapng_new();

		store_le32(capture.bytes + cases[i].at, cases[i].value);
		assert_int_equal(file_drain(capture_write(&capture, "f"), &got), cases[i].error);
		assert_said(cases[i].said);
	}
	struct capture capture = pcapng_new();
	assert_int_equal(file_drain(capture_write_cut(&capture, "f", 27), &got), -EBADMSG);
	assert_said("f: cut off inside its file header");
	capture_free(&capture);
}

static void rx_batch__blocks_across_reads_plain_and_gzip__all_whole(void **state)
{
	for (unsigned gzip = 0; gzip < 2; gzip++) {
		struct capture capture = pcapng_new();
		struct drained got;
		(void)state;

		for (uint32_t i = 0; i < 300; i++)
			packet_us(&capture, 0, T0 + i * 1000, i % 29 == 0 ? PCAP_CAP_LEN_MAX - i : i * 7919 % 4000);
		if (gzip)
			capture = capture_gzip(&capture);
		assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
		assert_int_equal(got.end, SOURCE_END);
		assert_int_equal(got.count, 300);
		for (uint32_t i = 0; i < 300; i++)
			assert_int_equal(got.frames[i].ts_ns, T0 + i * 1000);
		free(got.frames);
	}
}

static void rx_batch__modified_pcap__libpcap_reads_it(void **state)
{
	for (unsigned gzip = 0; gzip < 2; gzip++) {
		struct capture capture = { .unit_ns = 1000 };
		struct drained got;
		(void)state;

		/* Kuznetzov's format: eight bytes more in each record header */
		capture_header(&capture, PCAP_CAP_LEN_MAX, LINK_RAW);
		store_le32(capture.bytes, 0xa1b2cd34);
		for (uint32_t i = 0; i < 200; i++) {
			uint32_t cap_len = i % 20 ? i : 200000 + i; /* more than a batch buffer in all */
			capture_add_u32(&capture, (uint32_t)(T0 / SECOND_NS));
			capture_add_u32(&capture, i);
			capture_add_u32(&capture, cap_len);
			capture_add_u32(&capture, cap_len + 5);
			capture_add(&capture, "\1\2\3\4\5\6\7\10", 8);
			capture_pattern(&capture, T0 + i * 1000, cap_len);
		}
		size_t size = capture.size;
		if (gzip)
			capture = capture_gzip(&capture);
		assert_int_equal(file_drain(capture_write_cut(&capture, "f", capture.size), &got), 0);
		assert_int_equal(got.end, SOURCE_END);
		assert_int_equal(got.count, 200);
		for (uint32_t i = 0; i < 200; i++) {
			assert_int_equal(got.frames[i].ts_ns, T0 + i * 1000);
			assert_int_equal(got.frames[i].wire_len, got.frames[i].cap_len + 5);
			assert_int_equal(got.frames[i].link, LINK_RAW);
		}
		assert_int_equal(got.info.link, LINK_RAW);
		assert_false(got.info.nanoseconds);
		free(got.frames);
		if (!gzip) {
			assert_int_equal(file_drain(capture_write_cut(&capture, "f", size - 1), &got), 0);
			assert_int_equal(got.count, 199);
			assert_true(got.stats.truncated);
			assert_said("f: cut off inside packet 200 at byte ");
			free(got.frames);
		}
		capture_free(&capture);
	}
}

static void rx_batch__old_version_of_pcap__libpcap_reads_it(void **state)
{
	struct capture capture = capture_new();
	struct drained got;
	(void)state;

	capture.bytes[6] = 2; /* 2.2 had the two lengths the other way round */
	capture_record(&capture, T0, 40, 40);
	store_le32(capture.bytes + 24 + 8, 100);
	store_le32(capture.bytes + 24 + 12, 40);
	capture_add(&capture, "\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16);
	assert_int_equal(file_drain(capture_write(&capture, "f"), &got), 0);
	assert_int_equal(got.count, 1);
	assert_int_equal(got.frames[0].cap_len, 40);
	assert_int_equal(got.frames[0].wire_len, 100);
	assert_int_equal(got.end, -EBADMSG);
	assert_said("f: cannot be read on at packet 2: ");
	free(got.frames);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open__each_byte_order__same_frames),
		cmocka_unit_test(rx_batch__each_time_resolution__nanoseconds),
		cmocka_unit_test(rx_batch__time_offset__added),
		cmocka_unit_test(rx_batch__interfaces_differ__each_frame_its_own),
		cmocka_unit_test(open__unused_interface_of_another_type__does_not_matter),
		cmocka_unit_test(rx_batch__other_link_type_late__frames_before_then_error),
		cmocka_unit_test(rx_batch__second_section__own_byte_order_and_interfaces),
		cmocka_unit_test(rx_batch__second_section_that_is_broken__frames_before_then_error),
		cmocka_unit_test(rx_batch__other_packet_blocks__read_as_well),
		cmocka_unit_test(rx_batch__unknown_blocks_of_any_length__skipped),
		cmocka_unit_test(rx_batch__cut_at_any_byte__whole_packets_and_a_warning),
		cmocka_unit_test(rx_batch__damaged_block__frames_before_then_error),
		cmocka_unit_test(open__not_for_flowlane__sentence),
		cmocka_unit_test(rx_batch__blocks_across_reads_plain_and_gzip__all_whole),
		cmocka_unit_test(rx_batch__modified_pcap__libpcap_reads_it),
		cmocka_unit_test(rx_batch__old_version_of_pcap__libpcap_reads_it),
	};
	return cmocka_run_group_tests(tests, capture_dir_make, capture_dir_remove);
}
