/* What the control thread does while the lanes work: wait, draw the progress bar, print the stats lines, answer readers of metrics. */
#ifndef FLOWLANE_MONITOR_H
#define FLOWLANE_MONITOR_H

#include <stdio.h>

#include "ctl.h"
#include "lanes.h"
#include "metrics.h"

/* Returns when all lanes are at their end. Stats lines go to `text`; the bar goes to standard error and is gone afterwards.
 * metrics, ctl: NULL, or who asks there is answered meanwhile. */
void monitor_run(struct lanes *lanes, const struct config *config, struct metrics *metrics, struct ctl *ctl, FILE *text);

/* "[stats] 812.40 Mbps | 1410222 pps | 18234 flows | drops=0 (total=0)": what `now` has more than `before`, over `secs`. The flows
 * are those alive. A drop is a packet that could not be decoded, or was lost before a lane got it; what the filter left out is
 * none. */
void monitor_print_stats(FILE *out, const struct lanes_progress *before, const struct lanes_progress *now, double secs);
/* The same over the whole run in packet time; the flows are all that were seen. lost: packets that no lane got. */
void monitor_print_total(FILE *out, const struct ledger *ledger, uint64_t lost);

/* One progress bar of at most `columns` characters: "63 % [====>   ] 1.2/1.9 GB ...". Without a known total: packets and rate. */
void monitor_format_bar(char *text, size_t size, unsigned columns, const struct lanes_progress *progress, double secs);

#endif
