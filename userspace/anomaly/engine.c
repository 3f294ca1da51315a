#include "detectors.h"

#include "poison.h"

/* Packets may be a little out of order; more than this, and time has gone backwards: another capture begins. */
#define BACKWARDS_NS ((uint64_t)10 * 1000 * 1000 * 1000)

static bool engine_asks_attempts(const struct engine *engine, unsigned bits)
{
	if (!engine->attempts || !(bits & (EVENT_ATTEMPT | EVENT_ANSWER | EVENT_REJECT)))
		return false;
	return bits & (EVENT_ANSWER | EVENT_REJECT) || !attempts_full(engine->attempts);
}

/* First pass: asks for what follows from hashes alone. */
static void engine_prefetch(const struct engine *engine, const struct anomaly_event *event, struct tally_item *syn)
{
	unsigned bits = event->bits;
	uint8_t network[16];

	if (engine_asks_attempts(engine, bits))
		attempts_prefetch(engine->attempts, event->flow);
	if (engine->tally[ALERT_SYN_FLOOD] && bits & EVENT_SYN) {
		*syn = item_syn_flood(engine, event);
		tally_prefetch(engine->tally[ALERT_SYN_FLOOD], syn->key);
	}
	if (engine->tally[ALERT_UDP_FLOOD] && bits & EVENT_UDP)
		tally_prefetch(engine->tally[ALERT_UDP_FLOOD], item_many(engine, event, true).key);
	if (engine->networks && bits & EVENT_PATH)
		networks_prefetch(engine->networks, hash_network(engine, event, network));
}

/* Second pass: what lies behind that. */
static void engine_prefetch_keys(const struct engine *engine, const struct anomaly_event *event, const struct tally_item *syn)
{
	unsigned bits = event->bits;

	if (engine_asks_attempts(engine, bits))
		attempts_prefetch_slot(engine->attempts, event->flow);
	if (engine->tally[ALERT_SYN_FLOOD] && bits & EVENT_SYN)
		tally_prefetch_key(engine->tally[ALERT_SYN_FLOOD], syn->key, engine->now_ns);
	if (engine->tally[ALERT_UDP_FLOOD] && bits & EVENT_UDP)
		tally_prefetch_key(engine->tally[ALERT_UDP_FLOOD], item_many(engine, event, true).key, engine->now_ns);
}

/* Third pass: what keys lead to. */
static void engine_prefetch_elements(const struct engine *engine, const struct anomaly_event *event, const struct tally_item *syn)
{
	if (engine->tally[ALERT_SYN_FLOOD] && event->bits & EVENT_SYN)
		tally_prefetch_elements(engine->tally[ALERT_SYN_FLOOD], syn);
}

/* Never goes backwards by a little. If it does by much, everything begins anew, but for baselines. */
static void engine_clock(struct engine *engine, uint64_t ts_ns)
{
	if (__builtin_expect(engine->now_ns > ts_ns && engine->now_ns - ts_ns > BACKWARDS_NS, 0)) {
		if (engine->attempts)
			attempts_flush(engine->attempts);
		for (unsigned i = 0; i < ALERT_KIND_COUNT; i++) {
			if (engine->tally[i])
				tally_forget(engine->tally[i]);
		}
		engine->now_ns = ts_ns;
	}
	engine->now_ns = ts_ns > engine->now_ns ? ts_ns : engine->now_ns;
	if (engine->attempts)
		attempts_advance(engine->attempts, engine->now_ns);
}

static void engine_flow_events(struct engine *engine, const struct anomaly_event *event)
{
	unsigned bits = event->bits;

	if (bits & EVENT_NEW)
		detect_surge(engine, event);
	if (engine->attempts && bits & EVENT_ATTEMPT)
		attempts_add(engine->attempts, event, engine->now_ns);
	if (engine->attempts && bits & EVENT_ANSWER)
		attempts_answer(engine->attempts, event->flow);
	if (engine->attempts && bits & EVENT_REJECT)
		attempts_reject(engine->attempts, event->flow);
	if (engine->config->scan_compat && bits & (EVENT_SYN | EVENT_UDP_ANY))
		detect_port_scan(engine, event);
	if ((bits & (EVENT_NEW | EVENT_ATTEMPT | EVENT_UDP | EVENT_SMALL)) == (EVENT_NEW | EVENT_ATTEMPT | EVENT_UDP | EVENT_SMALL))
		detect_beacon(engine, event, engine->now_ns);
}

static void engine_event(struct engine *engine, const struct anomaly_event *event, const struct tally_item *syn)
{
	unsigned bits = event->bits;

	engine_clock(engine, event->ts_ns);
	if (bits & (EVENT_NEW | EVENT_ATTEMPT | EVENT_ANSWER | EVENT_REJECT | EVENT_SYN | EVENT_UDP_ANY))
		engine_flow_events(engine, event);
	if (bits & EVENT_SYN)
		detect_syn_flood(engine, event, syn);
	if (bits & EVENT_UDP)
		detect_many(engine, ALERT_UDP_FLOOD, event, true);
	if (bits & EVENT_ICMP)
		detect_many(engine, ALERT_ICMP_FLOOD, event, true);
	if (bits & EVENT_RST)
		detect_many(engine, ALERT_RST_STORM, event, false);
	if (bits & (EVENT_DNS_ASKED | EVENT_DNS_ANSWER))
		detect_amplification(engine, ALERT_DNS_AMPLIFICATION, event, bits & EVENT_DNS_ANSWER);
	if (bits & (EVENT_NTP_ASKED | EVENT_NTP_ANSWER))
		detect_amplification(engine, ALERT_NTP_AMPLIFICATION, event, bits & EVENT_NTP_ANSWER);
	if (bits & EVENT_END)
		engine_connection_end(engine, event);
	if (bits & EVENT_PATH)
		detect_shifts(engine, event);
}

void engine_run(struct engine *engine, const struct anomaly_event *const *events, unsigned n)
{
	struct tally_item syns[ENGINE_BATCH]; /* of those events that are SYNs */

	for (unsigned i = 0; i < n; i++)
		engine_prefetch(engine, events[i], &syns[i]);
	for (unsigned i = 0; i < n; i++)
		engine_prefetch_keys(engine, events[i], &syns[i]);
	for (unsigned i = 0; i < n; i++)
		engine_prefetch_elements(engine, events[i], &syns[i]);
	for (unsigned i = 0; i < n; i++)
		engine_event(engine, events[i], &syns[i]);
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
