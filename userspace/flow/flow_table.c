#include "flow_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "counters.h"
#include "flow_bucket.h"
#include "flow_cutoff.h"
#include "flow_identity.h"
#include "flow_record.h"
#include "flow_slab.h"
#include "flow_victim.h"
#include "timers.h"

#define POPULATE_BYTES ((size_t)16 << 20) /* of each slab: 52,000 TCP flows */
#define BUCKET_COMFORT 6                  /* a flow goes to its second bucket only when the first holds more than this */
#define BUCKET_LOAD    4 /* slots per bucket that max_flows fills, of 8: then hardly a flow finds both its buckets full */

/* Under memory pressure, half-open and closed flows leave after this much silence. */
#define EXPENDABLE_NS ((uint64_t)5 * 1000 * 1000 * 1000)

#define RECORDS_BATCH 64

struct flow_table {
	struct bucket *buckets;
	uint32_t buckets_count;
	uint32_t max_flows;
	uint32_t live;
	uint64_t timeout_ns; /* FLOW_NO_TIMEOUT: never */
	uint8_t *area;       /* of both slabs: TCP flows first */
	struct slab tcp, other;
	struct timers *timers; /* NULL: flows never time out */
	bool started;
	struct victim_search search;
	struct hash_seed seed;
	struct ledger *ledger;
	flow_records_fn *on_records;
	void *context;
	struct flow_ways *ways; /* NULL: no one-way records */
	const uint32_t *sample;
	const struct cutoff *cutoff; /* NULL: nothing is cut off */
	unsigned records_count;
	struct flow_record records[RECORDS_BATCH];
};

static uint32_t buckets_for(uint32_t max_flows)
{
	return max_flows / BUCKET_LOAD + 2; /* two at least: the second bucket is another one */
}

static size_t area_bytes(uint32_t max_flows)
{
	return ((size_t)slab_blocks(max_flows, true) + slab_blocks(max_flows, false)) * FLOW_BLOCK_BYTES;
}

void flow_table_sizes(uint32_t max_flows, struct flow_table_sizes *sizes)
{
	sizes->bucket_bytes = (uint64_t)buckets_for(max_flows) * sizeof(struct bucket);
	sizes->slab_bytes = area_bytes(max_flows);
	sizes->ways_bytes = (uint64_t)max_flows * 2 * sizeof(struct flow_extra);
	sizes->timer_bytes = (uint64_t)max_flows * 2 / TIMER_CHUNK_SLOTS * 64 + TIMER_SLOTS * (64 + 8);
}

/* Buckets are touched all over from the first packet on; slabs from their beginning. */
static void flow_table_populate(struct flow_table *table)
{
	arena_populate(table->buckets, (size_t)table->buckets_count * sizeof(struct bucket));
	slab_populate(&table->tcp, POPULATE_BYTES);
	slab_populate(&table->other, POPULATE_BYTES);
	if (table->ways)
		flow_ways_populate(table->ways, POPULATE_BYTES);
}

int flow_table_create(const struct flow_table_options *options, struct flow_table **result)
{
	struct flow_table *table = calloc(1, sizeof(*table));
	int err = -ENOMEM;

	if (!table)
		return -ENOMEM;
	table->max_flows = options->max_flows ? options->max_flows : 1;
	table->timeout_ns = options->timeout_ns;
	table->seed = options->seed;
	table->ledger = options->ledger;
	table->on_records = options->on_records;
	table->context = options->context;
	table->cutoff = options->cutoff;
	table->sample = options->sample;
	table->buckets_count = buckets_for(table->max_flows);
	table->buckets = arena_map((size_t)table->buckets_count * sizeof(struct bucket));
	if (!table->buckets)
		goto fail;
	table->area = arena_map(area_bytes(table->max_flows));
	if (!table->area)
		goto fail;
	table->search =
		(struct victim_search){ .buckets = table->buckets, .buckets_count = table->buckets_count, .area = table->area };
	slab_place(&table->tcp, table->area, 0, table->max_flows, true);
	slab_place(&table->other, table->area, table->tcp.blocks, table->max_flows, false);
	if (options->ways) {
		err = flow_ways_create(options->ways, table->max_flows, table->tcp.start, table->other.start, &table->ways);
		if (err)
			goto fail;
	}
	if (options->timeout_ns != FLOW_NO_TIMEOUT) {
		/* Two slabs: a slot that was freed while in the wheel stays there until its time. */
		table->timers = timers_create(table->max_flows * 2);
		err = -ENOMEM;
		if (!table->timers)
			goto fail;
	}
	if (options->populate)
		flow_table_populate(table);
	*result = table;
	return 0;
fail:
	flow_table_destroy(table);
	return err;
}

