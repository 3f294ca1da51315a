#include "core.h"

#include <errno.h>
#include <stdlib.h>

#include "anomaly.h"
#include "counters.h"
#include "decode.h"
#include "flow_update.h"
#include "rtt.h"
#include "shard.h"
#include "tcp.h"

#define TCP_PROTO 6

/*
 * The CPU follows some ten to twenty misses at a time: small chunks ask for no more than that at once, and go on asking while others
 * are counted. How many chunks behind decoding the next stations work, is time for memory to answer (docs/benchmarks.md has the
 * curve).
 */
#define CHUNK        8
#define MATCH_BEHIND 2
#define COUNT_BEHIND 5
#define FRAMES_AHEAD 2 /* chunks: so early are frames asked for */
#define CHUNKS_MAX   (FLOWLANE_BATCH / CHUNK)

/* A part of the batch. Of its packets only those that belong to flows of this lane. */
struct chunk {
	uint64_t latest_ns; /* of all packets, also of those that other lanes keep */
	unsigned count;
	bool whole; /* packets[] are all of the chunk's, in their order */
	const struct packet *packets[CHUNK];
	struct flow *flows[CHUNK];
};

struct core {
	struct decoder *decoder;
	struct flow_table *table;
	struct flow_ways *ways; /* of the table; NULL: no one-way records */
	unsigned lane, lanes;
	bool all_mine; /* the batch at hand holds no frame of another lane: known before decoding */
	uint64_t timeout_ns;
	uint64_t quiet_ns; /* a flow that was silent for longer, or saw later packets, needs a closer look */
	uint64_t now_ns;   /* packet time: the latest of all packets, also of those that other lanes keep */

	/* the batch at hand */
	struct packet packets[FLOWLANE_BATCH];
	struct chunk chunks[CHUNKS_MAX];
	struct tcp_work tcp[FLOWLANE_BATCH]; /* counted segments that tcp_update() has not seen yet */
	unsigned tcp_count;
	struct rtt_sample samples[FLOWLANE_BATCH]; /* a packet answers at most one */
	struct rtt_results results;

	rtt_samples_fn *on_rtt_samples;
	core_packets_fn *on_packets;
	struct anomaly_tap *tap;
	bool all_udp;    /* the detectors want to see it */
	uint64_t frames; /* of the batches before */
	void *context;
	struct ledger ledger;
};

int core_create(const struct core_options *options, struct core **result)
{
	struct core *core = NULL;
	int err = posix_memalign((void **)&core, 64, sizeof(*core));

	if (err)
		return -err;
	*core = (struct core){
		.lane = options->lane, .lanes = options->lanes ? options->lanes : 1, .timeout_ns = options->flow_timeout_ns
	};
	core->on_rtt_samples = options->on_rtt_samples;
	core->on_packets = options->on_packets;
	core->all_mine = core->lanes == 1;
	core->tap = options->tap;
	core->all_udp = options->tap && anomaly_wants_udp(options->tap);
	core->quiet_ns = options->flow_timeout_ns < RTT_MAX_NS ? options->flow_timeout_ns : RTT_MAX_NS;
	core->context = options->context;
	core->results = (struct rtt_results){ .ledger = &core->ledger, .samples = options->on_rtt_samples ? core->samples : NULL };
	struct decoder_options decode = {
		.outer = options->outer, .key_vlan = options->key_vlan, .key_tunnel = options->key_tunnel, .seed = options->seed
	};
	struct flow_ways_options ways = {
		.active_ns = options->active_timeout_ns,
		.idle_ns = options->flow_timeout_ns,
		.input = options->ifindex,
		.on_ways = options->on_ways,
		.on_pieces = options->on_pieces,
		.context = options->context,
	};
	struct flow_table_options table = {
		.max_flows = options->max_flows,
		.timeout_ns = options->flow_timeout_ns,
		.populate = options->populate,
		.seed = options->seed,
		.ledger = &core->ledger,
		.on_records = options->on_records,
		.context = options->context,
		.ways = options->on_ways || options->on_pieces ? &ways : NULL,
		.cutoff = options->cutoff,
		.sample = options->sample,
	};
	err = decoder_create(&decode, &core->decoder);
	if (!err)
		err = flow_table_create(&table, &core->table);
	if (err) {
		core_destroy(core);
		return err;
	}
	core->ways = flow_table_ways(core->table);
	*result = core;
	return 0;
}

