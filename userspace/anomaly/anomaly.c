#include "anomaly.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "tap.h"

#define LANE_TAPS_MAX 64
#define RING_ONE      512        /* one lane on a file: it empties its ring itself */
#define RING_FILES    (1u << 14) /* several: what one may be ahead of the others */
#define LATE_NS       ((uint64_t)500 * 1000 * 1000)
#define RING_LIVE     (1u << 16) /* 4 ms of nothing but SYNs at 10 Gbit/s; the control thread looks every millisecond */

struct anomaly {
	unsigned lanes;
	bool live;
	struct engine *engine;
	uint32_t ring_events;
	struct anomaly_tap *taps; /* [lanes] */
	pthread_mutex_t running;  /* who runs the engine */
	uint64_t events;
	uint64_t bytes;
};

static uint32_t ring_events(unsigned lanes, bool live)
{
	return live ? RING_LIVE : lanes > 1 ? RING_FILES : RING_ONE;
}

static size_t ring_bytes(uint32_t events)
{
	return events * sizeof(struct anomaly_event);
}

uint64_t anomaly_bytes(const struct config *config, unsigned lanes, bool live)
{
	return engine_bytes(config) + sizeof(struct anomaly) +
	       lanes * (ring_bytes(ring_events(lanes, live)) + sizeof(struct anomaly_tap));
}

int anomaly_create(const struct anomaly_options *options, struct anomaly **result)
{
	struct anomaly *anomaly = calloc(1, sizeof(*anomaly));
	int err = -ENOMEM;

	if (!anomaly)
		return -ENOMEM;
	anomaly->lanes = options->lanes;
	anomaly->live = options->live;
	anomaly->bytes = anomaly_bytes(options->config, options->lanes, options->live);
	anomaly->ring_events = ring_events(options->lanes, options->live);
	pthread_mutex_init(&anomaly->running, NULL);
	anomaly->taps = aligned_alloc(64, options->lanes * sizeof(*anomaly->taps));
	if (!anomaly->taps)
		goto fail;
	memset(anomaly->taps, 0, options->lanes * sizeof(*anomaly->taps));
	for (unsigned i = 0; i < options->lanes; i++) {
		struct anomaly_tap *tap = &anomaly->taps[i];
		tap->anomaly = anomaly;
		tap->mask = anomaly->ring_events - 1;
		tap->compat = options->config->scan_compat;
		tap->live = options->live;
		tap->alone = !options->live && options->lanes == 1;
		tap->ring = arena_map(ring_bytes(anomaly->ring_events));
		if (!tap->ring)
			goto fail;
	}
	err = engine_create(options->config, options->seed, options->on_alerts, options->context, &anomaly->engine);
	if (err)
		goto fail;
	for (unsigned i = 0; i < options->lanes; i++)
		anomaly->taps[i].engine = anomaly->engine;
	*result = anomaly;
	return 0;
fail:
	anomaly_destroy(anomaly);
	return err;
}

void anomaly_destroy(struct anomaly *anomaly)
{
	if (!anomaly)
		return;
	for (unsigned i = 0; anomaly->taps && i < anomaly->lanes; i++)
		arena_unmap(anomaly->taps[i].ring, ring_bytes(anomaly->ring_events));
	engine_destroy(anomaly->engine);
	pthread_mutex_destroy(&anomaly->running);
	free(anomaly->taps);
	free(anomaly);
}

struct anomaly_tap *anomaly_tap(struct anomaly *anomaly, unsigned lane)
{
	return &anomaly->taps[lane];
}

/* What the rings hold at one instant. */
struct rings {
	uint64_t head[LANE_TAPS_MAX];
	uint64_t tail[LANE_TAPS_MAX];
	uint64_t horizon; /* no lane will still bring an event before this */
};

static const struct anomaly_event *ring_at(const struct anomaly_tap *tap, uint64_t position)
{
	return &tap->ring[position & tap->mask];
}

static void rings_look(const struct anomaly *anomaly, struct rings *rings)
{
	uint64_t foremost = 0;

	rings->horizon = UINT64_MAX;
	for (unsigned i = 0; i < anomaly->lanes; i++) {
		const struct anomaly_tap *tap = &anomaly->taps[i];
		uint64_t progress = __atomic_load_n(&tap->progress, __ATOMIC_ACQUIRE);
		rings->head[i] = __atomic_load_n(&tap->head, __ATOMIC_ACQUIRE);
		rings->tail[i] = tap->tail;
		rings->horizon = progress < rings->horizon ? progress : rings->horizon;
		foremost = progress != UINT64_MAX && progress > foremost ? progress : foremost;
	}
	/* Live, nobody waits for long for a lane that an output holds up: its events then come late. */
	if (anomaly->live && rings->horizon + LATE_NS < foremost)
		rings->horizon = foremost - LATE_NS;
}

