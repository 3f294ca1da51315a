/* LZO1X, instruction by instruction; streams of nfdump itself are read in the interop tests. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nfcapd_lzo.h"

#define END      "\x11\0\0"
#define ROWS(t)  (sizeof(t) / sizeof((t)[0]))
#define BYTES(s) s, sizeof(s) - 1

static const struct {
	const char *name;
	const char *in;
	size_t bytes;
	const char *out; /* NULL: it is damaged */
} streams[] = {
	{ "nothing", BYTES(END), "" },
	{ "a first run of three",
		BYTES("\x14"
		      "abc" END),
		"abc" },
	{ "a first run of four",
		BYTES("\x15"
		      "abcd" END),
		"abcd" },
	{ "a run",
		BYTES("\x02"
		      "abcde" END),
		"abcde" },
	{ "a long run",
		BYTES("\x00\x01"
		      "abcdefghijklmnopqrs" END),
		"abcdefghijklmnopqrs" },
	{ "2 + l bytes, one back",
		BYTES("\x12"
		      "a"
		      "\x23\0\0" END),
		"aaaaaa" },
	{ "a long match",
		BYTES("\x12"
		      "a"
		      "\x20\x01\0\0" END),
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
	{ "3 bytes, three back, then a literal",
		BYTES("\x14"
		      "abc"
		      "\x49\0"
		      "d" END),
		"abcabcd" },
	{ "5 + l bytes, two back",
		BYTES("\x13"
		      "ab"
		      "\xa4\0" END),
		"abababab" },
	{ "2 bytes after literals",
		BYTES("\x13"
		      "ab"
		      "\x04\0" END),
		"abab" },
	{ "a match, two literals, a run",
		BYTES("\x12"
		      "a"
		      "\x22\x02\0"
		      "bc" END),
		"aaaaabc" },
	{ "it ends without its end",
		BYTES("\x14"
		      "abc"),
		NULL },
	{ "something behind the end", BYTES(END "x"), NULL },
	{ "a run that is longer than the input",
		BYTES("\x05"
		      "abc"),
		NULL },
	{ "a match before the beginning",
		BYTES("\x12"
		      "a"
		      "\x23\x04\0" END),
		NULL },
	{ "a length without an end", BYTES("\x00\x00\x00"), NULL },
	{ "a distance cut off",
		BYTES("\x12"
		      "a"
		      "\x23\0"),
		NULL },
	{ "no byte", BYTES(""), NULL },
};

/* Buffers of exactly the size, so that the sanitizer sees one byte too far. */
static long decompress(const void *in, size_t bytes, char **out, size_t size)
{
	uint8_t *copy = malloc(bytes + !bytes);

	memcpy(copy, in, bytes);
	*out = malloc(size + !size);
	long n = lzo_decompress(copy, bytes, (uint8_t *)*out, size);
	free(copy);
	return n;
}

static void stream__when_each_instruction__then_as_described(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROWS(streams); i++) {
		size_t length = streams[i].out ? strlen(streams[i].out) : 64;
		char *out;
		long n = decompress(streams[i].in, streams[i].bytes, &out, length);
		if (!streams[i].out && n != -EINVAL)
			fail_msg("%s: %ld", streams[i].name, n);
		if (streams[i].out && (n != (long)length || memcmp(out, streams[i].out, length)))
			fail_msg("%s: %ld, %.*s", streams[i].name, n, n > 0 ? (int)n : 0, out);
		free(out);
	}
}

static void stream__when_it_makes_more_than_there_is_room_for__then_an_error(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROWS(streams); i++) {
		char *out;
		if (!streams[i].out || !*streams[i].out)
			continue;
		assert_int_equal(decompress(streams[i].in, streams[i].bytes, &out, strlen(streams[i].out) - 1), -EINVAL);
		free(out);
	}
}

/* Distances beyond a page: 3 bytes after a run, and the far ones. */
static void match__when_far__then_from_there(void **state)
{
	(void)state;
	static const struct {
		const char *code;
		size_t bytes, distance, length;
	} matches[] = {
		{ BYTES("\x00\x00"), 2049, 3 },
		{ BYTES("\x0c\x01"), 2049 + 3 + 4, 3 },
		{ BYTES("\x12\x04\x00"), 16384 + 1, 4 },
		{ BYTES("\x1a\x00\x00"), 32768, 4 },
	};
	enum { RUN = 40000 };

	for (unsigned i = 0; i < ROWS(matches); i++) {
		uint8_t in[RUN + 300] = { 0 };
		size_t at = 1, left = RUN - 3 - 15;
		char *out;
		for (; left > 255; left -= 255)
			in[at++] = 0;
		in[at++] = (uint8_t)left;
		for (unsigned k = 0; k < RUN; k++)
			in[at++] = (uint8_t)(k * 7 + k / 251);
		const uint8_t *run = in + at - RUN;
		memcpy(in + at, matches[i].code, matches[i].bytes);
		memcpy(in + at + matches[i].bytes, END, 3);
		long n = decompress(in, at + matches[i].bytes + 3, &out, RUN + 16);
		assert_int_equal(n, RUN + matches[i].length);
		assert_memory_equal(out + RUN, run + RUN - matches[i].distance, matches[i].length);
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stream__when_each_instruction__then_as_described),
		cmocka_unit_test(stream__when_it_makes_more_than_there_is_room_for__then_an_error),
		cmocka_unit_test(match__when_far__then_from_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
