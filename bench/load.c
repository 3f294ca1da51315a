#include "load.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "flowlane/packet.h"

#define HANDSHAKE_DISTANCE 1000 /* flows that open between two packets of one handshake */

struct load {
	struct load_options options;
	uint64_t random;
	uint64_t distance;
	uint64_t tcp_flows;
	uint64_t setup_left; /* packets */
	uint64_t packets_left;
	uint64_t slot;    /* of the setup stream: opens flow `slot`, continues the two that are one and two distances behind */
	unsigned part;    /* which of the three is next */
	uint32_t steps[]; /* per flow: packets so far */
};

/* What is constant about a flow, made from its number. */
struct load_flow {
	uint8_t ip[2][4]; /* [0] the initiator */
	uint16_t port[2];
	uint32_t isn[2];
	bool tcp;
};

static uint64_t load_mix(uint64_t seed, uint64_t id)
{
	uint64_t state = seed ^ (id * 0xd1342543de82ef95);

	return random_next(&state);
}

static bool load_is_tcp(uint64_t mixed)
{
	return (mixed >> 32) * 100 >> 32 < LOAD_TCP_PERCENT;
}

/*
 * 32 bits of the number, permuted, are 24 bits of address and 8 of port of one end: no two flows are the same. Half of the
 * flows have that end as their initiator, so neither end is always the smaller one.
 */
static void load_flow_make(const struct load *load, uint64_t id, struct load_flow *flow)
{
	uint64_t mixed = load_mix(load->options.seed, id);
	uint32_t unique = (uint32_t)id * 0x9e3779b1u; /* odd: a permutation */
	unsigned near = mixed >> 7 & 1, far = !near;

	flow->tcp = load_is_tcp(mixed);
	flow->ip[near][0] = 10;
	flow->ip[near][1] = (uint8_t)(unique >> 16);
	flow->ip[near][2] = (uint8_t)(unique >> 8);
	flow->ip[near][3] = (uint8_t)unique;
	flow->port[near] = (uint16_t)(32768 + (unique >> 24));
	flow->ip[far][0] = mixed & 1 ? 9 : 11; /* below or above its peer */
	flow->ip[far][1] = (uint8_t)(mixed >> 8);
	flow->ip[far][2] = (uint8_t)(mixed >> 16);
	flow->ip[far][3] = 1;
	flow->port[far] = flow->tcp ? 443 : 4500;
	flow->isn[0] = (uint32_t)(mixed >> 11);
	flow->isn[1] = (uint32_t)(mixed >> 29);
}

static void load_put_ipv4(
	uint8_t *p, const struct load_flow *flow, unsigned sender, uint8_t protocol, uint32_t total, uint32_t ident)
{
	static const uint8_t ethernet[14] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0 };

	memcpy(p, ethernet, sizeof(ethernet));
	p += sizeof(ethernet);
	p[0] = 0x45;
	p[1] = 0;
	store_be16(p + 2, (uint16_t)total);
	store_be16(p + 4, (uint16_t)ident);
	store_be16(p + 6, 0x4000);
	p[8] = 64;
	p[9] = protocol;
	store_be16(p + 10, 0);
	memcpy(p + 12, flow->ip[sender], 4);
	memcpy(p + 16, flow->ip[!sender], 4);
	store_be16(p + 10, checksum_fold(checksum_add(0, p, 20)));
	store_be16(p + 20, flow->port[sender]);
	store_be16(p + 22, flow->port[!sender]);
}

/* Payloads are zeros: they add nothing to the checksum, so large frames cost no more. `p` is the IP header. */
static uint16_t load_l4_checksum(const uint8_t *p, uint8_t protocol, uint32_t header, uint32_t l4_len)
{
	uint16_t sum = checksum_fold(checksum_add(checksum_add(protocol + l4_len, p + 12, 8), p + 20, header));

	return sum;
}

static uint32_t load_put_udp(const struct load *load, const struct load_flow *flow, uint32_t step, uint8_t *frame)
{
	uint32_t l4_len = load->options.frame_size - 4 - 34;
	uint8_t *p = frame + 34;

	load_put_ipv4(frame, flow, step & 1, TRAFFIC_UDP, 20 + l4_len, step);
	store_be16(p + 4, (uint16_t)l4_len);
	store_be16(p + 6, 0);
	memset(p + 8, 0, l4_len - 8);
	uint16_t sum = load_l4_checksum(frame + 14, TRAFFIC_UDP, 8, l4_len);
	store_be16(p + 6, sum ? sum : 0xffff);
	return 34 + l4_len;
}

/*
 * Step 0, 1, 2: SYN, SYN-ACK, ACK. Then rounds of four: the initiator's data, its ACK, the responder's data, its ACK.
 */
