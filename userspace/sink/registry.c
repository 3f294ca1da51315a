#include <stddef.h>

#include "flowlane/sink.h"

/* A new format: its file, and one row in each of these two lists. They are opened in this order: pcap last, for it empties an
 * existing file, and no other may fail after that. */
extern const struct sink_ops sink_pcap, sink_flow_table, sink_jsonl, sink_rtt_samples, sink_top_flows, sink_ways, sink_pieces,
	sink_series, sink_index, sink_index_by_one, sink_alerts, sink_alerts_console, sink_grpc;

#ifdef FLOWLANE_NCAP
extern const struct sink_ops sink_ncap;
#endif

const struct sink_ops *const sink_registry[] = {
	&sink_flow_table,
	&sink_jsonl,
	&sink_top_flows,
	&sink_ways,
	&sink_pieces,
	&sink_series,
	&sink_rtt_samples,
	&sink_index,
	&sink_index_by_one,
	&sink_alerts,
	&sink_alerts_console,
#ifdef FLOWLANE_NCAP
	&sink_ncap,
#endif
	&sink_grpc,
	&sink_pcap,
	NULL,
};
