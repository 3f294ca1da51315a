#include "scratch.h"

#include <stdbool.h>

#include "poison.h"

/* Bytes of the well-formed sequence at `at` (Unicode, table 3-7), 0: none. */
static unsigned sequence_bytes(const uint8_t *at, size_t n)
{
	uint8_t first = at[0], low = 0x80, high = 0xbf;
	unsigned bytes;

	if (first < 0x80)
		return first != 0;
	if (first >= 0xc2 && first <= 0xdf)
		bytes = 2;
	else if (first >= 0xe0 && first <= 0xef)
		bytes = 3;
	else if (first >= 0xf0 && first <= 0xf4)
		bytes = 4;
	else
		return 0;
	if (bytes > n)
		return 0;
	switch (first) {
	case 0xe0:
		low = 0xa0;
		break;
	case 0xed: /* surrogates */
		high = 0x9f;
		break;
	case 0xf0:
		low = 0x90;
		break;
	case 0xf4:
		high = 0x8f;
		break;
	default:
		break;
	}
	if (at[1] < low || at[1] > high)
		return 0;
	for (unsigned i = 2; i < bytes; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return bytes;
}

char *scratch_text(struct scratch *scratch, const void *bytes, size_t n)
{
	static char none[1];
	const uint8_t *from = bytes;
	char *text = scratch_take(scratch, n * 3 + 1), *out = text;

	if (!text)
		return none;
	for (size_t at = 0; at < n;) {
		unsigned good = sequence_bytes(from + at, n - at);
		if (good) {
			memcpy(out, from + at, good);
			out += good;
			at += good;
		} else {
			memcpy(out, "\xef\xbf\xbd", 3);
			out += 3;
			at++;
		}
	}
	*out++ = 0;
	scratch->used -= n * 3 + 1 - (size_t)(out - text);
	return text;
}
