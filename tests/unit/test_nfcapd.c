/* nfcapd files, byte by byte. That nfdump reads them is tests/interop's part. */
#include <errno.h>
#include <time.h>

#include "nfcapd_file.h"
#include "slots.h"
#include "way_helper.h"

extern const struct sink_ops sink_pieces;

/* --- records --------------------------------------------------------------------------------------------------------- */

/* What nfpcapd 1.7.1 wrote for such a flow, field by field in the order of the file. */
static const uint8_t record_v4[] = {
	0x0b, 0x00, 0x7c, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x41, /* type 11, 124 bytes, 4 elements */
	0x01, 0x00, 0x34, 0x00,                                                 /* generic */
	0x7c, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 0x00, 0x00,                         /* 1700000000124 */
	0xb3, 0x6a, 0xe5, 0xcf, 0x8b, 0x01, 0x00, 0x00,                         /* 1700000000691 */
	0x13, 0x55, 0xe6, 0xcf, 0x8b, 0x01, 0x00, 0x00,                         /* 1700000060691 */
	6, 0, 0, 0, 0, 0, 0, 0, 0x54, 0x01, 0, 0, 0, 0, 0, 0,                   /* 6 packets, 340 octets */
	0x31, 0xd4, 0xbb, 0x01, 6, 27, 0, 4,                                    /* ports, protocol, flags, status, tos */
	0x02, 0x00, 0x0c, 0x00, 0x2a, 0x01, 0xa8, 0xc0, 0x22, 0xd8, 0xb8, 0x5d, /* ipv4 */
	0x04, 0x00, 0x14, 0x00, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, /* misc: input 3, initiator, idle */
	0x11, 0x00, 0x1c, 0x00, 0xfa, 0, 0, 0, 0, 0, 0, 0, 0xdc, 0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* latency */
};

static void block_add(struct nfcapd_block *block, const struct flow_way *way)
{
	struct nfcapd_extra extra;
	struct way_row row;

	way_row_fill(&row, way, false);
	row.aggs = 0;
	nfcapd_extra_fill(&extra, way);
	nfcapd_block_add(block, &row, &extra);
}

static void record__when_ipv4__then_these_bytes(void **state)
{
	(void)state;
	struct flow_way way = way_sample();
	struct nfcapd_block block;

	assert_int_equal(nfcapd_block_init(&block, NFCAPD_BLOCK_BYTES, NFCAPD_COMPRESSION_NONE), 0);
	block_add(&block, &way);
	assert_int_equal(block.bytes, sizeof(record_v4));
	for (unsigned i = 0; i < sizeof(record_v4); i++)
		if (block.raw[i] != record_v4[i])
			fail_msg("byte %u is %02x, not %02x", i, block.raw[i], record_v4[i]);
	assert_int_equal(block.stat.class_packets[NFCAPD_TCP], 6);
	assert_int_equal(block.stat.first_ms, 1700000000124);
	nfcapd_block_free(&block);
}

/* The element with this id, NULL: none. */
static const uint8_t *element(const struct nfcapd_block *block, uint16_t id)
{
	uint16_t size = load_le16(block->raw + 2), elements = load_le16(block->raw + 4);
	const uint8_t *found = NULL;
	unsigned at = 12;

	for (unsigned i = 0; i < elements; i++) {
		if (load_le16(block->raw + at) == id)
			found = block->raw + at;
		at += load_le16(block->raw + at + 2);
	}
	assert_int_equal(at, size); /* else nfdump stops with exit code 255 */
	return found;
}

