#include "flow_ways.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "clear.h"
#include "flow_record.h"

#define TCP_PROTO 6

static size_t extra_bytes(uint32_t entries)
{
	return (size_t)entries * sizeof(struct flow_extra);
}

int flow_ways_create(const struct flow_ways_options *options, uint32_t entries, const void *tcp_area, const void *other_area,
	struct flow_ways **result)
{
	struct flow_ways *ways = calloc(1, sizeof(*ways));

	if (!ways)
		return -ENOMEM;
	ways->options = *options;
	ways->tcp_area = tcp_area;
	ways->other_area = other_area;
	ways->entries = entries;
	ways->tcp = arena_map(extra_bytes(entries));
	ways->other = arena_map(extra_bytes(entries));
	if (!ways->tcp || !ways->other) {
		flow_ways_destroy(ways);
		return -ENOMEM;
	}
	*result = ways;
	return 0;
}

void flow_ways_populate(struct flow_ways *ways, size_t bytes_max)
{
	size_t bytes = extra_bytes(ways->entries);

	arena_populate(ways->tcp, bytes < bytes_max ? bytes : bytes_max);
	arena_populate(ways->other, bytes < bytes_max ? bytes : bytes_max);
}

void flow_ways_destroy(struct flow_ways *ways)
{
	if (!ways)
		return;
	arena_unmap(ways->tcp, extra_bytes(ways->entries));
	arena_unmap(ways->other, extra_bytes(ways->entries));
	free(ways);
}

#include "poison.h"

void flow_ways_prefetch(const struct flow_ways *ways, const struct packet *const *packets, unsigned n, struct flow *const *flows)
{
	for (unsigned i = 0; i < n; i++) {
		if (flows[i])
			__builtin_prefetch(flow_ways_extra(ways, flows[i], packets[i]->key.proto == TCP_PROTO), 1);
	}
}

static uint64_t add_saturated(uint64_t x, uint64_t y)
{
	uint64_t sum;

	return __builtin_add_overflow(x, y, &sum) ? UINT64_MAX : sum;
}

void flow_ways_begin(const struct flow *flow, struct flow_extra *extra, const struct packet *packet)
{
	const struct frame *frame = packet->frame;
	unsigned dir = packet->dir;

	extra->first_ns[dir] = extra->last_ns[dir] = frame->ts_ns;
	extra->base_bytes[dir] = flow_bytes(flow, dir);
	extra->base_l3[dir] = extra->base_bytes[dir] - flow_overhead(flow, dir);
	extra->tcp_flags[dir] = 0;
	extra->marks[dir] |= WAY_BEGUN;
	if (extra->pieces[dir]++)
		return;
	extra->way_flags[dir] = 0;
	extra->way_first_ns[dir] = UINT64_MAX;
	extra->way_packets[dir] = extra->way_bytes[dir] = extra->way_l3[dir] = 0;
	extra->tos[dir] = packet->tos;
	extra->vlan[dir] = packet->vlan;
	extra->icmp[dir] = (uint16_t)(packet->icmp_type << 8 | packet->icmp_code);
	extra->marks[dir] = WAY_BEGUN | (frame->link == LINK_ETHERNET ? WAY_MAC : 0);
	if (extra->marks[dir] & WAY_MAC) {
		memcpy(extra->mac[dir][0], frame->data + 6, 6);
		memcpy(extra->mac[dir][1], frame->data, 6);
	}
}

/* --- records --------------------------------------------------------------------------------------------------------- */

static uint32_t ticks_us(uint32_t ticks)
{
	return (uint32_t)(((uint64_t)ticks * RTT_TICK_NS + 500) / 1000);
}

/* What both kinds of record have in common. */
static void way_fill(struct flow_way *way, const struct flow_ways *ways, const struct flow_extra *extra,
	const struct flow_record *record, unsigned dir)
{
	const struct rtt_leg_stat *server = &record->leg[RTT_TO_SERVER], *client = &record->leg[RTT_TO_CLIENT];

	memset(way, 0, sizeof(*way));
	way->key = record->key;
	way->dir = (uint8_t)dir;
	way->last_ns = extra->last_ns[dir];
	way->tos = extra->tos[dir];
	way->vlan = extra->vlan[dir];
	way->icmp = extra->icmp[dir];
	way->input = ways->options.input;
	way->pieces = extra->pieces[dir];
	way->initiator = record->first_dir == dir;
	way->has_mac = (extra->marks[dir] & WAY_MAC) != 0;
	memcpy(way->src_mac, extra->mac[dir][0], 6);
	memcpy(way->dst_mac, extra->mac[dir][1], 6);
	if (record->key.proto != TCP_PROTO) {
		way->server_us = record->rtt.samples ? ticks_us(record->rtt.min) : 0;
	} else {
		way->server_us = server->samples ? ticks_us(server->min) : 0;
		way->client_us = client->samples ? ticks_us(client->min) : 0;
	}
}

