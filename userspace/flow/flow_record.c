#include "flow_record.h"

#include <string.h>

#include "bytes.h"
#include "clear.h"
#include "poison.h"

void flow_live_key(const struct flow *flow, struct flow_key *key)
{
	uint64_t tail = flow->key_tail;

	memset(key, 0, sizeof(*key));
	if (flow_is_tunnelled(flow)) {
		key->tunnel = flow_cold(flow)->tunnel;
		tail ^= FLOW_TAIL_TUNNEL;
	}
	memcpy(&key->a_port, &tail, sizeof(tail));
	if (flow_ip_version(flow) == 4) {
		store_be32(key->a_ip + FLOW_KEY_V4_OFFSET, (uint32_t)(flow->addresses >> 32));
		store_be32(key->b_ip + FLOW_KEY_V4_OFFSET, (uint32_t)flow->addresses);
	} else {
		const struct flow_cold *cold = flow_cold(flow);
		memcpy(key->a_ip, cold->a_ip, sizeof(key->a_ip));
		memcpy(key->b_ip, cold->b_ip, sizeof(key->b_ip));
	}
}

static struct rtt_leg_stat record_leg(const struct tcp_flow *tcp, unsigned dir)
{
	const struct tcp_leg *leg = dir ? &tcp->leg_b : &tcp->flow.leg_a;

	return (struct rtt_leg_stat){ .min = leg->min, .ewma = leg->ewma, .samples = tcp_leg_samples(tcp, dir) };
}

static void record_tcp_rtt(struct flow_record *record, const struct tcp_flow *tcp)
{
	const struct rtt_leg_stat a = record_leg(tcp, 0), b = record_leg(tcp, 1);

	record->rtt = (struct rtt_stat){
		.last = tcp->flow.rtt_last,
		.min = !b.samples || (a.samples && a.min < b.min) ? a.min : b.min,
		.ewma = tcp->flow.rtt_ewma,
		.samples = a.samples + b.samples,
	};
	if (record->client != CLIENT_UNKNOWN) {
		record->leg[RTT_TO_CLIENT] = record->client == CLIENT_A_TO_B ? a : b;
		record->leg[RTT_TO_SERVER] = record->client == CLIENT_A_TO_B ? b : a;
	}
}

void flow_record_fill(struct flow_record *record, const struct flow *flow, enum flow_end end, uint64_t end_ns)
{
	clear_plainly(record, sizeof(*record));
	flow_live_key(flow, &record->key);
	record->end = (uint8_t)end;
	record->end_ns = end_ns;
	record->tos = flow->tos;
	record->first_dir = (flow->flags & FLOW_FIRST_B) != 0;
	record->cut_off = (flow->flags & FLOW_CUT_OFF) != 0;
	record->first_ns = flow_cold(flow)->first_ns;
	record->last_ns = flow->last_ns;
	for (unsigned dir = 0; dir < 2; dir++) {
		record->packets[dir] = flow_packets(flow, dir);
		record->bytes[dir] = flow_bytes(flow, dir);
		record->l3_bytes[dir] = record->bytes[dir] - flow_overhead(flow, dir);
	}
	if (record->key.proto != FLOW_PROTO_TCP) {
		record->rtt = flow->rtt;
		return;
	}
	const struct tcp_flow *tcp = (const struct tcp_flow *)flow;
	const struct tcp_cold *cold = tcp_cold(tcp);
	record->tcp_state = tcp->state;
	record->client = cold->client;
	record->retransmissions = cold->retransmissions;
	record->out_of_order = cold->out_of_order;
	record_tcp_rtt(record, tcp);
	memcpy(record->tcp_flags, flow->tcp_flags, sizeof(record->tcp_flags));
}
