#include "flow_table.h"

#include "counters.h"
#include "flow_bucket.h"
#include "flow_cutoff.h"
#include "flow_identity.h"
#include "flow_record.h"
#include "flow_table_private.h"

#define BUCKET_COMFORT 6 /* a flow goes to its second bucket only when the first holds more than this */

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

static inline __attribute__((always_inline)) void flow_table_arm(
	struct flow_table *table, uint32_t slot, struct flow *flow, const struct packet *packet, const bool opening)
{
	bool early = opening || (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;

	if (!table->timers || flow->flags & FLOW_ARMED)
		return;
	flow->flags |= FLOW_ARMED;
	timers_insert(table->timers, slot, flow_deadline_ns(flow, early ? table->early_ns : table->timeout_ns));
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

/* opening: as of flow_begin(). Each slab has room for max_flows. */
static inline __attribute__((always_inline)) uint32_t flow_table_take(
	struct flow_table *table, const struct packet *packet, const bool opening)
{
	if (opening || packet->key.proto == FLOW_PROTO_TCP)
		return slab_take(&table->tcp, true);
	return slab_take(&table->other, false);
}

/* Its bucket knows the slot by now. */
static inline __attribute__((always_inline)) struct flow *flow_table_insert(
	struct flow_table *table, uint32_t slot, const struct packet *packet, const bool opening)
{
	struct flow *flow = flow_at(table, slot);
	struct ledger *ledger = table->ledger;

	counter_add(&ledger->flows_created, 1);
	counter_set(&ledger->flows_alive, ++table->live);
	flow_begin(flow, packet, opening);
	if (!opening)
		flow_ways_reset(table->ways, flow);
	flow_table_arm(table, slot, flow, packet, opening);
	return flow;
}

/* There is room. */
static struct flow *flow_table_make(struct flow_table *table, struct bucket *first, const struct packet *packet)
{
	uint32_t slot = flow_table_take(table, packet, false);

	flow_table_link(table, first, slot, packet->hash);
	return flow_table_insert(table, slot, packet, false);
}

struct flow *flow_table_begin(struct flow_table *table, const struct packet *packet)
{
	struct bucket *first = &table->buckets[hash_first(table, packet->hash)];

	if (flow_table_find(table, first, packet) != FLOW_SLOT_NONE || !flow_table_has_room(table, first, packet->hash))
		return NULL;
	flow_table_start(table, packet->frame->ts_ns);
	return flow_table_make(table, first, packet);
}

/* Nearly always its first bucket has room, and nothing that looks like the flow, nor has the second. */
struct flow *flow_table_open(struct flow_table *table, const struct packet *packet)
{
	struct bucket *first = &table->buckets[hash_first(table, packet->hash)];
	uint16_t tag = hash_tag(packet->hash);

	if (__builtin_expect(bucket_tags(first, tag) | first->spilled | (first->used > BUCKET_COMFORT), 0) ||
		table->live >= table->max_flows || !table->started)
		return NULL;
	uint32_t slot = flow_table_take(table, packet, true);
	bucket_put(first, tag, slot);
	return flow_table_insert(table, slot, packet, true);
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
		return flow_table_make(table, first, packet);
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
	uint32_t end = slab->first + slab->block_end;

	for (uint32_t slot = slab->first; slot != slab->fresh; slab_step(slab, &slot, &end)) {
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
