#include "cryptopan.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/aes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "log.h"

#define CACHE_SLOTS 65536 /* an address costs 32 AES blocks, and flows repeat them */

struct cached {
	uint32_t from[4];
	uint32_t to[4];
	bool used;
};

struct cryptopan {
	struct aes128_ctx aes;
	uint8_t pad[16];
	struct cached v4[CACHE_SLOTS]; /* the last word only */
	struct cached v6[CACHE_SLOTS];
};

struct cryptopan *cryptopan_create(const uint8_t key[CRYPTOPAN_KEY_BYTES])
{
	struct cryptopan *cryptopan = calloc(1, sizeof(*cryptopan));

	if (!cryptopan)
		return NULL;
	aes128_set_encrypt_key(&cryptopan->aes, key);
	aes128_encrypt(&cryptopan->aes, sizeof(cryptopan->pad), cryptopan->pad, key + 16);
	return cryptopan;
}

void cryptopan_destroy(struct cryptopan *cryptopan)
{
	if (!cryptopan)
		return;
	explicit_bzero(cryptopan, sizeof(*cryptopan));
	free(cryptopan);
}

/* Bit i of the result is that of the address, turned over or not as AES says of the i bits before it, filled up with the pad. */
static void anonymize(const struct cryptopan *cryptopan, uint8_t *address, unsigned bits)
{
	uint8_t block[16], cipher[16], flips[16] = { 0 };

	memcpy(block, cryptopan->pad, sizeof(block));
	for (unsigned i = 0; i < bits; i++) {
		aes128_encrypt(&cryptopan->aes, sizeof(block), cipher, block);
		uint8_t bit = (uint8_t)(0x80 >> i % 8);
		if (cipher[0] & 0x80)
			flips[i / 8] |= bit;
		block[i / 8] = (uint8_t)((block[i / 8] & ~bit) | (address[i / 8] & bit));
	}
	for (unsigned i = 0; i < bits / 8; i++)
		address[i] ^= flips[i];
}

static struct cached *cache_slot(struct cached *cache, const uint32_t words[4])
{
	uint64_t h = ((uint64_t)words[0] << 32 | words[1]) * 0x9e3779b97f4a7c15u;

	h = (h ^ ((uint64_t)words[2] << 32 | words[3])) * 0xd6e8feb86659fd93u;
	return &cache[h >> 48];
}

static void anonymize_cached(const struct cryptopan *cryptopan, struct cached *cache, uint32_t words[4], unsigned bits)
{
	struct cached *slot = cache_slot(cache, words);
	uint8_t address[16];

	if (!slot->used || memcmp(slot->from, words, sizeof(slot->from))) {
		unsigned first = 4 - bits / 32;
		for (unsigned i = first; i < 4; i++)
			store_be32(address + 4 * (i - first), words[i]);
		anonymize(cryptopan, address, bits);
		memcpy(slot->from, words, sizeof(slot->from));
		for (unsigned i = 0; i < 4; i++)
			slot->to[i] = i < first ? words[i] : load_be32(address + 4 * (i - first));
		slot->used = true;
	}
	memcpy(words, slot->to, sizeof(slot->to));
}

uint32_t cryptopan_ipv4(struct cryptopan *cryptopan, uint32_t address)
{
	uint32_t words[4] = { 0, 0, 0, address };

	anonymize_cached(cryptopan, cryptopan->v4, words, 32);
	return words[3];
}

void cryptopan_ipv6(struct cryptopan *cryptopan, uint32_t words[4])
{
	anonymize_cached(cryptopan, cryptopan->v6, words, 128);
}

void cryptopan_record(struct cryptopan *cryptopan, struct record *record)
{
	struct way_row *row = &record->row;

	if (row->af == WAY_AF_IPV6) {
		cryptopan_ipv6(cryptopan, row->sa);
		cryptopan_ipv6(cryptopan, row->da);
	} else {
		row->sa[3] = cryptopan_ipv4(cryptopan, row->sa[3]);
		row->da[3] = cryptopan_ipv4(cryptopan, row->da[3]);
	}
	record->extra.has_mac = false;
	record->extra.anonymized = true;
}

/* --- the key --------------------------------------------------------------------------------------------------------- */

static bool key_from_hex(const char *text, uint8_t key[CRYPTOPAN_KEY_BYTES])
{
	for (unsigned i = 0; i < CRYPTOPAN_KEY_BYTES; i++) {
		char digits[3] = { text[2 * i], text[2 * i + 1], '\0' };
		if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1]))
			return false;
		key[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}

int cryptopan_key_read(const char *path, uint8_t key[CRYPTOPAN_KEY_BYTES])
{
	char text[2 * CRYPTOPAN_KEY_BYTES + 8];
	int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (n < 0) {
		error = -errno;
		log_error("convert: cannot read the key file \"%s\": %s", path, strerror(-error));
	}
	if (fd >= 0)
		close(fd);
	if (error)
		return error;
	/* 32 bytes are taken as they are, whatever the last one is. */
	while (n > CRYPTOPAN_KEY_BYTES && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n == CRYPTOPAN_KEY_BYTES) {
		memcpy(key, text, CRYPTOPAN_KEY_BYTES);
	} else if (n != 2 * CRYPTOPAN_KEY_BYTES || !key_from_hex(text, key)) {
		log_error("convert: the key file \"%s\" must hold 32 bytes, or 64 hexadecimal digits", path);
		error = -EINVAL;
	}
	explicit_bzero(text, sizeof(text));
	return error;
}
