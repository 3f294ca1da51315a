/*
 * What the driver says it can do with XDP: the kernel's generic netlink family "netdev" (Linux 6.3). Some drivers change their
 * answer with their state: it is what they can do now.
 */
#ifndef FLOWLANE_NIC_NETDEV_H
#define FLOWLANE_NIC_NETDEV_H

#include <stdbool.h>

struct nic_netdev {
	bool native, redirect, zerocopy, multi_buffer; /* multi_buffer: XDP programs; AF_XDP zero-copy has a limit of its own */
	unsigned zerocopy_segments;                    /* buffers that a frame may take in zero-copy mode; 0: not said */
	bool rx_timestamp, rx_vlan_tag;                /* for programs bound to the device; veth says so, and has no time */
};

/* 0, -ENOENT: the kernel is too old to say, or another negative errno. */
int nic_netdev_read(unsigned ifindex, struct nic_netdev *netdev);

#endif
