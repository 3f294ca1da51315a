/* The largest flows of a run (--top-flows N), kept by the top_flows sink and printed by control. */
#ifndef FLOWLANE_TOP_FLOWS_H
#define FLOWLANE_TOP_FLOWS_H

#include "flowlane/flow.h"

/* After lanes_finish(): copies up to `max` of them, bytes_total descending (ties as in the exports), all protocols; returns how
 * many. They are gone from here afterwards. Control thread only. */
unsigned top_flows_take(struct flow_record *records, unsigned max);

#endif
