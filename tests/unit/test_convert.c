/* flowlane convert: round trips, bad input, joining, anonymizing. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "convert.h"
#include "cryptopan.h"
#include "join.h"
#include "nfcapd_file.h"
#include "reader.h"
#include "way_helper.h"
#include "writer.h"

#define CSV_1 "2, 6, 3, 4, 0, 0, 0, 3232235818, 0, 0, 0, 1572395042, 54321, 443, 1700000000, 124, 1700000000, 691, 6, 340, 0\n"
#define CSV_2 "10, 17, 0, 0, 536939960, 0, 0, 65538, 1, 2, 3, 4, 5, 6, 1700000001, 0, 1700000301, 999, 18446744073709551615, 7, 3\n"

/* Runs the program's part; the arguments end with NULL. Messages are kept in *messages, free() them. */
static int convert(char **messages, ...)
{
	char *argv[16] = { (char *)"convert" };
	int argc = 1;
	va_list arguments;

	va_start(arguments, messages);
	while ((argv[argc] = va_arg(arguments, char *)))
		argc++;
	va_end(arguments);
	messages_begin();
	int status = convert_run(argc, argv);
	*messages = messages_end();
	return status;
}

static void formats__when_there_and_back__then_the_same(void **state)
{
	(void)state;
	static const char *const formats[] = { "binary", "nfcapd", "csv_flow" };
	char *in = test_path("in.csv"), *back = test_path("back.csv"), *messages;

	file_write(in, CSV_1 CSV_2);
	for (unsigned i = 0; i < ROWS(formats); i++) {
		char *out = test_path(formats[i]);
		assert_int_equal(convert(&messages, "--to", formats[i], out, in, "-q", NULL), 0);
		assert_string_equal(messages, "");
		free(messages);
		assert_int_equal(convert(&messages, "-f", "--to", "csv_flow", back, out, "--quiet", NULL), 0);
		free(messages);
		char *text = file_read(back, NULL);
		assert_string_equal(text, CSV_1 CSV_2);
		free(text);
	}
}

static void pipe__when_there_and_back__then_the_same(void **state)
{
	(void)state;
	static const char lines[] =
		"2|1700000000124|1700000000691|6|0|0|0|3232235818|54321|0|0|0|1572395042|443|64512|1|3|4|27|8|6|340\n"
		"10|5|5|58|1|2|3|4|0|5|6|7|8|33024|0|0|0|0|0|0|1|96";
	char *in = test_path("in.pipe"), *nf = test_path("nf"), *back = test_path("back.pipe"), *messages;

	file_write(in, lines); /* without a newline at the end: that is no error */
	assert_int_equal(convert(&messages, "--to", "nfcapd", "--nfcapd-compress", "bz2", nf, in, NULL), 0);
	assert_non_null(strstr(messages, "2 records read, 2 written"));
	free(messages);
	assert_int_equal(convert(&messages, "-q", "--to", "pipe", back, nf, NULL), 0);
	free(messages);
	char *text = file_read(back, NULL);
	assert_memory_equal(text, lines, strlen(lines));
	assert_string_equal(text + strlen(lines), "\n");
	free(text);
}

/* What nfcapd has besides survives the way from nfcapd to nfcapd. */
static void nfcapd__when_compressed_anew__then_nothing_is_lost(void **state)
{
	(void)state;
	struct record record = { .row = { .af = 10, .prot = 6, .sa = { 1, 2, 3, 4 }, .last = 5, .packets = 1, .inif = 7 } }, got;
	char *one = test_path("one"), *two = test_path("two"), *messages;
	struct writer *writer;
	struct reader *reader;

	record.extra = (struct nfcapd_extra){ .received_ms = 99,
		.mac = { 1, 2, 3, 4 },
		.latency_us = { 5, 6, 7 },
		.vlan = { 8, 9 },
		.has_misc = true,
		.has_mac = true,
		.has_latency = true,
		.has_vlan = true,
		.biflow_direction = 2,
		.end_reason = 3 };
	assert_int_equal(writer_open(one, FORMAT_NFCAPD, NFCAPD_COMPRESSION_LZ4, false, &writer), 0);
	assert_int_equal(writer_put(writer, &record), 0);
	assert_int_equal(writer_commit(writer), 0);
	assert_int_equal(convert(&messages, "-q", "-t", "nfcapd", "--nfcapd-compress", "none", two, one, NULL), 0);
	free(messages);
	assert_int_equal(reader_open(two, FORMAT_NFCAPD, &reader), 0);
	assert_int_equal(reader->ops->next(reader, &got, 1), 1);
	assert_memory_equal(&got.row, &record.row, sizeof(got.row));
	assert_memory_equal(&got.extra, &record.extra, offsetof(struct nfcapd_extra, anonymized) + 3);
	assert_int_equal(reader->ops->next(reader, &got, 1), 0);
	reader->ops->close(reader);
}

