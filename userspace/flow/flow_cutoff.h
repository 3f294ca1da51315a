/*
 * What was not captured of a flow that is cut off, on its way into the flow's own counters, which all records are made of. Lane's
 * thread, and not for each packet: when a flow seems to be over, and when its record is written.
 */
#ifndef FLOWLANE_FLOW_CUTOFF_H
#define FLOWLANE_FLOW_CUTOFF_H

#include "flow_ways.h"
#include "flowlane/cutoff.h"
#include "flowlane/live.h"

/* The flow is as recent as its last packet, captured or not. cutoff: NULL if there is none. */
void flow_cutoff_refresh(const struct cutoff *cutoff, struct flow *flow);

/* Adds what was cut off to the flow, and to its directions if `ways`; how many packets. */
uint64_t flow_cutoff_take(const struct cutoff *cutoff, struct flow_ways *ways, struct flow *flow);

#endif
