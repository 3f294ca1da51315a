/* The detectors one by one: what an event means to each. Private to anomaly/; engine.c calls them. */
#ifndef FLOWLANE_DETECTORS_H
#define FLOWLANE_DETECTORS_H

#include "bytes.h"
#include "engine.h"

/* --- hashes of keys, and items of the tallies ---------------------------------------------------------------------------- */

static inline uint64_t hash_address(const struct engine *engine, const uint8_t ip[16])
{
	return hash_fold(load_le64(ip) ^ engine->seed.s[0], load_le64(ip + 8) ^ engine->seed.s[1]);
}

/* An address hash with what else belongs to the key. */
static inline uint64_t hash_with(const struct engine *engine, uint64_t address, uint64_t rest)
{
	return hash_fold(address ^ engine->seed.s[2], rest ^ engine->seed.s[3]);
}

/* 32 bits by which addresses are told apart: IPv4 addresses themselves. */
static inline uint32_t element_of(const struct engine *engine, const uint8_t ip[16], unsigned ip_version)
{
	return ip_version == 4 ? load_le32(ip + FLOW_KEY_V4_OFFSET) : (uint32_t)hash_address(engine, ip);
}

/* What a SYN goes to, as a key of the SYN flood's tally. The lane works it out, as it may ask for what lies there long before. */
static inline uint64_t event_service(const struct engine *engine, const struct anomaly_event *event)
{
	return hash_with(engine, hash_address(engine, event->dst), event->port);
}

static inline struct tally_item item_syn_flood(const struct engine *engine, const struct anomaly_event *event)
{
	return (struct tally_item){
		.key = event->service, .amount = { 1, 0 }, .element = { element_of(engine, event->src, event->ip_version), 0 }
	};
}

/* Packets towards or from one host. */
static inline struct tally_item item_many(const struct engine *engine, const uint8_t ip[16], uint32_t packets)
{
	return (struct tally_item){ .key = hash_with(engine, hash_address(engine, ip), 0), .amount = { packets, 0 } };
}

/* --- detectors ----------------------------------------------------------------------------------------------------------- */

uint64_t hash_network(const struct engine *engine, const struct anomaly_event *event, uint8_t network[16]);

/* To the key something was added. */
void detect_syn_flood(struct engine *engine, const struct anomaly_event *event, struct tally_key *key);
void detect_port_scan(struct engine *engine, const struct anomaly_event *event);
/* RST storms are a source's, all others a destination's. */
void detect_many(struct engine *engine, enum alert_kind kind, const struct anomaly_event *event, const struct tally_item *item);
void detect_amplification(struct engine *engine, enum alert_kind kind, const struct anomaly_event *event, bool answer);
void detect_beacon(struct engine *engine, const struct anomaly_event *event, uint64_t start_ns);
void engine_connection_end(struct engine *engine, const struct anomaly_event *event);
/* A flow has begun. False, and nothing done: detect_surge() is to be asked. */
static inline bool surge_counts(struct surge *surge, uint64_t now_ns)
{
	if (now_ns - surge->start_ns >= surge->window_ns || surge->flows + 1 >= surge->few)
		return false;
	surge->flows++;
	return true;
}
void detect_surge(struct engine *engine, const struct anomaly_event *event);
void detect_shifts(struct engine *engine, const struct anomaly_event *event);

#endif
