/* The detectors one by one: what an event means to each. Private to anomaly/; engine.c calls them. */
#ifndef FLOWLANE_DETECTORS_H
#define FLOWLANE_DETECTORS_H

#include "engine.h"

/* Items of the tallies that are asked for ahead. */
struct tally_item item_syn_flood(const struct engine *engine, const struct anomaly_event *event);
struct tally_item item_many(const struct engine *engine, const struct anomaly_event *event, bool towards);
uint64_t hash_network(const struct engine *engine, const struct anomaly_event *event, uint8_t network[16]);

void detect_syn_flood(struct engine *engine, const struct anomaly_event *event, const struct tally_item *item);
void detect_port_scan(struct engine *engine, const struct anomaly_event *event);
void detect_many(struct engine *engine, enum alert_kind kind, const struct anomaly_event *event, bool towards);
void detect_amplification(struct engine *engine, enum alert_kind kind, const struct anomaly_event *event, bool answer);
void detect_beacon(struct engine *engine, const struct anomaly_event *event, uint64_t start_ns);
void engine_connection_end(struct engine *engine, const struct anomaly_event *event);
void detect_surge(struct engine *engine, const struct anomaly_event *event);
void detect_shifts(struct engine *engine, const struct anomaly_event *event);

#endif
