/* From a one-way record of ours to the row that the flow-models formats share; and the two text formats' lines. */
#ifndef FLOWLANE_WAY_ROW_H
#define FLOWLANE_WAY_ROW_H

#include <stdbool.h>

#include "flowlane/fields.h"
#include "flowlane/flow.h"

/* wire: octets are frame lengths, else IP total lengths. */
void way_row_fill(struct way_row *row, const struct flow_way *way, bool wire);

/* Both write one line at `out` and return its end; up to WAY_LINE_MAX bytes may be overwritten. */
#define WAY_LINE_MAX 512
char *pipe_line(char *out, const struct way_row *row);
char *csv_flow_line(char *out, const struct way_row *row);

static inline uint64_t way_row_first_ms(const struct way_row *row)
{
	return row->first * 1000 + row->first_ms;
}

static inline uint64_t way_row_last_ms(const struct way_row *row)
{
	return row->last * 1000 + row->last_ms;
}

#endif
