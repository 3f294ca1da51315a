/* From a live flow to the finished record that sinks get. */
#ifndef FLOWLANE_FLOW_RECORD_H
#define FLOWLANE_FLOW_RECORD_H

#include "flowlane/live.h"

/* The key of a live flow, as the decoder made it. */
void flow_live_key(const struct flow *flow, struct flow_key *key);

void flow_record_fill(struct flow_record *record, const struct flow *flow, enum flow_end end, uint64_t end_ns);

#endif
