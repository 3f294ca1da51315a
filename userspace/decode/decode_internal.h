/*
 * What the files of decode/ share. A frame is walked header by header: each *_step() reads the header at walk->off, moves on, and
 * says which layer comes next, or sets walk->verdict and ends the walk.
 *
 *   link.c       ethernet ─▶ ethertype ─▶ vlan, mpls, pppoe, llc ...        ends: NOFLOW_*, DROP_*
 *                                │
 *   network.c                 ipv4, ipv6 ◀────────────────────┐
 *                                │                            │ the outer flow is kept: what fails further in falls back to it
 *   transport.c               ports, lengths ─▶ tunnels.c ────┘
 *                                │
 *   decode.c                  canonical key, hash, struct packet
 *
 * decode_fast.c does all of it at once for the frames that most are: Ethernet, at most one 802.1Q tag, IP without options or
 * extensions, TCP or UDP.
 */
#ifndef FLOWLANE_DECODE_INTERNAL_H
#define FLOWLANE_DECODE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "decode.h"
#include "special_ports.h"

#define WALK_HEADERS_MAX    16 /* the deepest real stacks (operator VLANs, MPLS, GTP-U, VXLAN inside) have 12 */
#define WALK_IP_LAYERS_MAX  8
#define WALK_OFFSET_MAX     0xf000 /* offsets in struct packet have 16 bits; room for the last header */
#define IPV6_EXTENSIONS_MAX 8      /* RFC 8200, section 4.1: each at most once, destination options twice */
#define MPLS_LABELS_MAX     16

enum ip_proto {
	PROTO_HOPOPTS = 0,
	PROTO_ICMP = 1,
	PROTO_IPIP = 4,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_DCCP = 33,
	PROTO_IPV6 = 41,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_GRE = 47,
	PROTO_AH = 51,
	PROTO_ICMPV6 = 58,
	PROTO_NONE = 59,
	PROTO_DSTOPTS = 60,
	PROTO_SCTP = 132,
	PROTO_MOBILITY = 135,
	PROTO_UDPLITE = 136,
	PROTO_HIP = 139,
	PROTO_SHIM6 = 140,
};

enum ether_type {
	ETHER_LENGTH_MAX = 1535, /* up to here it is a length, not a type */
	ETHER_IPV4 = 0x0800,
	ETHER_ARP = 0x0806,
	ETHER_ERSPAN3 = 0x22eb,
	ETHER_BRIDGED = 0x6558, /* transparent Ethernet bridging */
	ETHER_EOIP = 0x6400,    /* MikroTik's Ethernet over IP, of GRE version 1 */
	ETHER_RARP = 0x8035,
	ETHER_VLAN = 0x8100,
	ETHER_IPV6 = 0x86dd,
	ETHER_PPP = 0x880b,
	ETHER_WCCP = 0x883e,
	ETHER_MPLS = 0x8847,
	ETHER_MPLS_MULTICAST = 0x8848,
	ETHER_PPPOE_DISCOVERY = 0x8863,
	ETHER_PPPOE_SESSION = 0x8864,
	ETHER_QINQ = 0x88a8,
	ETHER_PBB = 0x88e7, /* provider backbone bridges, IEEE 802.1ah */
	ETHER_ERSPAN = 0x88be,
	ETHER_QINQ_OLD = 0x9100,
	ETHER_QINQ_OLDER = 0x9200,
};

enum layer {
	LAYER_END,
	LAYER_ETHERNET,
	LAYER_VLAN,
	LAYER_LLC,
	LAYER_MPLS,
	LAYER_PPPOE,
	LAYER_PPP,
	LAYER_IP, /* the version nibble decides */
	LAYER_IPV4,
	LAYER_IPV6,
};

/* The datagram a fragment belongs to. No padding: compared with memcmp. */
struct fragment_id {
	uint8_t src[16];
	uint8_t dst[16];
	uint32_t id;
	uint32_t tunnel;
	uint16_t vlan;
	uint8_t proto; /* IPv6: 0, as RFC 8200 lets it differ between fragments */
	uint8_t version;
};
_Static_assert(sizeof(struct fragment_id) == 44, "no padding");

