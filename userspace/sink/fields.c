#include "flowlane/fields.h"

#include <stddef.h>

#define AT(member) ((uint16_t)offsetof(struct flow_record, member))

/* clang-format off */
const struct field flow_fields[] = {
	/* name                        unit       type             member                       companion */
	{ "protocol",                  "",        FIELD_PROTOCOL,  AT(key.proto),               0 },
	{ "endpoint_a",                "",        FIELD_ENDPOINT,  AT(key.a_ip),                AT(key.a_port) },
	{ "endpoint_b",                "",        FIELD_ENDPOINT,  AT(key.b_ip),                AT(key.b_port) },
	{ "first_seen",                "s",       FIELD_TIME,      AT(first_ns),                0 },
	{ "last_seen",                 "s",       FIELD_TIME,      AT(last_ns),                 0 },
	{ "duration_secs",             "s",       FIELD_DURATION,  AT(last_ns),                 AT(first_ns) },
	{ "packets_a_to_b",            "packets", FIELD_U64,       AT(packets[0]),              0 },
	{ "packets_b_to_a",            "packets", FIELD_U64,       AT(packets[1]),              0 },
	{ "bytes_a_to_b",              "bytes",   FIELD_U64,       AT(bytes[0]),                0 },
	{ "bytes_b_to_a",              "bytes",   FIELD_U64,       AT(bytes[1]),                0 },
	{ "packets_total",             "packets", FIELD_SUM,       AT(packets),                 0 },
	{ "bytes_total",               "bytes",   FIELD_SUM,       AT(bytes),                   0 },
	{ "avg_bps",                   "bit/s",   FIELD_RATE,      AT(bytes),                   0 },
	{ "tcp_state",                 "",        FIELD_TCP_STATE, AT(tcp_state),               0 },
	{ "client",                    "",        FIELD_CLIENT,    AT(client),                  0 },
	{ "retransmissions",           "packets", FIELD_U32,       AT(retransmissions),         0 },
	{ "out_of_order",              "packets", FIELD_U32,       AT(out_of_order),            0 },
	{ "rtt_last_ms",               "ms",      FIELD_RTT,       AT(rtt.last),                AT(rtt.samples) },
	{ "rtt_min_ms",                "ms",      FIELD_RTT,       AT(rtt.min),                 AT(rtt.samples) },
	{ "rtt_ewma_ms",               "ms",      FIELD_RTT,       AT(rtt.ewma),                AT(rtt.samples) },
	{ "rtt_samples",               "",        FIELD_U32,       AT(rtt.samples),             0 },
	/* --extended */
	{ "ip_version",                "",        FIELD_U8,        AT(key.ip_version),          0 },
	{ "protocol_number",           "",        FIELD_U8,        AT(key.proto),               0 },
	{ "vlan",                      "",        FIELD_VLAN,      AT(key.vlan),                0 },
	{ "tunnel",                    "",        FIELD_TUNNEL,    AT(key.tunnel),              0 },
	{ "tos",                       "",        FIELD_U8,        AT(tos),                     0 },
	{ "initiator",                 "",        FIELD_DIRECTION, AT(first_dir),               0 },
	{ "end_reason",                "",        FIELD_END,       AT(end),                     0 },
	{ "tcp_flags_a_to_b",          "",        FIELD_U8,        AT(tcp_flags[0]),            0 },
	{ "tcp_flags_b_to_a",          "",        FIELD_U8,        AT(tcp_flags[1]),            0 },
	{ "l3_bytes_a_to_b",           "bytes",   FIELD_U64,       AT(l3_bytes[0]),             0 },
	{ "l3_bytes_b_to_a",           "bytes",   FIELD_U64,       AT(l3_bytes[1]),             0 },
	{ "rtt_to_server_min_ms",      "ms",      FIELD_RTT,       AT(leg[RTT_TO_SERVER].min),  AT(leg[RTT_TO_SERVER].samples) },
	{ "rtt_to_server_ewma_ms",     "ms",      FIELD_RTT,       AT(leg[RTT_TO_SERVER].ewma), AT(leg[RTT_TO_SERVER].samples) },
	{ "rtt_to_server_samples",     "",        FIELD_U32,       AT(leg[RTT_TO_SERVER].samples), 0 },
	{ "rtt_to_client_min_ms",      "ms",      FIELD_RTT,       AT(leg[RTT_TO_CLIENT].min),  AT(leg[RTT_TO_CLIENT].samples) },
	{ "rtt_to_client_ewma_ms",     "ms",      FIELD_RTT,       AT(leg[RTT_TO_CLIENT].ewma), AT(leg[RTT_TO_CLIENT].samples) },
	{ "rtt_to_client_samples",     "",        FIELD_U32,       AT(leg[RTT_TO_CLIENT].samples), 0 },
	/* --flow-cutoff, --sample */
	{ "cut_off",                   "",        FIELD_BOOL,      AT(cut_off),                 0 },
	{ "sample_factor",             "",        FIELD_U32,       AT(sample),                  0 },
};
/* clang-format on */

const unsigned flow_fields_count = sizeof(flow_fields) / sizeof(flow_fields[0]);

unsigned fields_choose(unsigned extras, const struct field *rows[FIELDS_MAX])
{
	unsigned extended = flow_fields_count - FIELDS_SELECT, count = 0;

	for (unsigned i = 0; i < (extras & FIELDS_EXTENDED ? extended : FIELDS_BASE); i++)
		rows[count++] = &flow_fields[i];
	if (extras & FIELDS_CUT_OFF)
		rows[count++] = &flow_fields[extended];
	if (extras & FIELDS_SAMPLE)
		rows[count++] = &flow_fields[extended + 1];
	return count;
}

_Static_assert(sizeof(flow_fields) / sizeof(flow_fields[0]) <= FIELDS_MAX, "layouts have room for FIELDS_MAX rows");
