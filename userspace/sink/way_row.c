#include "way_row.h"

#include <stddef.h>
#include <string.h>

#include "bytes.h"
#include "text.h"

#define CODE(type)                _Generic((type)0, uint8_t : 'B', uint16_t : 'H', uint32_t : 'I', uint64_t : 'Q')
#define FIELD(name, type, member) { #name, CODE(type), sizeof(((struct way_row *)0)->member), offsetof(struct way_row, member) },

const struct way_field way_fields[WAY_FIELDS] = { WAY_FIELD_LIST(FIELD) };

#undef FIELD

#include "poison.h"

#define ICMP_PROTO   1
#define ICMPV6_PROTO 58

static void row_address(uint32_t words[4], const uint8_t ip[16])
{
	for (unsigned i = 0; i < 4; i++)
		words[i] = load_be32(ip + 4 * i);
}

void way_row_fill(struct way_row *row, const struct flow_way *way, bool wire)
{
	const struct flow_key *key = &way->key;
	bool from_a = way->dir == 0;
	uint64_t first_ms = way->first_ns / 1000000, last_ms = way->last_ns / 1000000;

	*row = (struct way_row){
		.af = key->ip_version == 6 ? WAY_AF_IPV6 : WAY_AF_IPV4,
		.prot = key->proto,
		.sp = from_a ? key->a_port : key->b_port,
		.dp = from_a ? key->b_port : key->a_port,
		.first = first_ms / 1000,
		.first_ms = (uint16_t)(first_ms % 1000),
		.last = last_ms / 1000,
		.last_ms = (uint16_t)(last_ms % 1000),
		.tcp_flags = way->tcp_flags,
		.tos = way->tos,
		.inif = way->input,
		.packets = way->packets,
		.octets = wire ? way->bytes : way->l3_bytes,
		.aggs = way->pieces,
	};
	if (key->proto == ICMP_PROTO || key->proto == ICMPV6_PROTO) {
		row->sp = 0;
		row->dp = way->icmp;
	}
	row_address(row->sa, from_a ? key->a_ip : key->b_ip);
	row_address(row->da, from_a ? key->b_ip : key->a_ip);
}

static inline char *put(char *out, uint64_t value, char end)
{
	out = text_u64(out, value);
	*out = end;
	return out + 1;
}

static char *put_endpoint(char *out, const uint32_t words[4], uint16_t port)
{
	for (unsigned i = 0; i < 4; i++)
		out = put(out, words[i], '|');
	return put(out, port, '|');
}

/* The columns of nfdump 1.7.0 to 1.7.4, `-o pipe`. */
char *pipe_line(char *out, const struct way_row *row)
{
	out = put(out, row->af, '|');
	out = put(out, way_row_first_ms(row), '|');
	out = put(out, way_row_last_ms(row), '|');
	out = put(out, row->prot, '|');
	out = put_endpoint(out, row->sa, row->sp);
	out = put_endpoint(out, row->da, row->dp);
	out = put(out, row->src_as, '|');
	out = put(out, row->dst_as, '|');
	out = put(out, row->inif, '|');
	out = put(out, row->outif, '|');
	out = put(out, row->tcp_flags, '|');
	out = put(out, row->tos, '|');
	out = put(out, row->packets, '|');
	return put(out, row->octets, '\n');
}

static inline char *put_comma(char *out, uint64_t value)
{
	out = text_u64(out, value);
	memcpy(out, ", ", 2);
	return out + 2;
}

char *csv_flow_line(char *out, const struct way_row *row)
{
#define FIELD(name, type, member) out = put_comma(out, row->member);
	WAY_FIELD_LIST(FIELD)
#undef FIELD
	out[-2] = '\n';
	return out - 1;
}
