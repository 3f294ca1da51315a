#include "filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>

#include "log.h"

#define FILTER_SNAPLEN 262144 /* libpcap's MAXIMUM_SNAPLEN: offsets beyond it cannot occur */

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

#include "poison.h"

bool filter_match(const struct filter *filter, const struct frame *frame)
{
	for (unsigned i = 0; i < FILTER_LINKS; i++) {
		if (filter_links[i] == frame->link)
			return filter->programs[i].valid &&
			       bpf_filter(filter->programs[i].code.bf_insns, frame->data, frame->wire_len, frame->cap_len) != 0;
	}
	return false;
}
