/* Several capture files read together, in time order. */
#include "capture_builder.h"

#define T0        (UINT64_C(1700000000) * SECOND_NS)
#define FILES_MAX 40

/* The wire length says where a frame comes from: file * 1000000 + index in it. */
static uint32_t origin(unsigned file, unsigned index)
{
	return file * 1000000 + index;
}

static const char *file_of(unsigned file, unsigned packets, uint64_t start_ns, uint64_t step_ns, uint32_t cap_len)
{
	struct capture capture = capture_new();
	char name[32];

	for (unsigned i = 0; i < packets; i++)
		capture_record(&capture, start_ns + i * step_ns, cap_len, origin(file, i));
	snprintf(name, sizeof(name), "set%u", file);
	return strdup(capture_write(&capture, name));
}

static void files_free(const char **files, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		free((char *)files[i]);
}

/* In time order; ties in the order of the files; each file's packets all, and in its order. */
static void assert_merged(const struct drained *got, const unsigned *packets, unsigned files)
{
	unsigned next[FILES_MAX] = { 0 };

	for (size_t i = 0; i < got->count; i++) {
		const struct frame *frame = &got->frames[i];
		unsigned file = frame->wire_len / 1000000;

		assert_int_equal(frame->wire_len, origin(file, next[file]++));
		if (i == 0)
			continue;
		assert_true(frame[-1].ts_ns <= frame->ts_ns);
		if (frame[-1].ts_ns == frame->ts_ns)
			assert_true(frame[-1].wire_len / 1000000 <= file);
	}
	for (unsigned i = 0; i < files; i++)
		assert_int_equal(next[i], packets[i]);
}

static void rx_batch__files_interleave__time_order(void **state)
{
	static const struct {
		const char *name;
		unsigned files;
		unsigned packets;
		uint64_t start_step_ns; /* between the starts of the files */
		uint64_t step_ns;
		uint32_t cap_len;
	} cases[] = {
		{ "one after the other", 3, 100, SECOND_NS, 1000, 60 },
		{ "backwards named", 3, 100, -SECOND_NS, 1000, 60 },
		{ "packet by packet", 2, 1000, 1000, 2000, 60 },
		{ "all at one time", 4, 300, 0, 0, 60 },
		{ "many blocks", 3, 2000, 333000, 1000000, 1000 },
		{ "many files", FILES_MAX, 50, 3000, 7000, 20 },
		{ "empty packets", 5, 65, 1000, 1000, 0 },
	};
	(void)state;
	for (unsigned c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		const char *files[FILES_MAX];
		unsigned packets[FILES_MAX];
		struct drained got;

		for (unsigned i = 0; i < cases[c].files; i++) {
			packets[i] = cases[c].packets + i;
			files[i] = file_of(i, packets[i], T0 + i * cases[c].start_step_ns, cases[c].step_ns, cases[c].cap_len);
		}
		assert_int_equal(files_drain(files, cases[c].files, &got, true), 0);
		assert_int_equal(got.end, SOURCE_END);
		assert_merged(&got, packets, cases[c].files);
		assert_int_equal(got.stats.bytes_done, got.stats.bytes_total);
		free(got.frames);
		files_free(files, cases[c].files);
	}
}

static void rx_batch__one_file_is_cut__others_go_on(void **state)
{
	struct capture cut = capture_new();
	const char *files[2];
	struct drained got;
	(void)state;

	capture_record(&cut, T0, 10, origin(0, 0));
	capture_record(&cut, T0 + 1000, 10, origin(0, 1));
	files[0] = strdup(capture_write_cut(&cut, "cut", cut.size - 1));
	files[1] = file_of(1, 100, T0, 1000, 10);
	assert_int_equal(files_drain(files, 2, &got, true), 0);
	assert_int_equal(got.end, SOURCE_END);
	assert_merged(&got, (unsigned[]){ 1, 100 }, 2);
	assert_true(got.stats.truncated);
	assert_said("cut: cut off inside packet 2");
	free(got.frames);
	files_free(files, 2);
	capture_free(&cut);
}