void core_destroy(struct core *core)
{
	if (!core)
		return;
	flow_table_destroy(core->table);
	decoder_destroy(core->decoder);
	free(core);
}

const struct ledger *core_ledger(const struct core *core)
{
	return &core->ledger;
}

#include "poison.h"

/* What is no flow, and not plain, is accounted for by lane 0. */
static bool packet_is_mine(const struct core *core, const struct packet *packet)
{
	uint32_t lane = shard_of_frame(packet->frame, core->lanes);

	if (lane == SHARD_NOT_PLAIN)
		lane = packet->verdict == VERDICT_FLOW ? shard_of_key(&packet->key, core->lanes) : 0;
	return lane == core->lane;
}

/* The usual: each packet belongs to a flow of this lane. The list of them is then the same each time. */
static void core_select_all(
	struct core *core, const struct frame *frames, const struct packet *packets, unsigned n, struct chunk *chunk)
{
	uint64_t bytes = 0, latest_ns = 0;

	for (unsigned i = 0; i < n; i++) {
		bytes += frames[i].wire_len;
		latest_ns = frames[i].ts_ns > latest_ns ? frames[i].ts_ns : latest_ns;
	}
	for (unsigned i = 0; !chunk->whole && i < CHUNK; i++)
		chunk->packets[i] = &packets[i];
	chunk->whole = true;
	chunk->count = n;
	chunk->latest_ns = latest_ns;
	counter_add(&core->ledger.packets_read, n);
	counter_add(&core->ledger.bytes_read, bytes);
	counter_add(&core->ledger.verdicts[VERDICT_FLOW], n);
}

/* Counts the packets, and picks those that belong to flows of this lane. */
static void core_select(struct core *core, const struct packet *packets, unsigned n, struct chunk *chunk)
{
	struct ledger *ledger = &core->ledger;
	uint64_t bytes = 0, latest_ns = 0;
	unsigned all = 0, mine = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct packet *packet = &packets[i];
		bool is_mine = core->lanes == 1 || packet_is_mine(core, packet);
		latest_ns = packet->frame->ts_ns > latest_ns ? packet->frame->ts_ns : latest_ns;
		all += is_mine;
		bytes += is_mine ? packet->frame->wire_len : 0;
		chunk->packets[mine] = packet; /* stays only if it is */
		mine += is_mine && packet->verdict == VERDICT_FLOW;
	}
	chunk->whole = false;
	chunk->count = mine;
	chunk->latest_ns = latest_ns;
	counter_add(&ledger->packets_read, all);
	counter_add(&ledger->bytes_read, bytes);
	counter_add(&ledger->verdicts[VERDICT_FLOW], mine);
	if (__builtin_expect(mine != all, 0)) {
		for (unsigned i = 0; i < n; i++) {
			if (packets[i].verdict != VERDICT_FLOW && packet_is_mine(core, &packets[i]))
				counter_add(&ledger->verdicts[packets[i].verdict], 1);
		}
	}
}

/* TCP for the segments counted so far. Before anything that may end a flow, for they point to theirs. */
static void core_finish_tcp(struct core *core)
{
	tcp_update(core->tcp, core->tcp_count, &core->results);
	core->tcp_count = 0;
}

static bool packet_is_syn(const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* Of the frames of the input. */
static uint64_t core_order(const struct core *core, const struct packet *packet)
{
	return core->frames + (core->lanes > 1 ? packet->frame->number : 0);
}

/* True: it was the first packet of a flow and nothing but a SYN, as in a flood, and has been counted where the flow begins. */
static inline bool core_open(struct core *core, const struct packet *packet)
{
	bool opens = (packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST | TCP_ACK)) == TCP_SYN &&
		     (packet->flags & (PACKET_SEGMENT | PACKET_ASKS)) == PACKET_SEGMENT;
	struct flow *flow = opens && !core->ways ? flow_table_open(core->table, packet) : NULL;

	if (!flow)
		return false;
	if (core->tap)
		anomaly_note_opening(core->tap, packet, core_order(core, packet));
	tcp_open((struct tcp_flow *)flow, packet);
	return true;
}

