#include "detectors.h"

#include <string.h>

#include "bytes.h"

#include "poison.h"

#define TCP_PROTO   6
#define ICMP_PROTO  1
#define ICMP6_PROTO 58

#define SURGE_PANES_WARM 4
#define SURGE_EWMA       8

#define BRUTE_BYTES_MAX  65536                               /* of a short connection, both directions */
#define BRUTE_MAX_NS     ((uint64_t)60 * 1000 * 1000 * 1000) /* its duration */
#define BEACON_BYTES_MAX 65536

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

void detect_syn_flood(struct engine *engine, const struct anomaly_event *event, struct tally_key *key)
{
	const struct detector_config *detector = &engine->config->detector[ALERT_SYN_FLOOD];

	if (key->sum[0] < detector->threshold || key->distinct[0] < detector->second)
		return;
	struct alert alert = alert_of(event, ALERT_SYN_FLOOD, ALERT_HAS_DST | ALERT_HAS_PORT);
	engine_raise(engine, key, &alert, key->sum[0], key->distinct[0]);
}

static struct tally_item item_port_scan(const struct engine *engine, const struct anomaly_event *event)
{
	return (struct tally_item){ .key = hash_with(engine, hash_address(engine, event->src), 0),
		.amount = { 1, 0 },
		.element = { event->port, element_of(engine, event->dst, event->ip_version) } };
}

static void port_scan_add(struct engine *engine, const struct anomaly_event *event, const struct tally_item *item)
{
	const struct detector_config *detector = &engine->config->detector[ALERT_PORT_SCAN];
	struct tally_key *key = engine_add(engine, ALERT_PORT_SCAN, item);

	if (!key || (key->distinct[0] < detector->threshold && key->distinct[1] < detector->second))
		return;
	struct alert alert = alert_of(event, ALERT_PORT_SCAN, ALERT_HAS_SRC);
	engine_raise(engine, key, &alert, key->distinct[0], key->distinct[1]);
}

void detect_port_scan(struct engine *engine, const struct anomaly_event *event)
{
	struct tally_item item = item_port_scan(engine, event);

	port_scan_add(engine, event, &item);
}

static bool is_ping(const struct anomaly_event *event)
{
	return event->proto == ICMP_PROTO || event->proto == ICMP6_PROTO;
}

static struct tally_item item_host_sweep(const struct engine *engine, const struct anomaly_event *event)
{
	uint64_t what = (uint64_t)event->proto << 16 | (is_ping(event) ? 0 : event->port);

	return (struct tally_item){ .key = hash_with(engine, hash_address(engine, event->src), what),
		.amount = { 1, 0 },
		.element = { element_of(engine, event->dst, event->ip_version), 0 } };
}

static void detect_host_sweep(struct engine *engine, const struct anomaly_event *event, const struct tally_item *item)
{
	const struct detector_config *detector = &engine->config->detector[ALERT_HOST_SWEEP];
	bool ping = is_ping(event);
	struct tally_key *key = engine_add(engine, ALERT_HOST_SWEEP, item);

	if (!key || key->distinct[0] < detector->threshold)
		return;
	struct alert alert = alert_of(event, ALERT_HOST_SWEEP, ping ? ALERT_HAS_SRC : ALERT_HAS_SRC | ALERT_HAS_PORT);
	struct alert_values values = { .a = key->distinct[0], .proto = event->proto };
	alert.count = key->distinct[0];
	tally_rest(engine->tally[ALERT_HOST_SWEEP], key, engine->now_ns);
	engine_alert(engine, &alert, &values);
}

void detect_many(struct engine *engine, enum alert_kind kind, const struct anomaly_event *event, const struct tally_item *item)
{
	struct tally_key *key = engine_add(engine, kind, item);

	if (!key || key->sum[0] < engine->config->detector[kind].threshold)
		return;
	struct alert alert = alert_of(event, kind, kind == ALERT_RST_STORM ? ALERT_HAS_SRC : ALERT_HAS_DST);
	engine_raise(engine, key, &alert, key->sum[0], 0);
}

/* Bytes of answers to a host against those of its requests. The host that asks may be a forged one: it is the victim. */
void detect_amplification(struct engine *engine, enum alert_kind kind, const struct anomaly_event *event, bool answer)
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

static uint64_t hash_beacon(const struct engine *engine, const struct anomaly_event *event)
{
	return hash_service(engine, event->src, event->dst, (uint64_t)event->proto << 16 | event->port);
}

/* A UDP flow that was silent until it timed out, and goes on, is a connection kept alive: it comes from the same port. */
void detect_beacon(struct engine *engine, const struct anomaly_event *event, uint64_t start_ns)
{
	uint16_t src_port = event->proto == TCP_PROTO ? 0 : event->src_port;

	/* What a host says to itself is nobody's command. */
	if (!engine->beacons || is_regular_port(event->port) || !memcmp(event->src, event->dst, sizeof(event->src)))
		return;
	const struct beacon *beacon = beacons_add(engine->beacons, hash_beacon(engine, event), src_port, start_ns);
	if (!beacon)
		return;
	struct alert alert = alert_of(event, ALERT_BEACONING, ALERT_HAS_SRC | ALERT_HAS_DST | ALERT_HAS_PORT);
	struct alert_values values = { .a = beacon->connections, .b = beacon->mean_ns };
	alert.ts_ns = start_ns;
	alert.count = beacon->connections;
	engine_alert(engine, &alert, &values);
}

