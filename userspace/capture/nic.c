#include "nic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <linux/if_arp.h>

#include "nearest.h"
#include "nic_ethtool.h"
#include "nic_link.h"
#include "nic_netdev.h"

static unsigned larger(unsigned a, unsigned b)
{
	return a > b ? a : b;
}

/*
 * The NUMA node is in sysfs only. PCI devices are the same in each network namespace, so the way over the bus address is right
 * also where /sys/class/net shows another namespace's interfaces.
 */
static int numa_node_read(const char *bus)
{
	char path[128];
	int node = -1;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/numa_node", bus);
	FILE *file = *bus && !strchr(bus, '/') ? fopen(path, "re") : NULL;
	if (!file)
		return -1;
	if (fscanf(file, "%d", &node) != 1)
		node = -1;
	fclose(file);
	return node;
}

static void inspect_link(const struct nic_link *link, struct nic_info *info)
{
	static const enum nic_xdp_mode modes[] = { [XDP_ATTACHED_NONE] = NIC_XDP_NONE,
		[XDP_ATTACHED_DRV] = NIC_XDP_NATIVE,
		[XDP_ATTACHED_SKB] = NIC_XDP_GENERIC,
		[XDP_ATTACHED_HW] = NIC_XDP_OFFLOADED,
		[XDP_ATTACHED_MULTI] = NIC_XDP_SEVERAL };

	memcpy(info->name, link->name, sizeof(info->name));
	memcpy(info->kind, link->kind, sizeof(info->kind));
	info->ifindex = link->ifindex;
	info->up = link->flags & IFF_UP;
	info->running = link->flags & IFF_RUNNING;
	info->ethernet = link->type == ARPHRD_ETHER;
	info->loopback = link->flags & IFF_LOOPBACK;
	info->mtu = link->mtu;
	info->promiscuous = link->promiscuity > 0;
	info->xdp_prog_id = link->xdp_prog_id;
	if (link->xdp_mode < sizeof(modes) / sizeof(*modes))
		info->xdp_mode = modes[link->xdp_mode];
}

/* As many as there can be sockets: "combined" channels have an RX queue, and so has each RX channel. */
static void inspect_queues(int fd, const struct nic_link *link, struct nic_info *info)
{
	struct nic_channels channels;
	unsigned queues = 0;

	if (!nic_ethtool_channels(fd, info->name, &channels)) {
		info->rx_queues = channels.combined + channels.rx;
		info->rx_queues_max = larger(channels.combined_max, channels.rx_max);
		info->queues_combined = channels.combined_max > 0;
		info->queues_settable = true;
	} else if (!nic_ethtool_hash_queues(fd, info->name, &queues)) {
		info->rx_queues = queues;
	} else {
		info->rx_queues = link->rx_queues;
	}
	info->rx_queues = larger(info->rx_queues, 1);
	info->rx_queues_max = larger(info->rx_queues_max, info->rx_queues);
}

static void inspect_features(int fd, struct nic_info *info)
{
	struct nic_feature features[NIC_FEATURES];

	if (nic_ethtool_features(fd, info->name, features))
		return;
	info->lro = features[NIC_FEATURE_LRO].on;
	info->hw_gro = features[NIC_FEATURE_HW_GRO].on;
	info->rx_vlan_strip = features[NIC_FEATURE_VLAN_STRIP].on || features[NIC_FEATURE_STAG_STRIP].on;
	info->rx_vlan_filter = features[NIC_FEATURE_VLAN_FILTER].on;
}

static void inspect_rss(int fd, struct nic_info *info)
{
	struct nic_rss rss;

	if (info->rx_queues == 1) {
		info->rss_readable = info->rss_symmetric = true;
		snprintf(info->rss_text, sizeof(info->rss_text), "one queue");
		return;
	}
	if (nic_ethtool_rss(fd, info->name, &rss)) {
		snprintf(info->rss_text, sizeof(info->rss_text), "the driver does not say how it chooses the queue");
		return;
	}
	enum nic_rss_verdict verdict = nic_rss_judge(&rss, info->rss_text, sizeof(info->rss_text));
	info->rss_readable = verdict != NIC_RSS_CANNOT_TELL;
	info->rss_symmetric = verdict == NIC_RSS_SYMMETRIC;
}

