/*
 * Numbers and addresses as text, fast: no printf, no locale, no terminating zero. Each function writes at `out` and returns the
 * end of what it wrote; up to its TEXT_*_MAX bytes at `out` may be overwritten, used or not, so the caller leaves that much room.
 */
#ifndef FLOWLANE_TEXT_H
#define FLOWLANE_TEXT_H

#include <stdint.h>
#include <string.h>

#define TEXT_U64_MAX      20
#define TEXT_DECIMAL_MAX  22 /* 20 digits, a point, and a 0 before it */
#define TEXT_IPV4_MAX     16
#define TEXT_IPV6_MAX     40
#define TEXT_ENDPOINT_MAX (TEXT_IPV6_MAX + 9)

char *text_u64(char *out, uint64_t value);

/* "00" "01" ... "99": two digits for each division. */
extern const char text_pairs[201];

/* value counts units of 10^-digits: (15200, 3) is "15.200". The divisions fold when `digits` (1 to 9) is a constant. */
static inline char *text_decimal(char *out, uint64_t value, unsigned digits)
{
	uint64_t scale = 1;
	unsigned at = digits;

	for (unsigned i = 0; i < digits; i++)
		scale *= 10;
	uint32_t fraction = (uint32_t)(value % scale);
	out = text_u64(out, value / scale);
	*out = '.';
	for (; at >= 2; at -= 2) {
		memcpy(out + at - 1, text_pairs + 2 * (fraction % 100), 2);
		fraction /= 100;
	}
	if (at)
		out[1] = (char)('0' + fraction);
	return out + 1 + digits;
}

char *text_ipv4(char *out, const uint8_t ip[4]);
/* RFC 5952; IPv4-mapped addresses as ::ffff:192.0.2.1. */
char *text_ipv6(char *out, const uint8_t ip[16]);
/* An address as struct flow_key holds it: 16 bytes, IPv4 in the last four. */
char *text_address(char *out, const uint8_t ip[16], unsigned ip_version);
/* For people: 192.0.2.1:443, [2001:db8::1]:443. */
char *text_endpoint(char *out, const uint8_t ip[16], unsigned ip_version, uint16_t port);

#endif
