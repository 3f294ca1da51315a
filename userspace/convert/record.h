/* A record on its way from one format to another, and the formats. */
#ifndef FLOWLANE_RECORD_H
#define FLOWLANE_RECORD_H

#include "flowlane/fields.h"
#include "nfcapd_block.h"

struct record {
	struct way_row row;
	struct nfcapd_extra extra; /* zero if the format has nothing of it */
};

enum record_format { FORMAT_CSV_FLOW, FORMAT_BINARY, FORMAT_PIPE, FORMAT_NFCAPD, FORMAT_COUNT };

const char *format_name(enum record_format format);
/* -EINVAL: there is no such format. */
int format_parse(const char *name, enum record_format *format);

#endif
