#include "profiles.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "bytes.h"
#include "profile_record.h"

/* Bounds of a lane: 17, 17, 72 and 10 MiB, of which only what is used takes memory. */
#define ADDRESSES_MAX 65536u
#define DEVICES_MAX   65536u
#define ITEMS_MAX     (1u << 20)
#define NAMES_MAX     32768u
#define MERGE_MAX     64

struct profiles_merge {
	pthread_mutex_t lock;
	unsigned count;
	struct profiles *lanes[MERGE_MAX];
};

int profiles_create(const struct profiles_options *options, struct profiles **result)
{
	struct profiles *made = calloc(1, sizeof(*made));
	int error = made ? 0 : -ENOMEM;

	if (error)
		return error;
	made->options = *options;
	if (options->addresses)
		error = table_create(ADDRESSES_MAX, sizeof(struct profile), PROFILE_KEY_BYTES, options->live, &made->addresses);
	if (!error && options->addresses)
		error = table_create(NAMES_MAX, sizeof(struct name_item), ITEM_KEY_BYTES, options->live, &made->names);
	if (!error && options->devices)
		error = table_create(DEVICES_MAX, sizeof(struct profile), PROFILE_KEY_BYTES, options->live, &made->devices);
	if (!error)
		error = table_create(ITEMS_MAX, sizeof(struct item), ITEM_KEY_BYTES, options->live, &made->items);
	if (error)
		profiles_destroy(made);
	else
		*result = made;
	return error;
}

void profiles_destroy(struct profiles *profiles)
{
	if (!profiles)
		return;
	table_destroy(&profiles->addresses);
	table_destroy(&profiles->devices);
	table_destroy(&profiles->items);
	table_destroy(&profiles->names);
	free(profiles);
}

int profiles_merge_create(struct profiles_merge **merge)
{
	struct profiles_merge *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	pthread_mutex_init(&made->lock, NULL);
	*merge = made;
	return 0;
}

void profiles_merge_destroy(struct profiles_merge *merge)
{
	if (!merge)
		return;
	for (unsigned i = 0; i < merge->count; i++)
		profiles_destroy(merge->lanes[i]);
	pthread_mutex_destroy(&merge->lock);
	free(merge);
}

void profiles_merge_add(struct profiles_merge *merge, struct profiles *profiles)
{
	pthread_mutex_lock(&merge->lock);
	if (merge->count < MERGE_MAX)
		merge->lanes[merge->count++] = profiles;
	pthread_mutex_unlock(&merge->lock);
}

uint64_t profiles_evicted(const struct profiles *profiles)
{
	return profiles->evicted;
}

/* ---- profiles and items -------------------------------------------------------------------------------------------- */

/* Gives the items of a list back. */
static void list_drop(struct table *table, uint32_t *first)
{
	while (*first) {
		struct item_entry *item = (struct item_entry *)table_at(table, *first - 1);
		*first = item->next_item;
		table_remove(table, item);
	}
}

static void profile_end(struct profiles *profiles, struct table *table, struct profile *profile)
{
	enum ncap_type type = table == &profiles->addresses ? NCAP_IP_PROFILE : NCAP_DEVICE_PROFILE;
	uint8_t *begin = ncap_writer_begin(profiles->options.writer, type, profile->entry.seen_ns);
	uint8_t *end = profile_record(profiles->options.encoder, profiles, type, profile, begin);

	if (end)
		ncap_writer_commit(profiles->options.writer, type, end);
	for (unsigned kind = 0; kind < ITEM_KINDS; kind++)
		list_drop(kind < ITEM_NAMES ? &profiles->items : &profiles->names, &profile->lists[kind].first);
	table_remove(table, profile);
}

static struct profile *profile_get(struct profiles *profiles, struct table *table, const uint8_t key[PROFILE_KEY_BYTES])
{
	uint32_t hash = table_hash(table, key);
	struct profile *profile = table_find(table, key, hash);

	if (profile)
		return profile;
	profile = table_add(table, key, hash);
	if (!profile) {
		profiles->evicted++;
		profile_end(profiles, table, table_old(table));
		profile = table_add(table, key, hash);
	}
	profile->number = ++profiles->number;
	return profile;
}

/* The item of a profile; NULL: the list is as long as it may be, or there is no room. */
static struct item_entry *item_get(
	struct profiles *profiles, struct profile *profile, enum item_kind kind, const uint8_t what[ITEM_WHAT_BYTES])
{
	struct table *table = kind < ITEM_NAMES ? &profiles->items : &profiles->names;
	struct item_list *list = &profile->lists[kind];
	uint8_t key[ITEM_KEY_BYTES] = { 0 };

