/*
 * Lanes that read a file together. What one reader gives is the reference: each lane must get all of it, or of it what is its own,
 * in order and unharmed, however far the lanes are apart.
 */
#include "capture_builder.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "hash.h"
#include "shard.h"
#include "shared_file.h"

#define T0        (UINT64_C(1700000000) * SECOND_NS)
#define ROWS(a)   (sizeof(a) / sizeof((a)[0]))
#define LANES_MAX 5

struct expected {
	uint64_t ts_ns, sum;
	uint32_t cap_len, wire_len;
	uint16_t link;
};

struct reference {
	struct expected *frames;
	size_t count;
	int end;
	bool truncated;
};

static uint64_t data_sum(const struct frame *frame)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < frame->cap_len; i++)
		sum = sum * 31 + frame->data[i];
	return sum;
}

static struct expected expected_of(const struct frame *frame)
{
	return (struct expected){ frame->ts_ns, data_sum(frame), frame->cap_len, frame->wire_len, frame->link };
}

static void reference_get(struct reference *reference, const char *const *files, unsigned count)
{
	struct frame frames[FLOWLANE_BATCH];
	struct source_stats stats;
	struct source *source;
	int n;

	*reference = (struct reference){ 0 };
	assert_int_equal(pcap_source_open((char *const *)files, count, &source), 0);
	while ((n = source->ops->rx_batch(source, frames, FLOWLANE_BATCH)) > 0) {
		reference->frames = realloc(reference->frames, (reference->count + (size_t)n) * sizeof(struct expected));
		for (int i = 0; i < n; i++)
			reference->frames[reference->count++] = expected_of(&frames[i]);
	}
	reference->end = n;
	source->ops->stats(source, &stats);
	reference->truncated = stats.truncated;
	source->ops->close(source);
}

/* --- one lane ----------------------------------------------------------------------------------------------------------------- */

enum mode { MODE_ALL, MODE_MINE, MODE_MIXED, MODE_COUNT };

struct reader {
	pthread_t thread;
	const struct reference *reference;
	struct source *source;
	unsigned lane, lanes;
	enum mode mode;
	bool slow;
	uint64_t random;
	size_t seen, mine, left_out;
	int end;
	const char *wrong; /* what; NULL: nothing. A thread must not fail by itself */
};

static bool is_same(const struct frame *frame, const struct expected *want)
{
	return frame->ts_ns == want->ts_ns && frame->cap_len == want->cap_len && frame->wire_len == want->wire_len &&
	       frame->link == want->link && data_sum(frame) == want->sum;
}

static void check_all(struct reader *reader, const struct frame *frames, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (reader->seen + i >= reader->reference->count ||
			!is_same(&frames[i], &reader->reference->frames[reader->seen + i]))
			reader->wrong = "a frame is not the one that one reader gives";
	}
}

/* The own frames are there, each at its number; those left out are other lanes'. */
static void check_mine(
	struct reader *reader, const struct frame *frames, size_t n, uint64_t until_ns, const struct batch_others *others)
{
	const struct expected *want = reader->reference->frames + reader->seen;
	uint64_t latest_ns = 0;
	bool sure = true;

	if (reader->seen + others->all > reader->reference->count) {
		reader->wrong = "a batch stands for more frames than there are";
		return;
	}
	for (size_t i = 0; i < others->all; i++)
		latest_ns = want[i].ts_ns > latest_ns ? want[i].ts_ns : latest_ns;
	for (size_t i = 0; i < n; i++) {
		uint32_t lane = shard_of_frame(&frames[i], reader->lanes);
		sure = sure && lane != SHARD_NOT_PLAIN;
		if (lane != reader->lane && lane != SHARD_NOT_PLAIN)
			reader->wrong = "a frame is another lane's";
		if (frames[i].number >= others->all || (i && frames[i].number <= frames[i - 1].number) ||
			!is_same(&frames[i], &want[frames[i].number]))
			reader->wrong = "a frame is not where its number says";
	}
	if (latest_ns >= until_ns)
		reader->wrong = "frames of other lanes were left out beyond the time";
	/* The latest may be one before the batch; it was seen then, so it cannot matter. */
	if (others->latest_ns < latest_ns)
		reader->wrong = "the latest time is not that of the frames";
	if (others->sure != sure)
		reader->wrong = "whether all frames are sure is not what they say";
}