struct fragment_entry {
	struct fragment_id id;
	uint8_t used;
	uint8_t dir;
	uint8_t tunnelled;
	uint8_t unused[9];
	uint64_t seen_ns;    /* packet time of the first fragment */
	struct flow_key key; /* of the first fragment's flow: of the inner packet if the datagram is a tunnel's */
	uint8_t unused_end[4];
};

/*
 * Set-associative: an id has FRAGMENT_WAYS places, the oldest gives way. 4096 x 4: at 1 % fragments of two pieces in
 * 10 Mpps it holds a third of a second, and fragments of one datagram travel together.
 */
#define FRAGMENT_SETS       4096
#define FRAGMENT_WAYS       4
#define FRAGMENT_TIMEOUT_NS ((uint64_t)30 * 1000 * 1000 * 1000) /* as Linux' ipfrag_time */

struct fragment_table {
	struct fragment_entry *entries; /* FRAGMENT_SETS * FRAGMENT_WAYS */
	uint64_t unmatched;             /* written by the lane, read by control */
	uint64_t evicted;               /* the same */
};

struct decoder {
	struct decoder_options options;
	uint32_t tunnel_bits; /* of the fast path's special_ports(): those that lead on into a tunnel */
	uint16_t vlan_hide;   /* 0xffff without key_vlan: or-ed to the id, it makes FLOW_VLAN_NONE */
	uint32_t tunnel_mask; /* 0 without key_tunnel */
	struct fragment_table fragments;
};

/* What a packet needs of one IP header and what follows it. */
struct ip_view {
	const uint8_t *src; /* 4 or 16 bytes in the frame */
	const uint8_t *dst;
	const struct fragment_entry *joined; /* a later fragment's first one; NULL: not known, or not a later fragment */
	uint32_t l3_off;
	uint32_t l3_len;
	uint32_t l4_off;
	uint32_t payload_off;
	uint32_t payload_len;
	uint32_t tcp_seq;
	uint32_t tcp_ack;
	uint32_t tunnel; /* as in the key */
	uint16_t vlan;   /* as in the key */
	uint16_t src_port;
	uint16_t dst_port;
	uint16_t tcp_window;
	uint16_t echo_seq;
	uint16_t flags; /* enum packet_flag */
	uint8_t version;
	uint8_t proto;
	uint8_t tos;
	uint8_t ttl;
	uint8_t tcp_flags;
	uint8_t tcp_offset;
	uint8_t icmp_type;
	uint8_t icmp_code;
	uint8_t pending; /* of walk->pending: first fragments up to this header */
};

struct walk {
	struct decoder *decoder;
	const struct frame *frame;
	const uint8_t *data;
	uint32_t off; /* of the next header */
	uint32_t cap; /* where the captured bytes of this layer end ... */
	uint32_t end; /* ... and where its bytes on the wire end: cap <= end */
	uint32_t tunnel;
	uint16_t vlan_seen; /* the outermost, not those inside a tunnel */
	uint16_t vlan;      /* the innermost that is not 0 */
	uint8_t verdict;
	uint8_t headers;
	uint8_t ip_layers;
	uint8_t pending_count;
	bool has_outer;
	struct ip_view ip;
	struct ip_view outer;                           /* the packet around the tunnel that is being entered */
	struct fragment_id pending[WALK_IP_LAYERS_MAX]; /* first fragments: their later ones shall find this packet's flow */
};

/* Captured bytes at walk->off. */
static inline uint32_t walk_captured(const struct walk *walk)
{
	return walk->cap > walk->off ? walk->cap - walk->off : 0;
}

static inline enum layer walk_stop(struct walk *walk, enum verdict verdict)
{
	walk->verdict = (uint8_t)verdict;
	return LAYER_END;
}

