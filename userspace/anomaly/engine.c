#include "detectors.h"
#include "tally_front.h"

#include "poison.h"

/* Packets may be a little out of order; more than this, and time has gone backwards: another capture begins. */
#define BACKWARDS_NS ((uint64_t)10 * 1000 * 1000 * 1000)

_Static_assert(ENGINE_BATCH <= TALLY_PREFETCH_MAX, "asked for in one go");

/* SYNs of a batch that may go further than to the first line of their set. */
struct syns_wanted {
	uint64_t evicted[ENGINE_BATCH];
	uint8_t events[ENGINE_BATCH];
	unsigned count;
};

/* The events that will look for an attempt. When all of those are in use, new ones are none. */
static unsigned engine_attempt_bits(const struct engine *engine)
{
	if (!engine->attempts)
		return 0;
	return EVENT_ANSWER | EVENT_REJECT | (attempts_full(engine->attempts) ? 0 : EVENT_ATTEMPT);
}

static void engine_prefetch_syns(
	const struct engine *engine, const struct anomaly_event *const *events, const struct syns_wanted *wanted)
{
	struct tally_item items[ENGINE_BATCH];

	for (unsigned i = 0; i < wanted->count; i++)
		items[i] = item_syn_flood(engine, events[wanted->events[i]]);
	tally_prefetch_wanted(engine->tally[ALERT_SYN_FLOOD], items, wanted->evicted, wanted->count, engine->now_ns);
}

/* In three steps: for what follows from hashes alone, for what lies behind that, and for what keys lead to. */
void engine_prefetch(const struct engine *engine, struct engine_batch *batch, const struct engine_batch *before)
{
	static const struct tally no_syns;
	const struct tally *tally = engine->tally[ALERT_SYN_FLOOD] ? engine->tally[ALERT_SYN_FLOOD] : &no_syns;
	const unsigned syn = engine->tally[ALERT_SYN_FLOOD] ? EVENT_SYN : 0, path = engine->networks ? EVENT_PATH : 0;
	const unsigned attempt = engine_attempt_bits(engine), others = attempt | path | EVENT_UDP;
	/* Under attack, what comes before finds no room either. */
	const uint64_t resting = tally->resting, evicted = tally->loss.keys_evicted + (before ? before->syns : 0);
	const bool crowded = tally->crowded;
	const struct anomaly_event *const *events = batch->events;
	const unsigned n = batch->n;
	struct syns_wanted wanted;
	unsigned all = 0, syns = 0, udps = 0, count = 0;
	uint8_t network[16];

	for (unsigned i = 0; i < n; i++) {
		const struct anomaly_event *event = events[i];
		unsigned bits = event->bits;
		all |= bits;
		if (bits & syn) {
			uint64_t hash = tally_hash(event->service);
			if (hash != resting) {
				tally_prefetch_set(tally, hash);
				wanted.evicted[count] = evicted + syns; /* stays only if it is */
				wanted.events[count] = (uint8_t)i;
				count += !crowded | tally_admits(hash, evicted + syns);
			}
			syns++;
		}
		if (!(bits & others))
			continue;
		if (bits & attempt)
			attempts_prefetch(engine->attempts, event->flow);
		if (bits & EVENT_UDP)
			batch->udps[udps++] = item_many(engine, event->dst, event->packets);
		if (bits & path)
			networks_prefetch(engine->networks, hash_network(engine, event, network));
	}
	batch->syns = syns;
	wanted.count = count;
	if (count)
		engine_prefetch_syns(engine, events, &wanted);
	if (engine->tally[ALERT_UDP_FLOOD])
		tally_prefetch(engine->tally[ALERT_UDP_FLOOD], batch->udps, udps, engine->now_ns);
	for (unsigned i = 0; all & attempt && i < n; i++) {
		if (events[i]->bits & attempt)
			attempts_prefetch_slot(engine->attempts, events[i]->flow);
	}
}

/* Time goes backwards by much: everything begins anew, but for baselines. */
static __attribute__((noinline)) void engine_restart(struct engine *engine, uint64_t ts_ns)
{
	if (engine->attempts)
		attempts_flush(engine->attempts);
	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++) {
		if (engine->tally[i])
			tally_forget(engine->tally[i]);
	}
	engine->now_ns = ts_ns;
}

/* Never goes backwards by a little. */
static inline void engine_clock(struct engine *engine, uint64_t ts_ns)
{
	if (__builtin_expect(engine->now_ns > ts_ns && engine->now_ns - ts_ns > BACKWARDS_NS, 0))
		engine_restart(engine, ts_ns);
	engine->now_ns = ts_ns > engine->now_ns ? ts_ns : engine->now_ns;
	if (__builtin_expect(engine->now_ns >= engine->attempts_due_ns, 0))
		attempts_advance(engine->attempts, engine->now_ns);
}

static inline void engine_attempt(struct engine *engine, const struct anomaly_event *event)
{
	unsigned bits = event->bits;

	if (bits & EVENT_ATTEMPT)
		attempts_add(engine->attempts, event, engine->now_ns);
	if (bits & EVENT_ANSWER)
		attempts_answer(engine->attempts, event->flow);
	if (bits & EVENT_REJECT)
		attempts_reject(engine->attempts, event->flow);
}

