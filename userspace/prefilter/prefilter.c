#include "prefilter.h"

#include "bytes.h"
#include "parse.bpf.h"

#include "poison.h"

/* The network header of what is not Ethernet; NULL: there is none. */
static const uint8_t *other_network(const struct frame *frame, uint16_t *ether_type)
{
	const uint8_t *data = frame->data;
	uint32_t header = 0;

	switch (frame->link) {
	case LINK_LINUX_SLL:
		header = 16;
		*ether_type = frame->cap_len >= header ? load_be16(data + 14) : 0;
		break;
	case LINK_LINUX_SLL2:
		header = 20;
		*ether_type = frame->cap_len >= header ? load_be16(data) : 0;
		break;
	case LINK_NULL:
	case LINK_LOOP:
		header = 4;
		/* fallthrough */
	default: /* raw IP */
		if (frame->cap_len > header)
			*ether_type = data[header] >> 4 == 4 ? 0x0800 : data[header] >> 4 == 6 ? 0x86dd : 0;
	}
	return frame->cap_len > header ? data + header : NULL;
}

static void prefilter_parse(const struct frame *frame, struct parse *parse)
{
	const uint8_t *end = frame->data + frame->cap_len;

	if (frame->link == LINK_ETHERNET) {
		parse_frame(parse, frame->data, end);
	} else {
		*parse = (struct parse){ .vlan = PARSE_VLAN_NONE };
		const uint8_t *p = other_network(frame, &parse->ether_type);
		if (p && parse->ether_type == 0x0800)
			parse_ipv4(parse, p, end);
		else if (p && parse->ether_type == 0x86dd)
			parse_ipv6(parse, p, end);
	}
	if (frame->vlan_tpid)
		parse->vlan = frame->vlan_tci & 0xfff;
}

enum prefilter_verdict prefilter_run(const struct prefilter *prefilter, const struct frame *frame)
{
	struct parse parse;

	if (prefilter->filter && !filter_match(prefilter->filter, frame))
		return PREFILTER_EXPRESSION;
	if (prefilter->rules || prefilter->sample > 1)
		prefilter_parse(frame, &parse);
	if (prefilter->rules && rules_deny(prefilter->rules, &parse))
		return PREFILTER_RULES;
	if (prefilter->sample > 1 && parse_share(parse_hash(&parse, XDP_SHARE_PORTS, PARSE_SAMPLE_SEED), prefilter->sample))
		return PREFILTER_SAMPLE;
	if (!prefilter->cutoff)
		return PREFILTER_WANTED;
	switch (cutoff_table_look(prefilter->cutoff, frame)) {
	case CUTOFF_COUNTED:
		return PREFILTER_CUTOFF;
	case CUTOFF_LATER:
		return PREFILTER_LATER;
	default:
		return PREFILTER_WANTED;
	}
}

void prefilter_round(const struct prefilter *prefilter)
{
	if (prefilter->cutoff)
		cutoff_table_round(prefilter->cutoff);
}
