/* RTT statistics of a flow, and the samples that do not come from TCP. Lane's thread, packet path. */
#ifndef FLOWLANE_RTT_H
#define FLOWLANE_RTT_H

#include "flowlane/ledger.h"
#include "flowlane/live.h"
#include "flowlane/packet.h"

#define RTT_MAX_TICKS ((uint32_t)(RTT_MAX_NS / RTT_TICK_NS))

static inline uint32_t rtt_tick(uint64_t ts_ns)
{
	return (uint32_t)(ts_ns / RTT_TICK_NS);
}

/* old + (sample - old) / 8, rounded to nearest, so that a constant RTT stays itself. */
static inline uint32_t rtt_ewma(uint32_t old, uint32_t ticks)
{
	return (uint32_t)(((uint64_t)old * 7 + ticks + 4) / 8);
}

static inline void rtt_add(struct rtt_stat *stat, uint32_t ticks)
{
	stat->ewma = stat->samples ? rtt_ewma(stat->ewma, ticks) : ticks;
	if (!stat->samples || ticks < stat->min)
		stat->min = ticks;
	stat->last = ticks;
	stat->samples++;
}

static inline void rtt_leg_add(struct rtt_leg_stat *stat, uint32_t ticks)
{
	stat->ewma = stat->samples ? rtt_ewma(stat->ewma, ticks) : ticks;
	if (!stat->samples || ticks < stat->min)
		stat->min = ticks;
	stat->samples++;
}

/* ICMP echo, DNS and the QUIC spin bit: call for each packet of a flow that has a flow_app(), after flow_update(). */
void rtt_app_update(struct flow *flow, const struct packet *packet, struct ledger *ledger);

#endif