static bool reader_step(struct reader *reader)
{
	struct frame frames[FLOWLANE_BATCH];
	struct batch_others others = { 0 };
	struct source *source = reader->source;
	uint64_t until_ns = UINT64_MAX;
	unsigned size = FLOWLANE_BATCH;
	int n;

	if (reader->mode == MODE_MIXED) {
		size = 1 + (unsigned)(hash_fold(reader->random++, 0x9e3779b97f4a7c15u) % FLOWLANE_BATCH);
		size_t at = hash_fold(reader->random++, 0x9e3779b97f4a7c15u) % (reader->reference->count + 1);
		until_ns = at < reader->reference->count ? reader->reference->frames[at].ts_ns : UINT64_MAX;
	}
	if (reader->mode == MODE_ALL)
		n = source->ops->rx_batch(source, frames, size);
	else
		n = source->ops->rx_mine(source, frames, size, until_ns, &others);
	if (n < 0) {
		reader->end = n;
		return false;
	}
	for (unsigned again = 0; again < (reader->slow ? 3 : 1); again++) {
		if (others.all)
			check_mine(reader, frames, (size_t)n, until_ns, &others);
		else
			check_all(reader, frames, (size_t)n);
		sched_yield();
	}
	reader->seen += others.all ? others.all : (size_t)n;
	reader->left_out += others.all ? others.all - (size_t)n : 0;
	for (int i = 0; i < n; i++) {
		uint32_t lane = shard_of_frame(&frames[i], reader->lanes);
		reader->mine += lane == reader->lane || lane == SHARD_NOT_PLAIN;
	}
	source->ops->release(source, frames, (unsigned)n);
	return true;
}

static void *reader_run(void *argument)
{
	struct reader *reader = argument;

	while (!reader->wrong && reader_step(reader))
		;
	return NULL;
}

static void readers_start(
	struct reader *readers, struct shared_file *shared, const struct reference *reference, unsigned lanes, enum mode mode)
{
	for (unsigned i = 0; i < lanes; i++) {
		readers[i] = (struct reader){ .reference = reference,
			.source = shared_file_source(shared, i),
			.lane = i,
			.lanes = lanes,
			.mode = mode == MODE_COUNT ? (enum mode)(i % MODE_COUNT) : mode,
			.slow = i == 1,
			.random = i * 1000 };
	}
}

static void readers_check(const char *what, const struct reader *readers, const struct reference *reference, unsigned lanes)
{
	for (unsigned i = 0; i < lanes; i++) {
		if (readers[i].wrong)
			fail_msg("%s, lane %u of %u, frame %zu: %s", what, i, lanes, readers[i].seen, readers[i].wrong);
		if (readers[i].seen != reference->count || readers[i].end != reference->end)
			fail_msg("%s, lane %u of %u: %zu frames of %zu, end %d and not %d", what, i, lanes, readers[i].seen,
				reference->count, readers[i].end, reference->end);
	}
}

/* As the lanes of a run: threads. Returns what was logged. */
static const char *lanes_check(const char *what, const char *const *files, unsigned count)
{
	static const enum mode modes[] = { MODE_ALL, MODE_MINE, MODE_MIXED, MODE_COUNT };
	struct reference reference;

	said_begin();
	reference_get(&reference, files, count);
	said_end();
	for (unsigned run = 0; run < ROWS(modes) * 2; run++) {
		unsigned lanes = run % 2 ? LANES_MAX : 2;
		struct reader readers[LANES_MAX];
		struct shared_file *shared;
		struct source_stats stats;
		said_begin();
		assert_int_equal(shared_file_open((char *const *)files, count, lanes, &shared), 0);
		readers_start(readers, shared, &reference, lanes, modes[run / 2]);
		for (unsigned i = 0; i < lanes; i++)
			assert_int_equal(pthread_create(&readers[i].thread, NULL, reader_run, &readers[i]), 0);
		for (unsigned i = 0; i < lanes; i++)
			pthread_join(readers[i].thread, NULL);
		said_end();
		readers_check(what, readers, &reference, lanes);
		readers[0].source->ops->stats(readers[0].source, &stats);
		assert_int_equal(stats.truncated, reference.truncated);
		shared_file_close(shared);
	}
	free(reference.frames);
	return capture_said;
}

/* --- captures ------------------------------------------------------------------------------------------------------------------- */