static uint32_t load_put_tcp(const struct load *load, const struct load_flow *flow, uint32_t step, uint8_t *frame)
{
	uint32_t data_len = load->options.frame_size - 4 - 54, payload = 0;
	uint32_t seq[2] = { flow->isn[0], flow->isn[1] };
	unsigned sender = 0;
	uint8_t flags = TCP_ACK;
	uint8_t *p = frame + 34;

	if (step == 0) {
		flags = TCP_SYN;
	} else if (step == 1) {
		flags = TCP_SYN | TCP_ACK;
		sender = 1;
		seq[0]++;
	} else {
		uint32_t round = (step - 3) / 4, turn = (step - 3) % 4;
		if (step == 2)
			round = turn = 0;
		seq[0] += 1 + (round + (turn >= 1)) * data_len;
		seq[1] += 1 + (round + (turn >= 3)) * data_len;
		sender = turn == 1 || turn == 2;
		if (step > 2 && turn % 2 == 0) {
			payload = data_len;
			flags |= TCP_PSH;
		}
	}
	load_put_ipv4(frame, flow, sender, TRAFFIC_TCP, 40 + payload, step);
	store_be32(p + 4, seq[sender]);
	store_be32(p + 8, flags == TCP_SYN ? 0 : seq[!sender]);
	p[12] = 5 << 4;
	p[13] = flags;
	store_be16(p + 14, 8192);
	store_be32(p + 16, 0);
	store_be16(p + 16, load_l4_checksum(frame + 14, TRAFFIC_TCP, 20, 20 + payload));
	memset(p + 20, 0, payload ? payload : 6); /* padding up to the minimum frame */
	return payload ? 54 + payload : LOAD_FRAME_MIN - 4;
}

static uint32_t load_put(struct load *load, uint64_t id, uint8_t *frame)
{
	struct load_flow flow;
	uint32_t step = load->steps[id]++;

	load_flow_make(load, id, &flow);
	return flow.tcp ? load_put_tcp(load, &flow, step, frame) : load_put_udp(load, &flow, step, frame);
}

static bool load_flow_is_tcp(const struct load_options *options, uint64_t id)
{
	return load_is_tcp(load_mix(options->seed, id));
}

static uint64_t load_count_tcp(const struct load_options *options)
{
	uint64_t n = 0;

	for (uint64_t id = 0; id < options->flows; id++)
		n += load_flow_is_tcp(options, id);
	return n;
}

uint64_t load_setup_packets(const struct load_options *options)
{
	return 2 * options->flows + load_count_tcp(options);
}

struct load *load_create(const struct load_options *options)
{
	struct load *load;

	if (!options->flows || options->flows > UINT32_MAX)
		traffic_die("the number of flows must be from 1 to %u", UINT32_MAX);
	if (options->frame_size < LOAD_FRAME_MIN || options->frame_size > LOAD_FRAME_MAX)
		traffic_die("the frame size must be from %d to %d", LOAD_FRAME_MIN, LOAD_FRAME_MAX);
	load = calloc(1, sizeof(*load) + options->flows * sizeof(load->steps[0]));
	if (!load)
		traffic_die("no memory for %llu flows", (unsigned long long)options->flows);
	load->options = *options;
	load->random = options->seed;
	load->distance = options->flows < HANDSHAKE_DISTANCE ? options->flows : HANDSHAKE_DISTANCE;
	load->tcp_flows = load_count_tcp(options);
	load->setup_left = 2 * options->flows + load->tcp_flows;
	load->packets_left = options->packets;
	if (options->packets < load->setup_left)
		traffic_die("%llu flows need at least %llu packets to open", (unsigned long long)options->flows,
			(unsigned long long)load->setup_left);
	return load;
}

void load_free(struct load *load)
{
	free(load);
}

uint64_t load_tcp_flows(const struct load *load)
{
	return load->tcp_flows;
}

static uint32_t load_next_setup(struct load *load, uint8_t *frame)
{
	for (;;) {
		uint64_t behind = load->part * load->distance, id = load->slot - behind;
		bool exists = load->slot >= behind && id < load->options.flows &&
			      (load->part < 2 || load_flow_is_tcp(&load->options, id));

		if (++load->part == 3) {
			load->part = 0;
			load->slot++;
		}
		if (exists) {
			load->setup_left--;
			return load_put(load, id, frame);
		}
	}
}

static bool load_setup_is_next(struct load *load, uint64_t open_flows)
{
	uint64_t first_half = load->options.packets / 2;
	uint64_t second_half_left = load->packets_left > first_half ? load->packets_left - first_half : 0;

	if (!load->setup_left)
		return false;
	if (load->options.order == LOAD_SETUP_FIRST || !open_flows || load->setup_left >= second_half_left)
		return true;
	return (random_next(&load->random) >> 32) * second_half_left >> 32 < load->setup_left;
}

uint32_t load_next(struct load *load, uint8_t *frame)
{
	uint64_t behind = 2 * load->distance;
	uint64_t open_flows = load->slot > behind ? load->slot - behind : 0;
	bool setup;

	if (!load->setup_left || open_flows > load->options.flows)
		open_flows = load->options.flows;
	setup = load_setup_is_next(load, open_flows);
	load->packets_left--;
	if (setup)
		return load_next_setup(load, frame);
	return load_put(load, random_below(&load->random, (uint32_t)open_flows), frame);
}