static void record__when_all_is_known__then_all_elements(void **state)
{
	(void)state;
	struct flow_way way = way_sample_v6();
	struct nfcapd_block block;

	way.has_mac = 1;
	memcpy(way.src_mac, (uint8_t[]){ 2, 0, 0, 0, 0, 1 }, 6);
	memcpy(way.dst_mac, (uint8_t[]){ 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff }, 6);
	way.vlan = 100;
	assert_int_equal(nfcapd_block_init(&block, NFCAPD_BLOCK_BYTES, NFCAPD_COMPRESSION_NONE), 0);
	block_add(&block, &way);
	const uint8_t *ipv6 = element(&block, NFCAPD_IPV6), *mac = element(&block, NFCAPD_MAC);
	assert_non_null(ipv6);
	assert_int_equal(load_le64(ipv6 + 4), 0x20010db800000000);
	assert_int_equal(load_le64(ipv6 + 12), 0x10002);
	assert_int_equal(load_le64(ipv6 + 20), 0xfe80000000000000);
	assert_non_null(mac);
	assert_int_equal(load_le64(mac + 4), 0x020000000001);
	assert_int_equal(load_le64(mac + 12), 0xaabbccddeeff);
	assert_int_equal(load_le32(element(&block, NFCAPD_VLAN) + 4), 100);
	assert_null(element(&block, NFCAPD_IPV4));
	assert_null(element(&block, NFCAPD_COUNT));
	nfcapd_block_free(&block);
}

static void record__when_the_longest__then_it_fits(void **state)
{
	(void)state;
	struct nfcapd_block block;
	struct nfcapd_extra extra;
	struct way_row row;

	memset(&row, 0xff, sizeof(row));
	memset(&extra, 0xff, sizeof(extra));
	row.af = WAY_AF_IPV6;
	extra.has_misc = extra.has_mac = extra.has_latency = extra.has_vlan = extra.anonymized = true;
	assert_int_equal(nfcapd_block_init(&block, NFCAPD_BLOCK_BYTES, NFCAPD_COMPRESSION_NONE), 0);
	while (!nfcapd_block_full(&block))
		nfcapd_block_add(&block, &row, &extra);
	assert_true(block.bytes <= NFCAPD_BLOCK_BYTES);
	assert_true(block.bytes / block.records <= NFCAPD_RECORD_MAX);
	nfcapd_block_free(&block);
}

static void end__when_it_has_a_reason__then_as_in_ie_136(void **state)
{
	(void)state;
	static const struct {
		unsigned end, reason;
	} rows[] = { { FLOW_END_TIMEOUT, 1 }, { FLOW_CUT, 2 }, { FLOW_END_REUSE, 3 }, { FLOW_ALIVE, 4 }, { FLOW_END_EVICTION, 5 } };

	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct flow_way way = way_sample();
		struct nfcapd_extra extra;
		way.end = (uint8_t)rows[i].end;
		nfcapd_extra_fill(&extra, &way);
		assert_int_equal(extra.end_reason, rows[i].reason);
	}
}

/* --- files ----------------------------------------------------------------------------------------------------------- */

/* Reads a file as nfdump -v does: sizes, counts, offsets. Returns the flow records, *stat what the appendix says. */
static unsigned file_check(const char *path, struct nfcapd_stat *stat)
{
	size_t bytes;
	uint8_t *data = (uint8_t *)file_read(path, &bytes), *body = malloc(NFCAPD_BLOCK_LIMIT);
	struct nfcapd_file_header header;
	unsigned flows = 0;

	assert_non_null(data);
	assert_true(bytes >= sizeof(header));
	memcpy(&header, data, sizeof(header));
	assert_int_equal(header.magic, 0xa50c);
	assert_int_equal(header.layout, 2);
	assert_int_equal(header.appendix_blocks, 1);
	size_t at = sizeof(header);
	for (unsigned block = 0; block <= header.blocks; block++) {
		struct nfcapd_block_header head;
		if (block == header.blocks)
			assert_int_equal(at, header.appendix_offset);
		assert_true(bytes - at >= sizeof(head));
		memcpy(&head, data + at, sizeof(head));
		at += sizeof(head);
		assert_int_equal(head.type, 3);
		assert_int_equal(head.flags, 0);
		assert_true(head.size > 0 && head.size <= bytes - at && head.records > 0);
		long size = nfcapd_decompress(header.compression, data + at, head.size, body, NFCAPD_BLOCK_LIMIT);
		assert_true(size > 0 && size <= NFCAPD_BLOCK_BYTES);
		at += head.size;
		long used = 0;
		for (unsigned i = 0; i < head.records; i++) {
			uint16_t type = load_le16(body + used);
			if (type == NFCAPD_RECORD_STAT) {
				assert_int_equal(load_le16(body + used + 2), 148);
				memcpy(stat, body + used + 4, sizeof(*stat));
			}
			assert_true(block == header.blocks ? type >= 0x8000 : type == NFCAPD_RECORD_FLOW);
			flows += type == NFCAPD_RECORD_FLOW;
			used += load_le16(body + used + 2);
		}
		assert_int_equal(used, size);
	}
	assert_int_equal(at, bytes);
	free(body);
	free(data);
	return flows;
}

