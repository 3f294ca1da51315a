#include "nic_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nic_netlink.h"

#define ALTERNATIVE_NAME_MAX 128 /* ALTIFNAMSIZ of linux/if.h, which does not go together with net/if.h */

struct link_answers {
	struct nic_link *links;
	unsigned count, room;
};

static void link_parse_kind(const struct rtattr *nest, struct nic_link *link)
{
	int left = (int)RTA_PAYLOAD(nest);

	for (const struct rtattr *a = RTA_DATA(nest); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == IFLA_INFO_KIND)
			nic_netlink_text(a, link->kind, sizeof(link->kind));
	}
}

/* With programs in several modes at once (XDP_ATTACHED_MULTI) PROG_ID is missing, and each mode has its own. */
static void link_parse_xdp(const struct rtattr *nest, struct nic_link *link)
{
	int left = (int)RTA_PAYLOAD(nest);

	for (const struct rtattr *a = RTA_DATA(nest); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		switch (a->rta_type) {
		case IFLA_XDP_ATTACHED:
			link->xdp_mode = RTA_PAYLOAD(a) ? *(const uint8_t *)RTA_DATA(a) : 0;
			break;
		case IFLA_XDP_PROG_ID:
			link->xdp_prog_id = nic_netlink_u32(a);
			break;
		case IFLA_XDP_DRV_PROG_ID:
		case IFLA_XDP_SKB_PROG_ID:
		case IFLA_XDP_HW_PROG_ID:
			link->xdp_prog_id = link->xdp_prog_id ? link->xdp_prog_id : nic_netlink_u32(a);
			break;
		}
	}
}

static void link_parse_attribute(const struct rtattr *a, struct nic_link *link)
{
	switch (a->rta_type & NLA_TYPE_MASK) {
	case IFLA_IFNAME:
		nic_netlink_text(a, link->name, sizeof(link->name));
		break;
	case IFLA_MTU:
		link->mtu = nic_netlink_u32(a);
		break;
	case IFLA_MAX_MTU:
		link->mtu_max = nic_netlink_u32(a);
		break;
	case IFLA_PROMISCUITY:
		link->promiscuity = nic_netlink_u32(a);
		break;
	case IFLA_NUM_RX_QUEUES:
		link->rx_queues = nic_netlink_u32(a);
		break;
	case IFLA_PARENT_DEV_BUS_NAME:
		nic_netlink_text(a, link->parent_bus, sizeof(link->parent_bus));
		break;
	case IFLA_LINKINFO:
		link_parse_kind(a, link);
		break;
	case IFLA_XDP:
		link_parse_xdp(a, link);
		break;
	case IFLA_STATS64:
		/* Newer kernels have more members than the headers of this build, older ones fewer. */
		memcpy(&link->stats, RTA_DATA(a), RTA_PAYLOAD(a) < sizeof(link->stats) ? RTA_PAYLOAD(a) : sizeof(link->stats));
		break;
	}
}

static void link_parse(struct nlmsghdr *message, struct nic_link *link)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	int left = (int)IFLA_PAYLOAD(message);

	*link = (struct nic_link){ .ifindex = (unsigned)info->ifi_index, .flags = info->ifi_flags, .type = info->ifi_type };
	for (const struct rtattr *a = IFLA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left))
		link_parse_attribute(a, link);
}

static int answers_add(void *context, struct nlmsghdr *message)
{
	struct link_answers *answers = context;

	if (message->nlmsg_type != RTM_NEWLINK)
		return 0;
	if (answers->count == answers->room) {
		unsigned room = answers->room ? 2 * answers->room : 16;
		struct nic_link *links = reallocarray(answers->links, room, sizeof(*links));
		if (!links)
			return -ENOMEM;
		answers->links = links;
		answers->room = room;
	}
	link_parse(message, &answers->links[answers->count++]);
	return 0;
}

int nic_link_read(const char *name, struct nic_link *link)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
		char attributes[256];
	} question = { .header = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
			       .nlmsg_type = RTM_GETLINK,
			       .nlmsg_flags = NLM_F_REQUEST } };
	struct link_answers answers = { 0 };
	size_t length = strlen(name) + 1;

	if (length < 2 || length > ALTERNATIVE_NAME_MAX)
		return -ENODEV;
	nic_netlink_put(&question.header, length <= IF_NAMESIZE ? IFLA_IFNAME : IFLA_ALT_IFNAME, name, length);
	int error = nic_netlink_ask(NETLINK_ROUTE, &question.header, answers_add, &answers);
	if (!error && answers.count == 0)
		error = -ENODEV;
	if (!error)
		*link = answers.links[0];
	free(answers.links);
	return error;
}

int nic_link_list(struct nic_link **links, unsigned *count)
{
	const struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} question = {
		.header = { .nlmsg_len = sizeof(question), .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP }
	};
	struct link_answers answers = { 0 };

	int error = nic_netlink_ask(NETLINK_ROUTE, &question.header, answers_add, &answers);
	if (error) {
		free(answers.links);
		return error;
	}
	*links = answers.links;
	*count = answers.count;
	return 0;
}
