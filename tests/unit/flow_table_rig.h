/*
 * A flow table under test: packets go through the three passes one by one, as the lane's core gives them to it, and all records
 * that it writes are kept. The ledger must add up after each packet.
 */
#ifndef FLOW_TABLE_RIG_H
#define FLOW_TABLE_RIG_H

#include "flow_builder.h"
#include "flow_record.h"
#include "flow_table.h"

#define T0  (1706123400 * NS_PER_SEC + 777)
#define SEC NS_PER_SEC

struct table_rig {
	struct flow_table *table;
	struct ledger ledger;
	struct hash_seed seed;
	uint64_t timeout_ns;
	uint64_t now_ns;
	struct flow_record *records;
	size_t count, room;
};

static inline void table_rig_keep(void *context, const struct flow_record *records, unsigned n)
{
	struct table_rig *rig = context;

	if (rig->count + n > rig->room) {
		rig->room = (rig->count + n) * 2;
		rig->records = realloc(rig->records, rig->room * sizeof(*records));
		assert_non_null(rig->records);
	}
	memcpy(rig->records + rig->count, records, n * sizeof(*records));
	rig->count += n;
}

static inline void table_rig_open_seeded(struct table_rig *rig, uint32_t max_flows, uint64_t timeout_ns, struct hash_seed seed)
{
	memset(rig, 0, sizeof(*rig));
	rig->seed = seed;
	rig->timeout_ns = timeout_ns;
	struct flow_table_options options = {
		.max_flows = max_flows,
		.timeout_ns = timeout_ns,
		.seed = seed,
		.ledger = &rig->ledger,
		.on_records = table_rig_keep,
		.context = rig,
	};
	assert_int_equal(flow_table_create(&options, &rig->table), 0);
}

static inline void table_rig_open(struct table_rig *rig, uint32_t max_flows, uint64_t timeout_ns)
{
	table_rig_open_seeded(rig, max_flows, timeout_ns, HASH_SEED_FIXED);
}

static inline void table_rig_close(struct table_rig *rig)
{
	flow_table_destroy(rig->table);
	free(rig->records);
}

static inline void table_rig_audit(const struct table_rig *rig)
{
	uint64_t ended = 0;

	for (unsigned end = 0; end < FLOW_END_COUNT; end++)
		ended += rig->ledger.flows_ended[end];
	assert_int_equal(rig->ledger.flows_created, ended + rig->ledger.flows_alive);
}

/* Time passes, without a packet of interest. */
static inline void table_rig_tick(struct table_rig *rig, uint64_t now_ns)
{
	if (now_ns > rig->now_ns)
		rig->now_ns = now_ns;
	if (rig->now_ns >= flow_table_due_ns(rig->table))
		flow_table_expire(rig->table, rig->now_ns);
}

static inline void table_rig_packet(
	const struct table_rig *rig, struct made *made, const struct flow_key *key, unsigned dir, uint64_t ts_ns)
{
	made_set(made, key, dir, ts_ns);
	made->packet.hash = flow_key_hash(&rig->seed, key);
	made->packet.addresses = key->ip_version == 4 ? flow_key_addresses_v4(key) : made->packet.hash;
	made->packet.tail = flow_key_tail(key) ^ (key->tunnel ? FLOW_TAIL_TUNNEL : 0);
}

static inline struct flow *table_rig_feed(struct table_rig *rig, const struct made *made)
{
	const struct packet *packet = &made->packet;
	struct flow *flow;

	table_rig_tick(rig, made->frame.ts_ns);
	flow_table_prefetch(rig->table, &packet, 1);
	flow_table_match(rig->table, &packet, 1, &flow);
	if (!flow_table_hit(flow, packet, rig->timeout_ns))
		flow = flow_table_get(rig->table, packet);
	assert_true(flow_is(flow, packet));
	flow_update(flow, packet);
	table_rig_audit(rig);
	return flow;
}

/* One packet of the flow of this key. */
static inline struct flow *table_rig_touch(struct table_rig *rig, const struct flow_key *key, unsigned dir, uint64_t ts_ns)
{
	struct made made;

	table_rig_packet(rig, &made, key, dir, ts_ns);
	return table_rig_feed(rig, &made);
}

static inline void table_rig_drain(struct table_rig *rig)
{
	flow_table_drain(rig->table, rig->now_ns);
	table_rig_audit(rig);
	assert_int_equal(rig->count, rig->ledger.flows_created);
}

static inline uint64_t record_packets(const struct flow_record *record)
{
	return record->packets[0] + record->packets[1];
}

/* Of all records written so far. */
static inline uint64_t table_rig_packets(const struct table_rig *rig)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < rig->count; i++)
		sum += record_packets(&rig->records[i]);
	return sum;
}

/* The only record of this key; NULL: none was written. */
static inline const struct flow_record *table_rig_record(const struct table_rig *rig, const struct flow_key *key)
{
	const struct flow_record *found = NULL;

	for (size_t i = 0; i < rig->count; i++) {
		if (flow_key_compare(&rig->records[i].key, key) == 0) {
			assert_null(found);
			found = &rig->records[i];
		}
	}
	return found;
}

/* A seed with which all IPv4 flows of these ports have the same 64-bit hash, and all IPv6 flows: the second factor of
 * flow_hash_v4() becomes 0. */
static inline struct hash_seed seed_that_collides(const struct flow_key *key)
{
	struct hash_seed seed = HASH_SEED_FIXED;

	seed.s[1] = flow_key_tail(key);
	return seed;
}

/* By key, then by time, then by content: a multiset of records becomes a sequence. */
static inline int record_compare(const void *x, const void *y)
{
	const struct flow_record *a = x, *b = y;
	int order = flow_key_compare(&a->key, &b->key);

	if (!order)
		order = (a->first_ns > b->first_ns) - (a->first_ns < b->first_ns);
	return order ? order : memcmp(a, b, sizeof(*a));
}

#endif
