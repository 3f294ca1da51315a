/*
 * The loop. A lane takes a batch of frames from its source, drops what the filter does not want, lets the core update the
 * flows, hands the frames to the sinks that write packets, and gives them back. Flows that end on the way go to the sinks
 * through lane_records(). Nothing here waits for another lane.
 *
 *   source.rx_batch ─▶ filter ─▶ core (decode, flow table, TCP, RTT) ─▶ packet sinks ─▶ source.release
 *                                  └─ flow ends ─▶ lane_records ─▶ flow sinks
 */
#include "lane.h"

#include "clock.h"
#include "log.h"

#include "poison.h"

/* The frames that pass, at most as many as are still wanted. */
static unsigned lane_filter(struct lane *lane, const struct frame *frames, unsigned n, struct frame *passed)
{
	struct frame refused[FLOWLANE_BATCH];
	unsigned kept = 0, out = 0;

	for (unsigned i = 0; i < n && kept < lane->count; i++) {
		if (filter_match(lane->filter, &frames[i]))
			passed[kept++] = frames[i];
		else
			refused[out++] = frames[i];
	}
	core_filtered(lane->core, refused, out);
	return kept;
}

static void lane_batch(struct lane *lane, const struct frame *frames, unsigned n)
{
	struct frame passed[FLOWLANE_BATCH];

	if (lane->filter) {
		n = lane_filter(lane, frames, n, passed);
		frames = passed;
	} else if (n > lane->count) {
		n = (unsigned)lane->count;
	}
	lane->count -= n;
	core_run(lane->core, frames, n);
	for (unsigned i = 0; i < lane->sinks_count; i++) {
		if (lane->sinks[i].frames)
			lane->sinks[i].ops->frames(lane->sinks[i].sink, frames, n);
	}
}

void lane_records(void *context, const struct flow_record *records, unsigned n)
{
	struct lane *lane = context;

	for (unsigned i = 0; i < lane->sinks_count; i++) {
		if (lane->sinks[i].ops->flows)
			lane->sinks[i].ops->flows(lane->sinks[i].sink, records, n);
	}
}

void lane_rtt_samples(void *context, const struct rtt_sample *samples, unsigned n)
{
	struct lane *lane = context;

	for (unsigned i = 0; i < lane->sinks_count; i++) {
		if (lane->sinks[i].ops->rtt)
			lane->sinks[i].ops->rtt(lane->sinks[i].sink, samples, n);
	}
}

/* On files all lanes read the same: what is wrong with them is said once, by lane 0. */
static int lane_receive(struct lane *lane, struct frame *frames)
{
	log_mute(lane->number > 0 && !lane->source->info.live);
	int n = lane->source->ops->rx_batch(lane->source, frames, FLOWLANE_BATCH);
	log_mute(false);
	return n;
}

void *lane_run(void *argument)
{
	struct lane *lane = argument;
	struct source *source = lane->source;
	struct frame frames[FLOWLANE_BATCH];
	int n = 0;

	while (lane->count && !atomic_load_explicit(lane->stop, memory_order_relaxed)) {
		n = lane_receive(lane, frames);
		if (n < 0)
			break;
		lane_batch(lane, frames, (unsigned)n);
		source->ops->release(source, frames, (unsigned)n);
	}
	core_drain(lane->core);
	for (unsigned i = 0; i < lane->sinks_count; i++)
		lane->sinks[i].ops->detach(lane->sinks[i].sink);

	lane->error = n < 0 && n != SOURCE_END ? n : 0;
	lane->cpu_ns = clock_thread_cpu_ns();
	atomic_store_explicit(&lane->done, true, memory_order_release);
	return NULL;
}
