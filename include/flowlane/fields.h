/*
 * The table of exported flow fields, in the order of the JSON export. Text formats loop over it: a new field is one member of
 * struct flow_record and one row in sink/fields.c.
 */
#ifndef FLOWLANE_FIELDS_H
#define FLOWLANE_FIELDS_H

#include <stdint.h>

#include "flowlane/flow.h"

/* How the member at `offset` becomes a value. "null" is null in JSON and an empty field in CSV. */
enum field_type {
	FIELD_PROTOCOL, /* uint8_t: IANA keyword, or the number as a string */
	FIELD_ENDPOINT, /* uint8_t[16] address; `companion`: uint16_t port */
	FIELD_TIME,     /* uint64_t ns: seconds with 6 decimals, cut to microseconds */
	FIELD_DURATION, /* uint64_t ns, end; `companion`: start. The difference of the two times as they are printed */
	FIELD_U64,
	FIELD_U32,
	FIELD_U16,
	FIELD_U8,
	FIELD_SUM,       /* uint64_t[2]: both directions together */
	FIELD_RATE,      /* uint64_t[2] bytes: bits per second over the flow's duration, 0 if that is 0 */
	FIELD_TCP_STATE, /* uint8_t enum tcp_state, null if not TCP */
	FIELD_CLIENT,    /* uint8_t enum flow_client: "a_to_b", "b_to_a", null */
	FIELD_DIRECTION, /* uint8_t, 0 or 1: "a_to_b", "b_to_a" */
	FIELD_RTT,       /* uint32_t ticks: ms with 3 decimals; null if the uint32_t at `companion` is 0 */
	FIELD_VLAN,      /* uint16_t, null if FLOW_VLAN_NONE */
	FIELD_TUNNEL,    /* uint32_t, null if 0 */
	FIELD_END,       /* uint8_t enum flow_end */
	FIELD_TYPE_COUNT,
};

struct field {
	const char *name;
	const char *unit; /* "s", "ms", "bit/s", "bytes", "packets"; "": none */
	uint8_t type;     /* enum field_type */
	uint16_t offset;  /* in struct flow_record */
	uint16_t companion;
};

/* The first FIELDS_BASE rows are the user's; those behind appear with --extended. */
#define FIELDS_BASE 21
#define FIELDS_MAX  48
extern const struct field flow_fields[];
extern const unsigned flow_fields_count;

#endif
