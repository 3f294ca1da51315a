#include "filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "log.h"

#define FILTER_SNAPLEN 262144 /* libpcap's MAXIMUM_SNAPLEN: offsets beyond it cannot occur */

#define FILTER_TAGGED_MAX 16384 /* of a frame whose tag is put back: more than any driver hands out that takes tags out */

static const uint16_t filter_links[] = { LINK_ETHERNET, LINK_RAW, LINK_IPV4, LINK_IPV6, LINK_NULL, LINK_LOOP, LINK_LINUX_SLL,
	LINK_LINUX_SLL2 };
#define FILTER_LINKS (sizeof(filter_links) / sizeof(filter_links[0]))

struct filter {
	struct filter_program {
		bool valid;
		struct bpf_program code;
	} programs[FILTER_LINKS];
};

/* The DLT_ number of a link type; they differ in one case. */
static int filter_dlt(uint16_t link)
{
	return link == LINK_RAW ? DLT_RAW : link;
}

static int filter_compile(struct filter_program *program, uint16_t link, const char *expression, char *reason, size_t size)
{
	pcap_t *pcap = pcap_open_dead(filter_dlt(link), FILTER_SNAPLEN);

	if (!pcap)
		return -ENOMEM;
	program->valid = pcap_compile(pcap, &program->code, expression, 1, PCAP_NETMASK_UNKNOWN) == 0;
	if (!program->valid)
		snprintf(reason, size, "%s", pcap_geterr(pcap));
	pcap_close(pcap);
	return program->valid ? 0 : -EINVAL;
}

int filter_create(const char *expression, const struct source_info *info, struct filter **result)
{
	struct filter *filter = calloc(1, sizeof(*filter));
	char reason[PCAP_ERRBUF_SIZE] = "unknown link type";
	bool any = false;

	if (!filter)
		return -ENOMEM;
	for (unsigned i = 0; i < FILTER_LINKS; i++) {
		if (info->link < 0 || info->link == filter_links[i])
			any |= filter_compile(&filter->programs[i], filter_links[i], expression, reason, sizeof(reason)) == 0;
	}
	if (!any) {
		log_error("filter '%s': %s (the syntax is that of pcap-filter(7))", expression, reason);
		filter_destroy(filter);
		return -EINVAL;
	}
	*result = filter;
	return 0;
}

void filter_destroy(struct filter *filter)
{
	if (!filter)
		return;
	for (unsigned i = 0; i < FILTER_LINKS; i++) {
		if (filter->programs[i].valid)
			pcap_freecode(&filter->programs[i].code);
	}
	free(filter);
}

const struct classic_insn *filter_code(const struct filter *filter, uint16_t link, unsigned *count)
{
	for (unsigned i = 0; i < FILTER_LINKS; i++) {
		const struct bpf_program *code = &filter->programs[i].code;
		if (filter_links[i] != link || !filter->programs[i].valid)
			continue;
		*count = code->bf_len;
		return (const struct classic_insn *)code->bf_insns;
	}
	return NULL;
}

#include "poison.h"

/* Hardware took a tag out: the expression is about the frame as it was on the wire. */
static __attribute__((noinline)) bool filter_match_tagged(const struct bpf_program *code, const struct frame *frame)
{
	uint8_t whole[FILTER_TAGGED_MAX + 4];
	uint32_t bytes = frame->cap_len < FILTER_TAGGED_MAX ? frame->cap_len : FILTER_TAGGED_MAX;

	if (bytes < 12)
		return false;
	memcpy(whole, frame->data, 12);
	store_be16(whole + 12, frame->vlan_tpid);
	store_be16(whole + 14, frame->vlan_tci);
	memcpy(whole + 16, frame->data + 12, bytes - 12);
	return bpf_filter(code->bf_insns, whole, frame->wire_len + 4, bytes + 4) != 0;
}

bool filter_match(const struct filter *filter, const struct frame *frame)
{
	for (unsigned i = 0; i < FILTER_LINKS; i++) {
		const struct bpf_program *code = &filter->programs[i].code;
		if (filter_links[i] != frame->link)
			continue;
		if (__builtin_expect(frame->vlan_tpid && filter->programs[i].valid, 0))
			return filter_match_tagged(code, frame);
		return filter->programs[i].valid && bpf_filter(code->bf_insns, frame->data, frame->wire_len, frame->cap_len) != 0;
	}
	return false;
}
