#include "connection_record.h"

#include <nettle/md5.h>

#include "audit.pb-c.h"
#include "legacy.pb-c.h"
#include "text.h"
#include "wire.h"

#include "poison.h"

/* int32 fields do not overflow. */
static int32_t saturated(uint64_t value)
{
	return value < INT32_MAX ? (int32_t)value : INT32_MAX;
}

/* ---- the id -------------------------------------------------------------------------------------------------------- */

/*
 * The format's id of a connection: MD5 of three hashes in decimal, of link, network and transport addresses. Each is symmetric: FNV-1a of
 * both ends, added; then the kind of address is mixed in.
 */
enum endpoint { ENDPOINT_IPV4 = 1, ENDPOINT_IPV6, ENDPOINT_MAC, ENDPOINT_TCP, ENDPOINT_UDP, ENDPOINT_SCTP };

#define FNV_BASIS 14695981039346656037u
#define FNV_PRIME 1099511628211u

static uint64_t fnv(const uint8_t *bytes, size_t n)
{
	uint64_t hash = FNV_BASIS;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ bytes[i]) * FNV_PRIME;
	return hash;
}

static uint64_t pair_hash(const void *a, const void *b, size_t n, enum endpoint kind)
{
	return ((fnv(a, n) + fnv(b, n)) ^ kind) * FNV_PRIME;
}

static uint64_t transport_hash(const struct connection_key *key)
{
	uint8_t a[2] = { (uint8_t)(key->a_port >> 8), (uint8_t)key->a_port };
	uint8_t b[2] = { (uint8_t)(key->b_port >> 8), (uint8_t)key->b_port };

	switch (key->transport) {
	case NCAP_TCP:
		return pair_hash(a, b, 2, ENDPOINT_TCP);
	case NCAP_UDP:
		return pair_hash(a, b, 2, ENDPOINT_UDP);
	case NCAP_SCTP:
		return pair_hash(a, b, 2, ENDPOINT_SCTP);
	default:
		return 0;
	}
}

static void uid_put(const struct connection *connection, char text[33])
{
	static const char digits[] = "0123456789abcdef";
	const struct connection_key *key = &connection->key;
	char numbers[3 * TEXT_U64_MAX], *at = numbers;
	uint8_t digest[MD5_DIGEST_SIZE];
	struct md5_ctx md5;

	at = text_u64(at, connection->ethernet ? pair_hash(connection->macs, connection->macs + 6, 6, ENDPOINT_MAC) : 0);
	if (key->version == 0)
		at = text_u64(at, 0);
	else
		at = text_u64(at, key->version == 4 ? pair_hash(key->a, key->b, 4, ENDPOINT_IPV4)
						    : pair_hash(key->a, key->b, 16, ENDPOINT_IPV6));
	at = text_u64(at, transport_hash(key));
	md5_init(&md5);
	md5_update(&md5, (size_t)(at - numbers), (const uint8_t *)numbers);
	md5_digest(&md5, sizeof(digest), digest);
	for (unsigned i = 0; i < sizeof(digest); i++) {
		text[2 * i] = digits[digest[i] >> 4];
		text[2 * i + 1] = digits[digest[i] & 0xf];
	}
	text[32] = 0;
}

/* ---- texts --------------------------------------------------------------------------------------------------------- */

/* What a record says in words; "" is left out. */
struct texts {
	char macs[2][RECORD_MAC_BYTES + 1]; /* [0]: of the source */
	char ips[2][TEXT_IPV6_MAX + 1];
	char ports[2][TEXT_U64_MAX + 1];
	char uid[33];
	const char *link, *network, *transport, *application;
};

static const char *application_name(const struct connection *connection)
{
	uint8_t type = connection->application;

	if (type == NCAP_TLS_CLIENT_HELLO || type == NCAP_TLS_SERVER_HELLO)
		return "TLS";
	if (type != NCAP_TYPES)
		return ncap_types[type].name;
	return connection->ways[0].payload + connection->ways[1].payload ? "Payload" : "";
}

/* dir: who is the source, 0: A. */
static void texts_make(const struct connection *connection, unsigned dir, struct texts *texts)
{
	const struct connection_key *key = &connection->key;
	const uint8_t *ends[2] = { dir ? key->b : key->a, dir ? key->a : key->b };
	uint16_t ports[2] = { dir ? key->b_port : key->a_port, dir ? key->a_port : key->b_port };
	bool turned = dir != connection->client;

	memset(texts, 0, sizeof(*texts));
	if (connection->ethernet) {
		record_mac(texts->macs[turned], connection->macs + 6);
		record_mac(texts->macs[!turned], connection->macs);
	}
	for (unsigned i = 0; i < 2 && key->version; i++)
		*(key->version == 4 ? text_ipv4(texts->ips[i], ends[i]) : text_ipv6(texts->ips[i], ends[i])) = 0;
	for (unsigned i = 0; i < 2 && key->transport != NCAP_TYPES; i++)
		*text_u64(texts->ports[i], ports[i]) = 0;
	uid_put(connection, texts->uid);
	texts->link = connection->ethernet ? "Ethernet" : "";
	texts->network = key->version == 4 ? "IPv4" : key->version == 6 ? "IPv6" : "";
	texts->transport = key->transport == NCAP_TYPES ? "" : ncap_types[key->transport].name;
	texts->application = application_name(connection);
}