void flow_table_destroy(struct flow_table *table)
{
	if (!table)
		return;
	timers_destroy(table->timers);
	flow_ways_destroy(table->ways);
	arena_unmap(table->area, area_bytes(table->max_flows));
	arena_unmap(table->buckets, (size_t)table->buckets_count * sizeof(struct bucket));
	free(table);
}

struct flow_ways *flow_table_ways(const struct flow_table *table)
{
	return table->ways;
}

#include "poison.h"

/* Saturates: captures with times near the end of 64 bits exist. */
static uint64_t flow_deadline_ns(const struct flow *flow, uint64_t patience_ns)
{
	uint64_t deadline_ns;

	return __builtin_add_overflow(flow->last_ns, patience_ns, &deadline_ns) ? UINT64_MAX : deadline_ns;
}

/* --- where things are ------------------------------------------------------------------------------------------------ */

static struct flow *flow_at(const struct flow_table *table, uint32_t slot)
{
	return (struct flow *)(table->area + (size_t)slot * SLAB_LINE);
}

static uint32_t hash_first(const struct flow_table *table, uint64_t hash)
{
	return (uint32_t)((hash & UINT32_MAX) * table->buckets_count >> 32);
}

static uint32_t hash_second(const struct flow_table *table, uint64_t hash)
{
	uint32_t first = hash_first(table, hash);
	uint32_t second = (uint32_t)((hash * 0x9e3779b97f4a7c15u >> 32) * table->buckets_count >> 32);

	if (second != first)
		return second;
	return first + 1 == table->buckets_count ? 0 : first + 1;
}

/* --- the passes ------------------------------------------------------------------------------------------------------ */

void flow_table_prefetch(const struct flow_table *table, const struct packet *const *packets, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		__builtin_prefetch(&table->buckets[hash_first(table, packets[i]->hash)], 1);
}

/*
 * The lines that this packet will touch. TCP or not is hard to predict, so that is no branch: what is not wanted asks for the
 * first line once more.
 *
 * always_inline is not for speed: gcc takes a function that only prefetches for one without effects, and drops calls to it.
 */
static inline __attribute__((always_inline)) void flow_prefetch(const void *flow, const struct packet *packet)
{
	const uint8_t *line = flow;
	size_t tcp = packet->flags / PACKET_SEGMENT & 1;

	__builtin_prefetch(line, 1);
	__builtin_prefetch(line + tcp * offsetof(struct tcp_flow, half), 1);
	if (__builtin_expect(!packet_is_plain_key(packet), 0))
		__builtin_prefetch(flow_cold_of(flow, packet->key.proto == FLOW_PROTO_TCP));
}

void flow_table_match(const struct flow_table *table, const struct packet *const *packets, unsigned n, struct flow **flows)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t hash = packets[i]->hash;
		const struct bucket *bucket = &table->buckets[hash_first(table, hash)];
		unsigned bits = bucket_tags(bucket, hash_tag(hash));
		if (__builtin_expect(bits != 0, 1)) {
			flows[i] = flow_at(table, bucket->slots[__builtin_ctz(bits)]);
			flow_prefetch(flows[i], packets[i]);
		} else {
			flows[i] = NULL;
			if (bucket->spilled)
				__builtin_prefetch(&table->buckets[hash_second(table, hash)], 1);
		}
	}
}