/* What is neither a SYN nor an attempt. */
static __attribute__((noinline)) void engine_others(
	struct engine *engine, const struct anomaly_event *event, const struct tally_item *udp)
{
	unsigned bits = event->bits;

	if (bits & EVENT_UDP)
		detect_many(engine, ALERT_UDP_FLOOD, event, udp);
	if (bits & EVENT_ICMP) {
		struct tally_item item = item_many(engine, event->dst, event->packets);
		detect_many(engine, ALERT_ICMP_FLOOD, event, &item);
	}
	if (bits & EVENT_RST) {
		struct tally_item item = item_many(engine, event->src, event->packets);
		detect_many(engine, ALERT_RST_STORM, event, &item);
	}
	if (bits & (EVENT_DNS_ASKED | EVENT_DNS_ANSWER))
		detect_amplification(engine, ALERT_DNS_AMPLIFICATION, event, bits & EVENT_DNS_ANSWER);
	if (bits & (EVENT_NTP_ASKED | EVENT_NTP_ANSWER))
		detect_amplification(engine, ALERT_NTP_AMPLIFICATION, event, bits & EVENT_NTP_ANSWER);
	if (bits & EVENT_END)
		engine_connection_end(engine, event);
	if (bits & EVENT_PATH)
		detect_shifts(engine, event);
}

#define EVENTS_ATTEMPT (EVENT_ATTEMPT | EVENT_ANSWER | EVENT_REJECT)
#define EVENTS_BEACON  (EVENT_NEW | EVENT_ATTEMPT | EVENT_UDP | EVENT_SMALL)

/* What may be done with an event before its SYN is counted. */
static inline void engine_event(struct engine *engine, const struct anomaly_event *event)
{
	unsigned bits = event->bits;

	engine_clock(engine, event->ts_ns);
	if (bits & EVENT_NEW && !surge_counts(&engine->surge, engine->now_ns))
		detect_surge(engine, event);
	if (bits & EVENTS_ATTEMPT && engine->attempts)
		engine_attempt(engine, event);
	if (__builtin_expect(engine->config->scan_compat, 0) && bits & (EVENT_SYN | EVENT_UDP_ANY))
		detect_port_scan(engine, event);
}

/*
 * For how long from now on a SYN that begins a flow is nothing but one more of each, as far as only such events come: no attempt is
 * due, none finds room, and no number comes into sight that anybody waits for. So it is under attack; else 0.
 */
static uint64_t engine_calm_ns(const struct engine *engine)
{
	const struct surge *surge = &engine->surge;
	uint64_t pane_ns = engine->now_ns - surge->start_ns;

	if (!engine->attempts || !attempts_full(engine->attempts) || engine->config->scan_compat ||
		engine->now_ns >= engine->attempts_due_ns || pane_ns >= surge->window_ns ||
		surge->flows + ENGINE_BATCH >= surge->few)
		return 0;
	uint64_t due_ns = engine->attempts_due_ns - engine->now_ns, left_ns = surge->window_ns - pane_ns;
	return due_ns < left_ns ? due_ns : left_ns;
}

static inline void engine_syn(struct engine *engine, struct tally *tally, const struct anomaly_event *event)
{
	unsigned way;

	if (tally_turns_away(tally, tally_hash(event->service), engine->now_ns, &way))
		return;
	struct tally_item item = item_syn_flood(engine, event);
	struct tally_key *key = tally_add_way(tally, &item, engine->now_ns, way);
	if (key)
		detect_syn_flood(engine, event, key);
}

void engine_run(struct engine *engine, const struct engine_batch *batch)
{
	struct tally *syn_flood = engine->tally[ALERT_SYN_FLOOD];
	const struct tally_item *udp = batch->udps;
	uint64_t from_ns = engine->now_ns, calm_ns = engine_calm_ns(engine);
	unsigned missed = 0;

	for (unsigned i = 0; i < batch->n; i++) {
		const struct anomaly_event *event = batch->events[i];
		unsigned bits = event->bits;

		if (bits == (EVENT_NEW | EVENT_SYN | EVENT_ATTEMPT) && event->ts_ns - from_ns < calm_ns) {
			engine->now_ns = event->ts_ns > engine->now_ns ? event->ts_ns : engine->now_ns;
			engine->surge.flows++;
			missed++;
			if (syn_flood)
				engine_syn(engine, syn_flood, event);
			continue;
		}
		engine_event(engine, event);
		if (bits & EVENT_SYN && syn_flood)
			engine_syn(engine, syn_flood, event);
		if (bits & ~(EVENT_NEW | EVENT_SYN | EVENTS_ATTEMPT)) {
			if ((bits & EVENTS_BEACON) == EVENTS_BEACON)
				detect_beacon(engine, event, engine->now_ns);
			engine_others(engine, event, udp);
			udp += (bits & EVENT_UDP) != 0;
		}
		if (calm_ns) {
			from_ns = engine->now_ns;
			calm_ns = engine_calm_ns(engine);
		}
	}
	if (missed)
		attempts_miss(engine->attempts, missed);
}

void engine_advance(struct engine *engine, uint64_t now_ns)
{
	if (now_ns > engine->now_ns)
		engine_clock(engine, now_ns);
}

void engine_finish(struct engine *engine)
{
	if (engine->attempts)
		attempts_flush(engine->attempts);
}
