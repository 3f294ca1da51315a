#include "engine.h"

#include <string.h>

#include "bytes.h"

#include "poison.h"

#define TCP_PROTO   6
#define ICMP_PROTO  1
#define ICMP6_PROTO 58

/* Packets may be a little out of order; more than this, and time has gone backwards: another capture begins. */
#define BACKWARDS_NS ((uint64_t)10 * 1000 * 1000 * 1000)

#define SURGE_PANES_WARM 4
#define SURGE_EWMA       8

#define BRUTE_BYTES_MAX  65536                               /* of a short connection, both directions */
#define BRUTE_MAX_NS     ((uint64_t)60 * 1000 * 1000 * 1000) /* its duration */
#define BEACON_BYTES_MAX 65536

/* --- hashes of keys -------------------------------------------------------------------------------------------------- */

static uint64_t hash_address(const struct engine *engine, const uint8_t ip[16])
{
	return hash_fold(load_le64(ip) ^ engine->seed.s[0], load_le64(ip + 8) ^ engine->seed.s[1]);
}

/* An address hash with what else belongs to the key. */
static uint64_t hash_with(const struct engine *engine, uint64_t address, uint64_t rest)
{
	return hash_fold(address ^ engine->seed.s[2], rest ^ engine->seed.s[3]);
}

/* 32 bits by which addresses are told apart: IPv4 addresses themselves. */
static uint32_t element_of(const struct engine *engine, const uint8_t ip[16], unsigned ip_version)
{
	return ip_version == 4 ? load_le32(ip + FLOW_KEY_V4_OFFSET) : (uint32_t)hash_address(engine, ip);
}

/* --- alerts ---------------------------------------------------------------------------------------------------------- */

static void engine_alert(struct engine *engine, struct alert *alert, const struct alert_values *values)
{
	alert->window_ns = engine->config->detector[alert->kind].window_ns;
	alert_describe(alert, values);
	engine->alerts[alert->kind]++;
	engine->on_alerts(engine->context, alert, 1);
}

/* The parts of an alert that are the event's. */
static struct alert alert_of(const struct anomaly_event *event, enum alert_kind kind, unsigned fields)
{
	struct alert alert = { .ts_ns = event->ts_ns,
		.port = event->port,
		.ip_version = event->ip_version,
		.kind = (uint8_t)kind,
		.fields = (uint8_t)fields };

	memcpy(alert.src, event->src, sizeof(alert.src));
	memcpy(alert.dst, event->dst, sizeof(alert.dst));
	return alert;
}

/* --- counting detectors ---------------------------------------------------------------------------------------------- */

/* Adds to the kind's tally; NULL: the kind is not looked for, or the key rests. */
static struct tally_key *engine_add(struct engine *engine, enum alert_kind kind, const struct tally_item *item)
{
	return engine->tally[kind] ? tally_add(engine->tally[kind], item, engine->now_ns) : NULL;
}

static void engine_raise(struct engine *engine, struct tally_key *key, struct alert *alert, uint64_t a, uint64_t b)
{
	struct alert_values values = { .a = a, .b = b };

	alert->count = a;
	tally_rest(engine->tally[alert->kind], key, engine->now_ns);
	engine_alert(engine, alert, &values);
}

static void detect_syn_flood(struct engine *engine, const struct anomaly_event *event, uint64_t hash)
{
	const struct detector_config *detector = &engine->config->detector[ALERT_SYN_FLOOD];
	struct tally_item item = {
		.key = hash, .amount = { 1, 0 }, .element = { element_of(engine, event->src, event->ip_version), 0 }
	};
	struct tally_key *key = engine_add(engine, ALERT_SYN_FLOOD, &item);

	if (!key || key->sum[0] < detector->threshold || key->distinct[0] < detector->second)
		return;
	struct alert alert = alert_of(event, ALERT_SYN_FLOOD, ALERT_HAS_DST | ALERT_HAS_PORT);
	engine_raise(engine, key, &alert, key->sum[0], key->distinct[0]);
}

