#include "core.h"

#include <errno.h>
#include <stdlib.h>

#include "counters.h"
#include "decode.h"
#include "flow_update.h"
#include "rtt.h"
#include "tcp.h"

#define TCP_PROTO 6

struct core {
	struct decoder *decoder;
	struct flow_table *table;
	unsigned lane, lanes;
	uint64_t now_ns; /* packet time: the latest of all packets, also of those that other lanes keep */
	struct packet packets[FLOWLANE_BATCH];
	const struct packet *mine[FLOWLANE_BATCH];
	uint32_t matches[FLOWLANE_BATCH];
	struct ledger ledger;
};

int core_create(const struct core_options *options, struct core **result)
{
	struct core *core = NULL;
	int err = posix_memalign((void **)&core, 64, sizeof(*core));

	if (err)
		return -err;
	*core = (struct core){ .lane = options->lane, .lanes = options->lanes ? options->lanes : 1 };
	struct decoder_options decode = {
		.outer = options->outer, .key_vlan = options->key_vlan, .key_tunnel = options->key_tunnel, .seed = options->seed
	};
	struct flow_table_options table = {
		.max_flows = options->max_flows,
		.timeout_ns = options->flow_timeout_ns,
		.seed = options->seed,
		.ledger = &core->ledger,
		.on_records = options->on_records,
		.context = options->context,
	};
	err = decoder_create(&decode, &core->decoder);
	if (!err)
		err = flow_table_create(&table, &core->table);
	if (err) {
		core_destroy(core);
		return err;
	}
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

/* Flows go to the lane that their hash names; what is no flow is accounted for by lane 0. */
static bool packet_is_mine(const struct core *core, const struct packet *packet)
{
	if (packet->verdict != VERDICT_FLOW)
		return core->lane == 0;
	return (packet->hash >> 48) * core->lanes >> 16 == core->lane;
}

/* Counts the batch, and picks the packets that belong to flows of this lane. */
static unsigned core_select(struct core *core, unsigned n)
{
	struct ledger *ledger = &core->ledger;
	uint64_t packets = 0, bytes = 0;
	unsigned mine = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct packet *packet = &core->packets[i];
		if (core->lanes > 1 && !packet_is_mine(core, packet))
			continue;
		packets++;
		bytes += packet->frame->wire_len;
		if (__builtin_expect(packet->verdict == VERDICT_FLOW, 1))
			core->mine[mine++] = packet;
		else
			counter_add(&ledger->verdicts[packet->verdict], 1);
	}
	counter_add(&ledger->packets_read, packets);
	counter_add(&ledger->bytes_read, bytes);
	counter_add(&ledger->verdicts[VERDICT_FLOW], mine);
	return mine;
}

static void core_update(struct core *core, const struct packet *packet, uint32_t match)
{
	struct flow *flow = flow_table_get(core->table, match, packet);

	if (packet->key.proto != TCP_PROTO) {
		flow_update(flow, packet);
		if (flow_app(flow) != APP_NONE)
			rtt_app_update(flow, packet, &core->ledger);
		return;
	}
	struct tcp_flow *tcp = (struct tcp_flow *)flow;
	if (tcp_is_reuse(tcp, packet))
		flow_table_restart(core->table, flow, packet, FLOW_END_REUSE);
	uint64_t before_ns = flow->last_ns;
	flow_update(flow, packet);
	if (!(packet->flags & PACKET_FRAGMENT_LATER))
		tcp_update(tcp, packet, before_ns, &core->ledger);
}

/*
 * Time moves packet by packet, and for the packets of other lanes too: so flows end at the same packet, however many lanes
 * there are and wherever a batch begins. Nearly always no timer is due in the whole batch.
 */
static void core_tick(struct core *core, uint64_t ts_ns)
{
	if (ts_ns <= core->now_ns)
		return;
	core->now_ns = ts_ns;
	if (__builtin_expect(ts_ns >= flow_table_due_ns(core->table), 0))
		flow_table_expire(core->table, ts_ns);
}

void core_run(struct core *core, const struct frame *frames, unsigned n)
{
	decode_batch(core->decoder, frames, core->packets, n);
	unsigned mine = core_select(core, n);
	flow_table_prefetch(core->table, core->mine, mine);
	flow_table_match(core->table, core->mine, mine, core->matches);

	for (unsigned i = 0, next = 0; i < n; i++) {
		core_tick(core, frames[i].ts_ns);
		if (next < mine && core->mine[next] == &core->packets[i]) {
			core_update(core, &core->packets[i], core->matches[next]);
			next++;
		}
	}
	if (!core->ledger.first_packet_ns && n)
		counter_set(&core->ledger.first_packet_ns, frames[0].ts_ns);
	counter_set(&core->ledger.last_packet_ns, core->now_ns);
	counter_set(&core->ledger.fragments_unmatched, decoder_fragments_unmatched(core->decoder));
}

void core_filtered(struct core *core, const struct frame *frames, unsigned n)
{
	if (core->lane != 0)
		return;
	uint64_t bytes = 0;
	for (unsigned i = 0; i < n; i++)
		bytes += frames[i].wire_len;
	counter_add(&core->ledger.packets_read, n);
	counter_add(&core->ledger.bytes_read, bytes);
	counter_add(&core->ledger.dropped_filter, n);
}

void core_drain(struct core *core)
{
	flow_table_drain(core->table, core->now_ns);
}
