#include "nic_netdev.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <linux/genetlink.h>

#include "nic_netlink.h"

/* include/uapi/linux/netdev.h, which headers before 6.3 lack. */
#define NETDEV_FAMILY      "netdev"
#define NETDEV_DEV_GET     1
#define NETDEV_IFINDEX     1
#define NETDEV_FEATURES    3
#define NETDEV_SEGMENTS    4
#define NETDEV_RX_METADATA 5

#define ACT_BASIC     (1 << 0)
#define ACT_REDIRECT  (1 << 1)
#define ACT_ZEROCOPY  (1 << 3)
#define ACT_RX_SG     (1 << 5)
#define METADATA_TIME (1 << 0)
#define METADATA_VLAN (1 << 2)

struct question {
	struct nlmsghdr header;
	struct genlmsghdr generic;
	char attributes[64];
};

static struct question question_make(unsigned short family, uint8_t command, uint8_t version)
{
	return (struct question){
		.header = { .nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN), .nlmsg_type = family, .nlmsg_flags = NLM_F_REQUEST },
		.generic = { .cmd = command, .version = version },
	};
}

/* Attributes begin behind the generic header; *left gets their bytes. */
static const struct rtattr *attributes_of(struct nlmsghdr *message, int *left)
{
	*left = (int)message->nlmsg_len - (int)NLMSG_LENGTH(GENL_HDRLEN);
	return (const struct rtattr *)((char *)NLMSG_DATA(message) + GENL_HDRLEN);
}

static int family_take(void *context, struct nlmsghdr *message)
{
	unsigned short *family = context;
	int left;

	for (const struct rtattr *a = attributes_of(message, &left); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == CTRL_ATTR_FAMILY_ID && RTA_PAYLOAD(a) >= sizeof(*family))
			memcpy(family, RTA_DATA(a), sizeof(*family));
	}
	return 0;
}

static int netdev_take(void *context, struct nlmsghdr *message)
{
	struct nic_netdev *netdev = context;
	uint64_t features = 0, metadata = 0;
	int left;

	for (const struct rtattr *a = attributes_of(message, &left); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		switch (a->rta_type & NLA_TYPE_MASK) {
		case NETDEV_FEATURES:
			features = nic_netlink_u64(a);
			break;
		case NETDEV_SEGMENTS:
			netdev->zerocopy_segments = nic_netlink_u32(a);
			break;
		case NETDEV_RX_METADATA:
			metadata = nic_netlink_u64(a);
			break;
		}
	}
	netdev->native = features & ACT_BASIC;
	netdev->redirect = features & ACT_REDIRECT;
	netdev->zerocopy = features & ACT_ZEROCOPY;
	netdev->multi_buffer = features & ACT_RX_SG;
	netdev->rx_timestamp = metadata & METADATA_TIME;
	netdev->rx_vlan_tag = metadata & METADATA_VLAN;
	return 0;
}

int nic_netdev_read(unsigned ifindex, struct nic_netdev *result)
{
	struct question which = question_make(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	struct nic_netdev netdev = { 0 };
	unsigned short family = 0;
	uint32_t index = ifindex;

	nic_netlink_put(&which.header, CTRL_ATTR_FAMILY_NAME, NETDEV_FAMILY, sizeof(NETDEV_FAMILY));
	int error = nic_netlink_ask(NETLINK_GENERIC, &which.header, family_take, &family);
	if (error)
		return error;
	struct question what = question_make(family, NETDEV_DEV_GET, 1);
	nic_netlink_put(&what.header, NETDEV_IFINDEX, &index, sizeof(index));
	error = nic_netlink_ask(NETLINK_GENERIC, &what.header, netdev_take, &netdev);
	if (!error)
		*result = netdev;
	return error;
}
