/* Questions to the kernel by netlink, and the answers to them. Control thread; the network namespace is the calling thread's. */
#ifndef FLOWLANE_NIC_NETLINK_H
#define FLOWLANE_NIC_NETLINK_H

#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

/* One message of an answer. 0, or a negative errno, which ends the asking. */
typedef int nic_netlink_take(void *context, struct nlmsghdr *message);

/* Sends one question of NETLINK_ROUTE, NETLINK_GENERIC..., and hands over what comes, messages of control left out. 0, or the
 * negative errno of the kernel or of `take`. */
int nic_netlink_ask(int protocol, const struct nlmsghdr *question, nic_netlink_take *take, void *context);

/* Appends an attribute to a question whose buffer has room for it. */
void nic_netlink_put(struct nlmsghdr *question, unsigned short type, const void *data, size_t bytes);

/* What attributes hold; 0 or cut off where they are shorter or longer. */
uint32_t nic_netlink_u32(const struct rtattr *attribute);
uint64_t nic_netlink_u64(const struct rtattr *attribute);
void nic_netlink_text(const struct rtattr *attribute, char *text, size_t size);

#endif
