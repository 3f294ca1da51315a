/* Is it UTF-8? File names and what packets hold need not be; YAML, JSON and protobuf's texts must. */
#ifndef FLOWLANE_UTF8_H
#define FLOWLANE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length of the sequence at `at`, of which there are `n` bytes; 0 if it is none (RFC 3629: no surrogates, nothing over U+10FFFF,
 * nothing overlong). Reads no byte behind one that is wrong. */
static inline unsigned utf8_sequence(const uint8_t *at, size_t n)
{
	unsigned length = 0;

	if (at[0] < 0x80)
		return 1;
	if (at[0] >= 0xc2 && at[0] < 0xe0)
		length = 2;
	else if (at[0] >= 0xe0 && at[0] < 0xf0)
		length = 3;
	else if (at[0] >= 0xf0 && at[0] < 0xf5)
		length = 4;
	if (length > n)
		return 0;
	for (unsigned i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] >= 0xa0))
		return 0;
	if ((at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] >= 0x90))
		return 0;
	return length;
}

/* The same for a text that ends with a zero byte, which is no continuation. */
static inline unsigned utf8_length(const char *text)
{
	return utf8_sequence((const uint8_t *)text, 4);
}

#endif