/* --- bad input ------------------------------------------------------------------------------------------------------- */

static void text__when_bad__then_line_and_reason(void **state)
{
	(void)state;
	static const struct {
		const char *name, *text, *where, *why;
		bool pipe;
	} rows[] = {
		{ "too few", CSV_1 "2, 6, 3\n", "line 2", "3 fields, but csv_flow has 21", false },
		{ "too many", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22\n", "line 1", "22 fields", false },
		{ "header", "af, prot\n" CSV_1, "line 1", "header", false },
		{ "blank line", CSV_1 "\n" CSV_2, "line 2", "empty", false },
		{ "blanks", CSV_1 "  \r\n", "line 2", "empty", false },
		{ "float", "2.5, 6\n", "line 1", "field 1 is \"2.5\"", false },
		{ "negative", "2, -6\n", "line 1", "field 2 is \"-6\"", false },
		{ "nothing between commas", "2,,3\n", "line 1", "field 2 is \"\"", false },
		{ "too large for the field", "256, 6, 3, 4, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 6, 340, 0\n", "line 1",
			"field 1, af, is 256", false },
		{ "milliseconds", "2, 6, 3, 4, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1000, 1, 1, 6, 340, 0\n", "line 1",
			"first_ms, is 1000", false },
		{ "beyond 64 bits", "2, 18446744073709551616\n", "line 1", "below 2^64", false },
		{ "nfdump 1.6", "1|2|3|4|5|6|7|8|9|10|11|12|13|14|15|16|17|18|19|20|21|22|23|24\n", "line 1", "nfdump 1.6", true },
		{ "port", "2|1|1|6|0|0|0|1|65536|0|0|0|1|1|0|0|0|0|0|0|1|1\n", "line 1", "field 9, sp, is 65536", true },
	};
	char *in = test_path("in"), *out = test_path("out");

	for (unsigned i = 0; i < ROWS(rows); i++) {
		char *messages;
		file_write(in, rows[i].text);
		int status = convert(&messages, "--to", "csv_flow", "--from", rows[i].pipe ? "pipe" : "csv_flow", out, in, NULL);
		if (status != 2 || !strstr(messages, in) || !strstr(messages, rows[i].where) || !strstr(messages, rows[i].why) ||
			count_of(messages, "\n") != 1)
			fail_msg("%s: exit code %d, %s", rows[i].name, status, messages);
		free(messages);
		assert_int_equal(count_entries(scratch), 2); /* input and messages */
	}
}

static void write_bytes(const char *path, const void *data, size_t bytes)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
	fclose(file);
}