static void inspect_xdp(struct nic_info *info)
{
	struct nic_netdev netdev;

	if (nic_netdev_read(info->ifindex, &netdev))
		return;
	info->xdp_known = true;
	info->xdp_native = netdev.native && netdev.redirect;
	info->xdp_zerocopy = netdev.zerocopy;
	info->xdp_multi_buffer = netdev.multi_buffer;
	info->xdp_rx_timestamp = netdev.rx_timestamp;
	info->xdp_rx_vlan_tag = netdev.rx_vlan_tag;
}

static void inspect_program(struct nic_info *info)
{
	struct bpf_prog_info program = { 0 };
	uint32_t size = sizeof(program);

	if (!info->xdp_prog_id)
		return;
	int fd = bpf_prog_get_fd_by_id(info->xdp_prog_id);
	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &program, &size))
		snprintf(info->xdp_prog_name, sizeof(info->xdp_prog_name), "%.*s", BPF_OBJ_NAME_LEN, program.name);
	close(fd);
}

int nic_inspect(const char *name, struct nic_info *result)
{
	struct nic_info info = { .numa_node = -1 };
	struct nic_driver driver = { 0 };
	struct nic_link link;

	int error = nic_link_read(name, &link);
	if (error)
		return error;
	int fd = nic_ethtool_open();
	if (fd < 0)
		return fd;
	inspect_link(&link, &info);
	if (!nic_ethtool_driver(fd, info.name, &driver)) {
		memcpy(info.driver, driver.name, sizeof(info.driver));
		memcpy(info.version, driver.version, sizeof(info.version));
		memcpy(info.bus, driver.bus, sizeof(info.bus));
	}
	info.numa_node = numa_node_read(info.bus);
	nic_ethtool_speed(fd, info.name, &info.speed_mbps);
	nic_ethtool_rings(fd, info.name, &info.rx_ring, &info.rx_ring_max);
	inspect_queues(fd, &link, &info);
	inspect_features(fd, &info);
	inspect_rss(fd, &info);
	inspect_xdp(&info);
	inspect_program(&info);
	close(fd);
	*result = info;
	return 0;
}

void nic_queues_command(const struct nic_info *info, unsigned queues, const char *sudo, char *text, size_t size)
{
	const char *name = info->name;

	if (!info->queues_settable)
		snprintf(text, size, "%s", "");
	else if (info->queues_combined)
		snprintf(text, size, "%sethtool -L %s combined %u", sudo, name, queues);
	else if (!strcmp(info->kind, "veth")) /* which takes no native program with fewer RX queues than the peer has TX queues */
		snprintf(text, size, "%sethtool -L PEER tx %u && %sethtool -L %s rx %u    (PEER: the other end)", sudo, queues,
			sudo, name, queues);
	else
		snprintf(text, size, "%sethtool -L %s rx %u", sudo, name, queues);
}

int nic_read_counters(const char *name, struct nic_counters *counters)
{
	struct nic_link link;

	int error = nic_link_read(name, &link);
	if (error)
		return error;
	*counters = (struct nic_counters){ .packets = link.stats.rx_packets,
		.bytes = link.stats.rx_bytes,
		.dropped = link.stats.rx_dropped,
		.missed = link.stats.rx_missed_errors,
		.errors = link.stats.rx_errors };
	return 0;
}

int nic_list(char (**names)[IF_NAMESIZE], unsigned *count)
{
	struct nic_link *links = NULL;
	unsigned found = 0;

	int error = nic_link_list(&links, &found);
	if (error)
		return error;
	char(*list)[IF_NAMESIZE] = calloc(larger(found, 1), sizeof(*list));
	for (unsigned i = 0; list && i < found; i++)
		memcpy(list[i], links[i].name, sizeof(list[i]));
	free(links);
	if (!list)
		return -ENOMEM;
	*names = list;
	*count = found;
	return 0;
}

bool nic_nearest(const char *name, char nearest[IF_NAMESIZE])
{
	const char **candidates = NULL;
	const char *best = NULL;
	char(*names)[IF_NAMESIZE] = NULL;
	unsigned count = 0;

	if (nic_list(&names, &count))
		return false;
	candidates = calloc(larger(count, 1), sizeof(*candidates));
	for (unsigned i = 0; candidates && i < count; i++)
		candidates[i] = names[i];
	if (candidates)
		best = nearest_name(name, candidates, count);
	if (best)
		memcpy(nearest, best, IF_NAMESIZE);
	free(candidates);
	free(names);
	return best != NULL;
}