/* The lane whose next event is first, and the order up to which it stays so; -1: there is none before the horizon. */
static int rings_first(const struct anomaly *anomaly, const struct rings *rings, uint64_t *until)
{
	uint64_t first = rings->horizon, second = rings->horizon;
	int lane = -1;

	for (unsigned i = 0; i < anomaly->lanes; i++) {
		if (rings->tail[i] == rings->head[i])
			continue;
		uint64_t order = ring_at(&anomaly->taps[i], rings->tail[i])->order;
		if (order < first) {
			second = first;
			first = order;
			lane = (int)i;
		} else if (order < second) {
			second = order;
		}
	}
	*until = second;
	return lane;
}

/* Events of a ring, at least one, that are before `until`, as many as find room. The new tail. */
static uint64_t ring_take(const struct anomaly_tap *tap, uint64_t tail, uint64_t head, uint64_t until, struct engine_batch *batch)
{
	uint64_t room = ENGINE_BATCH - batch->n, end = head - tail < room ? head : tail + room;
	bool all = ring_at(tap, end - 1)->order < until; /* so are those before it */

	do {
		batch->events[batch->n++] = ring_at(tap, tail++);
	} while (tail < end && (all || ring_at(tap, tail)->order < until));
	return tail;
}

static void anomaly_run(struct anomaly *anomaly, const struct engine_batch *batch)
{
	engine_run(anomaly->engine, batch);
	anomaly->events += batch->n;
}

/* Gives the engine what is before the horizon, in order. While it works on a batch, memory for the next one comes. */
static void anomaly_take(struct anomaly *anomaly)
{
	struct engine_batch batches[2], *batch = &batches[0], *before = NULL;
	struct rings rings;
	uint64_t until;
	int lane;

	rings_look(anomaly, &rings);
	batch->n = 0;
	while ((lane = rings_first(anomaly, &rings, &until)) >= 0) {
		rings.tail[lane] = ring_take(&anomaly->taps[lane], rings.tail[lane], rings.head[lane], until, batch);
		if (batch->n < ENGINE_BATCH)
			continue;
		engine_prefetch(anomaly->engine, batch, before);
		if (before)
			anomaly_run(anomaly, before);
		before = batch;
		batch = &batches[batch == batches];
		batch->n = 0;
	}
	engine_prefetch(anomaly->engine, batch, before);
	if (before)
		anomaly_run(anomaly, before);
	anomaly_run(anomaly, batch);
	for (unsigned i = 0; i < anomaly->lanes; i++)
		__atomic_store_n(&anomaly->taps[i].tail, rings.tail[i], __ATOMIC_RELEASE);
	if (anomaly->live && rings.horizon != UINT64_MAX)
		engine_advance(anomaly->engine, rings.horizon);
}

void anomaly_merge(struct anomaly *anomaly)
{
	if (pthread_mutex_trylock(&anomaly->running))
		return;
	anomaly_take(anomaly);
	pthread_mutex_unlock(&anomaly->running);
}

/*
 * The lane that is furthest behind never waits here: all its events are before the horizon, so taking empties its ring. The others
 * wait for it.
 */
void anomaly_make_room(struct anomaly_tap *tap)
{
	for (;;) {
		anomaly_merge(tap->anomaly);
		tap->tail_seen = __atomic_load_n(&tap->tail, __ATOMIC_ACQUIRE);
		if (tap->mask + 1 - (tap->written - tap->tail_seen) >= TAP_BATCH_EVENTS)
			return;
		sched_yield();
	}
}

void anomaly_finish(struct anomaly *anomaly)
{
	/* Also for a lane that never came to run. */
	for (unsigned i = 0; i < anomaly->lanes; i++)
		__atomic_store_n(&anomaly->taps[i].progress, UINT64_MAX, __ATOMIC_RELEASE);
	anomaly_merge(anomaly);
	engine_finish(anomaly->engine);
}

void anomaly_report(const struct anomaly *anomaly, struct alert_report *report)
{
	*report = (struct alert_report){ .enabled = true, .events = anomaly->events, .bytes = anomaly->bytes };
	engine_report(anomaly->engine, report);
	for (unsigned i = 0; i < anomaly->lanes; i++)
		report->events_lost += __atomic_load_n(&anomaly->taps[i].lost, __ATOMIC_RELAXED);
}