static void nfcapd_make(const char *path)
{
	struct record record = { .row = { .af = 2, .prot = 6, .last = 5, .packets = 1 } };
	struct writer *writer;

	assert_int_equal(writer_open(path, FORMAT_NFCAPD, NFCAPD_COMPRESSION_NONE, false, &writer), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(writer_put(writer, &record), 0);
	assert_int_equal(writer_commit(writer), 0);
}

static void nfcapd__when_damaged__then_offset_and_reason(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		unsigned at;
		uint8_t value;
		const char *why;
	} rows[] = {
		{ "magic", 1, 0, "no nfcapd file" },
		{ "layout 1", 2, 1, "nfdump 1.6" },
		{ "layout 9", 2, 9, "not known" },
		{ "zstd", 16, 4, "compression that is not known" },
		{ "encrypted", 17, 1, "encrypted" },
		{ "one block more", 36, 2, "more blocks" },
		{ "one block fewer", 36, 0, "fewer blocks" },
		{ "too many records", 40, 9, "fewer records" },
		{ "too few records", 40, 2, "more than the records" },
		{ "block size", 46, 0xff, "5 MiB" },
		{ "block type", 48, 7, "type of block" },
		{ "record type", 52, 77, "type 77" },
		{ "record of 1.6", 52, 10, "nfdump 1.6" },
		{ "record size", 55, 0xff, "longer than the rest" },
		{ "no record size", 54, 0, "no length" },
		{ "elements", 56, 9, "fewer elements" },
		{ "elements left over", 56, 1, "do not add up" },
		{ "element length", 66, 0xff, "wrong length" },
		{ "no generic element", 64, 99, "without times" },
		{ "damaged LZ4", 16, 3, "damaged" },
	};
	char *whole = test_path("whole"), *in = test_path("in"), *out = test_path("out");
	size_t bytes;

	nfcapd_make(whole);
	uint8_t *data = (uint8_t *)file_read(whole, &bytes);
	for (unsigned i = 0; i < ROWS(rows); i++) {
		char *messages;
		uint8_t old = data[rows[i].at];
		data[rows[i].at] = rows[i].value;
		write_bytes(in, data, bytes);
		data[rows[i].at] = old;
		int status = convert(&messages, "--to", "csv_flow", "--from", "nfcapd", out, in, NULL);
		if (status != 2 || !strstr(messages, in) || !strstr(messages, rows[i].why))
			fail_msg("%s: exit code %d, %s", rows[i].name, status, messages);
		free(messages);
		assert_false(file_exists(out));
	}
	/* Cut off anywhere, in the appendix, too: an error each time, and never a crash. */
	for (size_t size = 0; size < bytes; size++) {
		char *messages;
		write_bytes(in, data, size);
		assert_int_equal(convert(&messages, "--to", "csv_flow", "--from", "nfcapd", out, in, NULL), 2);
		free(messages);
	}
	/* Any one byte changed: whatever comes of it, no crash. */
	for (size_t at = 0; at < bytes; at++) {
		char *messages;
		data[at] ^= 0x41;
		write_bytes(in, data, bytes);
		data[at] ^= 0x41;
		convert(&messages, "-f", "--to", "csv_flow", "--from", "nfcapd", out, in, NULL);
		free(messages);
	}
	free(data);
}

static void nfcapd__when_more_is_behind_its_end__then_said_once(void **state)
{
	(void)state;
	char *whole = test_path("whole"), *in = test_path("in"), *out = test_path("out"), *messages, said[64];
	size_t bytes;

	nfcapd_make(whole);
	uint8_t *data = (uint8_t *)file_read(whole, &bytes);
	FILE *file = fopen(in, "w");
	assert_non_null(file);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(fwrite(data, 1, bytes, file), bytes);
	fclose(file);
	assert_int_equal(convert(&messages, "-q", "--to", "csv_flow", out, in, NULL), 0);
	snprintf(said, sizeof(said), "%zu bytes behind its end", bytes);
	assert_non_null(strstr(messages, said));
	assert_int_equal(count_of(messages, "\n"), 1);
	free(messages);
	free(data);
}

static void nfcapd__when_big_endian__then_said(void **state)
{
	(void)state;
	char *in = test_path("in"), *messages;

	write_bytes(in, (const uint8_t[40]){ 0xa5, 0x0c, 0, 2 }, 40);
	assert_int_equal(convert(&messages, "--to", "csv_flow", test_path("out"), in, NULL), 2);
	assert_non_null(strstr(messages, "big-endian"));
	free(messages);
}

static void text__when_its_last_line_has_no_end__then_a_warning(void **state)
{
	(void)state;
	char *in = test_path("in"), *messages;

	write_bytes(in, CSV_1, strlen(CSV_1) - 1);
	assert_int_equal(convert(&messages, "-q", "--to", "pipe", test_path("out"), in, NULL), 0);
	assert_non_null(strstr(messages, "line 1: no newline"));
	free(messages);
}

/* Nothing of it may reach a terminal as it is. */
static void text__when_not_printable__then_not_printed(void **state)
{
	(void)state;
	char *in = test_path("in"), *messages;

	file_write(in, "2, \033[2J\303\244, 1\n");
	assert_int_equal(convert(&messages, "--to", "pipe", test_path("out"), in, NULL), 2);
	assert_non_null(strstr(messages, "field 2 is \"?[2J??\""));
	free(messages);
}

