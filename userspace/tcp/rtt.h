/* RTT statistics of a flow, and the samples that do not come from TCP. Lane's thread, packet path. */
#ifndef FLOWLANE_RTT_H
#define FLOWLANE_RTT_H

#include "counters.h"
#include "flowlane/ledger.h"
#include "flowlane/live.h"
#include "flowlane/packet.h"

/* Where results go besides the flow. One per lane. */
struct rtt_results {
	struct ledger *ledger;
	struct rtt_sample *samples; /* NULL: nobody wants them; else with room for one per packet of a batch */
	unsigned samples_count;     /* set back by the reader after each batch */
};

#define RTT_MAX_TICKS ((uint32_t)(RTT_MAX_NS / RTT_TICK_NS))

/* The flow was silent for so long, or time jumped back so far, that ticks of before and after cannot be compared. */
static inline bool rtt_is_void(uint64_t before_ns, uint64_t now_ns)
{
	return now_ns - before_ns + RTT_MAX_NS > 2 * RTT_MAX_NS;
}

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

/* What besides TCP can give an RTT. */
enum rtt_app { RTT_APP_NONE, RTT_APP_DNS, RTT_APP_ICMP_ECHO, RTT_APP_QUIC };

/* By protocol and ports, so that no flow has to be touched to know; and with one branch, for nearly always it is none. */
static inline enum rtt_app rtt_app(const struct packet *packet)
{
	const struct flow_key *key = &packet->key;
	bool dns = (key->a_port == 53) | (key->b_port == 53), quic = (key->a_port == 443) | (key->b_port == 443);
	bool icmp = (key->proto == 1) | (key->proto == 58);

	if (__builtin_expect(!(((dns | quic) & (key->proto == 17)) | icmp), 1))
		return RTT_APP_NONE;
	return icmp ? RTT_APP_ICMP_ECHO : dns ? RTT_APP_DNS : RTT_APP_QUIC;
}

/* Puts a sample on the list. */
void rtt_note(struct rtt_results *results, const struct packet *packet, uint32_t ticks, enum rtt_source source);

/* Counts a sample that packet->dir answered. */
static inline void rtt_result(struct rtt_results *results, const struct packet *packet, uint32_t ticks, enum rtt_source source)
{
	counter_add(&results->ledger->rtt_samples[source], 1);
	if (__builtin_expect(results->samples != NULL, 0))
		rtt_note(results, packet, ticks, source);
}

/* One packet of a flow that is not TCP, before its flow_update(): after a long silence nothing can be timed any more. */
void rtt_app_update(struct flow *flow, const struct packet *packet, enum rtt_app app, struct rtt_results *results);

#endif
