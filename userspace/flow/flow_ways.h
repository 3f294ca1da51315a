/*
 * One-way records of two-way flows: when did each direction begin and end, and where does the active timeout cut it. Beside the
 * flow table, and only if an output wants it: an area of 192 bytes per slot. Lane's thread only.
 *
 *   direction  ├─ piece 1 ──────────┼─ piece 2 ─────────┼─ piece 3 ─┤······ idle ······┤   └▶ on_pieces: each, as it ends
 *                                   ▲ first packet more than `active` after piece 1's first   on_ways: the whole, with pieces = 3
 *
 * Cuts happen at packets, never by a clock: where they are depends on nothing but the packets.
 */
#ifndef FLOWLANE_FLOW_WAYS_H
#define FLOWLANE_FLOW_WAYS_H

#include "flowlane/live.h"
#include "flowlane/packet.h"

/* Takes n one-way records; called on the packet path. */
typedef void flow_ways_fn(void *context, const struct flow_way *ways, unsigned n);

struct flow_ways_options {
	uint64_t active_ns;      /* UINT64_MAX: never cut */
	uint64_t idle_ns;        /* UINT64_MAX: never */
	uint32_t input;          /* ifindex for the records */
	flow_ways_fn *on_ways;   /* whole directions; NULL: not wanted */
	flow_ways_fn *on_pieces; /* pieces; NULL: not wanted */
	void *context;
};

#define FLOW_WAYS_BATCH 64

struct flow_ways {
	struct flow_ways_options options;
	const uint8_t *tcp_area, *other_area; /* the table's slabs */
	struct flow_extra *tcp, *other;       /* [entries] */
	uint32_t entries;
	unsigned whole_count, pieces_count;
	struct flow_way whole[FLOW_WAYS_BATCH];
	struct flow_way pieces[FLOW_WAYS_BATCH];
};

/* The areas of the table's slabs, of `entries` each. 0 or a negative errno; nothing is logged. */
int flow_ways_create(const struct flow_ways_options *options, uint32_t entries, const void *tcp_area, const void *other_area,
	struct flow_ways **ways);
/* Live: backs the beginnings of both areas with memory, up to so many bytes each. */
void flow_ways_populate(struct flow_ways *ways, size_t bytes_max);
void flow_ways_destroy(struct flow_ways *ways); /* accepts NULL */

/* The flow's number in its slab, of whose blocks each has `per_block`. */
static inline size_t flow_number(const uint8_t *area, const void *flow, size_t per_block, size_t bytes)
{
	size_t at = (size_t)((const uint8_t *)flow - area);

	return at / FLOW_BLOCK_BYTES * per_block + at % FLOW_BLOCK_BYTES / bytes;
}

static inline struct flow_extra *flow_ways_extra(const struct flow_ways *ways, const void *flow, bool tcp)
{
	if (tcp)
		return &ways->tcp[flow_number(ways->tcp_area, flow, FLOW_BLOCK_TCP, sizeof(struct tcp_flow))];
	return &ways->other[flow_number(ways->other_area, flow, FLOW_BLOCK_OTHERS, sizeof(struct flow))];
}

/* Asks for the lines that flow_ways_over() and flow_ways_add() will touch. flows: those of flow_table_match(). */
void flow_ways_prefetch(const struct flow_ways *ways, const struct packet *const *packets, unsigned n, struct flow *const *flows);

/* The packet ends the piece, or the direction, that is at hand: call flow_ways_cut() before it is added. */
static inline bool flow_ways_over(const struct flow_ways *ways, const struct flow_extra *extra, const struct packet *packet)
{
	uint64_t ts_ns = packet->frame->ts_ns;
	unsigned dir = packet->dir;

	if (!(extra->marks[dir] & WAY_BEGUN) || ts_ns <= extra->last_ns[dir])
		return false;
	return ts_ns - extra->last_ns[dir] > ways->options.idle_ns || ts_ns - extra->first_ns[dir] > ways->options.active_ns;
}

void flow_ways_cut(struct flow_ways *ways, const struct flow *flow, struct flow_extra *extra, const struct packet *packet);

/* The direction's, or the piece's, first packet. */
void flow_ways_begin(const struct flow *flow, struct flow_extra *extra, const struct packet *packet);

/* Counts the packet in; before flow_update() counts it into the flow. */
static inline void flow_ways_add(const struct flow *flow, struct flow_extra *extra, const struct packet *packet)
{
	uint64_t ts_ns = packet->frame->ts_ns;
	unsigned dir = packet->dir;

	if (__builtin_expect(!(extra->marks[dir] & WAY_BEGUN), 0))
		flow_ways_begin(flow, extra, packet);
	extra->tcp_flags[dir] |= packet->tcp_flags;
	if (__builtin_expect(ts_ns >= extra->last_ns[dir], 1))
		extra->last_ns[dir] = ts_ns;
	else if (ts_ns < extra->first_ns[dir])
		extra->first_ns[dir] = ts_ns; /* captures are not always in order */
}

/* Before packets that were not captured are added to the flow, the last of them at last_ns: the direction is as recent as that. */
void flow_ways_cut_off(struct flow_ways *ways, const struct flow *flow, unsigned dir, uint64_t last_ns);

/* The flow begins: nothing is known of its directions. Accepts NULL. */
void flow_ways_reset(struct flow_ways *ways, const struct flow *flow);
/* The flow ends, as its record says. */
void flow_ways_end(struct flow_ways *ways, const struct flow *flow, const struct flow_record *record);
void flow_ways_flush(struct flow_ways *ways); /* accepts NULL */

#endif
