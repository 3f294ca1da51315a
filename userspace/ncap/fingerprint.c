#include "fingerprint.h"

#include <nettle/md5.h>
#include <nettle/sha2.h>
#include <string.h>

#include "text.h"

#include "poison.h"

#define LIST_MAX 512 /* values that are sorted; of a longer list the first ones */

enum { EXTENSION_SERVER_NAME = 0, EXTENSION_ALPN = 16 };

bool fingerprint_is_grease(int32_t value)
{
	return (value & 0x0f0f) == 0x0a0a && (value >> 8 & 0xff) == (value & 0xff);
}

static void hex_put(char *out, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 0xf];
	}
	*out = 0;
}

/* ---- JA3: MD5 of decimal numbers ------------------------------------------------------------------------------------ */

static void md5_number(struct md5_ctx *md5, int32_t value)
{
	char text[TEXT_U64_MAX];

	md5_update(md5, (size_t)(text_u64(text, (uint32_t)value) - text), (const uint8_t *)text);
}

static void md5_list(struct md5_ctx *md5, const struct fingerprint_list *list)
{
	bool first = true;

	md5_update(md5, 1, (const uint8_t *)",");
	for (size_t i = 0; i < list->n; i++) {
		if (fingerprint_is_grease(list->values[i]))
			continue;
		if (!first)
			md5_update(md5, 1, (const uint8_t *)"-");
		md5_number(md5, list->values[i]);
		first = false;
	}
}

static void md5_text(struct md5_ctx *md5, char text[JA3_BYTES + 1])
{
	uint8_t digest[MD5_DIGEST_SIZE];

	md5_digest(md5, sizeof(digest), digest);
	hex_put(text, digest, sizeof(digest));
}

void fingerprint_ja3(const struct fingerprint_hello *hello, char text[JA3_BYTES + 1])
{
	struct md5_ctx md5;

	md5_init(&md5);
	md5_number(&md5, hello->version);
	md5_list(&md5, &hello->ciphers);
	md5_list(&md5, &hello->extensions);
	md5_list(&md5, &hello->groups);
	md5_list(&md5, &hello->points);
	md5_text(&md5, text);
}

void fingerprint_ja3s(int32_t version, int32_t cipher, const struct fingerprint_list *extensions, char text[JA3_BYTES + 1])
{
	struct fingerprint_list ciphers = { 1, &cipher };
	struct md5_ctx md5;

	md5_init(&md5);
	md5_number(&md5, version);
	md5_list(&md5, &ciphers);
	md5_list(&md5, extensions);
	md5_text(&md5, text);
}

/* ---- JA4: a readable part, and two SHA-256 cut to 12 digits ----------------------------------------------------------- */

static size_t list_copy(const struct fingerprint_list *list, bool without_names, int32_t copy[LIST_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < list->n && n < LIST_MAX; i++) {
		int32_t value = list->values[i];
		if (fingerprint_is_grease(value))
			continue;
		if (without_names && (value == EXTENSION_SERVER_NAME || value == EXTENSION_ALPN))
			continue;
		copy[n++] = value;
	}
	return n;
}

/* By insertion: a hello has some twenty of each. A hostile one has more; the sum of moves is bounded by LIST_MAX squared. */
static void list_sort(int32_t *values, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		int32_t value = values[i];
		size_t at = i;
		for (; at > 0 && values[at - 1] > value; at--)
			values[at] = values[at - 1];
		values[at] = value;
	}
}

static void sha_list(struct sha256_ctx *sha, const int32_t *values, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t bytes[2] = { (uint8_t)(values[i] >> 8), (uint8_t)values[i] };
		char text[5];
		hex_put(text, bytes, 2);
		if (i)
			sha256_update(sha, 1, (const uint8_t *)",");
		sha256_update(sha, 4, (const uint8_t *)text);
	}
}

static void sha_text(struct sha256_ctx *sha, bool empty, char *text)
{
	uint8_t digest[6];

	sha256_digest(sha, sizeof(digest), digest);
	hex_put(text, digest, sizeof(digest));
	if (empty)
		memset(text, '0', 12);
}

static const char *version_text(int32_t version)
{
	switch (version) {
	case 0x0304:
		return "13";
	case 0x0303:
		return "12";
	case 0x0302:
		return "11";
	case 0x0301:
		return "10";
	case 0x0300:
		return "s3";
	case 0x0002:
		return "s2";
	default:
		return "00";
	}
}

static void count_put(char *out, size_t n)
{
	n = n < 99 ? n : 99;
	memcpy(out, text_pairs + 2 * n, 2);
}

static bool is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* First and last character; if one is no letter or digit, the first and last hexadecimal digit of the whole. */
static void alpn_put(char *out, const uint8_t *alpn, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	out[0] = out[1] = '0';
	if (n == 0)
		return;
	bool plain = is_alnum(alpn[0]) && is_alnum(alpn[n - 1]);
	out[0] = plain ? (char)alpn[0] : digits[alpn[0] >> 4];
	out[1] = plain ? (char)alpn[n - 1] : digits[alpn[n - 1] & 0xf];
}

void fingerprint_ja4(const struct fingerprint_hello *hello, char text[JA4_BYTES + 1])
{
	int32_t ciphers[LIST_MAX], extensions[LIST_MAX], signatures[LIST_MAX], all[LIST_MAX];
	size_t ciphers_n = list_copy(&hello->ciphers, false, ciphers);
	size_t extensions_n = list_copy(&hello->extensions, true, extensions);
	size_t signatures_n = list_copy(&hello->signatures, false, signatures);
	struct sha256_ctx sha;

	text[0] = 't';
	memcpy(text + 1, version_text(hello->version_offered ? hello->version_offered : hello->version), 2);
	text[3] = hello->server_name ? 'd' : 'i';
	count_put(text + 4, ciphers_n);
	count_put(text + 6, list_copy(&hello->extensions, false, all));
	alpn_put(text + 8, hello->alpn, hello->alpn_bytes);
	text[10] = '_';
	list_sort(ciphers, ciphers_n);
	sha256_init(&sha);
	sha_list(&sha, ciphers, ciphers_n);
	sha_text(&sha, ciphers_n == 0, text + 11);
	text[23] = '_';
	list_sort(extensions, extensions_n);
	sha256_init(&sha);
	sha_list(&sha, extensions, extensions_n);
	if (signatures_n) {
		sha256_update(&sha, 1, (const uint8_t *)"_");
		sha_list(&sha, signatures, signatures_n);
	}
	sha_text(&sha, extensions_n == 0, text + 24);
}