/* The flow is new, was silent, or a connection is opened, maybe again. NULL: the packet has been counted. */
static __attribute__((noinline)) struct flow *core_flow_apart(struct core *core, struct flow *flow, const struct packet *packet)
{
	if (packet_is_syn(packet) || !flow_table_hit(flow, packet, core->timeout_ns)) {
		if (core_open(core, packet))
			return NULL;
		struct flow *begun = flow_table_begin(core->table, packet);
		if (begun)
			return begun; /* no flow has ended, so what is left of TCP can wait */
		core_finish_tcp(core);
		flow = flow_table_get(core->table, packet);
		if (packet->key.proto == TCP_PROTO && tcp_is_reuse((struct tcp_flow *)flow, packet))
			flow_table_restart(core->table, flow, packet, FLOW_END_REUSE);
	}
	if (packet->flags & PACKET_SEGMENT && rtt_is_void(flow->last_ns, packet->frame->ts_ns)) {
		core_finish_tcp(core);
		tcp_forget((struct tcp_flow *)flow);
	}
	return flow;
}

/* Its direction's idle or active timeout was over when the packet came. The record has the RTTs as of the packet before. */
static __attribute__((noinline)) void core_cut(
	struct core *core, const struct flow *flow, struct flow_extra *extra, const struct packet *packet)
{
	core_finish_tcp(core);
	flow_ways_cut(core->ways, flow, extra, packet);
}

static inline void core_count_way(struct core *core, const struct flow *flow, const struct packet *packet)
{
	struct flow_extra *extra = flow_ways_extra(core->ways, flow, packet->key.proto == TCP_PROTO);

	if (__builtin_expect(flow_ways_over(core->ways, extra, packet), 0))
		core_cut(core, flow, extra, packet);
	flow_ways_add(flow, extra, packet);
}

/* Before the packet is counted. What is told of a connection includes all packets before. */
static __attribute__((noinline)) void core_note(struct core *core, struct flow *flow, const struct packet *packet)
{
	if (anomaly_tells_tcp(flow, packet))
		core_finish_tcp(core);
	anomaly_note(core->tap, flow, packet, core_order(core, packet));
}

/* Samples are listed in the order of their packets. */
static __attribute__((noinline)) void core_time_app(struct core *core, struct flow *flow, const struct packet *packet)
{
	if (core->results.samples)
		core_finish_tcp(core);
	rtt_app_update(flow, packet, rtt_app(packet), &core->results);
}

/* extras: a constant where it is called, so that a run without one-way records and detectors has no trace of them here. */
static inline __attribute__((always_inline)) void core_count(
	struct core *core, struct flow *flow, const struct packet *packet, const bool extras)
{
	if (__builtin_expect(packet_is_syn(packet) || !flow_table_hit_soon(flow, packet, core->quiet_ns), 0)) {
		flow = core_flow_apart(core, flow, packet);
		if (!flow)
			return;
	}
	if (extras && core->tap && anomaly_is_event(flow, packet, core->all_udp))
		core_note(core, flow, packet);
	if (extras && core->ways)
		core_count_way(core, flow, packet);
	/* Written in any case, kept if it is TCP: which of the two is hard to predict. */
	core->tcp[core->tcp_count] = (struct tcp_work){ (struct tcp_flow *)flow, packet };
	core->tcp_count += packet->flags / PACKET_SEGMENT & 1;
	if (__builtin_expect(packet->flags & PACKET_ASKS, 0))
		core_time_app(core, flow, packet);
	flow_update(flow, packet);
}

/*
 * A timer is due within the chunk. Time moves packet by packet then, and for the packets of other lanes too: so flows end
 * at the same packet, however many lanes there are and wherever a batch begins.
 */