void engine_connection_end(struct engine *engine, const struct anomaly_event *event)
{
	detect_brute_force(engine, event);
	if (event->bytes <= BEACON_BYTES_MAX)
		detect_beacon(engine, event, event->first_ns);
}

/* --- attempts that failed -------------------------------------------------------------------------------------------- */

static struct anomaly_event event_of_attempt(const struct attempt *attempt)
{
	struct anomaly_event event = {
		.ts_ns = attempt->ts_ns, .port = attempt->port, .proto = attempt->proto, .ip_version = attempt->ip_version
	};

	memcpy(event.src, attempt->src, sizeof(event.src));
	memcpy(event.dst, attempt->dst, sizeof(event.dst));
	return event;
}

/* What failed attempts add: of each a host that was swept, and a port that was scanned unless it is a ping. */
struct failed {
	struct anomaly_event events[ATTEMPTS_FAILED];
	struct tally_item sweeps[ATTEMPTS_FAILED];
	struct tally_item scans[ATTEMPTS_FAILED];
};

static void failed_prefetch(const struct engine *engine, struct failed *failed, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct anomaly_event *event = &failed->events[i];
		failed->sweeps[i] = item_host_sweep(engine, event);
		failed->scans[i] = item_port_scan(engine, event);
		if (engine->beacons && event->proto == TCP_PROTO)
			beacons_prefetch(engine->beacons, hash_beacon(engine, event));
	}
	if (engine->tally[ALERT_HOST_SWEEP])
		tally_prefetch(engine->tally[ALERT_HOST_SWEEP], failed->sweeps, n, engine->now_ns);
	if (engine->tally[ALERT_PORT_SCAN] && !engine->config->scan_compat)
		tally_prefetch(engine->tally[ALERT_PORT_SCAN], failed->scans, n, engine->now_ns);
}

/* The time is that of the attempt, which all attempts before it had reached. */
void engine_attempts_failed(void *context, const struct attempt *attempts, unsigned n)
{
	struct engine *engine = context;
	uint64_t now_ns = engine->now_ns;
	struct failed failed;

	for (unsigned i = 0; i < n; i++)
		failed.events[i] = event_of_attempt(&attempts[i]);
	failed_prefetch(engine, &failed, n);
	for (unsigned i = 0; i < n; i++) {
		const struct anomaly_event *event = &failed.events[i];
		engine->now_ns = attempts[i].now_ns;
		detect_host_sweep(engine, event, &failed.sweeps[i]);
		if (!is_ping(event) && !engine->config->scan_compat)
			port_scan_add(engine, event, &failed.scans[i]);
		if (event->proto == TCP_PROTO)
			detect_beacon(engine, event, attempts[i].now_ns);
	}
	engine->now_ns = now_ns;
}

/* --- against their own past ------------------------------------------------------------------------------------------ */

/* Of the first pane only a part may have been seen: it says nothing. Panes without a flow count, up to a few. */
static void surge_begin(struct surge *surge, const struct detector_config *detector, uint64_t pane)
{
	for (uint64_t i = surge->pane + !surge->whole; surge->pane && i < pane && i < surge->pane + SURGE_EWMA; i++) {
		double flows = i == surge->pane ? (double)surge->flows : 0;
		surge->usual = surge->panes ? surge->usual + (flows - surge->usual) / SURGE_EWMA : flows;
		surge->panes++;
	}
	surge->whole = surge->pane != 0;
	surge->pane = pane;
	surge->start_ns = pane * detector->window_ns;
	surge->flows = 0;
	surge->few = surge->panes < SURGE_PANES_WARM ? UINT64_MAX : detector->threshold;
}

void detect_surge(struct engine *engine, const struct anomaly_event *event)
{
	const struct detector_config *detector = &engine->config->detector[ALERT_NEW_FLOW_SURGE];
	struct surge *surge = &engine->surge;

	if (engine->now_ns - surge->start_ns >= detector->window_ns)
		surge_begin(surge, detector, engine->now_ns / detector->window_ns);
	surge->flows++;
	if (surge->flows < surge->few || (double)surge->flows < surge->usual * detector->second)
		return;
	if (surge->until_ns > engine->now_ns && surge->until_ns - engine->now_ns <= detector->cooldown_ns)
		return;
	struct alert alert = { .ts_ns = event->ts_ns, .count = surge->flows, .kind = ALERT_NEW_FLOW_SURGE };
	struct alert_values values = { .a = surge->flows, .b = (uint64_t)(surge->usual + 0.5) };
	if (__builtin_add_overflow(engine->now_ns, detector->cooldown_ns, &surge->until_ns))
		surge->until_ns = UINT64_MAX;
	engine_alert(engine, &alert, &values);
}

uint64_t hash_network(const struct engine *engine, const struct anomaly_event *event, uint8_t network[16])
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

void detect_shifts(struct engine *engine, const struct anomaly_event *event)
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
