/*
 * What rtnetlink says of an interface. Control thread; the network namespace is the calling thread's (sysfs would be the one that
 * was mounted, which is another after setns()).
 */
#ifndef FLOWLANE_NIC_LINK_H
#define FLOWLANE_NIC_LINK_H

#include <net/if.h>
#include <stdint.h>
#include <linux/if_link.h>

struct nic_link {
	char name[IF_NAMESIZE];
	char kind[16];       /* "veth", "bond", ...; "" for hardware */
	char parent_bus[16]; /* "pci", "virtio"; "" where the kernel does not say (before 5.14) */
	unsigned ifindex;
	unsigned flags;        /* IFF_* */
	unsigned short type;   /* ARPHRD_* */
	unsigned mtu, mtu_max; /* mtu_max 0: not said */
	unsigned promiscuity;  /* how many want it promiscuous */
	unsigned rx_queues;    /* reserved by the driver; those in use may be fewer */
	uint8_t xdp_mode;      /* XDP_ATTACHED_* */
	uint32_t xdp_prog_id;  /* of one attached program; 0: none */
	struct rtnl_link_stats64 stats;
};

/* By name or alternative name. 0, -ENODEV: no such interface, or another negative errno. */
int nic_link_read(const char *name, struct nic_link *link);
/* All interfaces, in the kernel's order; *links is to be freed. 0 or a negative errno. */
int nic_link_list(struct nic_link **links, unsigned *count);

#endif
