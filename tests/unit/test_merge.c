/* `flowlane merge`: what it writes, what it refuses. */
#include "capture_builder.h"

#include "merge.h"
#include "merge_window.h"
#include "options.h"

#define T0 (UINT64_C(1700000000) * SECOND_NS)

static char out_path[256];

/* Runs merge with these arguments; messages are in capture_said. */
static int merge(int count, const char *const *arguments)
{
	char *argv[16] = { (char *)"merge" };

	for (int i = 0; i < count; i++)
		argv[i + 1] = (char *)arguments[i];
	said_begin();
	int status = merge_run(count + 1, argv);
	said_end();
	return status;
}

#define MERGE(...) merge(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *), (const char *[]){ __VA_ARGS__ })

static int test_begin(void **state)
{
	(void)state;
	snprintf(out_path, sizeof(out_path), "%s/out.pcap", capture_dir);
	unlink(out_path);
	return 0;
}

static const char *file_of(const char *name, unsigned packets, uint64_t start_ns, uint64_t step_ns)
{
	struct capture capture = capture_new();

	for (unsigned i = 0; i < packets; i++)
		capture_record(&capture, start_ns + i * step_ns, 60 + i % 100, 1500);
	return capture_write(&capture, name);
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void merge__two_files__one_in_time_order(void **state)
{
	const char *a = file_of("a", 5000, T0, 2000), *b = file_of("b", 5000, T0 + 1000, 2000);
	struct drained got;
	(void)state;

	assert_int_equal(MERGE(out_path, a, b), 0);
	assert_said("10000 packets from 2 files written");
	assert_int_equal(file_drain(out_path, &got), 0);
	assert_int_equal(got.count, 10000);
	for (unsigned i = 0; i < 10000; i++) {
		assert_int_equal(got.frames[i].ts_ns, T0 + i * 1000);
		assert_int_equal(got.frames[i].cap_len, 60 + i / 2 % 100);
		assert_int_equal(got.frames[i].wire_len, 1500);
	}
	assert_false(got.info.nanoseconds);
	free(got.frames);
}

static void merge__input_already_what_it_should_be__same_bytes(void **state)
{
	struct capture capture = capture_new();
	(void)state;

	for (unsigned i = 0; i < 100; i++)
		capture_record(&capture, T0 + i / 3 * 1000, i, 2 * i);
	const char *in = capture_write_cut(&capture, "in", capture.size);
	assert_int_equal(MERGE(out_path, in), 0);
	assert_null(strstr(capture_said, "late")); /* equal times are in order */

	FILE *file = fopen(out_path, "rb");
	uint8_t *bytes = malloc(capture.size + 1);
	assert_int_equal(fread(bytes, 1, capture.size + 1, file), capture.size);
	assert_memory_equal(bytes, capture.bytes, capture.size);
	fclose(file);
	free(bytes);
	capture_free(&capture);
}

/* Two lanes append chunks of 500 packets in turn: what a shared pcap looks like. */
static const char *interleaved_chunks(void)
{
	struct capture capture = capture_new();

	for (unsigned chunk = 0; chunk < 10; chunk++)
		for (unsigned lane = 0; lane < 2; lane++)
			for (unsigned i = 0; i < 500; i++)
				capture_record(&capture, T0 + (chunk * 1000 + i * 2 + lane) * 1000, 60, 60);
	return capture_write(&capture, "lanes");
}

static void merge__nearly_ordered_input__ordered_output(void **state)
{
	struct drained got;
	(void)state;

	assert_int_equal(MERGE(out_path, interleaved_chunks()), 0);
	assert_null(strstr(capture_said, "late"));
	assert_int_equal(file_drain(out_path, &got), 0);
	assert_int_equal(got.count, 10000);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(got.frames[i].ts_ns, T0 + i * 1000);
	free(got.frames);
}

static void merge__window_too_small__all_written_and_the_late_counted(void **state)
{
	struct capture capture = capture_new();
	struct drained got;
	(void)state;

	for (unsigned i = 0; i < 100; i++)
		capture_record(&capture, T0 + (10 + i) * 1000, 60, 60);
	capture_record(&capture, T0, 60, 60);
	capture_record(&capture, T0 + 1000, 60, 60);
	const char *in = capture_write(&capture, "in");
	assert_int_equal(MERGE("--window", "50", out_path, in), 0);
	assert_said("warning: merge: 2 packets came more than 50 packets");
	assert_int_equal(file_drain(out_path, &got), 0);
	assert_int_equal(got.count, 102);
	free(got.frames);

	assert_int_equal(MERGE("-f", "--window=100", out_path, in), 0);
	assert_null(strstr(capture_said, "late")); /* at most 100 late */
}

static void merge__precision__as_the_inputs_or_as_asked(void **state)
{
	struct capture capture = { .unit_ns = 1 };
	struct drained got;
	(void)state;

	capture_header(&capture, 100000, LINK_ETHERNET);
	capture_record(&capture, T0 + 1999, 0, 0);
	const char *ns = capture_write(&capture, "ns"), *us = file_of("us", 1, T0, 0);

	assert_int_equal(MERGE(out_path, us, ns), 0);
	assert_int_equal(file_drain(out_path, &got), 0);
	assert_true(got.info.nanoseconds);
	assert_int_equal(got.info.snaplen, 100000);
	assert_int_equal(got.frames[1].ts_ns, T0 + 1999);
	free(got.frames);

	assert_int_equal(MERGE("--precision", "us", "--force", out_path, us, ns), 0);
	assert_int_equal(file_drain(out_path, &got), 0);
	assert_false(got.info.nanoseconds);
	assert_int_equal(got.frames[1].ts_ns, T0 + 1000);
	free(got.frames);

	assert_int_equal(MERGE("--precision", "ns", "--force", out_path, us), 0);
	assert_int_equal(file_drain(out_path, &got), 0);
	assert_true(got.info.nanoseconds);
	free(got.frames);
}

static void merge__link_types_differ__refused_by_name(void **state)
{
	struct capture capture = { .unit_ns = 1000 };
	(void)state;

	capture_header(&capture, 65535, LINK_LINUX_SLL);
	const char *cooked = capture_write(&capture, "cooked"), *a = file_of("a", 1, T0, 0), *b = file_of("b", 1, T0, 0);
	assert_int_equal(MERGE(out_path, a, b, cooked), EXIT_USAGE);
	assert_said("a has EN10MB (1), ");
	assert_said("cooked has LINUX_SLL (113)");
	assert_false(exists(out_path));

	struct capture mixed = { 0 };
	pcapng_section(&mixed);
	pcapng_interface(&mixed, LINK_ETHERNET, 0, 0);
	pcapng_interface(&mixed, LINK_RAW, 0, 0);
	pcapng_packet(&mixed, 0, 1, 1000, 4, 4);
	pcapng_packet(&mixed, 1, 1, 1000, 4, 4);
	assert_int_equal(MERGE(out_path, a, capture_write(&mixed, "mixed")), EXIT_USAGE);
	assert_said("mixed has packets of several");
}

static void merge__out_in_the_way__refused(void **state)
{
	const char *a = file_of("a", 3, T0, 1000), *part = file_of("out.pcap.part", 3, T0, 1000);
	struct drained got;
	char link[512];
	(void)state;

	snprintf(link, sizeof(link), "%s/link", capture_dir);
	assert_int_equal(symlink(a, link), 0);
	assert_int_equal(MERGE("--force", a, a), EXIT_USAGE);
	assert_said("would be overwritten while it is read");
	assert_int_equal(MERGE("--force", link, a), EXIT_USAGE);
	assert_int_equal(MERGE("--force", out_path, part), EXIT_USAGE);
	assert_said("would be overwritten while it is read");
	assert_int_equal(file_drain(a, &got), 0);
	assert_int_equal(got.count, 3);
	free(got.frames);

	file_write(out_path, "precious", 8);
	assert_int_equal(MERGE(out_path, a), EXIT_USAGE);
	assert_said("exists; use --force");
	assert_int_equal(file_drain(out_path, &got), -EBADMSG); /* untouched */
	assert_int_equal(MERGE(out_path, "-f", a), 0);
	assert_int_equal(file_drain(out_path, &got), 0);
	assert_int_equal(got.count, 3);
	free(got.frames);
	unlink(part);
}

static void merge__bad_arguments__sentence_and_exit_1(void **state)
{
	static const struct {
		const char *arguments[3];
		const char *said;
	} cases[] = {
		{ { NULL }, "OUT and IN are missing" },
		{ { "out", NULL }, "no IN is named for OUT out" },
		{ { "--foo", "out", "in" }, "unknown option --foo" },
		{ { "-x", "out", "in" }, "unknown option -x" },
		{ { "--window", NULL }, "an argument is missing behind --window" },
		{ { "--window=0", "out", "in" }, "--window is \"0\", and must be a number from 1" },
		{ { "--window=5k", "out", "in" }, "--window is \"5k\"" },
		{ { "--window=-5", "out", "in" }, "--window is \"-5\"" },
		{ { "--window=99999999999999999999", "out", "in" }, "--window is" },
		{ { "--precision=ms", "out", "in" }, "--precision is \"ms\", and must be us or ns" },
		{ { "/dev/null", "-", "-" }, "can be read only once" },
	};
	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int count = 0;

		while (count < 3 && cases[i].arguments[count])
			count++;
		assert_int_equal(merge(count, cases[i].arguments), EXIT_USAGE);
		assert_said(cases[i].said);
		assert_false(exists("out"));
	}
}