static void detect_port_scan(struct engine *engine, const struct anomaly_event *event)
{
	const struct detector_config *detector = &engine->config->detector[ALERT_PORT_SCAN];
	struct tally_item item = { .key = hash_with(engine, hash_address(engine, event->src), 0),
		.amount = { 1, 0 },
		.element = { event->port, element_of(engine, event->dst, event->ip_version) } };
	struct tally_key *key = engine_add(engine, ALERT_PORT_SCAN, &item);

	if (!key || (key->distinct[0] < detector->threshold && key->distinct[1] < detector->second))
		return;
	struct alert alert = alert_of(event, ALERT_PORT_SCAN, ALERT_HAS_SRC);
	engine_raise(engine, key, &alert, key->distinct[0], key->distinct[1]);
}

static void detect_host_sweep(struct engine *engine, const struct anomaly_event *event)
{
	const struct detector_config *detector = &engine->config->detector[ALERT_HOST_SWEEP];
	bool ping = event->proto == ICMP_PROTO || event->proto == ICMP6_PROTO;
	struct tally_item item = { .key = hash_with(engine, hash_address(engine, event->src),
					   (uint64_t)event->proto << 16 | (ping ? 0 : event->port)),
		.amount = { 1, 0 },
		.element = { element_of(engine, event->dst, event->ip_version), 0 } };
	struct tally_key *key = engine_add(engine, ALERT_HOST_SWEEP, &item);

	if (!key || key->distinct[0] < detector->threshold)
		return;
	struct alert alert = alert_of(event, ALERT_HOST_SWEEP, ping ? ALERT_HAS_SRC : ALERT_HAS_SRC | ALERT_HAS_PORT);
	struct alert_values values = { .a = key->distinct[0], .proto = event->proto };
	alert.count = key->distinct[0];
	tally_rest(engine->tally[ALERT_HOST_SWEEP], key, engine->now_ns);
	engine_alert(engine, &alert, &values);
}

/* Packets towards (dst) or from (src) one host. */
static void detect_many(struct engine *engine, enum alert_kind kind, const struct anomaly_event *event, bool towards)
{
	const uint8_t *ip = towards ? event->dst : event->src;
	struct tally_item item = { .key = hash_with(engine, hash_address(engine, ip), 0), .amount = { event->packets, 0 } };
	struct tally_key *key = engine_add(engine, kind, &item);

	if (!key || key->sum[0] < engine->config->detector[kind].threshold)
		return;
	struct alert alert = alert_of(event, kind, towards ? ALERT_HAS_DST : ALERT_HAS_SRC);
	engine_raise(engine, key, &alert, key->sum[0], 0);
}

/* Bytes of answers to a host against those of its requests. The host that asks may be a forged one: it is the victim. */
static void detect_amplification(struct engine *engine, enum alert_kind kind, const struct anomaly_event *event, bool answer)
{
	const struct detector_config *detector = &engine->config->detector[kind];
	const uint8_t *victim = answer ? event->dst : event->src;
	struct tally_item item = { .key = hash_with(engine, hash_address(engine, victim), 0),
		.amount = { answer ? event->bytes : 0, answer ? 0 : event->bytes } };
	struct tally_key *key = engine_add(engine, kind, &item);

	if (!key || !answer || key->sum[0] < detector->threshold || key->sum[0] < key->sum[1] * detector->second)
		return;
	struct alert alert = alert_of(event, kind, ALERT_HAS_DST);
	engine_raise(engine, key, &alert, key->sum[0], key->sum[1]);
}

/* --- connections ----------------------------------------------------------------------------------------------------- */

/* Services that ask who one is, where many short connections are many guesses. */
static bool is_login_port(uint16_t port)
{
	static const uint16_t ports[] = { 21, 22, 23, 110, 143, 445, 465, 587, 993, 995, 1433, 3306, 3389, 5432, 5900, 5985 };

	for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		if (port == ports[i])
			return true;
	}
	return false;
}