/* A record that the format cannot hold must not become another. An af of 0 is IPv4, as flow-models has it. */
static void nfcapd__when_addresses_do_not_fit__then_an_error(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		int status;
	} rows[] = {
		{ "7, 6, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 6, 340, 0\n", 2 },
		{ "2, 6, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 6, 340, 0\n", 2 },
		{ "0, 6, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 6, 340, 0\n", 2 },
		{ "0, 6, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 6, 340, 0\n", 0 },
		{ "10, 6, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 6, 340, 0\n", 0 },
	};
	char *in = test_path("in"), *out = test_path("out"), *messages, lines[400];

	for (unsigned i = 0; i < ROWS(rows); i++) {
		snprintf(lines, sizeof(lines), "%s%s", CSV_1, rows[i].line);
		file_write(in, lines);
		int status = convert(&messages, "-qf", "--to", "nfcapd", out, in, NULL);
		if (status != rows[i].status || (status && !strstr(messages, "record 2 has addresses that nfcapd cannot hold")))
			fail_msg("row %u: exit code %d, %s", i, status, messages);
		free(messages);
		assert_int_equal(file_exists(out), !status);
		unlink(out);
	}
}

static void binary__when_bad__then_file_and_reason(void **state)
{
	(void)state;
	static const struct {
		const char *name, *file, *content, *also, *why;
	} rows[] = {
		{ "unequal", "af.B", "\2\2\2", NULL, "3 values" },
		{ "cut off", "sa3.I", "12345", NULL, "no whole number of 4-byte values" },
		{ "twice", "packets.I", "1234", NULL, "both" },
		{ "type code", "prot.d", "12345678", "prot.B", "type code \"d\"" },
		{ "negative", "prot.b", "\xff\1", "prot.B", "negative" },
		{ "too large", "prot.H", "\1\1\1\1", "prot.B", "too large" },
		{ "milliseconds", "first_ms.H", "\xff\xff\0\0", NULL, "999" },
	};
	char *in = test_path("in.csv"), *directory = test_path("bin"), *out = test_path("out"), *messages, path[600];

	file_write(in, CSV_1 CSV_2);
	for (unsigned i = 0; i < ROWS(rows); i++) {
		assert_int_equal(convert(&messages, "-qf", "--to", "binary", directory, in, NULL), 0);
		free(messages);
		if (rows[i].also) {
			snprintf(path, sizeof(path), "%s/%s", directory, rows[i].also);
			unlink(path);
		}
		snprintf(path, sizeof(path), "%s/%s", directory, rows[i].file);
		write_bytes(path, rows[i].content, i == 6 ? 4 : i == 5 ? 4 : i == 4 ? 2 : strlen(rows[i].content));
		int status = convert(&messages, "--to", "csv_flow", out, directory, NULL);
		if (status != 2 || !strstr(messages, directory) || !strstr(messages, rows[i].why))
			fail_msg("%s: exit code %d, %s", rows[i].name, status, messages);
		free(messages);
		assert_false(file_exists(out));
		tree_remove(directory);
	}
	mkdir(directory, 0755);
	assert_int_equal(convert(&messages, "--to", "csv_flow", out, directory, NULL), 2);
	assert_non_null(strstr(messages, "no column"));
	free(messages);
}

