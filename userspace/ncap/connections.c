#include "connections.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "bytes.h"
#include "table.h"

/* A tick looks at this part of the table, so that all of it is seen within seven seconds, and writes so many records at most: a few
 * milliseconds, while frames wait in their ring. */
#define SWEEP_PART 64
#define SWEEP_MIN  4096
#define SWEEP_ENDS 4096

struct connections {
	struct connections_options options;
	struct table table;
	uint64_t now_ns;
	uint32_t swept;
	uint64_t evicted;
};

int connections_create(const struct connections_options *options, struct connections **result)
{
	struct connections *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->options = *options;
	if (table_create(options->max, sizeof(struct connection), sizeof(struct connection_key), options->live, &made->table)) {
		free(made);
		return -ENOMEM;
	}
	*result = made;
	return 0;
}

void connections_destroy(struct connections *connections)
{
	if (!connections)
		return;
	table_destroy(&connections->table);
	free(connections);
}

uint64_t connections_evicted(const struct connections *connections)
{
	return connections->evicted;
}

#include "poison.h"

/* ---- keys ---------------------------------------------------------------------------------------------------------- */

static const uint8_t *ethernet_of(const struct ncap_walk *walk)
{
	for (unsigned i = 0; i < walk->layers_count; i++) {
		if (walk->layers[i].type == NCAP_ETHERNET)
			return walk->frame->data + walk->layers[i].off;
	}
	return NULL;
}

static void word_put(uint8_t *at, uint64_t word)
{
	memcpy(at, &word, sizeof(word));
}

/* The same for both directions: the smaller end is A. Returns whether B sent the packet; -1: nothing to tell two ends by. */
static int8_t key_make(const struct ncap_walk *walk, const uint8_t *ethernet, struct connection_key *key)
{
	const struct ncap_ip *ip = walk->ips_count ? &walk->ips[walk->ips_count - 1] : NULL;
	const uint8_t *src = ip ? ip->src : ethernet + 6, *dst = ip ? ip->dst : ethernet;
	bool v4 = ip && ip->version == 4;
	size_t bytes = !ip ? 6 : v4 ? 4 : 16;

	if (!ip && !ethernet)
		return -1;
	uint8_t version = ip ? ip->version : 0, transport = ip && ip->ports ? ip->transport : NCAP_TYPES;
	uint16_t src_port = ip && ip->ports ? ip->src_port : 0, dst_port = ip && ip->ports ? ip->dst_port : 0;
	int64_t order = v4 ? (int64_t)load_be32(src) - load_be32(dst) : memcmp(src, dst, bytes);
	bool swap = order > 0 || (order == 0 && src_port > dst_port);
	const uint8_t *a = swap ? dst : src, *b = swap ? src : dst;
	/* In whole words, as the hash reads it: a word that was written in pieces has to wait for the cache. */
	uint8_t *to = (uint8_t *)key;
	if (__builtin_expect(v4, 1)) {
		word_put(to, load_le32(a));
		word_put(to + 8, 0);
		word_put(to + 16, load_le32(b));
		word_put(to + 24, 0);
	} else {
		memset(to, 0, 32);
		memcpy(key->a, a, bytes);
		memcpy(key->b, b, bytes);
	}
	word_put(to + offsetof(struct connection_key, a_port), (uint64_t)(swap ? dst_port : src_port) |
								       (uint64_t)(swap ? src_port : dst_port) << 16 |
								       (uint64_t)version << 32 | (uint64_t)transport << 40);
	return swap;
}

/* ---- counting ------------------------------------------------------------------------------------------------------ */

/* Of the layers above the transport, the one that names the application. */
static uint8_t application_of(const struct ncap_walk *walk)
{
	uint8_t type = walk->layers_count ? walk->layers[walk->layers_count - 1].type : NCAP_TYPES;

	return type >= NCAP_DNS && type <= NCAP_TLS_SERVER_HELLO ? type : NCAP_TYPES;
}

static void first_set(struct connection *connection, const struct ncap_walk *walk, const uint8_t *ethernet, bool dir)
{
	connection->first_ns = walk->frame->ts_ns;
	connection->client = dir;
	connection->ethernet = ethernet != NULL;
	if (ethernet)
		memcpy(connection->macs, ethernet, sizeof(connection->macs));
}

static void count_tcp(struct connection *connection, const struct ncap_walk *walk, const struct ncap_ip *ip)
{
	for (unsigned flags = ip->tcp_flags; flags; flags &= flags - 1) /* ACK, or PSH and ACK, mostly */
		connection->flags[__builtin_ctz(flags)]++;
	connection->window_sum += ip->window;
	connection->segments++;
	/* The ninth flag is in the byte before: the header is 20 bytes or more in front of nothing that is not captured. */
	for (unsigned i = walk->layers_count; i-- > 0;) {
		if (walk->layers[i].type == NCAP_TCP) {
			connection->flags[8] += walk->frame->data[walk->layers[i].off + 12] & 1;
			return;
		}
	}
}