static uint64_t hash_service(const struct engine *engine, const uint8_t src[16], const uint8_t dst[16], uint64_t port_proto)
{
	return hash_with(engine, hash_address(engine, src), hash_with(engine, hash_address(engine, dst), port_proto));
}

static void detect_brute_force(struct engine *engine, const struct anomaly_event *event)
{
	if (!is_login_port(event->port) || event->bytes > BRUTE_BYTES_MAX || event->ts_ns - event->first_ns > BRUTE_MAX_NS)
		return;
	struct tally_item item = { .key = hash_service(engine, event->src, event->dst, event->port), .amount = { 1, 0 } };
	struct tally_key *key = engine_add(engine, ALERT_BRUTE_FORCE, &item);
	if (!key || key->sum[0] < engine->config->detector[ALERT_BRUTE_FORCE].threshold)
		return;
	struct alert alert = alert_of(event, ALERT_BRUTE_FORCE, ALERT_HAS_SRC | ALERT_HAS_DST | ALERT_HAS_PORT);
	engine_raise(engine, key, &alert, key->sum[0], 0);
}

/* Many programs ask for names and the time at regular intervals, and look for their like on the local network. */
static bool is_regular_port(uint16_t port)
{
	static const uint16_t ports[] = { 53, 67, 68, 123, 137, 138, 161, 547, 1900, 3702, 5353, 5355 };

	for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		if (port == ports[i])
			return true;
	}
	return false;
}

static void detect_beacon(struct engine *engine, const struct anomaly_event *event, uint64_t start_ns)
{
	if (!engine->beacons || is_regular_port(event->port))
		return;
	uint64_t hash = hash_service(engine, event->src, event->dst, (uint64_t)event->proto << 16 | event->port);
	const struct beacon *beacon = beacons_add(engine->beacons, hash, start_ns);
	if (!beacon)
		return;
	struct alert alert = alert_of(event, ALERT_BEACONING, ALERT_HAS_SRC | ALERT_HAS_DST | ALERT_HAS_PORT);
	struct alert_values values = { .a = beacon->connections, .b = beacon->mean_ns };
	alert.ts_ns = start_ns;
	alert.count = beacon->connections;
	engine_alert(engine, &alert, &values);
}

static void engine_connection_end(struct engine *engine, const struct anomaly_event *event)
{
	detect_brute_force(engine, event);
	if (event->bytes <= BEACON_BYTES_MAX)
		detect_beacon(engine, event, event->first_ns);
}

/* An attempt_failed_fn. Its time is that of the attempt, which all attempts before it had reached. */
void engine_attempt_failed(void *context, const struct attempt *attempt)
{
	struct engine *engine = context;
	struct anomaly_event event = {
		.ts_ns = attempt->ts_ns, .port = attempt->port, .proto = attempt->proto, .ip_version = attempt->ip_version
	};
	uint64_t now_ns = engine->now_ns;

	memcpy(event.src, attempt->src, sizeof(event.src));
	memcpy(event.dst, attempt->dst, sizeof(event.dst));
	engine->now_ns = attempt->now_ns;
	detect_host_sweep(engine, &event);
	if (attempt->proto != ICMP_PROTO && attempt->proto != ICMP6_PROTO && !engine->config->scan_compat)
		detect_port_scan(engine, &event);
	if (attempt->proto == TCP_PROTO)
		detect_beacon(engine, &event, attempt->now_ns);
	engine->now_ns = now_ns;
}

/* --- against their own past ------------------------------------------------------------------------------------------ */