static void merge__input_missing_cut_or_damaged__exit_2_and_the_rest_written(void **state)
{
	struct capture capture = capture_new();
	const char *a = file_of("a", 10, T0, 1000);
	struct drained got;
	(void)state;

	assert_int_equal(MERGE(out_path, a, capture_path("missing")), EXIT_RUNTIME);
	assert_false(exists(out_path));

	capture_record(&capture, T0, 10, 10);
	capture_record(&capture, T0, 10, 10);
	assert_int_equal(MERGE(out_path, a, capture_write_cut(&capture, "cut", capture.size - 1)), EXIT_RUNTIME);
	assert_said("cut off inside packet 2");
	assert_int_equal(file_drain(out_path, &got), 0);
	assert_int_equal(got.count, 11);
	free(got.frames);

	memset(capture.bytes + capture.size - 26, 0xff, 26);
	assert_int_equal(MERGE("-f", out_path, a, capture_write(&capture, "damaged")), EXIT_RUNTIME);
	assert_said("damaged at packet 2");
	assert_int_equal(file_drain(out_path, &got), 0);
	assert_int_equal(got.count, 11);
	free(got.frames);
}

static void merge__out_cannot_be_made__exit_2(void **state)
{
	const char *a = file_of("a", 10, T0, 1000);
	(void)state;

	assert_int_equal(MERGE(capture_path("no/such/folder"), a), EXIT_RUNTIME);
	assert_said("No such file or directory");
	assert_int_equal(MERGE("/dev/full", a), EXIT_RUNTIME);
	assert_said("No space left on device");
}

