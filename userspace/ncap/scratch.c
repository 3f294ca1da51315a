#include "scratch.h"

#include "text.h"
#include "utf8.h"

#include "poison.h"

static char none[1];

char *scratch_text(struct scratch *scratch, const void *bytes, size_t n)
{
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

char *scratch_address(struct scratch *scratch, const uint8_t *address, bool v6)
{
	char *text = scratch_take(scratch, TEXT_IPV6_MAX + 1);

	if (!text)
		return none;
	*(v6 ? text_ipv6(text, address) : text_ipv4(text, address)) = 0;
	return text;
}
