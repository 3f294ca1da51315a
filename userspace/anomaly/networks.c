#include "networks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "flowlane/flow.h"

#define WAYS        4
#define WARM_PANES  4        /* a baseline of fewer says nothing */
#define EWMA_PANES  8        /* weight of a new pane: 1/8 */
#define LOSS_FACTOR 3        /* loss must be so many times the usual */
#define RISE_MIN_NS 10000000 /* less than 10 ms more is nobody's problem */
#define NS_PER_TICK RTT_TICK_NS
#define THOUSANDTHS 100000 /* of a percent */

/* One quantity of a network: sum / weight, pane by pane. */
struct series {
	uint64_t pane;
	uint64_t sum;
	uint64_t until_ns;
	double usual; /* EWMA of the panes' means */
	uint32_t weight;
	uint32_t panes; /* in `usual` */
};

struct network {
	uint64_t hash; /* 0: free */
	uint64_t last_ns;
	struct series rtt;  /* ticks / samples */
	struct series loss; /* retransmissions / packets */
	uint64_t unused[4];
};
_Static_assert(sizeof(struct network) == 128, "two lines");

struct networks {
	struct networks_options options;
	struct network *slots;
	uint64_t evicted;
};

uint64_t networks_bytes(uint32_t capacity)
{
	return (uint64_t)capacity * sizeof(struct network);
}

int networks_create(const struct networks_options *options, struct networks **result)
{
	struct networks *networks = calloc(1, sizeof(*networks));

	if (!networks)
		return -ENOMEM;
	networks->options = *options;
	networks->slots = arena_map(networks_bytes(options->capacity));
	if (!networks->slots) {
		networks_destroy(networks);
		return -ENOMEM;
	}
	*result = networks;
	return 0;
}

void networks_destroy(struct networks *networks)
{
	if (!networks)
		return;
	arena_unmap(networks->slots, networks_bytes(networks->options.capacity));
	free(networks);
}

uint64_t networks_evicted(const struct networks *networks)
{
	return networks->evicted;
}

#include "poison.h"

void network_of(const uint8_t ip[16], unsigned ip_version, uint8_t network[16])
{
	unsigned keep = ip_version == 4 ? 15 : 6;

	memcpy(network, ip, keep);
	memset(network + keep, 0, 16 - keep);
}

static struct network *networks_set(const struct networks *networks, uint64_t hash)
{
	return &networks->slots[(hash >> 20) & (networks->options.capacity - WAYS)];
}

void networks_prefetch(const struct networks *networks, uint64_t hash)
{
	__builtin_prefetch(networks_set(networks, hash), 1);
}

static struct network *networks_get(struct networks *networks, uint64_t hash)
{
	struct network *set = networks_set(networks, hash), *victim = set;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].hash == hash)
			return &set[i];
		if (set[i].last_ns < victim->last_ns)
			victim = &set[i];
	}
	networks->evicted += victim->rtt.panes >= WARM_PANES || victim->loss.panes >= WARM_PANES;
	*victim = (struct network){ .hash = hash };
	return victim;
}

/* Closes the pane if time has left it: it becomes part of what is usual, if it has enough to say. */
static void series_advance(struct series *series, const struct detector_config *detector, uint64_t now_ns)
{
	uint64_t pane = now_ns / detector->window_ns;

	if (pane == series->pane)
		return;
	if (series->weight >= detector->second) {
		double mean = (double)series->sum / series->weight;
		series->usual = series->panes ? series->usual + (mean - series->usual) / EWMA_PANES : mean;
		series->panes++;
	}
	series->pane = pane;
	series->sum = series->weight = 0;
}

/* The pane has enough to say, there is something to compare with, and the last alert is long enough ago. */
static bool series_ready(const struct series *series, const struct detector_config *detector, uint64_t now_ns)
{
	bool rests = series->until_ns > now_ns && series->until_ns - now_ns <= detector->cooldown_ns;

	return series->panes >= WARM_PANES && series->weight >= detector->second && !rests;
}

static void series_rest(struct series *series, const struct detector_config *detector, uint64_t now_ns)
{
	if (__builtin_add_overflow(now_ns, detector->cooldown_ns, &series->until_ns))
		series->until_ns = UINT64_MAX;
}

/* threshold: percent above the usual. */
static void network_rtt(
	struct series *series, const struct detector_config *detector, uint32_t ticks, uint64_t now_ns, struct network_shift *shift)
{
	series_advance(series, detector, now_ns);
	series->sum += ticks;
	series->weight++;
	if (!series_ready(series, detector, now_ns))
		return;
	double mean = (double)series->sum / series->weight, rise_ns = (mean - series->usual) * NS_PER_TICK;
	if (rise_ns < RISE_MIN_NS || (mean - series->usual) * 100 < series->usual * detector->threshold)
		return;
	series_rest(series, detector, now_ns);
	*shift = (struct network_shift){ .found = true,
		.now = (uint64_t)(mean * NS_PER_TICK / 1000),
		.usual = (uint64_t)(series->usual * NS_PER_TICK / 1000),
		.count = series->weight };
}

/* threshold: percent of the packets. */
static void network_loss(struct series *series, const struct detector_config *detector, const struct anomaly_event *event,
	uint64_t now_ns, struct network_shift *shift)
{
	series_advance(series, detector, now_ns);
	series->sum += event->retransmissions;
	series->weight += event->packets;
	if (!series_ready(series, detector, now_ns))
		return;
	double ratio = (double)series->sum / series->weight;
	if (ratio * 100 < detector->threshold || ratio < series->usual * LOSS_FACTOR)
		return;
	series_rest(series, detector, now_ns);
	*shift = (struct network_shift){ .found = true,
		.now = (uint64_t)(ratio * THOUSANDTHS),
		.usual = (uint64_t)(series->usual * THOUSANDTHS),
		.count = series->weight };
}

void networks_add(struct networks *networks, uint64_t hash, const struct anomaly_event *event, uint64_t now_ns,
	struct network_shift *rtt, struct network_shift *loss)
{
	const struct networks_options *options = &networks->options;
	struct network *network = networks_get(networks, hash);

	network->last_ns = now_ns;
	if (options->rtt && event->rtt_ticks)
		network_rtt(&network->rtt, &options->rtt_shift, event->rtt_ticks, now_ns, rtt);
	if (options->loss)
		network_loss(&network->loss, &options->loss_shift, event, now_ns, loss);
}