static void merge__standard_output__the_file_on_it(void **state)
{
	const char *a = file_of("a", 10, T0, 1000);
	struct drained got;
	(void)state;

	fflush(stdout);
	int saved = dup(STDOUT_FILENO), fd = open(out_path, O_WRONLY | O_CREAT, 0600);
	dup2(fd, STDOUT_FILENO);
	int status = MERGE("-", a);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(fd);
	assert_int_equal(status, 0);
	assert_int_equal(file_drain(out_path, &got), 0);
	assert_int_equal(got.count, 10);
	free(got.frames);
}

/* Against sorting: with a window of w, the output is ordered if no packet comes more than w late. */
static void window__random_order__earliest_first_and_stable(void **state)
{
	static const uint32_t windows[] = { 1, 2, 7, 64 };
	(void)state;

	for (unsigned w = 0; w < 4; w++) {
		struct merge_window *window = merge_window_new(windows[w], 1 << 20);
		uint64_t random = 12345, last = 0;
		uint32_t last_order = 0, taken = 0;
		struct merge_packet *packet;

		for (uint32_t i = 0; i < 5000; i++) {
			random = random * 6364136223846793005u + 1;
			/* a shuffle within spans of w: nobody moves by more than w - 1 places */
			uint64_t ts = i / windows[w] * 1000 + (random >> 33) % 5;
			struct frame frame = { .data = (const uint8_t *)"xy", .ts_ns = ts, .cap_len = i % 3, .wire_len = i };

			assert_int_equal(merge_window_put(window, &frame), 0);
			while (i == 4999 || merge_window_full(window)) {
				packet = merge_window_take(window);
				if (!packet)
					break;
				assert_true(packet->ts_ns > last || (packet->ts_ns == last && packet->wire_len >= last_order));
				assert_int_equal(packet->cap_len, packet->wire_len % 3);
				assert_memory_equal(packet->data, "xy", packet->cap_len);
				last = packet->ts_ns;
				last_order = packet->wire_len;
				taken++;
				free(packet);
			}
		}
		assert_int_equal(taken, 5000);
		merge_window_free(window);
	}
}

static void window__bytes_exceed_the_limit__full_before_the_count(void **state)
{
	struct merge_window *window = merge_window_new(1000, 100);
	uint8_t data[60] = { 0 };
	struct frame frame = { .data = data, .cap_len = sizeof(data) };
	(void)state;

	assert_null(merge_window_take(window));
	assert_int_equal(merge_window_put(window, &frame), 0);
	assert_false(merge_window_full(window));
	assert_int_equal(merge_window_put(window, &frame), 0);
	assert_true(merge_window_full(window));
	free(merge_window_take(window));
	assert_false(merge_window_full(window));
	merge_window_free(window); /* with a packet in it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(merge__two_files__one_in_time_order, test_begin),
		cmocka_unit_test_setup(merge__input_already_what_it_should_be__same_bytes, test_begin),
		cmocka_unit_test_setup(merge__nearly_ordered_input__ordered_output, test_begin),
		cmocka_unit_test_setup(merge__window_too_small__all_written_and_the_late_counted, test_begin),
		cmocka_unit_test_setup(merge__precision__as_the_inputs_or_as_asked, test_begin),
		cmocka_unit_test_setup(merge__link_types_differ__refused_by_name, test_begin),
		cmocka_unit_test_setup(merge__out_in_the_way__refused, test_begin),
		cmocka_unit_test_setup(merge__bad_arguments__sentence_and_exit_1, test_begin),
		cmocka_unit_test_setup(merge__input_missing_cut_or_damaged__exit_2_and_the_rest_written, test_begin),
		cmocka_unit_test_setup(merge__out_cannot_be_made__exit_2, test_begin),
		cmocka_unit_test_setup(merge__standard_output__the_file_on_it, test_begin),
		cmocka_unit_test_setup(window__random_order__earliest_first_and_stable, test_begin),
		cmocka_unit_test_setup(window__bytes_exceed_the_limit__full_before_the_count, test_begin),
	};
	return cmocka_run_group_tests(tests, capture_dir_make, capture_dir_remove);
}