/* The piece at hand is over: hands it out, and adds it to its direction. */
static void piece_end(struct flow_ways *ways, const struct flow *flow, struct flow_extra *extra, const struct flow_record *record,
	unsigned dir, unsigned end, uint64_t end_ns)
{
	uint64_t packets = flow_packets(flow, dir) - extra->base_packets[dir];
	uint64_t all_bytes = flow_bytes(flow, dir), bytes = all_bytes - extra->base_bytes[dir];
	uint64_t l3_bytes = all_bytes - flow_overhead(flow, dir) - extra->base_l3[dir];

	if (ways->options.on_pieces) {
		if (ways->pieces_count == FLOW_WAYS_BATCH)
			flow_ways_flush(ways);
		struct flow_way *piece = &ways->pieces[ways->pieces_count++];
		way_fill(piece, ways, extra, record, dir);
		piece->end = (uint8_t)end;
		piece->end_ns = end_ns;
		piece->first_ns = extra->first_ns[dir];
		piece->tcp_flags = extra->tcp_flags[dir];
		piece->packets = packets;
		piece->bytes = bytes;
		piece->l3_bytes = l3_bytes;
	}
	if (extra->first_ns[dir] < extra->way_first_ns[dir])
		extra->way_first_ns[dir] = extra->first_ns[dir];
	extra->way_flags[dir] |= extra->tcp_flags[dir];
	extra->way_packets[dir] += packets;
	extra->way_bytes[dir] += bytes;
	extra->way_l3[dir] += l3_bytes;
	extra->base_packets[dir] += packets;
	extra->marks[dir] &= (uint8_t)~WAY_BEGUN;
}

static void way_end(struct flow_ways *ways, const struct flow *flow, struct flow_extra *extra, const struct flow_record *record,
	unsigned dir, unsigned end, uint64_t end_ns)
{
	piece_end(ways, flow, extra, record, dir, end, end_ns);
	if (ways->options.on_ways) {
		if (ways->whole_count == FLOW_WAYS_BATCH)
			flow_ways_flush(ways);
		struct flow_way *whole = &ways->whole[ways->whole_count++];
		way_fill(whole, ways, extra, record, dir);
		whole->end = (uint8_t)end;
		whole->end_ns = end_ns;
		whole->first_ns = extra->way_first_ns[dir];
		whole->tcp_flags = extra->way_flags[dir];
		whole->packets = extra->way_packets[dir];
		whole->bytes = extra->way_bytes[dir];
		whole->l3_bytes = extra->way_l3[dir];
	}
	extra->pieces[dir] = 0;
}

void flow_ways_cut(struct flow_ways *ways, const struct flow *flow, struct flow_extra *extra, const struct packet *packet)
{
	const struct flow_ways_options *options = &ways->options;
	unsigned dir = packet->dir;
	struct flow_record record;

	flow_record_fill(&record, flow, FLOW_ALIVE, 0);
	if (packet->frame->ts_ns - extra->last_ns[dir] > options->idle_ns) {
		way_end(ways, flow, extra, &record, dir, FLOW_END_TIMEOUT, add_saturated(extra->last_ns[dir], options->idle_ns));
	} else {
		piece_end(ways, flow, extra, &record, dir, FLOW_CUT, add_saturated(extra->first_ns[dir], options->active_ns));
	}
}

void flow_ways_cut_off(struct flow_ways *ways, const struct flow *flow, unsigned dir, uint64_t last_ns)
{
	struct flow_extra *extra = flow_ways_extra(ways, flow, flow_proto(flow) == TCP_PROTO);

	if (!extra->pieces[dir]) { /* none of this direction's packets was captured: what they looked like nobody knows */
		const struct frame frame = { .ts_ns = last_ns, .link = LINK_RAW };
		const struct packet packet = { .frame = &frame, .dir = (uint8_t)dir, .vlan = FLOW_VLAN_NONE };
		flow_ways_begin(flow, extra, &packet);
		extra->base_packets[dir] = flow_packets(flow, dir);
	}
	if (last_ns > extra->last_ns[dir])
		extra->last_ns[dir] = last_ns;
}

void flow_ways_reset(struct flow_ways *ways, const struct flow *flow)
{
	if (ways)
		clear_plainly(flow_ways_extra(ways, flow, flow_proto(flow) == TCP_PROTO), sizeof(struct flow_extra));
}

void flow_ways_end(struct flow_ways *ways, const struct flow *flow, const struct flow_record *record)
{
	struct flow_extra *extra = flow_ways_extra(ways, flow, record->key.proto == TCP_PROTO);

	for (unsigned dir = 0; dir < 2; dir++) {
		if (!extra->pieces[dir])
			continue;
		/* The other direction may have kept the flow alive for longer. */
		uint64_t idle_ns = add_saturated(extra->last_ns[dir], ways->options.idle_ns);
		unsigned end = idle_ns < record->end_ns ? FLOW_END_TIMEOUT : record->end;
		way_end(ways, flow, extra, record, dir, end, idle_ns < record->end_ns ? idle_ns : record->end_ns);
	}
}

void flow_ways_flush(struct flow_ways *ways)
{
	if (!ways)
		return;
	if (ways->whole_count)
		ways->options.on_ways(ways->options.context, ways->whole, ways->whole_count);
	if (ways->pieces_count)
		ways->options.on_pieces(ways->options.context, ways->pieces, ways->pieces_count);
	ways->whole_count = ways->pieces_count = 0;
}