static inline uint32_t bucket_find(const struct flow_table *table, const struct bucket *bucket, const struct packet *packet)
{
	for (unsigned bits = bucket_tags(bucket, hash_tag(packet->hash)); bits; bits &= bits - 1) {
		uint32_t slot = bucket->slots[__builtin_ctz(bits)];
		if (flow_is(flow_at(table, slot), packet))
			return slot;
	}
	return FLOW_SLOT_NONE;
}

/* first: the first bucket of the packet's hash. */
static inline uint32_t flow_table_find(const struct flow_table *table, const struct bucket *first, const struct packet *packet)
{
	uint32_t slot = bucket_find(table, first, packet);

	if (slot == FLOW_SLOT_NONE && first->spilled)
		slot = bucket_find(table, &table->buckets[hash_second(table, packet->hash)], packet);
	return slot;
}

/* --- the end of a flow ----------------------------------------------------------------------------------------------- */

static void flow_table_flush(struct flow_table *table)
{
	if (table->records_count)
		table->on_records(table->context, table->records, table->records_count);
	table->records_count = 0;
	flow_ways_flush(table->ways);
}

static void flow_table_record(struct flow_table *table, struct flow *flow, enum flow_end end, uint64_t end_ns)
{
	counter_add(&table->ledger->cut_off_recorded, flow_cutoff_take(table->cutoff, table->ways, flow));
	if (table->records_count == RECORDS_BATCH)
		flow_table_flush(table);
	struct flow_record *record = &table->records[table->records_count++];
	flow_record_fill(record, flow, end, end_ns);
	record->sample = table->sample ? __atomic_load_n(table->sample, __ATOMIC_RELAXED) : 0;
	if (table->ways)
		flow_ways_end(table->ways, flow, record);
	if (end != FLOW_ALIVE)
		counter_add(&table->ledger->flows_ended[end], 1);
}

/* Takes the slot out of its bucket. */
static void flow_table_unlink(struct flow_table *table, uint32_t slot, uint64_t hash)
{
	struct bucket *first = &table->buckets[hash_first(table, hash)];

	for (unsigned bits = bucket_tags(first, hash_tag(hash)); bits; bits &= bits - 1) {
		unsigned i = (unsigned)__builtin_ctz(bits);
		if (first->slots[i] == slot) {
			bucket_clear(first, i);
			return;
		}
	}
	struct bucket *second = &table->buckets[hash_second(table, hash)];
	for (unsigned bits = bucket_tags(second, hash_tag(hash)); bits; bits &= bits - 1) {
		unsigned i = (unsigned)__builtin_ctz(bits);
		if (second->slots[i] == slot) {
			bucket_clear(second, i);
			first->spilled--;
			return;
		}
	}
}

static uint64_t flow_hash(const struct flow_table *table, const struct flow *flow)
{
	struct flow_key key;

	flow_live_key(flow, &key);
	return flow_key_hash(&table->seed, &key);
}

static void flow_table_free(struct flow_table *table, uint32_t slot)
{
	flow_at(table, slot)->key_tail = 0; /* no packet has IP version 0: a free slot is nobody's flow */
	slab_free(slot < table->other.first ? &table->tcp : &table->other, slot);
}

static void flow_table_end(struct flow_table *table, uint32_t slot, uint64_t hash, enum flow_end end, uint64_t end_ns)
{
	flow_table_record(table, flow_at(table, slot), end, end_ns);
	flow_table_unlink(table, slot, hash);
	flow_table_free(table, slot);
	table->live--;
	counter_set(&table->ledger->flows_alive, table->live);
}

/* --- new flows ------------------------------------------------------------------------------------------------------- */

static void flow_table_evict(struct flow_table *table, uint64_t hash, uint64_t now_ns)
{
	uint32_t victim = victim_choose(&table->search, hash_first(table, hash), hash_second(table, hash));

	flow_table_end(table, victim, flow_hash(table, flow_at(table, victim)), FLOW_END_EVICTION, now_ns);
}

