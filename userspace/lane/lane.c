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
#include "counters.h"

#include "poison.h"

/* The frames that pass, at most as many as are still wanted, up to one that has to wait for them. How many of n were looked at. */
static unsigned lane_filter(struct lane *lane, const struct frame *frames, unsigned n, struct frame *passed, unsigned *passed_count)
{
	uint64_t left = atomic_load_explicit(lane->left, memory_order_relaxed);
	unsigned count[PREFILTER_VERDICTS] = { 0 }, looked = n;
	uint64_t bytes[PREFILTER_VERDICTS] = { 0 };

	for (unsigned i = 0; i < n && count[PREFILTER_WANTED] < left; i++) {
		enum prefilter_verdict verdict = prefilter_run(&lane->prefilter, &frames[i]);
		if (verdict == PREFILTER_LATER) {
			looked = i;
			break;
		}
		if (verdict == PREFILTER_WANTED)
			passed[count[PREFILTER_WANTED]] = frames[i];
		count[verdict]++;
		bytes[verdict] += frames[i].wire_len;
	}
	for (unsigned i = PREFILTER_WANTED + 1; i < PREFILTER_VERDICTS; i++)
		core_filtered(lane->core, (enum prefilter_verdict)i, count[i], bytes[i]);
	*passed_count = count[PREFILTER_WANTED];
	return looked;
}

/* Without those of our own stream to a collector. */
static __attribute__((noinline)) unsigned lane_leave_out_own(
	struct lane *lane, const struct frame *frames, unsigned n, struct frame *others)
{
	struct frame own[FLOWLANE_BATCH];
	unsigned kept = 0, out = 0;

	for (unsigned i = 0; i < n; i++) {
		bool is_own = frames[i].link == LINK_ETHERNET && own_traffic_match(&lane->own, frames[i].data, frames[i].cap_len);
		if (is_own)
			own[out++] = frames[i];
		else
			others[kept++] = frames[i];
	}
	core_own(lane->core, own, out);
	return kept;
}

/* How many of n frames may still be taken (--count). */
static unsigned lane_take(struct lane *lane, unsigned n)
{
	uint64_t left = atomic_load_explicit(lane->left, memory_order_relaxed);
	unsigned taken;

	if (__builtin_expect(left == LANE_NO_LIMIT, 1))
		return n;
	do
		taken = n < left ? n : (unsigned)left;
	while (!atomic_compare_exchange_weak_explicit(lane->left, &left, left - taken, memory_order_relaxed, memory_order_relaxed));
	return taken;
}

static void lane_work(struct lane *lane, const struct frame *frames, unsigned n)
{
	n = lane_take(lane, n);
	core_run(lane->core, frames, n);
	for (unsigned i = 0; i < lane->sinks_count; i++) {
		if (lane->sinks[i].frames)
			lane->sinks[i].ops->frames(lane->sinks[i].sink, frames, n);
	}
}

static __attribute__((noinline)) void lane_select_work(struct lane *lane, const struct frame *frames, unsigned n)
{
	struct frame passed[FLOWLANE_BATCH];
	unsigned looked = 0, wanted;

	do {
		looked += lane_filter(lane, frames + looked, n - looked, passed, &wanted);
		lane_work(lane, passed, wanted);
		prefilter_round(&lane->prefilter);
	} while (looked < n);
}

static void lane_batch(struct lane *lane, const struct frame *frames, unsigned n)
{
	struct frame others[FLOWLANE_BATCH];

	if (__builtin_expect(lane->leaves_out_own, 0) && own_traffic_view(&lane->own)) {
		n = lane_leave_out_own(lane, frames, n, others);
		frames = others;
	}
	if (prefilter_is_empty(&lane->prefilter))
		lane_work(lane, frames, n);
	else
		lane_select_work(lane, frames, n);
}

/* Flows that only one side sent tell of a NIC that spreads the directions over queues. One packet tells nothing. */
static void lane_count_directions(struct lane *lane, const struct flow_record *records, unsigned n)
{
	uint64_t sampled = 0, oneway = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint64_t *packets = records[i].packets;
		bool counts = (records[i].key.proto == 6 || records[i].key.proto == 17) && packets[0] + packets[1] > 1;
		sampled += counts;
		oneway += counts && (!packets[0] || !packets[1]);
	}
	counter_add(&lane->flows_sampled, sampled);
	counter_add(&lane->flows_oneway, oneway);
}

