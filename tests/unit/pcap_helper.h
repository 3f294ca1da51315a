/* What the tests of the pcap sink share: frames whose bytes say who sent them, and a reader that checks each. */
#ifndef FLOWLANE_PCAP_HELPER_H
#define FLOWLANE_PCAP_HELPER_H

#include "sink_helper.h"

#include <sched.h>

#include "clock.h"
#include "flowlane/pcap_format.h"

extern const struct sink_ops sink_pcap;

#define HELPER_LANES 4

/* The n-th frame of a lane: its length and bytes follow from both. `data` has room for HELPER_FRAME_MAX. */
#define HELPER_FRAME_MAX 1600

static inline struct frame helper_frame(uint8_t *data, uint32_t lane, uint32_t number)
{
	uint64_t random = ((uint64_t)lane << 32 | number) * 0x9e3779b97f4a7c15 + 1;
	uint32_t length = 8 + random_next(&random) % (HELPER_FRAME_MAX - 8);

	memset(data, (int)(number + lane), length);
	memcpy(data, &lane, sizeof(lane));
	memcpy(data + 4, &number, sizeof(number));
	return (struct frame){
		.data = data, .ts_ns = (uint64_t)number * 1000, .cap_len = length, .wire_len = length + 4, .link = LINK_ETHERNET
	};
}

/* Checks every whole record of a capture: complete, and each lane's in order without a gap, counted from next[lane] on, which is
 * moved. Returns the bytes behind the last whole record. */
static inline size_t helper_check(const char *path, uint32_t next[HELPER_LANES])
{
	uint8_t expected[HELPER_FRAME_MAX];
	size_t bytes = 0, at = sizeof(struct pcap_file_header);
	char *text = file_read(path, &bytes);

	assert_non_null(text);
	assert_true(bytes >= at);
	while (bytes - at >= sizeof(struct pcap_record_header)) {
		struct pcap_record_header record;
		uint32_t lane, number;
		memcpy(&record, text + at, sizeof(record));
		assert_in_range(record.cap_len, 8, HELPER_FRAME_MAX);
		if (bytes - at < sizeof(record) + record.cap_len)
			break;
		memcpy(&lane, text + at + sizeof(record), sizeof(lane));
		memcpy(&number, text + at + sizeof(record) + 4, sizeof(number));
		assert_in_range(lane, 0, HELPER_LANES - 1);
		assert_int_equal(number, next[lane]++);
		struct frame frame = helper_frame(expected, lane, number);
		assert_int_equal(record.cap_len, frame.cap_len);
		assert_int_equal(record.wire_len, frame.wire_len);
		assert_memory_equal(text + at + sizeof(record), expected, frame.cap_len);
		at += sizeof(record) + record.cap_len;
	}
	free(text);
	return bytes - at;
}

/* Gives a sink frames first .. first + n - 1 of its lane, in batches. */
static inline void helper_feed(struct sink *sink, uint32_t lane, uint32_t first, uint32_t n)
{
	static __thread uint8_t data[FLOWLANE_BATCH][HELPER_FRAME_MAX];
	struct frame frames[FLOWLANE_BATCH];

	for (uint32_t at = 0; at < n;) {
		unsigned batch = 0;
		for (; batch < FLOWLANE_BATCH && at < n; batch++, at++)
			frames[batch] = helper_frame(data[batch], lane, first + at);
		sink_pcap.frames(sink, frames, batch);
	}
}

/* Yields until it is so; ten seconds at most. */
#define WAIT_FOR(condition)                                                                                                        \
	do {                                                                                                                       \
		for (uint64_t end_ns = clock_monotonic_ns() + 10000000000; !(condition);) {                                        \
			assert_true(clock_monotonic_ns() < end_ns);                                                                \
			sched_yield();                                                                                             \
		}                                                                                                                  \
	} while (0)

static inline off_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : -1;
}

#endif