static struct config config_nfcapd(enum nfcapd_compress compression)
{
	return (struct config){ .export_nfcapd = test_path("nf"), .rotate_ns = 300000000000, .nfcapd_compress = compression };
}

static void output__when_many_flows__then_files_add_up(void **state)
{
	(void)state;
	static const enum nfcapd_compress compressions[] = { NFCAPD_NONE, NFCAPD_LZ4, NFCAPD_BZ2 };
	const unsigned n = 20000; /* three blocks */
	struct flow_way *ways = malloc(n * sizeof(*ways));

	for (unsigned i = 0; i < n; i++) {
		ways[i] = i % 3 ? way_sample() : way_sample_v6();
		ways[i].key.proto = (uint8_t[]){ 6, 17, 1, 58, 132 }[i % 5];
		ways[i].packets = i;
		ways[i].end_ns -= 50000000000; /* in the slot of the first */
	}
	for (unsigned c = 0; c < ROWS(compressions); c++) {
		for (unsigned live = 0; live < 2; live++) {
			struct config config = config_nfcapd(compressions[c]);
			struct output_report reports[SINK_REPORTS_MAX];
			struct nfcapd_stat stat;
			assert_int_equal(ways_run(&sink_pieces, &config, live, 3, ways, n, reports), 1);
			assert_int_equal(reports[0].records, n);
			assert_int_equal(reports[0].lost, 0);
			assert_int_equal(reports[0].files, 1);
			const char *path = only_entry(config.export_nfcapd);
			assert_non_null(path);
			assert_int_equal(file_check(path, &stat), n);
			assert_int_equal(stat.flows, n);
			assert_int_equal(stat.packets, (uint64_t)n * (n - 1) / 2);
			assert_int_equal(stat.octets, 340 * n);
			assert_int_equal(stat.class_flows[NFCAPD_TCP], n / 5);
			assert_int_equal(stat.class_flows[NFCAPD_ICMP], 2 * n / 5);
			assert_int_equal(stat.class_flows[NFCAPD_OTHER], n / 5);
			assert_int_equal(stat.first_ms, 1700000000124);
			assert_int_equal(stat.last_ms, 1700000000691);
			tree_remove(config.export_nfcapd);
		}
	}
	free(ways);
}

static void output__when_intervals_pass__then_a_file_each(void **state)
{
	(void)state;
	struct config config = config_nfcapd(NFCAPD_LZ4);
	struct output_report reports[SINK_REPORTS_MAX];
	struct flow_way ways[10];

	for (unsigned i = 0; i < 10; i++) {
		ways[i] = way_sample();
		ways[i].end_ns = (1700000100 + i % 5 * 300) * (uint64_t)1000000000 - 1; /* 1700000100 is a border */
	}
	assert_int_equal(ways_run(&sink_pieces, &config, false, 2, ways, 10, reports), 1);
	assert_int_equal(reports[0].files, 5);
	assert_int_equal(count_entries(config.export_nfcapd), 5);
	for (unsigned i = 0; i < 5; i++) {
		char path[700], name[SLOT_NAME_MAX];
		struct nfcapd_stat stat;
		slot_name(name, 1699999800 + i * 300, false);
		snprintf(path, sizeof(path), "%s/nfcapd.%s", config.export_nfcapd, name);
		assert_int_equal(file_check(path, &stat), 2);
	}
}