void lane_records(void *context, const struct flow_record *records, unsigned n)
{
	struct lane *lane = context;

	lane_count_directions(lane, records, n);
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

void lane_ways(void *context, const struct flow_way *ways, unsigned n)
{
	struct lane *lane = context;

	for (unsigned i = 0; i < lane->sinks_count; i++) {
		if (lane->sinks[i].ops->ways)
			lane->sinks[i].ops->ways(lane->sinks[i].sink, ways, n);
	}
}

void lane_pieces(void *context, const struct flow_way *pieces, unsigned n)
{
	struct lane *lane = context;

	for (unsigned i = 0; i < lane->sinks_count; i++) {
		if (lane->sinks[i].ops->pieces)
			lane->sinks[i].ops->pieces(lane->sinks[i].sink, pieces, n);
	}
}

void lane_packets(void *context, const struct packet *const *packets, unsigned n)
{
	struct lane *lane = context;

	for (unsigned i = 0; i < lane->sinks_count; i++) {
		if (lane->sinks[i].ops->packets)
			lane->sinks[i].ops->packets(lane->sinks[i].sink, packets, n);
	}
}

/* A lane that shares its source with others needs no more than its own frames, if nothing in it looks at all of them. */
static bool lane_needs_all(const struct lane *lane)
{
	for (unsigned i = 0; i < lane->sinks_count; i++) {
		if (lane->sinks[i].frames)
			return true;
	}
	return !lane->source->ops->rx_mine || !prefilter_is_empty(&lane->prefilter) ||
	       atomic_load_explicit(lane->left, memory_order_relaxed) != LANE_NO_LIMIT;
}

/* Live: now and then, also while no frames come, flows may end and buffers are sent. */
static void lane_tick(struct lane *lane, uint64_t now_ns)
{
	/* Farther ahead than ever set: the packets' time went back, as it may when sensors stream old captures. */
	if (now_ns < lane->tick_due_ns && lane->tick_due_ns - now_ns <= LANE_TICK_NS &&
		!atomic_load_explicit(&lane->flush, memory_order_relaxed))
		return;
	atomic_store_explicit(&lane->flush, false, memory_order_relaxed);
	lane->tick_due_ns = now_ns + LANE_TICK_NS;
	core_idle(lane->core, now_ns);
	for (unsigned i = 0; i < lane->sinks_count; i++) {
		if (lane->sinks[i].ops->tick)
			lane->sinks[i].ops->tick(lane->sinks[i].sink, now_ns);
	}
}

/* For the sinks that want to know where frames lie in the file. */
static void lane_place(struct lane *lane, struct frame *frames, unsigned n)
{
	struct batch_place place;

	for (unsigned i = 0; i < n; i++)
		frames[i].number = (uint16_t)i;
	lane->source->ops->place(lane->source, frames, n, &place);
	for (unsigned i = 0; i < lane->sinks_count; i++) {
		if (lane->sinks[i].ops->place)
			lane->sinks[i].ops->place(lane->sinks[i].sink, &place);
	}
}

static void lane_end(struct lane *lane)
{
	for (unsigned i = 0; i < lane->sinks_count; i++) {
		if (lane->sinks[i].ops->end)
			lane->sinks[i].ops->end(lane->sinks[i].sink);
	}
}

static bool lane_goes_on(const struct lane *lane)
{
	return atomic_load_explicit(lane->left, memory_order_relaxed) &&
	       (lane->source->info.live || !atomic_load_explicit(lane->stop, memory_order_relaxed));
}

void *lane_run(void *argument)
{
	struct lane *lane = argument;
	struct source *source = lane->source;
	struct frame frames[FLOWLANE_BATCH];
	struct batch_others others = { 0 };
	bool needs_all = lane_needs_all(lane);
	int n = 0;

	while (lane_goes_on(lane)) {
		if (needs_all)
			n = source->ops->rx_batch(source, frames, FLOWLANE_BATCH);
		else
			n = source->ops->rx_mine(source, frames, FLOWLANE_BATCH, core_due_ns(lane->core), &others);
		if (n < 0)
			break;
		if (lane->places && n > 0)
			lane_place(lane, frames, (unsigned)n);
		if (others.all)
			core_run_mine(lane->core, frames, (unsigned)n, &others);
		else
			lane_batch(lane, frames, (unsigned)n);
		if (source->ops->now_ns)
			lane_tick(lane, n ? frames[n - 1].ts_ns : source->ops->now_ns(source));
		source->ops->release(source, frames, (unsigned)n);
		counter_add(&lane->batches, 1);
	}
	lane_end(lane);
	core_drain(lane->core);
	for (unsigned i = 0; i < lane->sinks_count; i++)
		lane->sinks[i].ops->detach(lane->sinks[i].sink);

	lane->error = n < 0 && n != SOURCE_END ? n : 0;
	lane->cpu_ns = clock_thread_cpu_ns();
	atomic_store_explicit(&lane->done, true, memory_order_release);
	return NULL;
}
