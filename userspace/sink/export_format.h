/*
 * A text format of flow records, as the exporter drives it: begin, record*, end. All three write at `out` and return the end; a
 * call writes (and scribbles) at most EXPORT_RECORD_MAX bytes. No state between calls: `index` counts records.
 */
#ifndef FLOWLANE_EXPORT_FORMAT_H
#define FLOWLANE_EXPORT_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/flow.h"

/* The longest record: 38 fields, a key of 32 and a value of 20 characters each; the test writes the worst one. */
#define EXPORT_RECORD_MAX 4096

struct export_layout; /* each format's own: texts computed once */

struct export_format {
	const char *name;                                     /* of the report: "json" */
	const char *what;                                     /* for messages: "JSON export" */
	struct export_layout *(*layout_new)(unsigned extras); /* enum fields_extra. NULL: no memory. Freed with free() */
	char *(*begin)(const struct export_layout *layout, char *out);
	char *(*record)(const struct export_layout *layout, const struct flow_record *record, uint64_t index, char *out);
	char *(*end)(const struct export_layout *layout, uint64_t records, char *out);
};

extern const struct export_format export_json;
extern const struct export_format export_csv;
extern const struct export_format export_jsonl; /* compact, one object per line, with `ts` and `reason` in front */

#endif