static void rx_batch__one_file_is_damaged__others_go_on_then_error(void **state)
{
	struct capture damaged = capture_new();
	const char *files[3];
	struct drained got;
	(void)state;

	capture_record(&damaged, T0 + 500, 10, origin(1, 0));
	capture_pattern(&damaged, 1, 64); /* no record */
	files[0] = file_of(0, 100, T0, 1000, 10);
	files[1] = strdup(capture_write(&damaged, "damaged"));
	files[2] = file_of(2, 100, T0, 1000, 10);
	assert_int_equal(files_drain(files, 3, &got, true), 0);
	assert_int_equal(got.end, -EBADMSG);
	assert_merged(&got, (unsigned[]){ 100, 1, 100 }, 3);
	assert_said("damaged: damaged at packet 2, byte 50");
	free(got.frames);
	files_free(files, 3);
}

static void open__files_differ__info_says_so(void **state)
{
	struct capture cooked = { .unit_ns = 1, .big_endian = true };
	const char *files[2];
	struct source *source;
	struct drained got;
	(void)state;

	files[0] = file_of(0, 3, T0, 1000, 10);
	capture_header(&cooked, 99999, LINK_LINUX_SLL);
	capture_record(&cooked, T0 + 1, 20, origin(1, 0));
	files[1] = strdup(capture_write(&cooked, "cooked"));
	assert_int_equal(files_drain(files, 2, &got, false), 0);
	assert_merged(&got, (unsigned[]){ 3, 1 }, 2);
	assert_int_equal(got.info.link, -1);
	assert_int_equal(got.info.snaplen, 99999);
	assert_true(got.info.nanoseconds);
	assert_int_equal(got.frames[0].link, LINK_ETHERNET);
	assert_int_equal(got.frames[1].link, LINK_LINUX_SLL);
	free(got.frames);

	assert_int_equal(pcap_source_open((char *const *)files, 2, &source), 0);
	assert_int_equal(pcap_source_link(source, 0), LINK_ETHERNET);
	assert_int_equal(pcap_source_link(source, 1), LINK_LINUX_SLL);
	assert_string_equal(pcap_link_name(LINK_LINUX_SLL), "LINUX_SLL");
	source->ops->close(source);
	files_free(files, 2);
}

static void open__last_file_missing__all_closed(void **state)
{
	const char *files[2] = { file_of(0, 3, T0, 1000, 10), capture_path("missing") };
	struct drained got;
	(void)state;

	assert_int_equal(files_drain(files, 2, &got, true), -ENOENT); /* LeakSanitizer sees to the rest */
	files_free(files, 1);
}

static void stats__one_input_is_a_pipe__total_unknown(void **state)
{
	const char *path = capture_path("fifo"), *files[2] = { file_of(0, 3, T0, 1000, 10), path };
	struct capture capture = capture_new();
	struct frame frames[FLOWLANE_BATCH];
	struct source_stats stats;
	struct source *source;
	(void)state;

	assert_int_equal(mkfifo(path, 0600), 0);
	int fd = open(path, O_RDWR);
	assert_int_equal(write(fd, capture.bytes, capture.size), capture.size);
	assert_int_equal(pcap_source_open((char *const *)files, 2, &source), 0);
	assert_int_equal(source->ops->rx_batch(source, frames, FLOWLANE_BATCH), 0); /* what the pipe will say may be earlier */
	source->ops->stats(source, &stats);
	assert_int_equal(stats.bytes_total, 0);
	close(fd);
	int n, total = 0;
	while ((n = source->ops->rx_batch(source, frames, FLOWLANE_BATCH)) >= 0)
		total += n;
	assert_int_equal(total, 3);
	source->ops->close(source);
	capture_free(&capture);
	files_free(files, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rx_batch__files_interleave__time_order),
		cmocka_unit_test(rx_batch__one_file_is_cut__others_go_on),
		cmocka_unit_test(rx_batch__one_file_is_damaged__others_go_on_then_error),
		cmocka_unit_test(open__files_differ__info_says_so),
		cmocka_unit_test(open__last_file_missing__all_closed),
		cmocka_unit_test(stats__one_input_is_a_pipe__total_unknown),
	};
	return cmocka_run_group_tests(tests, capture_dir_make, capture_dir_remove);
}