/* The set of columns that an older flow-models wrote, and the few that were published for IPv4. */
static void binary__when_columns_are_missing__then_zero(void **state)
{
	(void)state;
	char *in = test_path("in.csv"), *directory = test_path("bin"), *out = test_path("out"), *messages, path[600];
	static const char *const gone[] = { "af.B", "inif.H", "outif.H", "sa0.I", "sa1.I", "sa2.I", "aggs.I" };

	file_write(in, CSV_1);
	assert_int_equal(convert(&messages, "-q", "--to", "binary", directory, in, NULL), 0);
	free(messages);
	for (unsigned i = 0; i < ROWS(gone); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, gone[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(convert(&messages, "-q", "--to", "csv_flow", out, directory, NULL), 0);
	assert_non_null(strstr(messages, "7 of the 21 columns"));
	free(messages);
	char *text = file_read(out, NULL);
	assert_string_equal(text,
		"0, 6, 0, 0, 0, 0, 0, 3232235818, 0, 0, 0, 1572395042, 54321, 443, 1700000000, 124, 1700000000, 691, 6, 340, 0\n");
	free(text);
}

/* Wherever the space ends, nothing remains of OUT. A limit on the size of files stands in for the disk. */
static void out__when_there_is_no_space__then_nothing_is_left(void **state)
{
	(void)state;
	char *in = test_path("in.csv"), *folder = test_path("out"), out[600];
	struct rlimit whole, limit;
	unsigned failed[FORMAT_COUNT] = { 0 };

	file_write(in, CSV_1 CSV_2);
	snprintf(out, sizeof(out), "%s/x", folder);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
	for (unsigned format = 0; format < FORMAT_COUNT; format++) {
		char *argv[] = { (char *)"convert", (char *)"-q", (char *)"--nfcapd-compress", (char *)"none", (char *)"--to",
			(char *)(uintptr_t)format_name((enum record_format)format), out, in, NULL };
		for (limit = whole, limit.rlim_cur = 0; limit.rlim_cur < 512; limit.rlim_cur++) {
			assert_int_equal(mkdir(folder, 0755), 0);
			messages_begin();
			assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
			int status = convert_run(8, argv);
			assert_int_equal(setrlimit(RLIMIT_FSIZE, &whole), 0);
			free(messages_end());
			assert_true(status == 0 || status == 2);
			assert_int_equal(count_entries(folder), status ? 0 : 1);
			failed[format] += status != 0;
			if (!status)
				break;
			assert_int_equal(rmdir(folder), 0);
		}
		tree_remove(folder);
	}
	assert_int_equal(failed[FORMAT_CSV_FLOW], strlen(CSV_1 CSV_2));
	assert_int_equal(failed[FORMAT_BINARY], 2 * 8);
	assert_int_equal(failed[FORMAT_NFCAPD], 40 + 12 + 96 + 128 + 12 + 9 + 148); /* header, block, both records, appendix */
}

/* A folder stands for what the sensor put into it; what is still being written, and what is something else, is passed over. */
static void in__when_a_folder__then_its_files_in_order(void **state)
{
	(void)state;
	char *folder = test_path("folder"), *empty = test_path("empty"), *out = test_path("out.csv"), *messages;
	char *first = test_path("1.csv"), *second = test_path("2.csv"), paths[4][600];
	static const char *const names[] = { "flows.202311142215", "flows.202311142210", ".flows.202311142220.7.part", "other" };

	mkdir(folder, 0755);
	mkdir(empty, 0755);
	file_write(first, CSV_1);
	file_write(second, CSV_2);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", folder, names[i]);
		if (i < 3)
			assert_int_equal(convert(&messages, "-q", "--to", "binary", paths[i], i ? first : second, NULL), 0);
		else
			file_write(paths[i], "x");
		if (i < 3)
			free(messages);
	}
	assert_int_equal(convert(&messages, "-q", "--to", "csv_flow", out, folder, NULL), 0);
	assert_string_equal(messages, "");
	free(messages);
	char *text = file_read(out, NULL);
	assert_string_equal(text, CSV_1 CSV_2);
	free(text);
	tree_remove(folder);
	mkdir(folder, 0755);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const files[] = { "nfcapd.202311142215", "nfcapd.202311142210", "nfcapd.current.7.2023" };
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", folder, files[i]);
		assert_int_equal(convert(&messages, "-q", "--to", "nfcapd", paths[i], i ? first : second, NULL), 0);
		free(messages);
	}
	assert_int_equal(convert(&messages, "-q", "-f", "--to", "csv_flow", out, folder, NULL), 0);
	free(messages);
	text = file_read(out, NULL);
	assert_string_equal(text, CSV_1 CSV_2);
	free(text);
	assert_int_equal(convert(&messages, "-q", "-f", "--to", "csv_flow", out, empty, NULL), 2);
	assert_non_null(strstr(messages, empty));
	free(messages);
}

static void usage__when_wrong__then_exit_code_1(void **state)
{
	(void)state;
	char *in = test_path("in"), *out = test_path("out"), *fifo = test_path("fifo"), *messages;

	file_write(in, CSV_1);
	file_write(out, "precious");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	const struct {
		const char *arguments[6];
		const char *why;
	} rows[] = {
		{ { out, in }, "--to" },
		{ { "--to", "xml", out, in }, "\"xml\" is no format" },
		{ { "--to", "pipe", out }, "no IN" },
		{ { "--to", "pipe" }, "OUT and IN" },
		{ { "--to", "pipe", out, in }, "exists" },
		{ { "--to", "pipe", "-f", in, in }, "while it is read" },
		{ { "--to", "nfcapd", "-", in }, "only text" },
		{ { "--to", "pipe", "x", "-" }, "give --from" },
		{ { "--to", "binary", "-f", out, in }, "no directory" },
		{ { "--to", "nfcapd", "-f", fifo, in }, "no regular file" },
		{ { "--to", "pipe", "--active-timeout-s", "5", "x", in }, "--merge" },
		{ { "--to", "pipe", "--frobnicate", "x", in }, "unknown option --frobnicate" },
	};
	for (unsigned i = 0; i < ROWS(rows); i++) {
		const char *const *a = rows[i].arguments;
		int status = convert(&messages, a[0], a[1], a[2], a[3], a[4], a[5], NULL);
		if (status != 1 || !strstr(messages, rows[i].why))
			fail_msg("row %u: exit code %d, %s", i, status, messages);
		free(messages);
	}
	char *text = file_read(out, NULL);
	assert_string_equal(text, "precious");
	free(text);
}

