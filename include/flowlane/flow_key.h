/*
 * The canonical flow key: both directions of a conversation have the same one.
 *
 * A is the smaller of (IP version, address bytes, port), compared numerically; B the other. IPv4 addresses sit in the last
 * four of the 16 bytes, the rest zero. Ports in host order. ICMP/ICMPv6 echo: both ports = identifier. Other ICMP: A's
 * port = B's port = type << 8 | code. Protocols without ports: 0.
 */
#ifndef FLOWLANE_FLOW_KEY_H
#define FLOWLANE_FLOW_KEY_H

#include <stdint.h>
#include <string.h>

#define FLOW_VLAN_NONE 0xffff /* untagged, or VLAN not part of the key */

struct flow_key {
	uint8_t a_ip[16];
	uint8_t b_ip[16];
	uint16_t a_port;
	uint16_t b_port;
	uint8_t proto;      /* IANA protocol number of the innermost L4 */
	uint8_t ip_version; /* 4 or 6 */
	uint16_t vlan;      /* with --key-vlan: the innermost id; else FLOW_VLAN_NONE */
	uint32_t tunnel;    /* with --key-tunnel: VNI, TEID, GRE key, ...; else 0 */
};
_Static_assert(sizeof(struct flow_key) == 44, "no padding: compared with memcmp");

/* a_port, b_port, proto, ip_version and vlan as one number, to compare keys by; this bit is turned if tunnel is not 0. */
#define FLOW_TAIL_TUNNEL ((uint64_t)1 << 63)

#define FLOW_KEY_V4_OFFSET 12 /* where the four bytes of an IPv4 address start in a_ip and b_ip */

/* The order of exports: protocol, IP version, A (address, port), B, then vlan and tunnel. Returns <0, 0, >0. */
int flow_key_compare(const struct flow_key *x, const struct flow_key *y);

#endif
