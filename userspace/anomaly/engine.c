#include "detectors.h"

#include "poison.h"

/* Packets may be a little out of order; more than this, and time has gone backwards: another capture begins. */
#define BACKWARDS_NS ((uint64_t)10 * 1000 * 1000 * 1000)

/* What is known of a batch of events before they are worked on. */
struct ahead {
	struct tally_item syns[ENGINE_BATCH]; /* of those events that are SYNs */
	struct tally_item udps[ENGINE_BATCH]; /* of those that are unanswered UDP packets */
	unsigned syns_count, udps_count;
};
_Static_assert(ENGINE_BATCH <= TALLY_PREFETCH_MAX, "asked for in one go");

/* The events that will look for an attempt. When all of those are in use, new ones are none. */
static unsigned engine_attempt_bits(const struct engine *engine)
{
	if (!engine->attempts)
		return 0;
	return EVENT_ANSWER | EVENT_REJECT | (attempts_full(engine->attempts) ? 0 : EVENT_ATTEMPT);
}

/* Asks for the memory of all events of a batch, in three steps: for what follows from hashes alone, for what lies behind that, and for
 * what keys lead to. */
static void engine_prefetch(const struct engine *engine, const struct anomaly_event *const *events, unsigned n, struct ahead *ahead)
{
	const unsigned attempt = engine_attempt_bits(engine), path = engine->networks ? EVENT_PATH : 0;
	unsigned all = 0;
	uint8_t network[16];

	ahead->syns_count = ahead->udps_count = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct anomaly_event *event = events[i];
		unsigned bits = event->bits;
		all |= bits;
		if (bits & EVENT_SYN)
			ahead->syns[ahead->syns_count++] = item_syn_flood(engine, event);
		if (bits & attempt)
			attempts_prefetch(engine->attempts, event->flow);
		if (bits & EVENT_UDP)
			ahead->udps[ahead->udps_count++] = item_many(engine, event->dst, event->packets);
		if (bits & path)
			networks_prefetch(engine->networks, hash_network(engine, event, network));
	}
	if (engine->tally[ALERT_SYN_FLOOD])
		tally_prefetch(engine->tally[ALERT_SYN_FLOOD], ahead->syns, ahead->syns_count, engine->now_ns);
	if (engine->tally[ALERT_UDP_FLOOD])
		tally_prefetch(engine->tally[ALERT_UDP_FLOOD], ahead->udps, ahead->udps_count, engine->now_ns);
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

void engine_run(struct engine *engine, const struct anomaly_event *const *events, unsigned n)
{
	struct tally *syn_flood = engine->tally[ALERT_SYN_FLOOD];
	struct ahead ahead;
	const struct tally_item *syn = ahead.syns, *udp = ahead.udps;

	engine_prefetch(engine, events, n, &ahead);
	for (unsigned i = 0; i < n; i++) {
		const struct anomaly_event *event = events[i];
		unsigned bits = event->bits;

		engine_event(engine, event);
		if (bits & EVENT_SYN) {
			struct tally_key *key = syn_flood ? tally_add(syn_flood, syn, engine->now_ns) : NULL;
			if (key)
				detect_syn_flood(engine, event, key);
			syn++;
		}
		if (!(bits & ~(EVENT_NEW | EVENT_SYN | EVENTS_ATTEMPT)))
			continue;
		if ((bits & EVENTS_BEACON) == EVENTS_BEACON)
			detect_beacon(engine, event, engine->now_ns);
		engine_others(engine, event, udp);
		udp += (bits & EVENT_UDP) != 0;
	}
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
