#include "text.h"

#include "bytes.h"

#include "poison.h"

#define TEXT_TENS(t) t "0" t "1" t "2" t "3" t "4" t "5" t "6" t "7" t "8" t "9"
const char text_pairs[201] = TEXT_TENS("0") TEXT_TENS("1") TEXT_TENS("2") TEXT_TENS("3") TEXT_TENS("4") TEXT_TENS("5")
	TEXT_TENS("6") TEXT_TENS("7") TEXT_TENS("8") TEXT_TENS("9");

/* For values from 10 on: log10 from the bits, 1233 / 4096 being log10(2), then at most one too few. */
static inline unsigned text_u64_length(uint64_t value)
{
	static const uint64_t powers[] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000,
		100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000, 10000000000000000,
		100000000000000000, 1000000000000000000, 10000000000000000000u };
	unsigned length = (64 - (unsigned)__builtin_clzll(value)) * 1233 >> 12;

	return length + (value >= powers[length]);
}

char *text_u64(char *out, uint64_t value)
{
	if (value < 10) { /* most counters of most flows */
		*out = (char)('0' + value);
		return out + 1;
	}
	char *end = out + text_u64_length(value), *at = end;
	while (value >= 100) {
		at -= 2;
		memcpy(at, text_pairs + 2 * (value % 100), 2);
		value /= 100;
	}
	if (value >= 10)
		memcpy(at - 2, text_pairs + 2 * value, 2);
	else
		at[-1] = (char)('0' + value);
	return end;
}

/* "0." "1." ... "255.": one copy for each octet, whose length nobody can predict. */
#define TEXT_OCTETS(t) t "0.", t "1.", t "2.", t "3.", t "4.", t "5.", t "6.", t "7.", t "8.", t "9."
static const char text_octets[256][4] = { TEXT_OCTETS(""), TEXT_OCTETS("1"), TEXT_OCTETS("2"), TEXT_OCTETS("3"), TEXT_OCTETS("4"),
	TEXT_OCTETS("5"), TEXT_OCTETS("6"), TEXT_OCTETS("7"), TEXT_OCTETS("8"), TEXT_OCTETS("9"), TEXT_OCTETS("10"),
	TEXT_OCTETS("11"), TEXT_OCTETS("12"), TEXT_OCTETS("13"), TEXT_OCTETS("14"), TEXT_OCTETS("15"), TEXT_OCTETS("16"),
	TEXT_OCTETS("17"), TEXT_OCTETS("18"), TEXT_OCTETS("19"), TEXT_OCTETS("20"), TEXT_OCTETS("21"), TEXT_OCTETS("22"),
	TEXT_OCTETS("23"), TEXT_OCTETS("24"), "250.", "251.", "252.", "253.", "254.", "255." };

char *text_ipv4(char *out, const uint8_t ip[4])
{
	for (unsigned i = 0; i < 4; i++) {
		memcpy(out, text_octets[ip[i]], 4);
		out += 2 + (ip[i] >= 10) + (ip[i] >= 100);
	}
	return out - 1;
}

/* Lower case, no leading zeros. */
static char *text_group(char *out, unsigned value)
{
	static const char digits[] = "0123456789abcdef";

	for (int shift = 12; shift > 0; shift -= 4) {
		if (value >> shift)
			*out++ = digits[value >> shift & 15];
	}
	*out++ = digits[value & 15];
	return out;
}

/* RFC 5952 section 4.2: the longest run of zero groups, the first of equals, and never a single one. */
static void text_zero_run(const uint16_t groups[8], unsigned *start, unsigned *length)
{
	*start = 8;
	*length = 1;
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = 0;
		while (i + n < 8 && groups[i + n] == 0)
			n++;
		if (n > *length) {
			*start = i;
			*length = n;
		}
		i += n;
	}
}

char *text_ipv6(char *out, const uint8_t ip[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	uint16_t groups[8];
	unsigned start, length;

	if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
		memcpy(out, "::ffff:", 7);
		return text_ipv4(out + 7, ip + 12);
	}
	for (unsigned i = 0; i < 8; i++)
		groups[i] = load_be16(ip + 2 * i);
	text_zero_run(groups, &start, &length);
	for (unsigned i = 0; i < 8; i++) {
		if (i == start) {
			memcpy(out, "::", 2);
			out += 2;
			i += length - 1;
			continue;
		}
		if (i > 0 && out[-1] != ':')
			*out++ = ':';
		out = text_group(out, groups[i]);
	}
	return out;
}

char *text_address(char *out, const uint8_t ip[16], unsigned ip_version)
{
	return ip_version == 4 ? text_ipv4(out, ip + 12) : text_ipv6(out, ip);
}

char *text_endpoint(char *out, const uint8_t ip[16], unsigned ip_version, uint16_t port)
{
	if (ip_version == 4) {
		out = text_ipv4(out, ip + 12);
	} else {
		*out = '[';
		out = text_ipv6(out + 1, ip);
		*out++ = ']';
	}
	*out = ':';
	return text_u64(out + 1, port);
}