	memcpy(key, &profile->number, sizeof(profile->number));
	key[7] = (uint8_t)kind; /* numbers of profiles have less than 56 bits */
	memcpy(key + 8, what, ITEM_WHAT_BYTES);
	uint32_t hash = table_hash(table, key);
	struct item_entry *item = table_find(table, key, hash);
	if (item)
		return item;
	item = list->count < item_list_max(kind) ? table_add(table, key, hash) : NULL;
	if (!item)
		return NULL;
	uint32_t at = table_index(table, item) + 1;
	if (list->last)
		((struct item_entry *)table_at(table, list->last - 1))->next_item = at;
	else
		list->first = at;
	list->last = at;
	list->count++;
	return item;
}

static void port_add(struct profiles *profiles, struct profile *profile, enum item_kind kind, uint16_t port, uint8_t transport,
	uint64_t packets, uint64_t bytes)
{
	uint8_t what[ITEM_WHAT_BYTES] = { (uint8_t)port, (uint8_t)(port >> 8), transport };
	struct item *item = (struct item *)item_get(profiles, profile, kind, what);

	if (!item)
		return;
	item->packets += packets;
	item->bytes += bytes;
}

static void address_add(struct profiles *profiles, struct profile *profile, enum item_kind kind, const struct ncap_ip *ip, bool src)
{
	uint8_t what[ITEM_WHAT_BYTES] = { 0 };

	profile_key_address(what, ip->version, src ? ip->src : ip->dst);
	item_get(profiles, profile, kind, what);
}

static void name_add(struct profiles *profiles, struct profile *profile, enum item_kind kind, const char *text, uint64_t count)
{
	uint8_t what[ITEM_WHAT_BYTES] = { 0 };
	size_t n = strnlen(text, NAME_BYTES - 1);
	uint64_t hash[2] = { HASH_SEED_FIXED.s[0], HASH_SEED_FIXED.s[1] };

	for (size_t i = 0; i < n; i++) {
		hash[0] = hash_fold(hash[0] ^ (uint8_t)text[i], 0x9e3779b97f4a7c15u);
		hash[1] = hash[1] * 1099511628211u ^ (uint8_t)text[i];
	}
	memcpy(what, hash, sizeof(hash));
	struct name_item *item = (struct name_item *)item_get(profiles, profile, kind, what);
	if (!item)
		return;
	item->count += count;
	while (n > 0 && n == NAME_BYTES - 1 && ((uint8_t)text[n] & 0xc0) == 0x80)
		n--; /* not within a character */
	memcpy(item->text, text, n);
}

/* ---- packets ------------------------------------------------------------------------------------------------------- */

static void count(struct profile *profile, const struct frame *frame)
{
	uint64_t ns = frame->ts_ns;

	if (!profile->packets || ns < profile->first_ns)
		profile->first_ns = ns;
	profile->entry.seen_ns = ns > profile->entry.seen_ns ? ns : profile->entry.seen_ns;
	profile->packets++;
	profile->bytes += frame->wire_len;
}

static void count_protocols(struct profile *profile, const struct ncap_walk *walk)
{
	for (unsigned i = 0; i < walk->layers_count; i++)
		profile->protocols[walk->layers[i].type] += walk->layers[i].type >= NCAP_ICMPV4;
}

static struct profile *address_get(struct profiles *profiles, uint8_t version, const uint8_t *address)
{
	uint8_t key[PROFILE_KEY_BYTES] = { 0 };

	profile_key_address(key, version, address);
	return profile_get(profiles, &profiles->addresses, key);
}

static void count_address(struct profiles *profiles, const struct ncap_walk *walk, const struct ncap_ip *ip, bool src)
{
	struct profile *profile = address_get(profiles, ip->version, src ? ip->src : ip->dst);
	uint16_t own = src ? ip->src_port : ip->dst_port, peers = src ? ip->dst_port : ip->src_port;
	uint32_t bytes = walk->frame->wire_len;

	count(profile, walk->frame);
	count_protocols(profile, walk);
	if (!ip->ports)
		return;
	port_add(profiles, profile, src ? ITEM_SRC_PORT : ITEM_DST_PORT, own, ip->transport, 1, bytes);
	port_add(profiles, profile, ITEM_CONTACTED_PORT, peers, ip->transport, 1, bytes);
}

/* What the records of this frame's layers have found: names that a client asked a server for, and that answers give an address. */
static void names_take(struct profiles *profiles, const struct ncap_ip *ip)
{
	const struct encoder_found *found = &profiles->options.encoder->found;

	if (found->sni || found->ja3) {
		struct profile *client = address_get(profiles, ip->version, ip->src);
		if (found->sni && *found->sni)
			name_add(profiles, client, ITEM_SNI, found->sni, 1);
		if (found->ja3)
			name_add(profiles, client, ITEM_JA3, found->ja3, 1);
	}
	for (unsigned i = 0; i < found->answers; i++) {
		struct profile *named = address_get(profiles, found->answer[i].version, found->answer[i].address);
		name_add(profiles, named, ITEM_DNS_NAME, found->answer[i].name, 1);
	}
}