/* --- joining --------------------------------------------------------------------------------------------------------- */

static struct record joined[1000];
static unsigned joined_count;

static int keep(void *context, const struct record *record)
{
	(void)context;
	joined[joined_count++] = *record;
	return 0;
}

static struct record piece(unsigned port, uint64_t first_ms, uint64_t last_ms, uint32_t aggs)
{
	return (struct record){ .row = { .af = 2,
					.sp = (uint16_t)port,
					.first = first_ms / 1000,
					.first_ms = (uint16_t)(first_ms % 1000),
					.last = last_ms / 1000,
					.last_ms = (uint16_t)(last_ms % 1000),
					.packets = 10,
					.octets = 100,
					.aggs = aggs } };
}

static void pieces__when_they_follow__then_joined(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct {
			uint64_t first_ms, last_ms;
		} pieces[4];
		unsigned n, out, aggs[4];
	} rows[] = {
		{ "short ones stay apart", { { 0, 200000 }, { 200001, 210000 } }, 2, 2, { 1, 1 } },
		{ "long enough", { { 0, 240000 }, { 240001, 250000 } }, 2, 1, { 2 } },
		{ "by whole seconds, as the reference", { { 999, 240000 }, { 240001, 250000 } }, 2, 1, { 2 } },
		{ "a gap of the timeout", { { 0, 299000 }, { 359000, 360000 } }, 2, 1, { 2 } },
		{ "a gap longer than it", { { 0, 299000 }, { 359001, 360000 } }, 2, 2, { 1, 1 } },
		{ "three", { { 0, 299000 }, { 300500, 600000 }, { 600600, 601000 } }, 3, 1, { 3 } },
		{ "in the same millisecond", { { 0, 300000 }, { 300000, 310000 } }, 2, 1, { 2 } },
		{ "in reverse", { { 300500, 310000 }, { 0, 299000 } }, 2, 2, { 1, 1 } },
		{ "in reverse, both long", { { 300500, 600000 }, { 0, 299000 } }, 2, 1, { 2 } },
		{ "overlapping", { { 0, 299000 }, { 200000, 310000 } }, 2, 2, { 1, 1 } },
	};

	for (unsigned r = 0; r < ROWS(rows); r++) {
		struct join *join = join_create(60000, 300000, 100, keep, NULL);
		joined_count = 0;
		for (unsigned i = 0; i < rows[r].n; i++) {
			struct record record = piece(1, rows[r].pieces[i].first_ms, rows[r].pieces[i].last_ms, 0);
			assert_int_equal(join_put(join, &record), 0);
			record = piece(2, 0, 5, 0); /* another flow between them */
			assert_int_equal(join_put(join, &record), 0);
		}
		assert_int_equal(join_finish(join), 0);
		unsigned out = 0;
		for (unsigned i = 0; i < joined_count; i++) {
			if (joined[i].row.sp != 1)
				continue;
			if (joined[i].row.aggs != rows[r].aggs[out] || joined[i].row.packets != 10 * rows[r].aggs[out])
				fail_msg("%s: record %u has %u pieces", rows[r].name, out + 1, joined[i].row.aggs);
			out++;
		}
		if (out != rows[r].out)
			fail_msg("%s: %u records", rows[r].name, out);
		join_destroy(join);
	}
}

static void cache__when_full__then_the_oldest_goes(void **state)
{
	(void)state;
	struct join *join = join_create(60000, 300000, 3, keep, NULL);

	joined_count = 0;
	for (unsigned i = 1; i <= 5; i++) {
		struct record record = piece(i, 0, 290000, 0);
		assert_int_equal(join_put(join, &record), 0);
	}
	assert_int_equal(joined_count, 2);
	assert_int_equal(joined[0].row.sp, 1);
	assert_int_equal(join_report(join)->crowded, 2);
	struct record record = piece(4, 290001, 290002, 0);
	assert_int_equal(join_put(join, &record), 0);
	assert_int_equal(joined_count, 3);
	assert_int_equal(joined[2].row.aggs, 2);
	assert_int_equal(join_finish(join), 0);
	assert_int_equal(joined_count, 5);
	assert_int_equal(joined[3].row.sp, 3); /* in the order they came */
	join_destroy(join);
}