/* At 02:30 of this night in Berlin the clock had been there an hour before; each interval keeps a file of its own. */
static void output__when_the_clock_is_set_back__then_no_file_replaces_another(void **state)
{
	(void)state;
	struct config config = config_nfcapd(NFCAPD_LZ4);
	struct output_report reports[SINK_REPORTS_MAX];
	struct flow_way ways[4];
	char name[SLOT_NAME_MAX];

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	for (unsigned i = 0; i < 4; i++) {
		ways[i] = way_sample();
		ways[i].end_ns = (1698535800 + i * 3600) * (uint64_t)1000000000; /* 23:30 UTC to 02:30 UTC */
	}
	assert_int_equal(ways_run(&sink_pieces, &config, false, 1, ways, 4, reports), 1);
	assert_int_equal(reports[0].files, 4);
	assert_int_equal(count_entries(config.export_nfcapd), 4);
	slot_name(name, 1698539400, false);
	assert_string_equal(name, "202310290230");
	slot_name(name, 1698543000, false);
	assert_string_equal(name, "202310290230+0100");
	slot_name(name, 1698543000, true);
	assert_string_equal(name, "20231029023000+0100");
	slot_name(name, 1698546600, false);
	assert_string_equal(name, "202310290330");
	slot_name(name, 1679794200, false); /* forward, in March: nothing comes twice */
	assert_string_equal(name, "202303260330");
	setenv("TZ", "UTC", 1);
	tzset();
}

