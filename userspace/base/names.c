#include "names.h"

#include <stddef.h>

#include "flowlane/flow.h"

/*
 * https://www.iana.org/assignments/protocol-numbers, 0 to 142. Where the keyword is not the everyday word the everyday word
 * is taken: icmp6 (IPv6-ICMP), ospf (OSPFIGP), mobile (Min-IPv4), isis (ISIS over IPv4), mobility (Mobility Header).
 */
static const char protocol_names[][PROTOCOL_NAME_MAX] = {
	"hopopt", "icmp", "igmp", "ggp", "ipv4", "st", "tcp", "cbt", "egp", "igp",                             /* 0 */
	"bbn-rcc-mon", "nvp-ii", "pup", "argus", "emcon", "xnet", "chaos", "udp", "mux", "dcn-meas",           /* 10 */
	"hmp", "prm", "xns-idp", "trunk-1", "trunk-2", "leaf-1", "leaf-2", "rdp", "irtp", "iso-tp4",           /* 20 */
	"netblt", "mfe-nsp", "merit-inp", "dccp", "3pc", "idpr", "xtp", "ddp", "idpr-cmtp", "tp++",            /* 30 */
	"il", "ipv6", "sdrp", "ipv6-route", "ipv6-frag", "idrp", "rsvp", "gre", "dsr", "bna",                  /* 40 */
	"esp", "ah", "i-nlsp", "swipe", "narp", "mobile", "tlsp", "skip", "icmp6", "ipv6-nonxt",               /* 50 */
	"ipv6-opts", "", "cftp", "", "sat-expak", "kryptolan", "rvd", "ippc", "", "sat-mon",                   /* 60 */
	"visa", "ipcv", "cpnx", "cphb", "wsn", "pvp", "br-sat-mon", "sun-nd", "wb-mon", "wb-expak",            /* 70 */
	"iso-ip", "vmtp", "secure-vmtp", "vines", "iptm", "nsfnet-igp", "dgp", "tcf", "eigrp", "ospf",         /* 80 */
	"sprite-rpc", "larp", "mtp", "ax.25", "ipip", "micp", "scc-sp", "etherip", "encap", "",                /* 90 */
	"gmtp", "ifmp", "pnni", "pim", "aris", "scps", "qnx", "a/n", "ipcomp", "snp",                          /* 100 */
	"compaq-peer", "ipx-in-ip", "vrrp", "pgm", "", "l2tp", "ddx", "iatp", "stp", "srp",                    /* 110 */
	"uti", "smp", "sm", "ptp", "isis", "fire", "crtp", "crudp", "sscopmce", "iplt",                        /* 120 */
	"sps", "pipe", "sctp", "fc", "rsvp-e2e-ignore", "mobility", "udplite", "mpls-in-ip", "manet", "shim6", /* 130 */
	"wesp", "rohc", "ethernet",                                                                            /* 140 */
};
_Static_assert(sizeof(protocol_names) / sizeof(protocol_names[0]) == 143, "one name too many or too few");

const char *protocol_name(uint8_t protocol)
{
	if (protocol >= sizeof(protocol_names) / sizeof(protocol_names[0]) || protocol_names[protocol][0] == '\0')
		return NULL;
	return protocol_names[protocol];
}

const char *tcp_state_name(enum tcp_state state)
{
	switch (state) {
	case TCP_STATE_NONE:
	case TCP_STATE_COUNT:
		return NULL;
	case TCP_STATE_UNKNOWN:
		return "unknown";
	case TCP_STATE_SYN_SENT:
		return "syn_sent";
	case TCP_STATE_SYN_ACK:
		return "syn_ack";
	case TCP_STATE_ESTABLISHED:
		return "established";
	case TCP_STATE_FIN_WAIT:
		return "fin_wait";
	case TCP_STATE_CLOSED:
		return "closed";
	case TCP_STATE_RESET:
		return "reset";
	}
	return NULL;
}

const char *flow_end_name(enum flow_end end)
{
	switch (end) {
	case FLOW_END_TIMEOUT:
		return "timeout";
	case FLOW_END_EVICTION:
		return "eviction";
	case FLOW_END_REUSE:
		return "reuse";
	case FLOW_ALIVE:
		return "alive";
	}
	return NULL;
}

const char *rtt_source_name(enum rtt_source source)
{
	switch (source) {
	case RTT_HANDSHAKE:
		return "handshake";
	case RTT_SEQ_ACK:
		return "seq_ack";
	case RTT_TIMESTAMP:
		return "timestamp";
	case RTT_ICMP_ECHO:
		return "icmp_echo";
	case RTT_DNS:
		return "dns";
	case RTT_QUIC_SPIN:
		return "quic_spin";
	case RTT_SOURCE_COUNT:
		break;
	}
	return NULL;
}
