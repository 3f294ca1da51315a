#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "own_traffic.h"

/* 192.0.2.1:40000 -> 192.0.2.9:50051, and the same with 2001:db8:: */
static const struct own_connection own_v4 = { .local_ip = { [10] = 0xff, 0xff, 192, 0, 2, 1 },
	.remote_ip = { [10] = 0xff, 0xff, 192, 0, 2, 9 },
	.local_port = 40000,
	.remote_port = 50051 };
static const struct own_connection own_v6 = { .local_ip = { 0x20, 1, 0xd, 0xb8, [15] = 1 },
	.remote_ip = { 0x20, 1, 0xd, 0xb8, [15] = 9 },
	.local_port = 40000,
	.remote_port = 50051 };

struct segment {
	const char *name;
	bool v6;
	unsigned tags;
	uint8_t from, to; /* last byte of the address */
	uint16_t from_port, to_port;
	uint8_t proto;
	unsigned cut; /* bytes missing at the end */
	unsigned options;
	bool later_fragment;
	bool is_own, is_own_any_port;
};

static size_t build(const struct segment *segment, uint8_t frame[128])
{
	uint8_t *at = frame + 12;

	memset(frame, 0, 128);
	for (unsigned i = 0; i < segment->tags; i++, at += 4)
		memcpy(at, i + 1 < segment->tags ? "\x88\xa8\x00\x07" : "\x81\x00\x00\x07", 4);
	memcpy(at, segment->v6 ? "\x86\xdd" : "\x08\x00", 2);
	at += 2;
	if (segment->v6) {
		at[6] = segment->proto;
		memcpy(at + 8, "\x20\x01\x0d\xb8", 4);
		memcpy(at + 24, "\x20\x01\x0d\xb8", 4);
		at[23] = segment->from;
		at[39] = segment->to;
		at += 40;
	} else {
		at[0] = (uint8_t)(0x45 + segment->options);
		at[7] = segment->later_fragment ? 10 : 0;
		at[9] = segment->proto;
		memcpy(at + 12, "\xc0\x00\x02", 3);
		memcpy(at + 16, "\xc0\x00\x02", 3);
		at[15] = segment->from;
		at[19] = segment->to;
		at += 20 + 4 * segment->options;
	}
	at[0] = (uint8_t)(segment->from_port >> 8);
	at[1] = (uint8_t)segment->from_port;
	at[2] = (uint8_t)(segment->to_port >> 8);
	at[3] = (uint8_t)segment->to_port;
	return (size_t)(at + 4 - frame) - segment->cut;
}

static void match__when_segment__then_only_own(void **state)
{
	static const struct segment cases[] = {
		{ "out", false, 0, 1, 9, 40000, 50051, 6, 0, 0, false, true, true },
		{ "in", false, 0, 9, 1, 50051, 40000, 6, 0, 0, false, true, true },
		{ "tagged", false, 1, 1, 9, 40000, 50051, 6, 0, 0, false, true, true },
		{ "tagged twice", false, 2, 9, 1, 50051, 40000, 6, 0, 0, false, true, true },
		{ "with IP options", false, 0, 1, 9, 40000, 50051, 6, 0, 3, false, true, true },
		{ "another local port", false, 0, 1, 9, 40001, 50051, 6, 0, 0, false, false, true },
		{ "another host", false, 0, 2, 9, 40000, 50051, 6, 0, 0, false, false, false },
		{ "another collector", false, 0, 1, 8, 40000, 50051, 6, 0, 0, false, false, false },
		{ "another port there", false, 0, 1, 9, 40000, 443, 6, 0, 0, false, false, false },
		{ "roles the other way", false, 0, 9, 1, 40000, 50051, 6, 0, 0, false, false, false },
		{ "UDP", false, 0, 1, 9, 40000, 50051, 17, 0, 0, false, false, false },
		{ "later fragment", false, 0, 1, 9, 40000, 50051, 6, 0, 0, true, false, false },
		{ "ends in the ports", false, 0, 1, 9, 40000, 50051, 6, 1, 0, false, false, false },
		{ "ends in the ports, options", false, 0, 1, 9, 40000, 50051, 6, 1, 3, false, false, false },
		{ "IPv6 out", true, 0, 1, 9, 40000, 50051, 6, 0, 0, false, true, true },
		{ "IPv6 in, tagged", true, 1, 9, 1, 50051, 40000, 6, 0, 0, false, true, true },
		{ "IPv6, another host", true, 0, 3, 9, 40000, 50051, 6, 0, 0, false, false, false },
		{ "IPv6, cut", true, 0, 1, 9, 40000, 50051, 6, 1, 0, false, false, false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t frame[128];
		size_t length = build(&cases[i], frame);
		uint8_t *exact = malloc(length);
		struct own_view view = { .version = 2, .connection = cases[i].v6 ? own_v6 : own_v4 };
		memcpy(exact, frame, length);
		if (own_traffic_match(&view, exact, (uint32_t)length) != cases[i].is_own)
			fail_msg("%s", cases[i].name);
		view.connection.local_port = 0;
		if (own_traffic_match(&view, exact, (uint32_t)length) != cases[i].is_own_any_port)
			fail_msg("%s, any local port", cases[i].name);
		free(exact);
	}
}

static void match__when_frame_is_cut_anywhere__then_no_byte_too_far(void **state)
{
	struct segment segment = { .tags = 2, .from = 1, .to = 9, .from_port = 40000, .to_port = 50051, .proto = 6 };
	struct own_view view = { .version = 2, .connection = own_v4 };
	uint8_t frame[128];

	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		segment.v6 = v6;
		size_t whole = build(&segment, frame);
		for (size_t length = 0; length < whole; length++) {
			uint8_t *exact = malloc(length ? length : 1);
			memcpy(exact, frame, length);
			assert_false(own_traffic_match(&view, exact, (uint32_t)length));
			free(exact);
		}
	}
}

static void view__when_connection_changes__then_follows(void **state)
{
	struct own_view view = { 0 };

	(void)state;
	assert_false(own_traffic_view(&view));
	own_traffic_set(&own_v4);
	assert_true(own_traffic_view(&view));
	assert_int_equal(view.connection.local_port, 40000);
	own_traffic_set(NULL);
	assert_false(own_traffic_view(&view));
	assert_false(own_traffic_view(&view));
	own_traffic_set(&own_v6);
	assert_true(own_traffic_view(&view));
	assert_memory_equal(&view.connection, &own_v6, sizeof(own_v6));
	own_traffic_set(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(match__when_segment__then_only_own),
		cmocka_unit_test(match__when_frame_is_cut_anywhere__then_no_byte_too_far),
		cmocka_unit_test(view__when_connection_changes__then_follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
