/*
 * Anomaly detection: what the lanes see becomes events, and one engine takes the events of all lanes in the order of the capture.
 *
 *   lane 0 ─▶ tap ─▶ ring of events ─┐
 *   lane 1 ─▶ tap ─▶ ring of events ─┼─ in order ─▶ engine ─▶ alerts
 *   lane 2 ─▶ tap ─▶ ring of events ─┘
 *
 * A tap belongs to its lane's thread. Who runs the engine: with one lane on a file, that lane; with several, whichever of them finds
 * its ring half full (one at a time); live, the control thread. On files a lane waits for the others rather than lose an event;
 * live it counts what finds no room. docs/anomalies.md has the reasons.
 */
#ifndef FLOWLANE_ANOMALY_H
#define FLOWLANE_ANOMALY_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/alert.h"
#include "flowlane/config.h"
#include "flowlane/live.h"
#include "flowlane/packet.h"
#include "engine.h"

struct anomaly;
struct anomaly_tap;

struct anomaly_options {
	const struct config *config; /* borrowed */
	unsigned lanes;
	bool live;
	struct hash_seed seed; /* the cores have it too: what a packet's flow is called on one lane, it is on the others */
	alerts_fn *on_alerts;  /* called by whoever runs the engine */
	void *context;
};

/* 0 or a negative errno; nothing is logged. Control thread. */
int anomaly_create(const struct anomaly_options *options, struct anomaly **anomaly);
void anomaly_destroy(struct anomaly *anomaly); /* accepts NULL */
/* What it reserves, with these options. */
uint64_t anomaly_bytes(const struct config *config, unsigned lanes, bool live);
struct anomaly_tap *anomaly_tap(struct anomaly *anomaly, unsigned lane);

/* --- the lane's thread ----------------------------------------------------------------------------------------------- */

/*
 * Whether a packet is an event, asked before it is counted into its flow: for nearly all packets this is all that detection costs.
 * Begin and end of connections, packets without an answer, every 64th of a direction, ICMP, DNS, NTP. all_udp: anomaly_wants_udp().
 */
static inline bool anomaly_is_event(const struct flow *flow, const struct packet *packet, bool all_udp)
{
	const struct flow_key *key = &packet->key;

	if (__builtin_expect(packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST), 0))
		return true;
	bool begins = !flow->packets[0] | !flow->packets[1];
	bool step = (flow->packets[packet->dir] & 63) == 63;
	bool icmp = (key->proto == 1) | (key->proto == 58);
	bool asks = ((key->a_port == 53) | (key->b_port == 53) | (key->a_port == 123) | (key->b_port == 123));
	bool udp = key->proto == 17;

	return begins | step | icmp | (udp & (asks | all_udp));
}

/* Whether the event tells of the connection, so that TCP of all packets before must be done. */
static inline bool anomaly_tells_tcp(const struct flow *flow, const struct packet *packet)
{
	return packet->tcp_flags & (TCP_FIN | TCP_RST) || (flow->packets[packet->dir] & 63) == 63;
}

/* The packet, which is about to be counted into this flow. order: see struct anomaly_event. */
void anomaly_note(struct anomaly_tap *tap, struct flow *flow, const struct packet *packet, uint64_t order);
/* The same for a flow that begins with this packet, a SYN without ACK, FIN and RST. */
void anomaly_note_opening(struct anomaly_tap *tap, const struct packet *packet, uint64_t order);
/* --scan-compat: every UDP packet is an event. */
bool anomaly_wants_udp(const struct anomaly_tap *tap);
/* End of a batch, or live just time that has passed: `frames` of the input, and packet time up to now_ns, are noted. May wait, or
 * run the engine. */
void anomaly_publish(struct anomaly_tap *tap, uint64_t frames, uint64_t now_ns);
/* The lane has ended. */
void anomaly_end(struct anomaly_tap *tap);

/* --- the control thread ---------------------------------------------------------------------------------------------- */

/* Live: takes what the lanes have published. */
void anomaly_merge(struct anomaly *anomaly);
/* All lanes have ended: the last events, and what was waiting for answers. */
void anomaly_finish(struct anomaly *anomaly);
void anomaly_report(const struct anomaly *anomaly, struct alert_report *report);

#endif