static void detect_surge(struct engine *engine, const struct anomaly_event *event)
{
	const struct detector_config *detector = &engine->config->detector[ALERT_NEW_FLOW_SURGE];
	struct surge *surge = &engine->surge;
	uint64_t pane = engine->now_ns / detector->window_ns;

	if (!detector->enabled)
		return;
	if (pane != surge->pane) {
		/* The first pane begins somewhere in it: it says nothing. Panes without a flow count as well, up to a few. */
		for (uint64_t i = surge->pane; surge->pane && i < pane && i < surge->pane + SURGE_EWMA; i++) {
			double flows = i == surge->pane ? (double)surge->flows : 0;
			surge->usual = surge->panes ? surge->usual + (flows - surge->usual) / SURGE_EWMA : flows;
			surge->panes++;
		}
		surge->pane = pane;
		surge->flows = 0;
	}
	surge->flows++;
	bool rests = surge->until_ns > engine->now_ns && surge->until_ns - engine->now_ns <= detector->cooldown_ns;
	if (surge->flows < detector->threshold || surge->panes < SURGE_PANES_WARM || rests ||
		(double)surge->flows < surge->usual * detector->second)
		return;
	struct alert alert = { .ts_ns = event->ts_ns, .count = surge->flows, .kind = ALERT_NEW_FLOW_SURGE };
	struct alert_values values = { .a = surge->flows, .b = (uint64_t)(surge->usual + 0.5) };
	if (__builtin_add_overflow(engine->now_ns, detector->cooldown_ns, &surge->until_ns))
		surge->until_ns = UINT64_MAX;
	engine_alert(engine, &alert, &values);
}

static uint64_t hash_network(const struct engine *engine, const struct anomaly_event *event, uint8_t network[16])
{
	network_of(event->dst, event->ip_version, network);
	return hash_with(engine, hash_address(engine, network), event->ip_version);
}

static void engine_shift(
	struct engine *engine, const struct anomaly_event *event, enum alert_kind kind, const struct network_shift *shift)
{
	struct alert alert = alert_of(event, kind, ALERT_HAS_DST);
	struct alert_values values = { .a = shift->now, .b = shift->usual };

	network_of(event->dst, event->ip_version, alert.dst);
	alert.count = shift->count;
	engine_alert(engine, &alert, &values);
}

static void detect_shifts(struct engine *engine, const struct anomaly_event *event)
{
	struct network_shift rtt = { 0 }, loss = { 0 };
	uint8_t network[16];

	if (!engine->networks)
		return;
	networks_add(engine->networks, hash_network(engine, event, network), event, engine->now_ns, &rtt, &loss);
	if (rtt.found)
		engine_shift(engine, event, ALERT_RTT_SHIFT, &rtt);
	if (loss.found)
		engine_shift(engine, event, ALERT_LOSS_SHIFT, &loss);
}

/* --- events ---------------------------------------------------------------------------------------------------------- */

static uint64_t hash_target(const struct engine *engine, const struct anomaly_event *event)
{
	return hash_with(engine, hash_address(engine, event->dst), event->port);
}

/* First pass: asks for what the second will touch first. */
static void engine_prefetch(const struct engine *engine, const struct anomaly_event *event)
{
	unsigned bits = event->bits;

	if (engine->attempts && bits & (EVENT_ATTEMPT | EVENT_ANSWER))
		attempts_prefetch(engine->attempts, event->flow);
	if (engine->tally[ALERT_SYN_FLOOD] && bits & EVENT_SYN)
		tally_prefetch(engine->tally[ALERT_SYN_FLOOD], hash_target(engine, event));
	if (engine->tally[ALERT_UDP_FLOOD] && bits & EVENT_UDP)
		tally_prefetch(engine->tally[ALERT_UDP_FLOOD], hash_with(engine, hash_address(engine, event->dst), 0));
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

static void engine_event(struct engine *engine, const struct anomaly_event *event)
{
	unsigned bits = event->bits;

	engine_clock(engine, event->ts_ns);
	if (bits & (EVENT_NEW | EVENT_ATTEMPT | EVENT_ANSWER | EVENT_REJECT | EVENT_SYN | EVENT_UDP_ANY))
		engine_flow_events(engine, event);
	if (bits & EVENT_SYN)
		detect_syn_flood(engine, event, hash_target(engine, event));
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
	for (unsigned i = 0; i < n; i++)
		engine_prefetch(engine, events[i]);
	for (unsigned i = 0; i < n; i++)
		engine_event(engine, events[i]);
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
