/*
 * What the decoder says of a packet. Every packet gets exactly one verdict, and every verdict has a counter in the ledger:
 *
 *   packets_read = packets_decoded + sum(drops)            drops: VERDICT_DROP_* and the reasons outside decoding (filter)
 *   packets_decoded = packets_in_flows + sum(no_flow)      no_flow: whole and understood, but not IP
 *
 * The names appear in the summary; they are an interface.
 */
#ifndef FLOWLANE_VERDICT_H
#define FLOWLANE_VERDICT_H

/* clang-format off */
#define VERDICTS(X)                                                                                                          \
	X(FLOW,                      "flow",                   "IP, belongs to a flow")                                       \
	/* decoded, but not IP: no flow */                                                                                     \
	X(NOFLOW_ARP,                "arp",                    "ARP or RARP")                                                 \
	X(NOFLOW_LLC,                "llc",                    "IEEE 802.3 frame with a length instead of an EtherType")      \
	X(NOFLOW_PPPOE_CONTROL,      "pppoe_control",          "PPPoE discovery, or PPP that is not IP")                      \
	X(NOFLOW_TUNNEL_CONTROL,     "tunnel_control",         "inside a tunnel, but not IP")                                 \
	X(NOFLOW_OTHER_ETHERTYPE,    "other_ethertype",        "an EtherType that is not IP")                                 \
	X(NOFLOW_OTHER_FAMILY,       "other_family",           "NULL/LOOP address family that is not IP")                     \
	/* not decodable */                                                                                                    \
	X(DROP_LINK_UNSUPPORTED,     "link_unsupported",       "link type that flowlane does not decode")                     \
	X(DROP_LINK_SHORT,           "link_short",             "capture ends inside the link header")                         \
	X(DROP_VLAN_SHORT,           "vlan_short",             "capture ends inside a VLAN tag")                              \
	X(DROP_MPLS_SHORT,           "mpls_short",             "capture ends inside the MPLS label stack")                    \
	X(DROP_PPPOE_SHORT,          "pppoe_short",            "capture ends inside the PPPoE or PPP header")                 \
	X(DROP_TOO_NESTED,           "too_nested",             "more headers than the limit")                                 \
	X(DROP_IP_VERSION,           "ip_version",             "IP version nibble is not what the layer below said")          \
	X(DROP_IPV4_SHORT,           "ipv4_short",             "capture ends inside the IPv4 header")                         \
	X(DROP_IPV4_HEADER_LENGTH,   "ipv4_header_length",     "IPv4 header length below 20, or beyond the packet")           \
	X(DROP_IPV4_TOTAL_LENGTH,    "ipv4_total_length",      "IPv4 total length shorter than the header")                   \
	X(DROP_IPV6_SHORT,           "ipv6_short",             "capture ends inside the IPv6 header")                         \
	X(DROP_IPV6_EXTENSION_SHORT, "ipv6_extension_short",   "packet or capture ends inside an IPv6 extension header")      \
	X(DROP_TCP_SHORT,            "tcp_short",              "packet or capture ends inside the TCP header")                \
	X(DROP_TCP_OFFSET,           "tcp_offset",             "TCP data offset below 20, or beyond the segment")             \
	X(DROP_UDP_SHORT,            "udp_short",              "packet or capture ends inside the UDP header")                \
	X(DROP_SCTP_SHORT,           "sctp_short",             "packet or capture ends inside the SCTP header")               \
	X(DROP_DCCP_SHORT,           "dccp_short",             "packet or capture ends inside the DCCP header")               \
	X(DROP_ICMP_SHORT,           "icmp_short",             "packet or capture ends inside the ICMP header")               \
	X(DROP_TUNNEL_SHORT,         "tunnel_short",           "packet or capture ends inside a tunnel header")
/* clang-format on */

enum verdict {
#define X(id, name, text) VERDICT_##id,
	VERDICTS(X)
#undef X
		VERDICT_COUNT,
};

#define VERDICT_FIRST_NOFLOW VERDICT_NOFLOW_ARP
#define VERDICT_FIRST_DROP   VERDICT_DROP_LINK_UNSUPPORTED

/* The name of a verdict as the summary prints it. */
const char *verdict_name(enum verdict verdict);
const char *verdict_text(enum verdict verdict);

#endif