/* UDP of 50 flows; each eleventh frame is no IP; time goes back now and then. */
static void frame_make(uint8_t *data, uint32_t cap_len, unsigned number)
{
	for (uint32_t i = 0; i < cap_len; i++)
		data[i] = (uint8_t)(number * 31 + i * 13 + (i >> 8));
	if (cap_len < 42)
		return;
	unsigned flow = number * 7 % 50;
	store_be16(data + 12, number % 11 ? 0x0800 : 0x0806);
	store_be16(data + 14, 0x4500);
	store_be16(data + 20, 0);
	data[23] = 17;
	store_be32(data + 26, 0x0a000001 + flow);
	store_be32(data + 30, 0x0a010001 + flow * 3);
	store_be16(data + 34, (uint16_t)(20000 + flow));
	store_be16(data + 36, 53);
}

static uint64_t frame_time(unsigned number)
{
	return T0 + number * UINT64_C(1000000) - (number % 97 == 0 ? 5000000 : 0);
}

static void capture_frame(struct capture *capture, uint32_t cap_len, unsigned number)
{
	uint64_t ts_ns = frame_time(number);
	uint8_t data[2000];

	frame_make(data, cap_len, number);
	capture_add_u32(capture, (uint32_t)(ts_ns / SECOND_NS));
	capture_add_u32(capture, (uint32_t)(ts_ns % SECOND_NS / capture->unit_ns));
	capture_add_u32(capture, cap_len);
	capture_add_u32(capture, cap_len + number);
	capture_add(capture, data, cap_len);
}

static uint32_t length_mixed(unsigned number)
{
	return 42 + number * 37 % 1400;
}

static struct capture capture_of(unsigned packets, unsigned first, unsigned step, uint32_t cap_len)
{
	struct capture capture = capture_new();

	for (unsigned i = 0; i < packets; i++)
		capture_frame(&capture, cap_len ? cap_len : length_mixed(first + i * step), first + i * step);
	return capture;
}

static void rx__lanes_at_once__each_gets_what_one_reader_gives(void **state)
{
	static const struct {
		const char *name;
		unsigned packets;
		uint32_t cap_len; /* 0: mixed */
	} cases[] = {
		{ "mixed lengths, many blocks", 6000, 0 },
		{ "more frames in a block than in a slot", 30000, 42 },
		{ "no bytes at all", 20000, 0x80000000 },
		{ "one packet", 1, 60 },
		{ "none", 0, 60 },
	};
	(void)state;
	for (unsigned c = 0; c < ROWS(cases); c++) {
		struct capture capture = capture_of(cases[c].packets, 0, 1, cases[c].cap_len & 0x7fffffff);
		if (cases[c].cap_len & 0x80000000) {
			capture_free(&capture);
			capture = capture_new();
			for (unsigned i = 0; i < cases[c].packets; i++)
				capture_frame(&capture, 0, i);
		}
		const char *path = capture_write(&capture, "f");
		lanes_check(cases[c].name, &path, 1);
		assert_string_equal(capture_said, "");
	}
}

static void rx__gzip_pcapng_old_pcap__the_same(void **state)
{
	struct capture capture = capture_of(6000, 0, 1, 0), packed = capture_gzip(&capture), ng = { .unit_ns = 1000 };
	const char *path = capture_write(&packed, "f.gz");
	(void)state;

	lanes_check("gzip", &path, 1);
	pcapng_section(&ng);
	pcapng_interface(&ng, LINK_ETHERNET, 65535, 0);
	for (unsigned i = 0; i < 5000; i++) {
		pcapng_packet(&ng, 0, frame_time(i) / 1000, frame_time(i), length_mixed(i), i);
		if (i % 1000 == 999) { /* a block too long to be held: it is read past, over memory that frames lay in */
			static const uint8_t zeros[1 << 16];
			uint32_t length = 12 + 16 * sizeof(zeros);
			capture_add_u32(&ng, 0xbad);
			capture_add_u32(&ng, length);
			for (unsigned k = 0; k < 16; k++)
				capture_add(&ng, zeros, sizeof(zeros));
			capture_add_u32(&ng, length);
		}
	}
	path = capture_write(&ng, "f.pcapng");
	lanes_check("pcapng", &path, 1);
	/* The modified pcap of old Linux distributions: libpcap reads it. */
	struct capture old = { .unit_ns = 1000 };
	capture_header(&old, 65535, LINK_ETHERNET);
	memcpy(old.bytes, (uint8_t[]){ 0x34, 0xcd, 0xb2, 0xa1 }, 4);
	for (unsigned i = 0; i < 3000; i++) {
		capture_add_u32(&old, (uint32_t)(frame_time(i) / SECOND_NS));
		capture_add_u32(&old, (uint32_t)(frame_time(i) % SECOND_NS / 1000));
		capture_add_u32(&old, 600);
		capture_add_u32(&old, 600);
		capture_add(&old, "\1\0\0\0\0\0\0\0", 8);
		capture_pattern(&old, frame_time(i), 600);
	}
	path = capture_write(&old, "old");
	lanes_check("old pcap", &path, 1);
}

