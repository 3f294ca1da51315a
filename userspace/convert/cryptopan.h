/*
 * Crypto-PAn: addresses become others, and those that share n leading bits share n leading bits after it, too (Xu, Fan, Ammar, Moon:
 * Prefix-Preserving IP Address Anonymization, ICNP 2002). IPv4 as flow-models and nfanon do it; IPv6 the same with 128 bits.
 */
#ifndef FLOWLANE_CRYPTOPAN_H
#define FLOWLANE_CRYPTOPAN_H

#include "record.h"

#define CRYPTOPAN_KEY_BYTES 32 /* AES-128 key, then what the padding is made from */

struct cryptopan;

/* NULL: no memory. */
struct cryptopan *cryptopan_create(const uint8_t key[CRYPTOPAN_KEY_BYTES]);
void cryptopan_destroy(struct cryptopan *cryptopan); /* wipes the key; accepts NULL */

uint32_t cryptopan_ipv4(struct cryptopan *cryptopan, uint32_t address);
void cryptopan_ipv6(struct cryptopan *cryptopan, uint32_t words[4]);

/* Both addresses of a record; its MAC addresses are removed. */
void cryptopan_record(struct cryptopan *cryptopan, struct record *record);

/* Reads a key: 32 bytes, or 64 hexadecimal digits; a newline may follow. 0, or a negative errno, logged. */
int cryptopan_key_read(const char *path, uint8_t key[CRYPTOPAN_KEY_BYTES]);

#endif