/* --- anonymizing ----------------------------------------------------------------------------------------------------- */

static const char vector_key[] = "boojahyoo3vaeToong0Eijee7Ahz3yee";

static void address__when_anonymized__then_the_vector_and_its_prefixes(void **state)
{
	(void)state;
	struct cryptopan *cryptopan = cryptopan_create((const uint8_t *)vector_key);

	for (unsigned i = 0; i < 2; i++) /* the second time from the cache */
		assert_int_equal(cryptopan_ipv4(cryptopan, 0xc0000201), 206u << 24 | 2u << 16 | 124u << 8 | 120u);
	uint64_t random = 4;
	for (unsigned i = 0; i < 2000; i++) {
		uint32_t x = (uint32_t)random_next(&random), y = x ^ (uint32_t)(random_next(&random) >> (32 + random % 32));
		uint32_t before = x ^ y, after = cryptopan_ipv4(cryptopan, x) ^ cryptopan_ipv4(cryptopan, y);
		assert_int_equal(before ? __builtin_clz(before) : 32, after ? __builtin_clz(after) : 32);
	}
	uint32_t a[4] = { 0x20010db8, 0, 0, 1 }, b[4] = { 0x20010db8, 0, 0x80000000, 1 };
	cryptopan_ipv6(cryptopan, a);
	cryptopan_ipv6(cryptopan, b);
	assert_int_equal(a[0], b[0]);
	assert_int_equal(a[1], b[1]);
	assert_int_not_equal(a[2] >> 31, b[2] >> 31);
	cryptopan_destroy(cryptopan);
}

static void key__when_read__then_bytes_or_hex(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int error;
	} rows[] = {
		{ "boojahyoo3vaeToong0Eijee7Ahz3yee", 0 },
		{ "boojahyoo3vaeToong0Eijee7Ahz3yee\n", 0 },
		{ "626f6f6a616879"
		  "6f6f337661"
		  "65546f6f6e67304569"
		  "6a6565374168"
		  "7a33796565\n",
			0 },
		{ "boojahyoo3vaeToong0Eijee7Ahz3ye", -EINVAL },
		{ "boojahyoo3vaeToong0Eijee7Ahz3yee!", -EINVAL },
		{ "", -EINVAL },
	};
	char *path = test_path("key");

	for (unsigned i = 0; i < ROWS(rows); i++) {
		uint8_t key[CRYPTOPAN_KEY_BYTES];
		file_write(path, rows[i].text);
		messages_begin();
		int error = cryptopan_key_read(path, key);
		char *messages = messages_end();
		if (error != rows[i].error)
			fail_msg("row %u: %d, %s", i, error, messages);
		if (!error)
			assert_memory_equal(key, vector_key, 32);
		free(messages);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(formats__when_there_and_back__then_the_same, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(pipe__when_there_and_back__then_the_same, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(nfcapd__when_compressed_anew__then_nothing_is_lost, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(text__when_bad__then_line_and_reason, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(nfcapd__when_damaged__then_offset_and_reason, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(nfcapd__when_more_is_behind_its_end__then_said_once, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(nfcapd__when_big_endian__then_said, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(text__when_its_last_line_has_no_end__then_a_warning, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(text__when_not_printable__then_not_printed, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(nfcapd__when_addresses_do_not_fit__then_an_error, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(binary__when_bad__then_file_and_reason, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(binary__when_columns_are_missing__then_zero, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(out__when_there_is_no_space__then_nothing_is_left, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(in__when_a_folder__then_its_files_in_order, scratch_make, tree_teardown),
		cmocka_unit_test_setup_teardown(usage__when_wrong__then_exit_code_1, scratch_make, tree_teardown),
		cmocka_unit_test(pieces__when_they_follow__then_joined),
		cmocka_unit_test(cache__when_full__then_the_oldest_goes),
		cmocka_unit_test(address__when_anonymized__then_the_vector_and_its_prefixes),
		cmocka_unit_test_setup_teardown(key__when_read__then_bytes_or_hex, scratch_make, tree_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