static void count(struct connection *connection, const struct ncap_walk *walk, bool dir)
{
	const struct ncap_ip *ip = walk->ips_count ? &walk->ips[walk->ips_count - 1] : NULL;
	struct connection_way *way = &connection->ways[dir];
	uint64_t ns = walk->frame->ts_ns;

	if (!way->packets || ns < way->first_ns)
		way->first_ns = ns;
	way->last_ns = ns > way->last_ns ? ns : way->last_ns;
	way->packets++;
	way->bytes += walk->frame->wire_len;
	way->payload += ip && ip->ports ? ip->payload : 0;
	connection->entry.seen_ns = ns > connection->entry.seen_ns ? ns : connection->entry.seen_ns;
	if (ip && ip->transport == NCAP_TCP)
		count_tcp(connection, walk, ip);
	if (connection->application == NCAP_TYPES)
		connection->application = application_of(walk);
}

/* ---- the table ----------------------------------------------------------------------------------------------------- */

static void record_write(struct connections *connections, const struct connection *connection)
{
	struct encoder *encoder = connections->options.encoder;
	struct ncap_writer *writer = connections->options.writer;

	size_t used = encoder->scratch.used; /* what the frame at hand has in it stays */

	if (connections->options.records) {
		uint8_t *begin = ncap_writer_begin(writer, NCAP_CONNECTION, connections->now_ns);
		uint8_t *end = connection_record(encoder, connection, begin);
		if (end)
			ncap_writer_commit(writer, NCAP_CONNECTION, end);
	}
	for (unsigned dir = 0; connections->options.ways && dir < 2; dir++) {
		if (!connection->ways[dir].packets)
			continue;
		uint8_t *begin = ncap_writer_begin(writer, NCAP_FLOW, connections->now_ns);
		uint8_t *end = connection_way_record(encoder, connection, dir, begin);
		if (end)
			ncap_writer_commit(writer, NCAP_FLOW, end);
	}
	encoder->scratch.used = used;
}

static bool is_over(const struct connections *connections, const struct connection *connection, uint64_t now_ns)
{
	uint64_t timeout_ns = connections->options.timeout_ns;

	return timeout_ns && now_ns > connection->entry.seen_ns && now_ns - connection->entry.seen_ns > timeout_ns;
}

static void connection_end(struct connections *connections, struct connection *connection)
{
	record_write(connections, connection);
	table_remove(&connections->table, connection);
}

static __attribute__((noinline)) struct connection *connection_begin(
	struct connections *connections, const struct connection_key *key, uint32_t hash)
{
	struct connection *connection = table_add(&connections->table, key, hash);

	if (!connection) {
		connections->evicted++;
		connection_end(connections, table_old(&connections->table));
		connection = table_add(&connections->table, key, hash);
	}
	connection->application = NCAP_TYPES;
	return connection;
}

void connections_ask(struct connections *connections, const struct ncap_walk *walk, struct connection_packet *packet)
{
	packet->ethernet = ethernet_of(walk);
	packet->dir = key_make(walk, packet->ethernet, &packet->key);
	if (packet->dir < 0)
		return;
	packet->hash = table_hash(&connections->table, &packet->key);
	__builtin_prefetch(table_head(&connections->table, packet->hash));
}

void connections_look(struct connections *connections, const struct connection_packet *packet)
{
	uint32_t head = packet->dir < 0 ? 0 : *table_head(&connections->table, packet->hash);

	if (!head)
		return;
	const uint8_t *entry = (const uint8_t *)table_at(&connections->table, head - 1);
	for (unsigned line = 0; line < sizeof(struct connection); line += 64)
		__builtin_prefetch(entry + line, 1);
}

void connections_add(struct connections *connections, const struct ncap_walk *walk, const struct connection_packet *packet)
{
	uint64_t ns = walk->frame->ts_ns;

	connections->now_ns = ns > connections->now_ns ? ns : connections->now_ns;
	if (packet->dir < 0)
		return;
	struct connection *connection = table_find(&connections->table, &packet->key, packet->hash);
	if (connection && is_over(connections, connection, ns)) {
		connection_end(connections, connection);
		connection = NULL;
	}
	bool is_new = !connection;
	if (is_new)
		connection = connection_begin(connections, &packet->key, packet->hash);
	if (is_new || ns < connection->first_ns)
		first_set(connection, walk, packet->ethernet, packet->dir);
	count(connection, walk, packet->dir);
}

void connections_tick(struct connections *connections, uint64_t now_ns)
{
	struct table *table = &connections->table;
	uint32_t looks = table->used / SWEEP_PART, ends = 0;

	connections->now_ns = now_ns > connections->now_ns ? now_ns : connections->now_ns;
	looks = looks > SWEEP_MIN ? looks : table->used < SWEEP_MIN ? table->used : SWEEP_MIN;
	for (uint32_t i = 0; i < looks && ends < SWEEP_ENDS; i++) {
		connections->swept = connections->swept + 1 < table->used ? connections->swept + 1 : 0;
		struct connection *connection = (struct connection *)table_at(table, connections->swept);
		if (connection->entry.next == TABLE_FREE || !is_over(connections, connection, now_ns))
			continue;
		connection_end(connections, connection);
		ends++;
	}
}

void connections_drain(struct connections *connections)
{
	struct table *table = &connections->table;

	for (uint32_t i = 0; i < table->used; i++) {
		struct connection *connection = (struct connection *)table_at(table, i);
		if (connection->entry.next != TABLE_FREE)
			connection_end(connections, connection);
	}
}
