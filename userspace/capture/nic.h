/*
 * A NIC's settings: what they are, what capturing needs, and back as they were. Control thread. Everything by ioctl and netlink,
 * nothing by starting other programs, in the network namespace that the thread is in.
 */
#ifndef FLOWLANE_NIC_H
#define FLOWLANE_NIC_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nic_counters {
	uint64_t packets, bytes, dropped, missed, errors;
};

enum nic_xdp_mode { NIC_XDP_NONE, NIC_XDP_NATIVE, NIC_XDP_GENERIC, NIC_XDP_OFFLOADED, NIC_XDP_SEVERAL };

/* What can be known of an interface without changing it. */
struct nic_info {
	char name[IF_NAMESIZE];
	unsigned ifindex;
	char driver[32], version[32], bus[32]; /* "" where there is none */
	char kind[16];                         /* "veth", "bond", ...; "" for hardware */
	bool up, running;                      /* IFF_UP, IFF_RUNNING (carrier) */
	bool ethernet;                         /* ARPHRD_ETHER */
	bool loopback;
	unsigned mtu;
	unsigned rx_queues; /* in use; at least 1 */
	unsigned rx_queues_max;
	bool queues_settable, queues_combined;           /* by `ethtool -L IF rx N`, or combined N */
	unsigned rx_ring, rx_ring_max;                   /* 0: the driver does not say */
	int numa_node;                                   /* -1: none */
	unsigned speed_mbps;                             /* 0: unknown */
	bool lro, hw_gro, rx_vlan_strip, rx_vlan_filter; /* features that are on */
	bool promiscuous;
	bool rss_readable,
		rss_symmetric; /* whether the hash is known, and gives both directions the same queue; so does one queue */
	char rss_text[96];     /* for people: "toeplitz, key not symmetric (tcp4)" */
	bool xdp_known;        /* the kernel says what the driver can do (Linux 6.3); then: */
	bool xdp_native, xdp_zerocopy, xdp_multi_buffer, xdp_rx_timestamp, xdp_rx_vlan_tag;
	enum nic_xdp_mode xdp_mode; /* of the program attached now */
	uint32_t xdp_prog_id;       /* 0: no program attached */
	char xdp_prog_name[32];     /* of it, as far as it can be asked (needs CAP_BPF or CAP_SYS_ADMIN); "" else */
};

/* `name` may be an alternative name; info->name is the proper one. 0, -ENODEV: no such interface, or another negative errno.
 * Nothing is logged. */
int nic_inspect(const char *name, struct nic_info *info);
/* The command (`ethtool -L ...`) that makes it `queues` RX queues; "" there is none. `sudo` goes before each: "", or "sudo ". */
void nic_queues_command(const struct nic_info *info, unsigned queues, const char *sudo, char *text, size_t size);
/* Of the interface as a whole, since it exists. */
int nic_read_counters(const char *name, struct nic_counters *counters);
/* The interface whose name is nearest to what the user typed, for the message; false: none is. */
bool nic_nearest(const char *name, char nearest[IF_NAMESIZE]);
/* The names of all interfaces, in the kernel's order; *names is to be freed. 0 or a negative errno. */
int nic_list(char (**names)[IF_NAMESIZE], unsigned *count);

/* What was changed, so that it can be undone. */
struct nic;

struct nic_wishes {
	bool promiscuous;
	bool no_lro, no_hw_gro, no_rx_vlan_strip; /* switch these off if they are on */
	bool symmetric_rss;                       /* make the hash symmetric if it is not, and if the NIC can */
};

/* Changes what is wished for and differs; each change is logged (log_info) and remembered. What cannot be changed is logged as a
 * warning with the command to run, and is no error. 0 or a negative errno (out of memory, interface gone). */
int nic_prepare(const struct nic_info *info, const struct nic_wishes *wishes, struct nic **nic);
/* "promiscuous mode on, rxvlan off", or "". */
const char *nic_changes(const struct nic *nic);
/* True: undoing needs CAP_NET_ADMIN (promiscuous mode does not: its socket is closed). */
bool nic_needs_admin(const struct nic *nic);
/* Puts back what nic_prepare() changed, and says so. Accepts NULL. Works from any network namespace. */
void nic_restore(struct nic *nic);

#endif