static void flow_table_arm(struct flow_table *table, uint32_t slot, const struct packet *packet)
{
	struct flow *flow = flow_at(table, slot);
	uint64_t wait_ns = table->timeout_ns;

	if (!table->timers || flow->flags & FLOW_ARMED)
		return;
	if ((packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && wait_ns > EXPENDABLE_NS)
		wait_ns = EXPENDABLE_NS; /* looked at early, in case memory is short by then */
	flow->flags |= FLOW_ARMED;
	timers_insert(table->timers, slot, flow_deadline_ns(flow, wait_ns));
}

void flow_table_start(struct flow_table *table, uint64_t now_ns)
{
	if (table->started)
		return;
	table->started = true;
	if (table->timers)
		timers_start(table->timers, now_ns);
}

static inline bool flow_table_has_room(const struct flow_table *table, const struct bucket *first, uint64_t hash)
{
	return table->live < table->max_flows &&
	       (first->used < BUCKET_SLOTS || table->buckets[hash_second(table, hash)].used < BUCKET_SLOTS);
}

/* There is room. In its first bucket, unless that is rather full, and the second less so. */
static inline void flow_table_link(struct flow_table *table, struct bucket *first, uint32_t slot, uint64_t hash)
{
	if (__builtin_expect(first->used > BUCKET_COMFORT, 0)) {
		struct bucket *second = &table->buckets[hash_second(table, hash)];
		if (first->used > second->used) {
			bucket_put(second, hash_tag(hash), slot);
			first->spilled++;
			return;
		}
	}
	bucket_put(first, hash_tag(hash), slot);
}

static inline struct flow *flow_table_insert(struct flow_table *table, struct bucket *first, const struct packet *packet)
{
	bool tcp = packet->key.proto == FLOW_PROTO_TCP; /* each slab has room for max_flows */
	uint32_t slot = tcp ? slab_take(&table->tcp, true) : slab_take(&table->other, false);
	struct flow *flow = flow_at(table, slot);

	flow_table_link(table, first, slot, packet->hash);
	table->live++;
	counter_add(&table->ledger->flows_created, 1);
	counter_set(&table->ledger->flows_alive, table->live);
	flow_init(flow, packet);
	flow_ways_reset(table->ways, flow);
	flow_table_arm(table, slot, packet);
	return flow;
}

struct flow *flow_table_begin(struct flow_table *table, const struct packet *packet)
{
	struct bucket *first = &table->buckets[hash_first(table, packet->hash)];

	if (flow_table_find(table, first, packet) != FLOW_SLOT_NONE || !flow_table_has_room(table, first, packet->hash))
		return NULL;
	flow_table_start(table, packet->frame->ts_ns);
	return flow_table_insert(table, first, packet);
}

void flow_table_restart(struct flow_table *table, struct flow *flow, const struct packet *packet, enum flow_end end)
{
	uint64_t end_ns = end == FLOW_END_TIMEOUT ? flow_deadline_ns(flow, table->timeout_ns) : packet->frame->ts_ns;

	flow_table_record(table, flow, end, end_ns);
	flow_init(flow, packet);
	flow_ways_reset(table->ways, flow);
	counter_add(&table->ledger->flows_created, 1);
}

struct flow *flow_table_get(struct flow_table *table, const struct packet *packet)
{
	struct bucket *first = &table->buckets[hash_first(table, packet->hash)];
	uint32_t slot = flow_table_find(table, first, packet);

	if (slot == FLOW_SLOT_NONE) {
		flow_table_start(table, packet->frame->ts_ns);
		if (!flow_table_has_room(table, first, packet->hash))
			flow_table_evict(table, packet->hash, packet->frame->ts_ns);
		return flow_table_insert(table, first, packet);
	}
	struct flow *flow = flow_at(table, slot);
	if (table->cutoff && flow_is_over(flow, packet, table->timeout_ns))
		flow_cutoff_refresh(table->cutoff, flow);
	if (flow_is_over(flow, packet, table->timeout_ns))
		flow_table_restart(table, flow, packet, FLOW_END_TIMEOUT);
	return flow;
}

/* --- time passes ----------------------------------------------------------------------------------------------------- */

uint64_t flow_table_due_ns(const struct flow_table *table)
{
	return table->timers ? timers_due_ns(table->timers) : UINT64_MAX;
}

/* How long this flow may be silent. Short for expendable flows when more than 7/8 of the table is in use. */
static uint64_t flow_table_patience_ns(const struct flow_table *table, const struct flow *flow)
{
	bool pressure = table->live > table->max_flows - table->max_flows / 8;

	return pressure && table->timeout_ns > EXPENDABLE_NS && flow_expendable(flow) ? EXPENDABLE_NS : table->timeout_ns;
}

void flow_table_expire(struct flow_table *table, uint64_t now_ns)
{
	uint32_t slots[TIMER_CHUNK_SLOTS];
	uint64_t hashes[TIMER_CHUNK_SLOTS], ends_ns[TIMER_CHUNK_SLOTS];
	unsigned n;

	if (!table->timers)
		return;
	while ((n = timers_next(table->timers, now_ns, slots)) != 0) {
		for (unsigned i = 0; i < n; i++)
			__builtin_prefetch(flow_at(table, slots[i]), 1);
		unsigned over = 0;
		for (unsigned i = 0; i < n; i++) {
			struct flow *flow = flow_at(table, slots[i]);
			flow->flags &= (uint8_t)~FLOW_ARMED;
			if (!flow->key_tail)
				continue; /* freed in the meantime */
			uint64_t patience_ns = flow_table_patience_ns(table, flow);
			if (table->cutoff && now_ns > flow->last_ns && now_ns - flow->last_ns > patience_ns)
				flow_cutoff_refresh(table->cutoff, flow);
			if (now_ns > flow->last_ns && now_ns - flow->last_ns > patience_ns) {
				flow_record_prefetch(flow);
				ends_ns[over] = flow_deadline_ns(flow, patience_ns);
				slots[over++] = slots[i];
			} else {
				flow->flags |= FLOW_ARMED;
				timers_insert(table->timers, slots[i], flow_deadline_ns(flow, patience_ns));
			}
		}
		for (unsigned i = 0; i < over; i++) {
			hashes[i] = flow_hash(table, flow_at(table, slots[i]));
			__builtin_prefetch(&table->buckets[hash_first(table, hashes[i])], 1);
		}
		for (unsigned i = 0; i < over; i++)
			flow_table_end(table, slots[i], hashes[i], FLOW_END_TIMEOUT, ends_ns[i]);
	}
	flow_table_flush(table);
}

static void slab_drain(struct flow_table *table, struct slab *slab, uint64_t now_ns)
{
	for (uint32_t slot = slab->first; slot != slab->fresh; slot = slab_next(slab, slot)) {
		struct flow *flow = (struct flow *)slab_at(slab, slot);
		if (!flow->key_tail)
			continue;
		flow_cutoff_refresh(table->cutoff, flow);
		/* The wheel may not have come to it yet; whether it had timed out does not depend on that. */
		if (now_ns > flow->last_ns && now_ns - flow->last_ns > table->timeout_ns) {
			flow_table_record(table, flow, FLOW_END_TIMEOUT, flow_deadline_ns(flow, table->timeout_ns));
			table->live--;
		} else {
			flow_table_record(table, flow, FLOW_ALIVE, flow->last_ns);
		}
	}
}

void flow_table_drain(struct flow_table *table, uint64_t now_ns)
{
	slab_drain(table, &table->tcp, now_ns);
	slab_drain(table, &table->other, now_ns);
	flow_table_flush(table);
	counter_set(&table->ledger->flows_alive, table->live);
}
