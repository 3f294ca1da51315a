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
	FIELD_BOOL,      /* uint8_t: true, false */
	FIELD_TYPE_COUNT,
};

struct field {
	const char *name;
	const char *unit; /* "s", "ms", "bit/s", "bytes", "packets"; "": none */
	uint8_t type;     /* enum field_type */
	uint16_t offset;  /* in struct flow_record */
	uint16_t companion;
};

/* The first FIELDS_BASE rows are the user's; those behind appear with --extended, the last two with --flow-cutoff and --sample. */
#define FIELDS_BASE   21
#define FIELDS_SELECT 2
#define FIELDS_MAX    48
extern const struct field flow_fields[];
extern const unsigned flow_fields_count;

enum fields_extra { FIELDS_EXTENDED = 1 << 0, FIELDS_CUT_OFF = 1 << 1, FIELDS_SAMPLE = 1 << 2 };

/* The rows that an export has, in order; how many. extras: enum fields_extra. */
unsigned fields_choose(unsigned extras, const struct field *rows[FIELDS_MAX]);

/*
 * One one-way record as the flow-models formats have it (csv_flow, binary; pipe and nfcapd say the same and more). Its first 21
 * members are those formats' fields, and way_fields[] is the table of them that text and columns are made from.
 */
struct way_row {
	uint8_t af;   /* 2: IPv4, 10: IPv6 */
	uint8_t prot; /* IP protocol */
	uint16_t sp;
	uint16_t dp;       /* ICMP: type * 256 + code */
	uint16_t first_ms; /* 0 to 999 */
	uint16_t last_ms;
	uint8_t tcp_flags; /* not in csv_flow and binary, as the two AS numbers */
	uint8_t tos;
	uint32_t inif;
	uint32_t outif;
	uint32_t sa[4]; /* words of the address, most significant first; IPv4 in the last */
	uint32_t da[4];
	uint32_t aggs; /* pieces that it is made of; 0: not known */
	uint32_t src_as;
	uint32_t dst_as;
	uint64_t first; /* UNIX seconds */
	uint64_t last;
	uint64_t packets;
	uint64_t octets;
};

#define WAY_AF_IPV4 2
#define WAY_AF_IPV6 10

struct way_field {
	const char *name;
	char code;       /* type of the column: B 8, H 16, I 32, Q 64 bits, unsigned; Python's */
	uint8_t size;    /* of the member, bytes */
	uint16_t offset; /* in struct way_row */
};

/* The fields in their order: name, type of the column, member. From it come the table and, unrolled, what runs over all fields of
 * every record. */
/* clang-format off */
#define WAY_FIELD_LIST(FIELD)         \
	FIELD(af, uint8_t, af)            \
	FIELD(prot, uint8_t, prot)        \
	FIELD(inif, uint16_t, inif)       \
	FIELD(outif, uint16_t, outif)     \
	FIELD(sa0, uint32_t, sa[0])       \
	FIELD(sa1, uint32_t, sa[1])       \
	FIELD(sa2, uint32_t, sa[2])       \
	FIELD(sa3, uint32_t, sa[3])       \
	FIELD(da0, uint32_t, da[0])       \
	FIELD(da1, uint32_t, da[1])       \
	FIELD(da2, uint32_t, da[2])       \
	FIELD(da3, uint32_t, da[3])       \
	FIELD(sp, uint16_t, sp)           \
	FIELD(dp, uint16_t, dp)           \
	FIELD(first, uint32_t, first)     \
	FIELD(first_ms, uint16_t, first_ms) \
	FIELD(last, uint32_t, last)       \
	FIELD(last_ms, uint16_t, last_ms) \
	FIELD(packets, uint64_t, packets) \
	FIELD(octets, uint64_t, octets)   \
	FIELD(aggs, uint32_t, aggs)
/* clang-format on */

#define WAY_FIELDS 21
extern const struct way_field way_fields[WAY_FIELDS];

#endif