static void core_count_ticking(struct core *core, const struct packet *packets, unsigned n, const struct chunk *chunk)
{
	for (unsigned i = 0, next = 0; i < n; i++) {
		uint64_t ts_ns = packets[i].frame->ts_ns;
		core->now_ns = ts_ns > core->now_ns ? ts_ns : core->now_ns;
		if (core->now_ns >= flow_table_due_ns(core->table)) {
			core_finish_tcp(core);
			flow_table_expire(core->table, core->now_ns);
		}
		if (next < chunk->count && chunk->packets[next] == &packets[i]) {
			core_count(core, chunk->flows[next], chunk->packets[next], true);
			next++;
		}
	}
}

static void core_count_chunk(struct core *core, const struct packet *packets, unsigned n, const struct chunk *chunk)
{
	uint64_t latest_ns = chunk->latest_ns;

	if (__builtin_expect(latest_ns >= flow_table_due_ns(core->table), 0)) {
		core_count_ticking(core, packets, n, chunk);
	} else {
		if (__builtin_expect(!core->ways && !core->tap, 1)) {
			for (unsigned i = 0; i < chunk->count; i++)
				core_count(core, chunk->flows[i], chunk->packets[i], false);
		} else {
			for (unsigned i = 0; i < chunk->count; i++)
				core_count(core, chunk->flows[i], chunk->packets[i], true);
		}
		core->now_ns = latest_ns > core->now_ns ? latest_ns : core->now_ns;
	}
}

static unsigned chunk_size(unsigned number, unsigned n)
{
	return n - number * CHUNK < CHUNK ? n - number * CHUNK : CHUNK;
}

static void core_decode_chunk(struct core *core, const struct frame *frames, unsigned number, unsigned n)
{
	struct packet *packets = core->packets + number * CHUNK;
	struct chunk *chunk = &core->chunks[number];
	unsigned size = chunk_size(number, n), flows = decode_batch(core->decoder, frames + number * CHUNK, packets, size);

	if (__builtin_expect(flows == size && core->all_mine, 1))
		core_select_all(core, frames + number * CHUNK, packets, size, chunk);
	else
		core_select(core, packets, size, chunk);
	flow_table_prefetch(core->table, chunk->packets, chunk->count);
}

static void core_match_chunk(struct core *core, struct chunk *chunk)
{
	flow_table_match(core->table, chunk->packets, chunk->count, chunk->flows);
	if (core->ways)
		flow_ways_prefetch(core->ways, chunk->packets, chunk->count, chunk->flows);
}

/* The batch, as on an assembly line of three stations; at each step each works on another chunk. */
static void core_batch(struct core *core, const struct frame *frames, unsigned n)
{
	unsigned chunks = (n + CHUNK - 1) / CHUNK;

	decode_prefetch(frames, n < FRAMES_AHEAD * CHUNK ? n : FRAMES_AHEAD * CHUNK);
	for (unsigned step = 0; step < chunks + COUNT_BEHIND; step++) {
		if (step + FRAMES_AHEAD < chunks)
			decode_prefetch(frames + (step + FRAMES_AHEAD) * CHUNK, chunk_size(step + FRAMES_AHEAD, n));
		if (step < chunks)
			core_decode_chunk(core, frames, step, n);
		if (step >= MATCH_BEHIND && step - MATCH_BEHIND < chunks)
			core_match_chunk(core, &core->chunks[step - MATCH_BEHIND]);
		if (step >= COUNT_BEHIND)
			core_count_chunk(core, core->packets + (step - COUNT_BEHIND) * CHUNK, chunk_size(step - COUNT_BEHIND, n),
				&core->chunks[step - COUNT_BEHIND]);
	}
	core_finish_tcp(core);
	for (unsigned i = 0; core->on_packets && i < chunks; i++)
		core->on_packets(core->context, core->chunks[i].packets, core->chunks[i].count);
}