/* Connection and Flow of both schemas have these under the same names. */
#define TEXTS_SET(message, texts)                                                                                                  \
	do {                                                                                                                       \
		(message).linkproto = (char *)(texts).link;                                                                        \
		(message).networkproto = (char *)(texts).network;                                                                  \
		(message).transportproto = (char *)(texts).transport;                                                              \
		(message).applicationproto = (char *)(texts).application;                                                          \
		(message).srcmac = (texts).macs[0];                                                                                \
		(message).dstmac = (texts).macs[1];                                                                                \
		(message).srcip = (texts).ips[0];                                                                                  \
		(message).dstip = (texts).ips[1];                                                                                  \
		(message).srcport = (texts).ports[0];                                                                              \
		(message).dstport = (texts).ports[1];                                                                              \
		(message).uid = (texts).uid;                                                                                       \
	} while (0)

/* ---- records ------------------------------------------------------------------------------------------------------- */

static uint8_t *put(struct encoder *encoder, const ProtobufCMessage *message, uint8_t *out)
{
	uint8_t *end = record_pack_whole(encoder, message, out + 1);

	return end ? wire_close(out, end) : NULL;
}

static uint8_t *current_record(struct encoder *encoder, const struct connection *connection, uint8_t *out)
{
	const struct connection_way *client = &connection->ways[connection->client],
				    *server = &connection->ways[!connection->client];
	const uint32_t *flags = connection->flags;
	Types__Connection message = TYPES__CONNECTION__INIT;
	struct texts texts;

	texts_make(connection, connection->client, &texts);
	TEXTS_SET(message, texts);
	message.timestampfirst = (int64_t)connection->first_ns;
	message.timestamplast = (int64_t)connection->entry.seen_ns;
	message.duration = message.timestamplast - message.timestampfirst;
	message.totalsize = saturated(client->bytes + server->bytes);
	message.apppayloadsize = saturated(client->payload + server->payload);
	message.numpackets = saturated(client->packets + server->packets);
	message.bytesservertoclient = (int64_t)server->bytes;
	message.bytesclienttoserver = (int64_t)client->bytes;
	message.numfinflags = saturated(flags[0]);
	message.numsynflags = saturated(flags[1]);
	message.numrstflags = saturated(flags[2]);
	message.numpshflags = saturated(flags[3]);
	message.numackflags = saturated(flags[4]);
	message.numurgflags = saturated(flags[5]);
	message.numeceflags = saturated(flags[6]);
	message.numcwrflags = saturated(flags[7]);
	message.numnsflags = saturated(flags[8]);
	message.meanwindowsize = connection->segments ? (int32_t)(connection->window_sum / connection->segments) : 0;
	return put(encoder, &message.base, out);
}

static uint8_t *legacy_record(struct encoder *encoder, const struct connection *connection, uint8_t *out)
{
	const struct connection_way *ways = connection->ways;
	uint64_t last_ns = connection->entry.seen_ns;
	Legacy__Connection message = LEGACY__CONNECTION__INIT;
	char first[32], last[32];
	struct texts texts;

	texts_make(connection, connection->client, &texts);
	TEXTS_SET(message, texts);
	first[record_time_text(first, connection->first_ns)] = 0;
	last[record_time_text(last, last_ns)] = 0;
	message.timestampfirst = first;
	message.timestamplast = last;
	message.duration = (int64_t)(last_ns - connection->first_ns);
	message.totalsize = saturated(ways[0].bytes + ways[1].bytes);
	message.apppayloadsize = saturated(ways[0].payload + ways[1].payload);
	message.numpackets = saturated(ways[0].packets + ways[1].packets);
	return put(encoder, &message.base, out);
}

uint8_t *connection_record(struct encoder *encoder, const struct connection *connection, uint8_t *out)
{
	return encoder->legacy ? legacy_record(encoder, connection, out) : current_record(encoder, connection, out);
}

uint8_t *connection_way_record(struct encoder *encoder, const struct connection *connection, unsigned dir, uint8_t *out)
{
	const struct connection_way *way = &connection->ways[dir];
	Legacy__Flow message = LEGACY__FLOW__INIT;
	char first[32], last[32];
	struct texts texts;

	texts_make(connection, dir, &texts);
	TEXTS_SET(message, texts);
	first[record_time_text(first, way->first_ns)] = 0;
	last[record_time_text(last, way->last_ns)] = 0;
	message.timestampfirst = first;
	message.timestamplast = last;
	message.duration = (int64_t)(way->last_ns - way->first_ns);
	message.totalsize = saturated(way->bytes);
	message.apppayloadsize = saturated(way->payload);
	message.numpackets = saturated(way->packets);
	return put(encoder, &message.base, out);
}
