#include "profile_record.h"

#include "audit.pb-c.h"
#include "wire.h"

#include "poison.h"

static char *key_address(struct scratch *scratch, const uint8_t *key)
{
	return scratch_address(scratch, key + 8, key[0] != 4);
}

static size_t ports_list(struct scratch *scratch, const struct table *items, const struct item_list *list, Types__Port ***ports)
{
	size_t n = 0;

	*ports = scratch_take(scratch, list->count * sizeof(**ports));
	for (uint32_t at = list->first; *ports && at;) {
		const struct item *item = (const struct item *)table_at(items, at - 1);
		const uint8_t *what = item->head.key + 8;
		Types__Port *port = scratch_take(scratch, sizeof(*port));
		Types__PortStats *stats = scratch_take(scratch, sizeof(*stats));
		if (!port || !stats)
			break;
		types__port__init(port);
		types__port_stats__init(stats);
		port->portnumber = what[0] | what[1] << 8;
		port->protocol = (char *)ncap_types[what[2]].name;
		port->stats = stats;
		stats->packets = item->packets;
		stats->bytes = item->bytes;
		(*ports)[n++] = port;
		at = item->head.next_item;
	}
	return n;
}

static size_t addresses_list(struct scratch *scratch, const struct table *items, const struct item_list *list, char ***texts)
{
	size_t n = 0;

	*texts = scratch_take(scratch, list->count * sizeof(**texts));
	for (uint32_t at = list->first; *texts && at;) {
		const struct item *item = (const struct item *)table_at(items, at - 1);
		(*texts)[n++] = key_address(scratch, item->head.key + 8);
		at = item->head.next_item;
	}
	return n;
}

static size_t names_list(struct scratch *scratch, const struct table *names, const struct item_list *list, char ***texts)
{
	size_t n = 0;

	*texts = scratch_take(scratch, list->count * sizeof(**texts));
	for (uint32_t at = list->first; *texts && at;) {
		struct name_item *item = (struct name_item *)table_at(names, at - 1);
		(*texts)[n++] = item->text;
		at = item->head.next_item;
	}
	return n;
}

/* protobuf-c has a map as a list of entries with key and value. */
static void sni_map(struct scratch *scratch, const struct table *names, const struct item_list *list, Types__IPProfile *message)
{
	message->snis = scratch_take(scratch, list->count * sizeof(*message->snis));
	for (uint32_t at = list->first; message->snis && at;) {
		struct name_item *item = (struct name_item *)table_at(names, at - 1);
		Types__IPProfile__SNIsEntry *entry = scratch_take(scratch, sizeof(*entry));
		if (!entry)
			return;
		types__ipprofile__snis_entry__init(entry);
		entry->key = item->text;
		entry->value = (int64_t)item->count;
		message->snis[message->n_snis++] = entry;
		at = item->head.next_item;
	}
}

/* Hash to what it stands for; nobody has told us that. */
static void ja3_map(struct scratch *scratch, const struct table *names, const struct item_list *list, Types__IPProfile *message)
{
	message->ja3hashes = scratch_take(scratch, list->count * sizeof(*message->ja3hashes));
	for (uint32_t at = list->first; message->ja3hashes && at;) {
		struct name_item *item = (struct name_item *)table_at(names, at - 1);
		Types__IPProfile__Ja3HashesEntry *entry = scratch_take(scratch, sizeof(*entry));
		if (!entry)
			return;
		types__ipprofile__ja3_hashes_entry__init(entry);
		entry->key = item->text;
		message->ja3hashes[message->n_ja3hashes++] = entry;
		at = item->head.next_item;
	}
}

static void protocols_map(struct scratch *scratch, const struct profile *profile, Types__IPProfile *message)
{
	message->protocols = scratch_take(scratch, NCAP_LAYERS * sizeof(*message->protocols));
	message->applications = scratch_take(scratch, NCAP_LAYERS * sizeof(*message->applications));
	for (unsigned i = 0; i < NCAP_LAYERS && message->protocols && message->applications; i++) {
		Types__IPProfile__ProtocolsEntry *entry;
		Types__Protocol *protocol;
		if (!profile->protocols[i])
			continue;
		entry = scratch_take(scratch, sizeof(*entry));
		protocol = scratch_take(scratch, sizeof(*protocol));
		if (!entry || !protocol)
			return;
		types__ipprofile__protocols_entry__init(entry);
		types__protocol__init(protocol);
		protocol->packets = profile->protocols[i];
		entry->key = (char *)ncap_types[i].name;
		entry->value = protocol;
		message->protocols[message->n_protocols++] = entry;
		if (i >= NCAP_DNS)
			message->applications[message->n_applications++] = (char *)ncap_types[i].name;
	}
}

static uint8_t *put(struct encoder *encoder, const ProtobufCMessage *message, uint8_t *out)
{
	uint8_t *end = record_pack_whole(encoder, message, out + 1);

	return end ? wire_close(out, end) : NULL;
}

static uint8_t *address_record(
	struct encoder *encoder, const struct profiles *profiles, const struct profile *profile, uint8_t *out)
{
	struct scratch *scratch = &encoder->scratch;
	const struct item_list *lists = profile->lists;
	Types__IPProfile message = TYPES__IPPROFILE__INIT;

	message.addr = key_address(scratch, profile->key);
	message.numpackets = (int64_t)profile->packets;
	message.bytes = profile->bytes;
	message.timestampfirst = (int64_t)profile->first_ns;
	message.timestamplast = (int64_t)profile->entry.seen_ns;
	message.n_dnsnames = names_list(scratch, &profiles->names, &lists[ITEM_DNS_NAME], &message.dnsnames);
	sni_map(scratch, &profiles->names, &lists[ITEM_SNI], &message);
	ja3_map(scratch, &profiles->names, &lists[ITEM_JA3], &message);
	protocols_map(scratch, profile, &message);
	message.n_srcports = ports_list(scratch, &profiles->items, &lists[ITEM_SRC_PORT], &message.srcports);
	message.n_dstports = ports_list(scratch, &profiles->items, &lists[ITEM_DST_PORT], &message.dstports);
	message.n_contactedports = ports_list(scratch, &profiles->items, &lists[ITEM_CONTACTED_PORT], &message.contactedports);
	return put(encoder, &message.base, out);
}

static uint8_t *device_record(struct encoder *encoder, const struct profiles *profiles, const struct profile *profile, uint8_t *out)
{
	struct scratch *scratch = &encoder->scratch;
	Types__DeviceProfile message = TYPES__DEVICE_PROFILE__INIT;
	char mac[RECORD_MAC_BYTES + 1];

	record_mac(mac, profile->key);
	message.macaddr = mac;
	message.n_deviceips = addresses_list(scratch, &profiles->items, &profile->lists[ITEM_DEVICE_IP], &message.deviceips);
	message.n_contacts = addresses_list(scratch, &profiles->items, &profile->lists[ITEM_CONTACT], &message.contacts);
	message.numpackets = (int64_t)profile->packets;
	message.timestamp = (int64_t)profile->first_ns;
	message.bytes = profile->bytes;
	return put(encoder, &message.base, out);
}

uint8_t *profile_record(
	struct encoder *encoder, struct profiles *profiles, enum ncap_type type, const struct profile *profile, uint8_t *out)
{
	size_t used = encoder->scratch.used; /* what the frame at hand has in it stays */
	uint8_t *end = type == NCAP_IP_PROFILE ? address_record(encoder, profiles, profile, out)
					       : device_record(encoder, profiles, profile, out);

	encoder->scratch.used = used;
	return end;
}