/* Leaves out frames that are plainly another lane's. Not if a timer is due among them: then each moves the time. */
static void core_batch_shared(struct core *core, const struct frame *frames, unsigned n)
{
	struct frame kept[FLOWLANE_BATCH];
	uint64_t latest_ns = core->now_ns;
	unsigned count = 0, unsure = 0;

	for (unsigned i = 0; i < n; i++) {
		uint32_t lane = shard_of_frame(&frames[i], core->lanes);
		latest_ns = frames[i].ts_ns > latest_ns ? frames[i].ts_ns : latest_ns;
		kept[count] = frames[i]; /* stays only if it is */
		kept[count].number = (uint16_t)i;
		unsure |= lane == SHARD_NOT_PLAIN;
		count += (lane == core->lane) | (lane == SHARD_NOT_PLAIN);
	}
	core->all_mine = !unsure;
	if (__builtin_expect(latest_ns >= flow_table_due_ns(core->table), 0)) {
		for (unsigned i = 0; i < n; i++) {
			kept[i] = frames[i];
			kept[i].number = (uint16_t)i;
		}
		core->all_mine = false;
		count = n;
	}
	core_batch(core, kept, count);
	core->now_ns = latest_ns;
}

static void core_batch_done(struct core *core, unsigned n)
{
	if (core->results.samples_count) {
		core->on_rtt_samples(core->context, core->samples, core->results.samples_count);
		core->results.samples_count = 0;
	}
	core->frames += n;
	if (core->tap)
		anomaly_publish(core->tap, core->frames, core->now_ns);
	if (n) /* core->now_ns moves on without packets, too */
		counter_set(&core->ledger.last_packet_ns, core->now_ns);
	counter_set(&core->ledger.fragments_unmatched, decoder_fragments_unmatched(core->decoder));
}

void core_run(struct core *core, const struct frame *frames, unsigned n)
{
	if (n)
		flow_table_start(core->table, frames[0].ts_ns);
	if (core->lanes == 1)
		core_batch(core, frames, n);
	else
		core_batch_shared(core, frames, n);
	if (!core->ledger.first_packet_ns && n)
		counter_set(&core->ledger.first_packet_ns, frames[0].ts_ns);
	core_batch_done(core, n);
}

void core_run_mine(struct core *core, const struct frame *frames, unsigned n, const struct batch_others *others)
{
	core->all_mine = others->sure;
	core_batch(core, frames, n);
	core->now_ns = others->latest_ns > core->now_ns ? others->latest_ns : core->now_ns;
	core_batch_done(core, others->all);
}

uint64_t core_due_ns(const struct core *core)
{
	return core->frames ? flow_table_due_ns(core->table) : 0;
}

/* Frames that were taken, but never decoded. */
static void core_left_out(struct core *core, unsigned n, uint64_t bytes, uint64_t *reason)
{
	counter_add(&core->ledger.packets_read, n);
	counter_add(&core->ledger.bytes_read, bytes);
	counter_add(reason, n);
}

void core_own(struct core *core, const struct frame *frames, unsigned n)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < n; i++)
		bytes += frames[i].wire_len;
	core_left_out(core, n, bytes, &core->ledger.dropped_own);
}

void core_filtered(struct core *core, enum prefilter_verdict reason, unsigned n, uint64_t bytes)
{
	struct ledger *ledger = &core->ledger;
	uint64_t *const counters[PREFILTER_VERDICTS] = {
		[PREFILTER_EXPRESSION] = &ledger->dropped_filter,
		[PREFILTER_RULES] = &ledger->dropped_rules,
		[PREFILTER_SAMPLE] = &ledger->dropped_sample,
		[PREFILTER_CUTOFF] = &ledger->cut_off,
	};

	if (core->lane != 0 || !n)
		return;
	core_left_out(core, n, bytes, counters[reason]);
}

void core_idle(struct core *core, uint64_t now_ns)
{
	core->now_ns = now_ns > core->now_ns ? now_ns : core->now_ns;
	if (core->now_ns >= flow_table_due_ns(core->table))
		flow_table_expire(core->table, core->now_ns);
	if (core->tap)
		anomaly_publish(core->tap, core->frames, core->now_ns);
}

void core_drain(struct core *core)
{
	if (core->tap)
		anomaly_end(core->tap);
	flow_table_drain(core->table, core->now_ns);
}
