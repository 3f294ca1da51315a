#include "pcap_reader.h"

#include <pcap/pcap.h>

#include "log.h"

/* The few LINKTYPE_ numbers below 256 whose DLT_ number is another one: libpcap names the latter only. */
static int dlt_of(uint32_t link)
{
	switch (link) {
	case 100:
		return DLT_ATM_RFC1483;
	case LINK_RAW:
		return DLT_RAW;
	case 102:
		return DLT_SLIP_BSDOS;
	case 103:
		return DLT_PPP_BSDOS;
	case 106:
		return DLT_ATM_CLIP;
	default:
		return (int)link;
	}
}

const char *link_type_name(uint32_t link)
{
	const char *name = pcap_datalink_val_to_name(dlt_of(link));
	return name ? name : "unknown";
}

bool link_type_known(uint32_t link)
{
	static const uint16_t known[] = {
		LINK_NULL,
		LINK_ETHERNET,
		LINK_RAW_BSD,
		LINK_RAW_OPENBSD,
		LINK_RAW,
		LINK_LOOP,
		LINK_LINUX_SLL,
		LINK_IPV4,
		LINK_IPV6,
		LINK_LINUX_SLL2,
	};

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == link)
			return true;
	return false;
}

int link_type_check(const char *file, uint32_t link, const char *link_name)
{
	if (!link_type_known(link)) {
		log_error("%s has link type %u (%s), which flowlane does not read; it reads Ethernet (1), raw IP (101, 228, 229), "
			  "Linux cooked (113, 276), and NULL/LOOP (0, 108)",
			file, link, link_name);
		return -1;
	}
	return link == LINK_RAW_BSD || link == LINK_RAW_OPENBSD ? LINK_RAW : (int)link;
}
