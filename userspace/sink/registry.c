#include <stddef.h>

#include "flowlane/sink.h"

/* A new format: its file, and one row in each of these two lists. */
extern const struct sink_ops sink_pcap, sink_flow_table, sink_jsonl, sink_rtt_samples, sink_top_flows;

const struct sink_ops *const sink_registry[] = {
	&sink_pcap,
	&sink_flow_table,
	&sink_jsonl,
	&sink_rtt_samples,
	&sink_top_flows,
	NULL,
};
