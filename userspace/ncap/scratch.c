#include "scratch.h"

#include "utf8.h"

#include "poison.h"

char *scratch_text(struct scratch *scratch, const void *bytes, size_t n)
{
	static char none[1];
	const uint8_t *from = bytes;
	char *text = scratch_take(scratch, n * 3 + 1), *out = text;

	if (!text)
		return none;
	for (size_t at = 0; at < n;) {
		unsigned good = from[at] ? utf8_sequence(from + at, n - at) : 0; /* a zero would end the text */
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
