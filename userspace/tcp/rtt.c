#include "rtt.h"

#include "bytes.h"

#include "poison.h"

/* A request that got no answer for so long gives way to the next one; until then the older one is kept. */
#define PENDING_TICKS ((uint32_t)((uint64_t)2 * 1000 * 1000 * 1000 / RTT_TICK_NS))

enum { ICMP_ECHO_REPLY = 0, ICMP_ECHO_REQUEST = 8, ICMP6_ECHO_REQUEST = 128, ICMP6_ECHO_REPLY = 129 };

void rtt_note(struct rtt_results *results, const struct packet *packet, uint32_t ticks, enum rtt_source source)
{
	results->samples[results->samples_count++] = (struct rtt_sample){
		.ts_ns = packet->frame->ts_ns, .ticks = ticks, .source = (uint8_t)source, .dir = packet->dir, .key = packet->key
	};
}

static void rtt_app_sample(
	struct flow *flow, const struct packet *packet, uint32_t ticks, enum rtt_source source, struct rtt_results *results)
{
	rtt_add(&flow->rtt, ticks);
	rtt_result(results, packet, ticks, source);
}

/* One request is timed at a time: the identifier and the time are all there is room for. */
static void rtt_request(struct flow *flow, uint16_t id, uint32_t tick)
{
	if (flow->flags & FLOW_APP_PENDING && tick - flow->pending_tick < PENDING_TICKS)
		return;
	flow->flags |= FLOW_APP_PENDING;
	flow->app_id = id;
	flow->pending_tick = tick;
}

static void rtt_answer(struct flow *flow, const struct packet *packet, uint16_t id, uint32_t tick, enum rtt_source source,
	struct rtt_results *results)
{
	if (!(flow->flags & FLOW_APP_PENDING) || flow->app_id != id)
		return;
	flow->flags &= (uint8_t)~FLOW_APP_PENDING;
	if (tick - flow->pending_tick <= RTT_MAX_TICKS)
		rtt_app_sample(flow, packet, tick - flow->pending_tick, source, results);
}

static void rtt_dns(struct flow *flow, const struct packet *packet, uint32_t tick, struct rtt_results *results)
{
	const uint8_t *dns = packet->frame->data + packet->payload_off;

	/* Identifier and QR bit: the first three of the header's twelve bytes (RFC 1035 section 4.1.1). */
	if (packet->payload_len < 12 || packet->payload_off + 3u > packet->frame->cap_len)
		return;
	if (dns[2] & 0x80)
		rtt_answer(flow, packet, load_be16(dns), tick, RTT_DNS, results);
	else
		rtt_request(flow, load_be16(dns), tick);
}

static void rtt_icmp(struct flow *flow, const struct packet *packet, uint32_t tick, struct rtt_results *results)
{
	bool v6 = packet->key.ip_version == 6;

	if (packet->icmp_type == (v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO_REQUEST))
		rtt_request(flow, packet->echo_seq, tick);
	else if (packet->icmp_type == (v6 ? ICMP6_ECHO_REPLY : ICMP_ECHO_REPLY))
		rtt_answer(flow, packet, packet->echo_seq, tick, RTT_ICMP_ECHO, results);
}

/*
 * The spin bit (RFC 9000 section 17.4) flips once per round trip; seen in the direction of the first packet, the time between
 * two flips is one. Endpoints may leave it constant (no samples) or randomise it per packet; the latter cannot be told from a
 * short RTT by one bit, so flips much faster than the average are left out (RFC 9312 section 3.8.2 suggests such a filter,
 * against reordering as well).
 */
static void rtt_quic(struct flow *flow, const struct packet *packet, uint32_t tick, struct rtt_results *results)
{
	const uint8_t *quic = packet->frame->data + packet->payload_off;

	if (packet->payload_len < 6 || packet->payload_off + 5u > packet->frame->cap_len)
		return;
	if (quic[0] & 0x80) {
		/* Long header of version 1, 2, or a draft. */
		uint32_t version = load_be32(quic + 1);
		if (version == 1 || version == 0x6b3343cf || version >> 8 == 0xff0000)
			flow->flags |= FLOW_QUIC;
		return;
	}
	bool first_b = (flow->flags & FLOW_FIRST_B) != 0, spin = (quic[0] & 0x20) != 0, last = (flow->flags & FLOW_SPIN) != 0;
	if (!(flow->flags & FLOW_QUIC) || !(quic[0] & 0x40) || packet->dir != first_b || spin == last)
		return;
	uint32_t ticks = tick - flow->pending_tick;
	bool timed = (flow->flags & FLOW_APP_PENDING) != 0 && ticks <= RTT_MAX_TICKS;
	if (timed && flow->rtt.samples && ticks < flow->rtt.ewma / 8)
		return;
	flow->flags = (uint8_t)((flow->flags & ~FLOW_SPIN) | (spin ? FLOW_SPIN : 0) | FLOW_APP_PENDING);
	flow->pending_tick = tick;
	if (timed)
		rtt_app_sample(flow, packet, ticks, RTT_QUIC_SPIN, results);
}

void rtt_app_update(struct flow *flow, const struct packet *packet, enum rtt_app app, struct rtt_results *results)
{
	uint32_t tick = rtt_tick(packet->frame->ts_ns);

	if (packet->flags & PACKET_FRAGMENT_LATER)
		return;
	/* Silence, or a request that waited too long in a busy flow: ticks would wrap. */
	if (rtt_is_void(flow->last_ns, packet->frame->ts_ns) || tick - flow->pending_tick > RTT_MAX_TICKS)
		flow->flags &= (uint8_t)~FLOW_APP_PENDING;
	switch (app) {
	case RTT_APP_DNS:
		rtt_dns(flow, packet, tick, results);
		break;
	case RTT_APP_ICMP_ECHO:
		rtt_icmp(flow, packet, tick, results);
		break;
	case RTT_APP_QUIC:
		rtt_quic(flow, packet, tick, results);
		break;
	default:
		break;
	}
}
