#include "flow_record.h"

#include <string.h>

#include "bytes.h"
#include "clear.h"
#include "poison.h"

void flow_live_key(const struct flow *flow, struct flow_key *key)
{
	memset(key, 0, sizeof(*key));
	if (flow_ip_version(flow) == 4) {
		store_be32(key->a_ip + FLOW_KEY_V4_OFFSET, (uint32_t)(flow->addresses >> 32));
		store_be32(key->b_ip + FLOW_KEY_V4_OFFSET, (uint32_t)flow->addresses);
	} else {
		memcpy(key->a_ip, flow->a_ip, sizeof(key->a_ip));
		memcpy(key->b_ip, flow->b_ip, sizeof(key->b_ip));
	}
	memcpy(&key->a_port, &flow->key_tail, sizeof(flow->key_tail));
	key->tunnel = flow->tunnel;
}

static void record_tcp_rtt(struct flow_record *record, const struct tcp_flow *tcp)
{
	const struct rtt_leg_stat *a = &tcp->leg[0], *b = &tcp->leg[1];

	record->rtt = (struct rtt_stat){
		.last = tcp->rtt_last,
		.min = !b->samples || (a->samples && a->min < b->min) ? a->min : b->min,
		.ewma = tcp->rtt_ewma,
		.samples = a->samples + b->samples,
	};
	if (tcp->client != CLIENT_UNKNOWN) {
		record->leg[RTT_TO_CLIENT] = tcp->client == CLIENT_A_TO_B ? *a : *b;
		record->leg[RTT_TO_SERVER] = tcp->client == CLIENT_A_TO_B ? *b : *a;
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
	record->first_ns = flow->first_ns;
	record->last_ns = flow->last_ns;
	for (unsigned dir = 0; dir < 2; dir++) {
		uint64_t overhead = (uint64_t)flow->overhead_carry[dir] << 32 | flow->overhead[dir];
		record->packets[dir] = (uint64_t)flow->packets_carry[dir] << 32 | flow->packets[dir];
		record->bytes[dir] = flow->bytes[dir];
		record->l3_bytes[dir] = flow->bytes[dir] - overhead;
	}
	if (record->key.proto != 6) {
		record->rtt = flow->rtt;
		return;
	}
	const struct tcp_flow *tcp = (const struct tcp_flow *)flow;
	record->tcp_state = tcp->state;
	record->client = tcp->client;
	record->retransmissions = tcp->retransmissions;
	record->out_of_order = tcp->out_of_order;
	record_tcp_rtt(record, tcp);
	memcpy(record->tcp_flags, flow->tcp_flags, sizeof(record->tcp_flags));
}
