/*
 * What the XDP program selects live, for files: the filter expression, then the rules, the sample, the cutoff; a packet that one of
 * them keeps out does not come to the next. Live, only an expression that is not for the kernel. One per lane, its thread.
 */
#ifndef FLOWLANE_PREFILTER_H
#define FLOWLANE_PREFILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "cutoff_table.h"
#include "filter.h"
#include "flowlane/selection.h"
#include "rules.h"

/* Each part may be missing. */
struct prefilter {
	const struct filter *filter;
	const struct rules_set *rules;
	uint32_t sample; /* one flow in so many; 0 or 1: all */
	struct cutoff_table *cutoff;
};

static inline bool prefilter_is_empty(const struct prefilter *prefilter)
{
	return !prefilter->filter && !prefilter->rules && prefilter->sample <= 1 && !prefilter->cutoff;
}

/* Packet path. PREFILTER_LATER: the lane is to work on those before it first, to say so, and to ask again. */
enum prefilter_verdict prefilter_run(const struct prefilter *prefilter, const struct frame *frame);
/* All frames that were wanted so far are in the flow table. */
void prefilter_round(const struct prefilter *prefilter);

#endif
