/* Is it UTF-8? File names need not be, YAML and JSON must. */
#ifndef FLOWLANE_UTF8_H
#define FLOWLANE_UTF8_H

/* Length of the sequence at `text`, 0 if it is none (RFC 3629: no surrogates, nothing over U+10FFFF, nothing overlong). The text
 * ends with a zero byte, which is no continuation: never reads past it. */
static inline unsigned utf8_length(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	unsigned n = 0;

	if (at[0] < 0x80)
		return 1;
	if (at[0] >= 0xc2 && at[0] < 0xe0)
		n = 2;
	else if (at[0] >= 0xe0 && at[0] < 0xf0)
		n = 3;
	else if (at[0] >= 0xf0 && at[0] < 0xf5)
		n = 4;
	for (unsigned i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] >= 0xa0))
		return 0;
	if ((at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] >= 0x90))
		return 0;
	return n;
}

#endif