static void count_device(struct profiles *profiles, const struct ncap_walk *walk, const struct ncap_ip *ip)
{
	const struct ncap_layer *layer = walk->layers;
	uint8_t key[PROFILE_KEY_BYTES] = { 0 };

	if (!walk->layers_count || layer->type != NCAP_ETHERNET)
		return;
	memcpy(key, walk->frame->data + layer->off + 6, 6);
	struct profile *profile = profile_get(profiles, &profiles->devices, key);
	count(profile, walk->frame);
	if (!ip)
		return;
	address_add(profiles, profile, ITEM_DEVICE_IP, ip, true);
	address_add(profiles, profile, ITEM_CONTACT, ip, false);
}

/* Of a tunnel, a device has the outer addresses, and profiles are of the innermost, as connections are. */
void profiles_add(struct profiles *profiles, const struct ncap_walk *walk)
{
	const struct ncap_ip *inner = walk->ips_count ? &walk->ips[walk->ips_count - 1] : NULL;

	if (profiles->options.devices)
		count_device(profiles, walk, walk->ips_count ? &walk->ips[0] : NULL);
	if (!profiles->options.addresses || !inner)
		return;
	count_address(profiles, walk, inner, true);
	if (memcmp(inner->src, inner->dst, inner->version == 4 ? 4 : 16) != 0)
		count_address(profiles, walk, inner, false);
	names_take(profiles, inner);
}

/* ---- the end ------------------------------------------------------------------------------------------------------- */

static void items_join(struct profiles *into, struct profile *profile, const struct profiles *from, const struct profile *other)
{
	for (unsigned kind = 0; kind < ITEM_KINDS; kind++) {
		const struct table *table = kind < ITEM_NAMES ? &from->items : &from->names;
		for (uint32_t at = other->lists[kind].first; at;) {
			struct item_entry *entry = (struct item_entry *)table_at(table, at - 1);
			const uint8_t *what = table_key(&entry->entry) + 8;
			const struct item *item = (const struct item *)entry;
			const struct name_item *name = (const struct name_item *)entry;
			if (kind >= ITEM_NAMES)
				name_add(into, profile, (enum item_kind)kind, name->text, name->count);
			else if (kind >= ITEM_ADDRESSES)
				item_get(into, profile, (enum item_kind)kind, what);
			else
				port_add(into, profile, (enum item_kind)kind, (uint16_t)(what[0] | what[1] << 8), what[2],
					item->packets, item->bytes);
			at = entry->next_item;
		}
	}
}

static void table_join(struct profiles *into, struct table *table, const struct profiles *from, const struct table *others)
{
	for (uint32_t i = 0; i < others->used; i++) {
		struct profile *other = (struct profile *)table_at(others, i);
		if (other->entry.next == TABLE_FREE)
			continue;
		struct profile *profile = profile_get(into, table, table_key(&other->entry));
		if (!profile->packets || other->first_ns < profile->first_ns)
			profile->first_ns = other->first_ns;
		if (other->entry.seen_ns > profile->entry.seen_ns)
			profile->entry.seen_ns = other->entry.seen_ns;
		profile->packets += other->packets;
		profile->bytes += other->bytes;
		for (unsigned k = 0; k < NCAP_LAYERS; k++)
			profile->protocols[k] += other->protocols[k];
		items_join(into, profile, from, other);
	}
}

static void table_write(struct profiles *profiles, struct table *table)
{
	for (uint32_t i = 0; i < table->used; i++) {
		struct profile *profile = (struct profile *)table_at(table, i);
		if (profile->entry.next != TABLE_FREE)
			profile_end(profiles, table, profile);
	}
}

void profiles_merge_write(struct profiles_merge *merge, struct encoder *encoder, struct ncap_writer *writer)
{
	struct profiles *all = merge->count ? merge->lanes[0] : NULL;

	if (!all)
		return;
	all->options.encoder = encoder;
	all->options.writer = writer;
	for (unsigned i = 1; i < merge->count; i++) {
		if (all->options.addresses)
			table_join(all, &all->addresses, merge->lanes[i], &merge->lanes[i]->addresses);
		if (all->options.devices)
			table_join(all, &all->devices, merge->lanes[i], &merge->lanes[i]->devices);
	}
	if (all->options.addresses)
		table_write(all, &all->addresses);
	if (all->options.devices)
		table_write(all, &all->devices);
}