/* A header said that what follows it has `bytes` from `off` on: it can only shorten the layer. */
static inline void walk_clamp(struct walk *walk, uint32_t off, uint32_t bytes)
{
	if (walk->end - off > bytes)
		walk->end = off + bytes;
	if (walk->cap > walk->end)
		walk->cap = walk->end;
}

static inline void walk_tag(struct walk *walk, uint16_t tci)
{
	uint16_t id = tci & 0xfff;

	if (walk->vlan_seen == FLOW_VLAN_NONE && walk->ip_layers == 0)
		walk->vlan_seen = id;
	if (id)
		walk->vlan = id;
}

/* link.c */
enum layer link_start(struct walk *walk);
enum layer link_step(struct walk *walk, enum layer layer); /* all layers below IP */
/* What an EtherType announces; LAYER_END with a verdict: nothing that leads to IP. Lengths (<= ETHER_LENGTH_MAX) are the
 * caller's. */
enum layer ethertype_layer(struct walk *walk, uint16_t type);

/* network.c */
enum layer ip_step(struct walk *walk);
enum layer ipv4_step(struct walk *walk);
enum layer ipv6_step(struct walk *walk);

/* Of a frame: nothing is read of it yet. */
static inline void walk_begin(struct walk *walk, struct decoder *decoder, const struct frame *frame)
{
	walk->decoder = decoder;
	walk->frame = frame;
	walk->data = frame->data;
	walk->off = 0;
	walk->cap = frame->cap_len;
	walk->end = frame->wire_len > frame->cap_len ? frame->wire_len : frame->cap_len;
	walk->tunnel = 0;
	walk->vlan_seen = FLOW_VLAN_NONE;
	walk->vlan = FLOW_VLAN_NONE;
	walk->verdict = VERDICT_FLOW;
	walk->headers = 0;
	walk->ip_layers = 0;
	walk->pending_count = 0;
	walk->has_outer = false;
	if (frame->vlan_tpid)
		walk_tag(walk, frame->vlan_tci);
}

/* One header: the layer that comes next. */
static inline enum layer walk_step(struct walk *walk, enum layer layer)
{
	switch (layer) {
	case LAYER_IP:
		return ip_step(walk);
	case LAYER_IPV4:
		return ipv4_step(walk);
	case LAYER_IPV6:
		return ipv6_step(walk);
	default:
		return link_step(walk, layer);
	}
}

/* transport.c: walk->off is behind the IP header and its extensions, walk->ip.proto says what is there. */
enum layer transport_step(struct walk *walk);

/* tunnels.c: the layer inside, with walk->off moved to it; LAYER_END: this is no tunnel, or nothing in it to follow. */
enum layer tunnel_enter_ip(struct walk *walk);  /* IP protocols; walk->off behind the IP header */
enum layer tunnel_enter_udp(struct walk *walk); /* UDP ports; walk->off behind the UDP header */

/* fragments.c */
const struct fragment_entry *fragment_find(struct fragment_table *table, const struct fragment_id *id, uint64_t now_ns);
void fragment_insert(struct fragment_table *table, const struct fragment_id *id, uint64_t now_ns, const struct packet *packet);

/* x > y, as numbers of 16 bytes. Two 64-bit comparisons instead of a memcmp() whose result nobody can predict. */
static inline bool is_greater16(const uint8_t *x, const uint8_t *y, bool if_equal)
{
	uint64_t x_high = load_be64(x), y_high = load_be64(y);
	uint64_t x_low = load_be64(x + 8), y_low = load_be64(y + 8);
	bool low = (x_low > y_low) | ((x_low == y_low) & if_equal);

	return (x_high > y_high) | ((x_high == y_high) & low);
}

/* decode_fast.c: answers like decode_general(), or says false and has then left the packet as it was. */
bool decode_fast(const struct decoder *decoder, const struct frame *frame, struct packet *packet);
void decode_general(struct decoder *decoder, const struct frame *frame, struct packet *packet);

#endif
