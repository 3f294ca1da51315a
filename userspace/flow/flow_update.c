#include "flow_update.h"

#include "poison.h"

/* To 24 bits, of which the lower 16 are apart. */
static void carry24(uint16_t *low, uint8_t *high, uint64_t n)
{
	uint64_t sum = ((uint64_t)*high << 16 | *low) + n;

	*low = (uint16_t)sum;
	*high = (uint8_t)(sum >> 16);
}

void flow_carry_packets(struct flow *flow, unsigned dir)
{
	struct flow_cold *cold = flow_cold(flow);

	flow->packets[dir] = FLOW_PACKETS_EXACT;
	carry24(&cold->packets_carry[dir], &cold->packets_carry_high[dir], 1);
}

void flow_carry_overhead(struct flow *flow, unsigned dir, uint32_t n)
{
	flow_cold(flow)->overhead_carry[dir] += n;
}

void flow_carry_bytes(struct flow *flow, unsigned dir, uint32_t n)
{
	struct flow_cold *cold = flow_cold(flow);

	carry24(&cold->bytes_carry[dir], &cold->bytes_carry_high[dir], n);
}

void flow_add(struct flow *flow, unsigned dir, uint64_t packets, uint64_t bytes, uint64_t overhead)
{
	struct flow_cold *cold = flow_cold(flow);
	uint64_t packets_sum = flow->packets[dir] + packets, carries = 0;
	uint64_t bytes_sum = flow->bytes[dir] + bytes, overhead_sum = flow->overhead[dir] + overhead;

	if (packets_sum > UINT16_MAX)
		carries = (packets_sum - FLOW_PACKETS_EXACT) / FLOW_PACKETS_CARRY;
	flow->packets[dir] = (uint16_t)(packets_sum - carries * FLOW_PACKETS_CARRY);
	carry24(&cold->packets_carry[dir], &cold->packets_carry_high[dir], carries);
	flow->bytes[dir] = (uint32_t)bytes_sum;
	carry24(&cold->bytes_carry[dir], &cold->bytes_carry_high[dir], bytes_sum >> 32);
	flow->overhead[dir] = (uint16_t)overhead_sum;
	cold->overhead_carry[dir] += (uint32_t)(overhead_sum >> 16);
}