static void rx__several_files__merged_as_by_one_reader(void **state)
{
	const char *files[3];
	(void)state;

	for (unsigned i = 0; i < 3; i++) {
		struct capture capture = capture_of(3000 + i * 500, i, 3, i == 2 ? 42 : 0);
		char name[8];
		snprintf(name, sizeof(name), "m%u", i);
		files[i] = capture_write(&capture, name);
	}
	lanes_check("three files", files, 3);
	const char *many[12]; /* so many that the ring is short */
	for (unsigned i = 0; i < ROWS(many); i++) {
		struct capture capture = capture_of(400, i, ROWS(many), 0);
		char name[8];
		snprintf(name, sizeof(name), "n%u", i);
		many[i] = capture_write(&capture, name);
	}
	lanes_check("twelve files", many, ROWS(many));
}

static void rx__cut_or_damaged__all_before_it_and_said_once(void **state)
{
	struct capture capture = capture_of(3000, 0, 1, 0);
	const char *path = capture_write_cut(&capture, "cut", capture.size - 7);
	(void)state;

	lanes_check("cut", &path, 1);
	assert_said("cut off inside packet 3000 ");
	assert_null(strchr(strchr(capture_said, '\n') + 1, '\n'));
	uint32_t absurd = 0x7fffffff;
	capture_add(&capture, (uint8_t[8]){ 0 }, 8);
	capture_add(&capture, &absurd, 4);
	capture_add(&capture, (uint8_t[40]){ 0 }, 40);
	path = capture_write(&capture, "damaged");
	lanes_check("damaged", &path, 1);
	assert_said("damaged at packet 3001");
	assert_null(strchr(strchr(capture_said, '\n') + 1, '\n'));
}

/* Without threads, so that it is certain that the other lane is as far ahead as it can be. */
static void rx__when_a_lane_stands_still__then_its_frames_stay_and_the_other_waits_a_ring_ahead(void **state)
{
	struct capture capture = capture_of(20000, 0, 1, 0);
	const char *path = capture_write(&capture, "f");
	struct reference reference;
	struct reader readers[2];
	struct shared_file *shared;
	struct frame held[FLOWLANE_BATCH];
	(void)state;

	reference_get(&reference, &path, 1);
	assert_int_equal(shared_file_open((char *const *)&path, 1, 2, &shared), 0);
	readers_start(readers, shared, &reference, 2, MODE_ALL);
	struct source *still = readers[0].source, *other = readers[1].source;
	for (unsigned round = 0; round < 3; round++) {
		int n = still->ops->rx_batch(still, held, FLOWLANE_BATCH);
		assert_in_range(n, 1, FLOWLANE_BATCH);
		size_t before = readers[1].seen;
		for (size_t seen = SIZE_MAX; seen != readers[1].seen;) {
			seen = readers[1].seen;
			assert_true(reader_step(&readers[1]));
		}
		assert_true(readers[1].seen > before || round > 0);
		assert_true(readers[1].seen < reference.count);
		check_all(&readers[0], held, (size_t)n);
		assert_null(readers[0].wrong);
		readers[0].seen += (size_t)n;
		still->ops->release(still, held, (unsigned)n);
		for (unsigned i = 0; i < 20; i++)
			reader_step(&readers[0]);
	}
	/* Now both, taking turns. */
	for (bool on[2] = { true, true }; on[0] || on[1];) {
		for (unsigned i = 0; i < 2; i++)
			on[i] = on[i] && reader_step(&readers[i]);
	}
	(void)other;
	readers_check("taking turns", readers, &reference, 2);
	shared_file_close(shared);
	free(reference.frames);
}

