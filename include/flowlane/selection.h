/* What the steps of the selection say of a packet. */
#ifndef FLOWLANE_SELECTION_H
#define FLOWLANE_SELECTION_H

/* Why a packet is not for the lane. */
enum prefilter_verdict {
	PREFILTER_WANTED,
	PREFILTER_EXPRESSION,
	PREFILTER_RULES,
	PREFILTER_SAMPLE,
	PREFILTER_CUTOFF,
	PREFILTER_VERDICTS,
	PREFILTER_LATER = PREFILTER_VERDICTS, /* none yet (prefilter.h) */
};

#endif
