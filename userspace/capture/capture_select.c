/* What is selected while a capture runs, and what came of it. */
#include <errno.h>
#include <stdlib.h>

#include "capture_internal.h"

static bool cutoff_get(void *context, const struct flow_key *key, bool take, struct cutoff_counts *counts)
{
	const struct capture_cutoff *cutoff = context;
	struct cutoff_key cut = cutoff_key_of(key);
	uint64_t offset_ns = live_clock_offset(&cutoff->capture->clock);

	if (key->tunnel || !xdp_cutoff_get(cutoff->interface->xdp, &cut, take, cutoff->per_cpu, counts))
		return false;
	for (unsigned dir = 0; dir < 2; dir++)
		counts->last_ns[dir] += counts->last_ns[dir] ? offset_ns : 0;
	return true;
}

bool capture_cutoff(struct capture *capture, unsigned lane, struct cutoff *cutoff)
{
	if (!capture->config->flow_cutoff)
		return false;
	*cutoff = (struct cutoff){ .get = cutoff_get, .context = &capture->cutoff[lane] };
	return true;
}

int capture_open_cutoff(struct capture *capture)
{
	for (unsigned lane = 0; lane < capture->lanes && capture->config->flow_cutoff; lane++) {
		struct capture_cutoff *cutoff = &capture->cutoff[lane];
		cutoff->capture = capture;
		cutoff->interface = &capture->interface[capture->queue[lane / capture->fanout].interface];
		cutoff->per_cpu = calloc(xdp_cpus(cutoff->interface->xdp), sizeof(*cutoff->per_cpu));
		if (!cutoff->per_cpu)
			return -ENOMEM;
	}
	return 0;
}

int capture_set_rules(struct capture *capture, const struct rules_set *rules)
{
	for (unsigned i = 0; i < capture->interfaces; i++) {
		int err = xdp_rules_prepare(capture->interface[i].xdp, rules);
		if (err)
			return err;
	}
	for (unsigned i = 0; i < capture->interfaces; i++)
		xdp_rules_commit(capture->interface[i].xdp);
	return 0;
}

void capture_set_sample(struct capture *capture, uint32_t sample)
{
	capture->sample = sample;
	for (unsigned i = 0; i < capture->interfaces; i++)
		xdp_set_sample(capture->interface[i].xdp, sample);
}