static void rx__silent_pipe__no_lane_hangs_and_it_goes_on(void **state)
{
	struct capture capture = capture_of(2, 0, 1, 60);
	const char *path = capture_path("fifo");
	struct frame frames[FLOWLANE_BATCH];
	struct batch_others others;
	struct shared_file *shared;
	(void)state;

	assert_int_equal(mkfifo(path, 0600), 0);
	int fd = open(path, O_RDWR);
	assert_int_equal(write(fd, capture.bytes, capture.size - 20), capture.size - 20);
	assert_int_equal(shared_file_open((char *const *)&path, 1, 2, &shared), 0);
	struct source *a = shared_file_source(shared, 0), *b = shared_file_source(shared, 1);
	assert_int_equal(a->ops->rx_batch(a, frames, FLOWLANE_BATCH), 1);
	a->ops->release(a, frames, 1);
	assert_int_equal(a->ops->rx_batch(a, frames, FLOWLANE_BATCH), 0); /* half a packet */
	assert_in_range(b->ops->rx_mine(b, frames, FLOWLANE_BATCH, UINT64_MAX, &others), 0, 1);
	assert_int_equal(others.all, 1);
	b->ops->release(b, frames, 0);
	assert_int_equal(b->ops->rx_mine(b, frames, FLOWLANE_BATCH, UINT64_MAX, &others), 0);
	assert_int_equal(others.all, 0);
	assert_int_equal(write(fd, capture.bytes + capture.size - 20, 20), 20);
	assert_int_equal(b->ops->rx_batch(b, frames, FLOWLANE_BATCH), 1);
	b->ops->release(b, frames, 1);
	close(fd);
	assert_int_equal(b->ops->rx_batch(b, frames, FLOWLANE_BATCH), SOURCE_END);
	assert_int_equal(a->ops->rx_batch(a, frames, FLOWLANE_BATCH), 1);
	assert_int_equal(frames[0].ts_ns, frame_time(1));
	a->ops->release(a, frames, 1);
	assert_int_equal(a->ops->rx_batch(a, frames, FLOWLANE_BATCH), SOURCE_END);
	shared_file_close(shared);
	capture_free(&capture);
}

static void place__of_each_batch__where_its_frames_lie_in_the_file(void **state)
{
	struct capture capture = capture_of(6000, 0, 1, 0);
	const char *path = capture_write_cut(&capture, "f", capture.size);
	struct frame frames[FLOWLANE_BATCH];
	struct shared_file *shared;
	uint64_t number = 1;
	int n;
	(void)state;

	assert_int_equal(shared_file_open((char *const *)&path, 1, 2, &shared), 0);
	struct source *sources[2] = { shared_file_source(shared, 0), shared_file_source(shared, 1) };
	assert_true(sources[0]->info.places);
	while ((n = sources[0]->ops->rx_batch(sources[0], frames, FLOWLANE_BATCH)) > 0) {
		struct batch_place place;
		sources[0]->ops->place(sources[0], frames, (unsigned)n, &place);
		assert_int_equal(place.number, number);
		assert_int_equal(place.count, n);
		for (int i = 0; i < n; i++)
			assert_memory_equal(
				capture.bytes + place.position + (frames[i].data - place.data), frames[i].data, frames[i].cap_len);
		number += (unsigned)n;
		sources[0]->ops->release(sources[0], frames, (unsigned)n);
		while ((n = sources[1]->ops->rx_batch(sources[1], frames, 1)) > 0 &&
			frames[0].wire_len - frames[0].cap_len + 2 < number)
			sources[1]->ops->release(sources[1], frames, 1);
		if (n > 0)
			sources[1]->ops->release(sources[1], frames, 1);
	}
	assert_int_equal(number, 6001);
	shared_file_close(shared);
	capture_free(&capture);
}

static void open__no_such_file__the_error_said_once(void **state)
{
	const char *path = capture_path("nothing");
	struct shared_file *shared = NULL;
	(void)state;

	said_begin();
	assert_int_equal(shared_file_open((char *const *)&path, 1, 3, &shared), -ENOENT);
	said_end();
	assert_null(shared);
	assert_said("cannot open ");
	assert_null(strchr(strchr(capture_said, '\n') + 1, '\n'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rx__lanes_at_once__each_gets_what_one_reader_gives),
		cmocka_unit_test(rx__gzip_pcapng_old_pcap__the_same),
		cmocka_unit_test(rx__several_files__merged_as_by_one_reader),
		cmocka_unit_test(rx__cut_or_damaged__all_before_it_and_said_once),
		cmocka_unit_test(rx__when_a_lane_stands_still__then_its_frames_stay_and_the_other_waits_a_ring_ahead),
		cmocka_unit_test(rx__silent_pipe__no_lane_hangs_and_it_goes_on),
		cmocka_unit_test(place__of_each_batch__where_its_frames_lie_in_the_file),
		cmocka_unit_test(open__no_such_file__the_error_said_once),
	};
	return cmocka_run_group_tests(tests, capture_dir_make, capture_dir_remove);
}
