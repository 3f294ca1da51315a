/* Profiles as the tables keep them, and how they become records. Private to profiles.c and profile_record.c. */
#ifndef FLOWLANE_NCAP_PROFILE_RECORD_H
#define FLOWLANE_NCAP_PROFILE_RECORD_H

#include "profiles.h"
#include "table.h"

#define PROFILE_KEY_BYTES 24 /* IP version and address; MAC address */
#define ITEM_WHAT_BYTES   24 /* port and transport; IP version and address; hash of a name */
#define ITEM_KEY_BYTES    (8 + ITEM_WHAT_BYTES)
#define NAME_BYTES        256

enum item_kind {
	ITEM_SRC_PORT,
	ITEM_DST_PORT,
	ITEM_CONTACTED_PORT,
	ITEM_ADDRESSES,
	ITEM_DEVICE_IP = ITEM_ADDRESSES,
	ITEM_CONTACT,
	ITEM_NAMES, /* from here on texts, in a table of their own */
	ITEM_SNI = ITEM_NAMES,
	ITEM_JA3,
	ITEM_DNS_NAME,
	ITEM_KINDS,
};

/* How long a list may become. */
static inline uint32_t item_list_max(enum item_kind kind)
{
	return kind < ITEM_NAMES ? 128 : 32;
}

struct item_list {
	uint32_t first, last; /* entry + 1; 0: none */
	uint32_t count;
};

struct profile {
	struct table_entry entry; /* seen_ns: latest packet */
	uint8_t key[PROFILE_KEY_BYTES];
	uint64_t number; /* from 1 on; never used again, so items of a profile that is gone are nobody's */
	uint64_t first_ns;
	uint64_t packets;
	uint64_t bytes; /* on the wire */
	uint32_t protocols[NCAP_LAYERS];
	struct item_list lists[ITEM_KINDS];
};

/* What the two kinds of items begin with. */
struct item_entry {
	struct table_entry entry;
	uint8_t key[ITEM_KEY_BYTES]; /* number and kind, what */
	uint32_t next_item;          /* of the profile: entry + 1; 0: the last */
	uint32_t unused;
};

struct item {
	struct item_entry head;
	uint64_t packets, bytes;
};

struct name_item {
	struct item_entry head;
	uint64_t count;
	char text[NAME_BYTES];
};

struct profiles {
	struct profiles_options options;
	struct table addresses, devices, items, names;
	uint64_t number;
	uint64_t evicted;
};

static inline void profile_key_address(uint8_t *key, uint8_t version, const uint8_t *address)
{
	key[0] = version;
	memcpy(key + 8, address, version == 4 ? 4 : 16);
}

/* Length and message; NULL: there is no room. */
uint8_t *profile_record(
	struct encoder *encoder, struct profiles *profiles, enum ncap_type type, const struct profile *profile, uint8_t *out);

#endif
