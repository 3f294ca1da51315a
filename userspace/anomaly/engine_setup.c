/* Memory of the detectors: all of it is reserved here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

#define LOG_PER_KEY       4    /* log entries of a tally, for each key */
#define SKETCHES          64   /* heavy keys at a time, of a tally that counts elements */
#define SKETCHES_PLAIN    1024 /* of one that does not: those are small */
#define EXACT_MIN         256  /* entries of a key that are always exact */
#define EXACT_MAX         4096 /* thresholds above a half of this are held in sketches */
#define ATTEMPTS_PER_KEY  2
#define NETWORKS_PER_KEYS 4 /* a network for so many keys */

static const struct {
	bool has;
	uint8_t elements;
} tallies[ALERT_KIND_COUNT] = {
	[ALERT_SYN_FLOOD] = { true, 1 },         /* sources */
	[ALERT_PORT_SCAN] = { true, 2 },         /* ports, hosts */
	[ALERT_HOST_SWEEP] = { true, 1 },        /* hosts */
	[ALERT_UDP_FLOOD] = { true, 0 },         /* amounts: packets */
	[ALERT_ICMP_FLOOD] = { true, 0 },        /* packets */
	[ALERT_RST_STORM] = { true, 0 },         /* packets */
	[ALERT_DNS_AMPLIFICATION] = { true, 0 }, /* bytes of answers, of requests */
	[ALERT_NTP_AMPLIFICATION] = { true, 0 }, /* the same */
	[ALERT_BRUTE_FORCE] = { true, 0 },       /* connections */
};

/* The next power of two. */
static uint32_t rounded(uint32_t n)
{
	return n <= 16 ? 16 : 1u << (32 - __builtin_clz(n - 1));
}

static struct tally_options tally_options_of(const struct config *config, enum alert_kind kind)
{
	const struct detector_config *detector = &config->detector[kind];
	uint32_t keys = rounded(config->anomaly_keys), exact = EXACT_MIN;

	/* Exact to twice the threshold: what decides about an alert is never an estimate. */
	if (detector->threshold > EXACT_MIN / 2 && detector->threshold <= EXACT_MAX / 2)
		exact = detector->threshold * 2;
	return (struct tally_options){ .keys = keys,
		.log = keys * LOG_PER_KEY,
		.exact_max = exact,
		.sketches = tallies[kind].elements ? SKETCHES : SKETCHES_PLAIN,
		.elements = tallies[kind].elements,
		.window_ns = detector->window_ns,
		.cooldown_ns = detector->cooldown_ns };
}

static bool wants(const struct config *config, enum alert_kind kind)
{
	return config->detector[kind].enabled;
}

/* With --scan-compat, only the sweep and the beacons ask for failed attempts. */
static bool wants_attempts(const struct config *config)
{
	return wants(config, ALERT_HOST_SWEEP) || wants(config, ALERT_BEACONING) ||
	       (wants(config, ALERT_PORT_SCAN) && !config->scan_compat);
}

static bool wants_networks(const struct config *config)
{
	return wants(config, ALERT_RTT_SHIFT) || wants(config, ALERT_LOSS_SHIFT);
}

uint64_t engine_bytes(const struct config *config)
{
	uint32_t keys = rounded(config->anomaly_keys);
	uint64_t bytes = sizeof(struct engine);

	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++) {
		struct tally_options options = tally_options_of(config, i);
		if (tallies[i].has && wants(config, i))
			bytes += tally_bytes(&options);
	}
	if (wants_attempts(config))
		bytes += attempts_bytes(keys * ATTEMPTS_PER_KEY);
	if (wants_networks(config))
		bytes += networks_bytes(keys / NETWORKS_PER_KEYS);
	if (wants(config, ALERT_BEACONING))
		bytes += beacons_bytes(keys);
	return bytes;
}

static int engine_create_rest(struct engine *engine)
{
	const struct config *config = engine->config;
	uint32_t keys = rounded(config->anomaly_keys);
	struct networks_options networks = { .capacity = keys / NETWORKS_PER_KEYS,
		.rtt = wants(config, ALERT_RTT_SHIFT),
		.loss = wants(config, ALERT_LOSS_SHIFT),
		.rtt_shift = config->detector[ALERT_RTT_SHIFT],
		.loss_shift = config->detector[ALERT_LOSS_SHIFT] };
	const struct detector_config *beaconing = &config->detector[ALERT_BEACONING];
	struct beacons_options beacons = { .capacity = keys,
		.connections = beaconing->threshold,
		.jitter = beaconing->second,
		.span_ns = beaconing->window_ns,
		.cooldown_ns = beaconing->cooldown_ns };
	int err = 0;

	if (wants_attempts(config))
		err = attempts_create(keys * ATTEMPTS_PER_KEY, config->scan_grace_ns, engine_attempts_failed, engine,
			&engine->attempts_due_ns, &engine->attempts);
	if (!err && wants_networks(config))
		err = networks_create(&networks, &engine->networks);
	if (!err && wants(config, ALERT_BEACONING))
		err = beacons_create(&beacons, &engine->beacons);
	return err;
}

int engine_create(const struct config *config, struct hash_seed seed, alerts_fn *on_alerts, void *context, struct engine **result)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	int err = 0;

	if (!engine)
		return -ENOMEM;
	engine->config = config;
	engine->seed = seed;
	engine->attempts_due_ns = UINT64_MAX;
	engine->surge = (struct surge){ .window_ns = UINT64_MAX, .few = UINT64_MAX };
	if (wants(config, ALERT_NEW_FLOW_SURGE))
		engine->surge.window_ns = config->detector[ALERT_NEW_FLOW_SURGE].window_ns;
	engine->on_alerts = on_alerts;
	engine->context = context;
	for (unsigned i = 0; i < ALERT_KIND_COUNT && !err; i++) {
		struct tally_options options = tally_options_of(config, i);
		if (tallies[i].has && wants(config, i))
			err = tally_create(&options, &engine->tally[i]);
	}
	if (!err)
		err = engine_create_rest(engine);
	if (err) {
		engine_destroy(engine);
		return err;
	}
	*result = engine;
	return 0;
}

void engine_destroy(struct engine *engine)
{
	if (!engine)
		return;
	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++)
		tally_destroy(engine->tally[i]);
	attempts_destroy(engine->attempts);
	networks_destroy(engine->networks);
	beacons_destroy(engine->beacons);
	free(engine);
}

void engine_report(const struct engine *engine, struct alert_report *report)
{
	memcpy(report->alerts, engine->alerts, sizeof(report->alerts));
	for (unsigned i = 0; i < ALERT_KIND_COUNT; i++) {
		if (!engine->tally[i])
			continue;
		const struct tally_loss *loss = tally_loss(engine->tally[i]);
		report->keys_evicted += loss->keys_evicted;
		report->entries_cut += loss->entries_cut;
		report->sketches_missed += loss->sketches_missed;
	}
	report->keys_evicted += engine->networks ? networks_evicted(engine->networks) : 0;
	report->keys_evicted += engine->beacons ? beacons_evicted(engine->beacons) : 0;
	report->attempts_missed = engine->attempts ? attempts_missed(engine->attempts) : 0;
}
