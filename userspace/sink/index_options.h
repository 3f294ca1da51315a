/* The options of packet indexes, from those of the run. */
#ifndef FLOWLANE_INDEX_OPTIONS_H
#define FLOWLANE_INDEX_OPTIONS_H

#include "flowlane/config.h"
#include "index_follow.h"

static inline struct index_writer_options index_options(const struct config *config, bool live)
{
	return (struct index_writer_options){
		.live = live,
		.memory = config->index_memory_bytes,
		.idle_ms = config->flow_timeout_ns ? config->flow_timeout_ns / 1000000 : UINT64_MAX,
		.active_ms = config->active_timeout_ns ? config->active_timeout_ns / 1000000 : UINT64_MAX,
	};
}

#endif
