/*
 * What ethtool(8) shows and sets, by the same ioctl. Control thread; `fd` is any socket, and decides on the network namespace.
 * All calls give 0 or a negative errno; -EOPNOTSUPP: the driver has no such thing.
 */
#ifndef FLOWLANE_NIC_ETHTOOL_H
#define FLOWLANE_NIC_ETHTOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "nic_rss.h"

enum nic_feature_id {
	NIC_FEATURE_LRO,
	NIC_FEATURE_HW_GRO,
	NIC_FEATURE_VLAN_STRIP,
	NIC_FEATURE_STAG_STRIP, /* the outer tag of QinQ */
	NIC_FEATURE_VLAN_FILTER,
	NIC_FEATURES,
};

struct nic_feature {
	bool known;      /* the kernel has it at all */
	bool changeable; /* by the user */
	bool wanted;     /* as it was asked for */
	bool on;         /* as it is: what the driver made of that */
	unsigned bit;
};

/* The short name that `ethtool -K` takes, and the kernel's. */
extern const char *const nic_feature_short[NIC_FEATURES], *const nic_feature_names[NIC_FEATURES];

int nic_ethtool_open(void); /* a socket to ask with, or a negative errno */

struct nic_driver {
	char name[32], version[32], bus[32], firmware[32];
};
int nic_ethtool_driver(int fd, const char *name, struct nic_driver *driver);

/* Mbit/s; 0: unknown, or no link. */
int nic_ethtool_speed(int fd, const char *name, unsigned *speed_mbps);

struct nic_channels {
	unsigned combined, combined_max, rx, rx_max;
};
int nic_ethtool_channels(int fd, const char *name, struct nic_channels *channels);
int nic_ethtool_rings(int fd, const char *name, unsigned *rx, unsigned *rx_max);
/* How many RX queues the receive hash may choose from. */
int nic_ethtool_hash_queues(int fd, const char *name, unsigned *queues);

int nic_ethtool_features(int fd, const char *name, struct nic_feature features[NIC_FEATURES]);
/* Asks for it; whether the driver did so is to be read again. */
int nic_ethtool_set_feature(int fd, const char *name, const struct nic_feature *feature, bool on);

int nic_ethtool_rss(int fd, const char *name, struct nic_rss *rss);
/* Function, key and transform as in `rss`; table and fields stay. */
int nic_ethtool_set_rss(int fd, const char *name, const struct nic_rss *rss);

#endif
