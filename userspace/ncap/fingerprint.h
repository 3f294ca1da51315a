/*
 * Fingerprints of TLS hellos: JA3 and JA3S, and JA4, each from the numbers as they were sent. A list of GREASE values (RFC 8701) is as
 * good as without them. Packet path: no memory but the caller's.
 */
#ifndef FLOWLANE_NCAP_FINGERPRINT_H
#define FLOWLANE_NCAP_FINGERPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fingerprint_list {
	size_t n;
	const int32_t *values;
};

struct fingerprint_hello {
	int32_t version;         /* of the handshake */
	int32_t version_offered; /* the highest of the supported versions, 0: there is no such list */
	struct fingerprint_list ciphers;
	struct fingerprint_list extensions;
	struct fingerprint_list groups;
	struct fingerprint_list points;
	struct fingerprint_list signatures;
	bool server_name;
	const uint8_t *alpn; /* the first one */
	size_t alpn_bytes;
};

#define JA3_BYTES 32
#define JA4_BYTES 36

bool fingerprint_is_grease(int32_t value);
/* Each writes a text with a zero at its end. */
void fingerprint_ja3(const struct fingerprint_hello *hello, char text[JA3_BYTES + 1]);
void fingerprint_ja3s(int32_t version, int32_t cipher, const struct fingerprint_list *extensions, char text[JA3_BYTES + 1]);
void fingerprint_ja4(const struct fingerprint_hello *hello, char text[JA4_BYTES + 1]);

#endif
