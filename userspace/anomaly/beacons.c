#include "beacons.h"

#include <errno.h>
#include <stdlib.h>

#include "arena.h"

#define WAYS   4
#define COMMON 3 /* connections in a row from which on a loss is counted */

/* Shorter intervals are a program that opens connections one after the other. */
#define INTERVAL_MIN_NS ((uint64_t)2 * 1000 * 1000 * 1000)

#define LATE_NS ((uint64_t)60 * 1000 * 1000 * 1000)

struct beacons {
	struct beacons_options options;
	struct beacon *slots;
	uint64_t evicted;
};

uint64_t beacons_bytes(uint32_t capacity)
{
	return (uint64_t)capacity * sizeof(struct beacon);
}

int beacons_create(const struct beacons_options *options, struct beacons **result)
{
	struct beacons *beacons = calloc(1, sizeof(*beacons));

	if (!beacons)
		return -ENOMEM;
	beacons->options = *options;
	beacons->slots = arena_map(beacons_bytes(options->capacity));
	if (!beacons->slots) {
		beacons_destroy(beacons);
		return -ENOMEM;
	}
	*result = beacons;
	return 0;
}

void beacons_destroy(struct beacons *beacons)
{
	if (!beacons)
		return;
	arena_unmap(beacons->slots, beacons_bytes(beacons->options.capacity));
	free(beacons);
}

uint64_t beacons_evicted(const struct beacons *beacons)
{
	return beacons->evicted;
}

#include "poison.h"

static struct beacon *beacons_set(const struct beacons *beacons, uint64_t hash)
{
	return &beacons->slots[(hash >> 20) & (beacons->options.capacity - WAYS)];
}

void beacons_prefetch(const struct beacons *beacons, uint64_t hash)
{
	__builtin_prefetch(beacons_set(beacons, hash), 1);
}

static struct beacon *beacons_get(struct beacons *beacons, uint64_t hash)
{
	struct beacon *set = beacons_set(beacons, hash), *victim = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].hash == hash)
			return &set[i];
		/* What is free was never used: last_ns is 0. */
		if (set[i].last_ns < victim->last_ns)
			victim = &set[i];
	}
	beacons->evicted += victim->connections >= COMMON;
	*victim = (struct beacon){ .hash = hash };
	return victim;
}

static void beacon_start(struct beacon *beacon, uint64_t start_ns, uint32_t connections)
{
	beacon->first_ns = connections > 1 ? beacon->last_ns : start_ns;
	beacon->mean_ns = connections > 1 ? start_ns - beacon->last_ns : 0;
	beacon->deviation_ns = 0;
	beacon->connections = connections;
	beacon->last_ns = start_ns;
}

/* One more. An interval that is not within a half of the mean begins a new row with it. */
static void beacon_count(struct beacon *beacon, uint64_t start_ns)
{
	uint64_t interval_ns = start_ns - beacon->last_ns, mean_ns = beacon->mean_ns;
	uint64_t off_ns = interval_ns > mean_ns ? interval_ns - mean_ns : mean_ns - interval_ns;

	if (interval_ns < INTERVAL_MIN_NS) {
		beacon_start(beacon, start_ns, 1);
		return;
	}
	if (beacon->connections == 1 || off_ns > mean_ns / 2) {
		beacon_start(beacon, start_ns, 2);
		return;
	}
	uint32_t intervals = beacon->connections++;
	beacon->last_ns = start_ns;
	/* Plain averages: a beacon does not drift, and a row that changes its rhythm has begun anew above. */
	beacon->mean_ns = interval_ns > mean_ns ? mean_ns + off_ns / intervals : mean_ns - off_ns / intervals;
	if (off_ns > beacon->deviation_ns)
		beacon->deviation_ns += (off_ns - beacon->deviation_ns) / intervals;
	else
		beacon->deviation_ns -= (beacon->deviation_ns - off_ns) / intervals;
}

const struct beacon *beacons_add(struct beacons *beacons, uint64_t hash, uint16_t src_port, uint64_t start_ns)
{
	const struct beacons_options *options = &beacons->options;
	struct beacon *beacon = beacons_get(beacons, hash);

	/* They come in the order of their ends, not of their starts; and a capture may be followed by an earlier one. */
	if (start_ns < beacon->last_ns && beacon->last_ns - start_ns < LATE_NS)
		return NULL;
	if (src_port && src_port == beacon->src_port)
		return NULL;
	beacon->src_port = src_port;
	if (!beacon->connections || start_ns < beacon->last_ns)
		beacon_start(beacon, start_ns, 1);
	else
		beacon_count(beacon, start_ns);
	if (beacon->connections < options->connections || beacon->last_ns - beacon->first_ns < options->span_ns)
		return NULL;
	if ((double)beacon->deviation_ns * 100 > (double)beacon->mean_ns * options->jitter)
		return NULL;
	if (beacon->until_ns > start_ns && beacon->until_ns - start_ns <= options->cooldown_ns)
		return NULL;
	if (__builtin_add_overflow(start_ns, options->cooldown_ns, &beacon->until_ns))
		beacon->until_ns = UINT64_MAX;
	return beacon;
}
