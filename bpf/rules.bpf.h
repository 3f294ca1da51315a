/*
 * What a set of rules says of a frame (see abi.h for how they are kept). Pure; user space takes the same function for files.
 */
#ifndef FLOWLANE_RULES_BPF_H
#define FLOWLANE_RULES_BPF_H

#include "parse.bpf.h"

PARSE_INLINE __u32 rules_lower(__u32 x, __u32 y)
{
	return x < y ? x : y;
}

/* words: struct parse's src or dst; the first three are zero for IPv4. */
PARSE_INLINE void rules_prefix_of(struct rules_prefix *prefix, const __u32 words[4], __u8 ip_version)
{
	__u32 version = ip_version; /* machines are little-endian: the first byte */
	__u32 first = ip_version == 4 ? words[3] : words[0], last = ip_version == 4 ? 0 : words[3];

	prefix->bits = 8 * sizeof(prefix->address);
	__builtin_memcpy(prefix->address, &version, 4);
	__builtin_memcpy(prefix->address + 4, &first, 4);
	__builtin_memcpy(prefix->address + 8, words + 1, 8);
	__builtin_memcpy(prefix->address + 16, &last, 4);
}

PARSE_INLINE const struct rules_match *rules_port(const struct rules_tables *tables, const struct parse *parse, __u16 port)
{
	if (!(parse->flags & PARSE_PORTS))
		return &tables->no_ports;
	return &tables->ports[tables->port_class[port] & (RULES_CLASSES - 1)];
}

/* Place of the lowest bit that is set, of which there is one. */
PARSE_INLINE unsigned rules_lowest(__u64 bits)
{
	unsigned place = 0;

	for (unsigned step = 32; step; step >>= 1) {
		if (!(bits & ((1ull << step) - 1))) {
			bits >>= step;
			place += step;
		}
	}
	return place;
}

/* The number of the rule that decides. source, destination: of the longest prefixes that the addresses have, or `elsewhere`. */
PARSE_INLINE __u32 rules_decide(const struct rules_tables *tables, const struct parse *parse, const struct rules_address *source,
	const struct rules_address *destination)
{
	__u32 number = rules_lower(tables->fallback, rules_lower(source->as_source, destination->as_destination));
	const struct rules_bits *protocol = &tables->protocol[parse->flags & PARSE_IP ? parse->proto : RULES_NOT_IP];
	const struct rules_bits *vlan = &tables->vlan[parse->vlan == PARSE_VLAN_NONE ? RULES_UNTAGGED : parse->vlan & 0xfff];
	const struct rules_match *from = rules_port(tables, parse, parse->src_port);
	const struct rules_match *to = rules_port(tables, parse, parse->dst_port);

	for (unsigned i = 0; i < RULES_WORDS; i++) {
		__u64 bits = protocol->word[i] & vlan->word[i];
		bits &= (from->either.word[i] | to->either.word[i]) & from->source.word[i] & to->destination.word[i];
		bits &= source->match.either.word[i] | destination->match.either.word[i];
		bits &= source->match.source.word[i] & destination->match.destination.word[i];
		if (bits)
			return rules_lower(number, tables->number[(i * 64 + rules_lowest(bits)) & (RULES_BITS - 1)]);
	}
	return number;
}

#endif