/* Live, the clock rotates, also while nothing ends; a file without flows has the times of its slot. */
static void output__when_live_and_time_passes__then_files_appear_complete(void **state)
{
	(void)state;
	const struct source_info info = { .link = LINK_ETHERNET, .live = true };
	const uint64_t start_ns = 1700000100 * (uint64_t)1000000000;
	struct config config = config_nfcapd(NFCAPD_LZ4);
	struct output_report reports[SINK_REPORTS_MAX];
	struct flow_way way = way_sample();
	struct nfcapd_stat stat;
	struct output *output;
	struct sink *sinks[2];
	char first[700], second[700], name[SLOT_NAME_MAX];

	slot_name(name, 1700000100, false);
	snprintf(first, sizeof(first), "%s/nfcapd.%s", config.export_nfcapd, name);
	slot_name(name, 1700000400, false);
	snprintf(second, sizeof(second), "%s/nfcapd.%s", config.export_nfcapd, name);
	assert_int_equal(sink_pieces.open(&config, &info, &output), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(sink_pieces.attach(output, i, &sinks[i]), 0);
	sink_pieces.tick(sinks[0], start_ns + 1000);
	sink_pieces.tick(sinks[1], start_ns + 2000);
	sink_pieces.pieces(sinks[0], &way, 1); /* ended before: it belongs to now */
	sink_pieces.tick(sinks[0], start_ns + 300 * (uint64_t)1000000000);
	assert_false(file_exists(first)); /* lane 1 is still there */
	sink_pieces.pieces(sinks[1], &way, 1);
	sink_pieces.tick(sinks[1], start_ns + 301 * (uint64_t)1000000000);
	assert_true(file_exists(first));
	assert_int_equal(file_check(first, &stat), 2);
	assert_false(file_exists(second));
	for (unsigned i = 0; i < 2; i++)
		sink_pieces.tick(sinks[i], start_ns + 600 * (uint64_t)1000000000);
	assert_int_equal(file_check(second, &stat), 0);
	assert_int_equal(stat.first_ms, 1700000400000);
	assert_int_equal(stat.last_ms, 1700000700000);
	for (unsigned i = 0; i < 2; i++)
		sink_pieces.detach(sinks[i]);
	assert_int_equal(sink_pieces.close(output, reports), 1);
	assert_int_equal(reports[0].records, 2);
	assert_int_equal(reports[0].files, 3);
}

static void output__when_a_live_run_follows_another__then_the_file_has_both(void **state)
{
	(void)state;
	struct config config = config_nfcapd(NFCAPD_LZ4);
	struct output_report reports[SINK_REPORTS_MAX];
	struct flow_way way = way_sample();
	struct nfcapd_stat stat;

	for (unsigned run = 1; run <= 3; run++) {
		assert_int_equal(ways_run(&sink_pieces, &config, true, 1, &way, 1, reports), 1);
		assert_int_equal(file_check(only_entry(config.export_nfcapd), &stat), run);
		assert_int_equal(stat.flows, run);
		assert_int_equal(stat.packets, run * 6);
	}
	/* From files the same run gives the same. */
	assert_int_equal(ways_run(&sink_pieces, &config, false, 1, &way, 1, reports), 1);
	assert_int_equal(file_check(only_entry(config.export_nfcapd), &stat), 1);
}

static void output__when_the_name_is_taken_by_something_else__then_that_stays(void **state)
{
	(void)state;
	struct config config = config_nfcapd(NFCAPD_LZ4);
	struct output_report reports[SINK_REPORTS_MAX];
	struct flow_way way = way_sample();
	char path[700], name[SLOT_NAME_MAX];

	slot_name(name, slots_start_of(way.end_ns, 300), false);
	mkdir(config.export_nfcapd, 0755);
	snprintf(path, sizeof(path), "%s/nfcapd.%s", config.export_nfcapd, name);
	file_write(path, "somebody else's");
	messages_begin();
	assert_int_equal(ways_run(&sink_pieces, &config, true, 1, &way, 1, reports), 1);
	char *messages = messages_end();
	assert_int_equal(reports[0].error, -EEXIST);
	assert_non_null(strstr(messages, path));
	free(messages);
	char *text = file_read(path, NULL);
	assert_string_equal(text, "somebody else's");
	free(text);
}

static void output__when_the_run_does_not_come_about__then_nothing_is_left(void **state)
{
	(void)state;
	struct config config = config_nfcapd(NFCAPD_LZ4);

	for (unsigned live = 0; live < 2; live++) {
		struct flow_way way = way_sample();
		assert_int_equal(ways_run(&sink_pieces, &config, live, 2, &way, 1, NULL), 0);
		unsigned left = count_entries(config.export_nfcapd);
		assert_int_equal(left, live ? 1 : 0); /* live, the lanes had gone on: what they finished is whole */
	}
}

static void output__when_the_directory_cannot_be__then_a_sentence(void **state)
{
	(void)state;
	struct flow_way way = way_sample();
	struct config config = config_nfcapd(NFCAPD_LZ4);

	config.export_nfcapd = test_path("none/nf");
	messages_begin();
	assert_int_equal(ways_run(&sink_pieces, &config, false, 1, &way, 1, NULL), -ENOENT);
	char *messages = messages_end();
	assert_non_null(strstr(messages, config.export_nfcapd));
	free(messages);
	config.export_nfcapd = test_path("file");
	file_write(config.export_nfcapd, "x");
	messages_begin();
	assert_int_equal(ways_run(&sink_pieces, &config, false, 1, &way, 1, NULL), -ENOTDIR);
	free(messages_end());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(record__when_ipv4__then_these_bytes),
		cmocka_unit_test(record__when_all_is_known__then_all_elements),
		cmocka_unit_test(record__when_the_longest__then_it_fits),
		cmocka_unit_test(end__when_it_has_a_reason__then_as_in_ie_136),
		cmocka_unit_test_setup_teardown(output__when_many_flows__then_files_add_up, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(output__when_intervals_pass__then_a_file_each, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(
			output__when_the_clock_is_set_back__then_no_file_replaces_another, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(
			output__when_live_and_time_passes__then_files_appear_complete, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(
			output__when_a_live_run_follows_another__then_the_file_has_both, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(
			output__when_the_name_is_taken_by_something_else__then_that_stays, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(
			output__when_the_run_does_not_come_about__then_nothing_is_left, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(output__when_the_directory_cannot_be__then_a_sentence, scratch_make, tree_teardown),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
