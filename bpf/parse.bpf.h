/*
 * What the XDP program wants to know of a frame: where it belongs (5-tuple, VLAN), and which of a queue's sockets it goes to. Pure
 * inline functions over [data, data_end); the host's compiler takes them too, and the unit tests run them there. Every doubt (cut
 * off, unknown) leaves fields at "not known" and the frame goes on to user space, whose decoder has the last word.
 *
 * Of a tunnel it is the outer IP header that counts: that needs no second parser in front of each packet. MPLS and PPPoE have no
 * outer one; the first IP header is behind them.
 *
 * The shape of each access, `if (p + n > end)`, is what the kernel's verifier understands; do not turn it into lengths.
 */
#ifndef FLOWLANE_PARSE_BPF_H
#define FLOWLANE_PARSE_BPF_H

#include <linux/types.h>

#include "flowlane/abi.h"

#ifndef NULL
#define NULL ((void *)0)
#endif

#define PARSE_INLINE static inline __attribute__((always_inline))

#define PARSE_VLAN_NONE       0xffff
#define PARSE_VLAN_TAGS_MAX   3 /* QinQ is two; a third costs nothing where there is none */
#define PARSE_MPLS_LABELS_MAX 6
#define PARSE_EXTENSIONS_MAX  6 /* each kind of RFC 8200, once; more is an attack or a lab, and goes by its addresses */

enum parse_flag {
	PARSE_IP = 1 << 0,       /* addresses, proto and ip_version are valid */
	PARSE_PORTS = 1 << 1,    /* so are the ports */
	PARSE_FRAGMENT = 1 << 2, /* any fragment, the first one too */
};

struct parse {
	__u32 src[4]; /* as in memory; IPv4: in [3], the others zero */
	__u32 dst[4];
	__u16 src_port; /* host order */
	__u16 dst_port;
	__u16 vlan;       /* id of the outermost tag in the frame; PARSE_VLAN_NONE */
	__u16 ether_type; /* behind tags, labels and PPPoE, host order; 0: not known */
	__u8 proto;       /* behind extension headers */
	__u8 ip_version;
	__u8 flags; /* enum parse_flag */
	__u8 unused;
};

PARSE_INLINE __u16 parse_be16(const __u8 *p)
{
	return (__u16)(p[0] << 8 | p[1]);
}

/* Unaligned, as in memory. The builtin is a plain load for the BPF target, and allowed by its verifier. */
PARSE_INLINE __u32 parse_word(const __u8 *p)
{
	__u32 word;

	__builtin_memcpy(&word, p, sizeof(word));
	return word;
}

/* 802.1Q, 802.1ad, and the number that vendors used for QinQ before there was one. */
PARSE_INLINE int parse_is_vlan(__u16 ether_type)
{
	return ether_type == 0x8100 || ether_type == 0x88a8 || ether_type == 0x9100;
}

/* Behind the last label of RFC 3032; what follows is told by its first four bits, as routers do. Else the type stays MPLS. */
PARSE_INLINE const __u8 *parse_mpls(struct parse *parse, const __u8 *p, const __u8 *end)
{
	for (int i = 0; i < PARSE_MPLS_LABELS_MAX; i++) {
		if (p + 5 > end)
			return NULL;
		p += 4;
		if (p[-2] & 1) {
			if (p[0] >> 4 == 4)
				parse->ether_type = 0x0800;
			else if (p[0] >> 4 == 6)
				parse->ether_type = 0x86dd;
			return p;
		}
	}
	return NULL;
}

/* RFC 2516: version and type, code 0 for data, session, length; then PPP's protocol number. */
PARSE_INLINE const __u8 *parse_pppoe(struct parse *parse, const __u8 *p, const __u8 *end)
{
	if (p + 8 > end)
		return NULL;
	if (p[0] == 0x11 && p[1] == 0 && parse_be16(p + 6) == 0x0021)
		parse->ether_type = 0x0800;
	else if (p[0] == 0x11 && p[1] == 0 && parse_be16(p + 6) == 0x0057)
		parse->ether_type = 0x86dd;
	return p + 8;
}

/* To the network header; NULL: the frame ends before it. */
PARSE_INLINE const __u8 *parse_link(struct parse *parse, const __u8 *p, const __u8 *end)
{
	if (p + 14 > end)
		return NULL;
	__u16 type = parse_be16(p + 12);
	p += 14;
	for (int i = 0; i < PARSE_VLAN_TAGS_MAX && parse_is_vlan(type); i++) {
		if (p + 4 > end)
			return NULL;
		if (parse->vlan == PARSE_VLAN_NONE)
			parse->vlan = parse_be16(p) & 0xfff;
		type = parse_be16(p + 2);
		p += 4;
	}
	parse->ether_type = type;
	if (type == 0x8847 || type == 0x8848)
		return parse_mpls(parse, p, end);
	return type == 0x8864 ? parse_pppoe(parse, p, end) : p;
}

/* Ports of the protocols that have them in their first four bytes: TCP, UDP, DCCP, SCTP, UDP-Lite. */
PARSE_INLINE void parse_ports(struct parse *parse, const __u8 *p, const __u8 *end)
{
	switch (parse->proto) {
	case 6:
	case 17:
	case 33:
	case 132:
	case 136:
		break;
	default:
		return;
	}
	if (p + 4 > end)
		return;
	parse->src_port = parse_be16(p);
	parse->dst_port = parse_be16(p + 2);
	parse->flags |= PARSE_PORTS;
}

PARSE_INLINE void parse_ipv4(struct parse *parse, const __u8 *p, const __u8 *end)
{
	if (p + 20 > end)
		return;
	__u32 header_bytes = (p[0] & 0xfu) * 4;
	if (p[0] >> 4 != 4 || header_bytes < 20)
		return;
	parse->src[3] = parse_word(p + 12);
	parse->dst[3] = parse_word(p + 16);
	parse->proto = p[9];
	parse->ip_version = 4;
	parse->flags |= PARSE_IP;
	if (parse_be16(p + 6) & 0x3fff)
		parse->flags |= PARSE_FRAGMENT;
	else
		parse_ports(parse, p + header_bytes, end);
}

PARSE_INLINE int parse_is_extension(__u8 proto)
{
	/* hop-by-hop, routing, fragment, authentication, destination options, mobility, HIP, shim6 */
	return proto == 0 || proto == 43 || proto == 44 || proto == 51 || proto == 60 || proto == 135 || proto == 139 ||
	       proto == 140;
}

/* Bytes of the extension header at p, of which 8 are there. */
PARSE_INLINE __u32 parse_extension_bytes(__u8 proto, const __u8 *p)
{
	if (proto == 44)
		return 8;
	return proto == 51 ? (p[1] + 2u) * 4 : (p[1] + 1u) * 8;
}

PARSE_INLINE void parse_ipv6(struct parse *parse, const __u8 *p, const __u8 *end)
{
	if (p + 40 > end || p[0] >> 4 != 6)
		return;
	for (int i = 0; i < 4; i++) {
		parse->src[i] = parse_word(p + 8 + 4 * i);
		parse->dst[i] = parse_word(p + 24 + 4 * i);
	}
	parse->proto = p[6];
	parse->ip_version = 6;
	parse->flags |= PARSE_IP;
	p += 40;
	for (int i = 0; i < PARSE_EXTENSIONS_MAX && parse_is_extension(parse->proto); i++) {
		__u8 proto = parse->proto;

		if (p + 8 > end)
			return;
		parse->proto = p[0];
		if (proto == 44 && parse_be16(p + 2) & 0xfff9) { /* not the atomic fragment of RFC 6946 */
			parse->flags |= PARSE_FRAGMENT;
			return;
		}
		p += parse_extension_bytes(proto, p);
	}
	parse_ports(parse, p, end);
}

PARSE_INLINE void parse_frame(struct parse *parse, const void *data, const void *data_end)
{
	const __u8 *end = data_end;

	*parse = (struct parse){ .vlan = PARSE_VLAN_NONE };
	const __u8 *p = parse_link(parse, data, end);
	if (!p)
		return;
	if (parse->ether_type == 0x0800)
		parse_ipv4(parse, p, end);
	else if (parse->ether_type == 0x86dd)
		parse_ipv6(parse, p, end);
}

PARSE_INLINE __u64 parse_mix(__u64 x, __u64 factor)
{
	x *= factor;
	return x ^ x >> 32;
}

PARSE_INLINE __u64 parse_hash_endpoint(const __u32 address[4], __u16 port, __u64 seed)
{
	__u64 x = (__u64)address[0] << 32 | address[1];
	__u64 y = (__u64)address[2] << 32 | address[3];

	x = parse_mix(x ^ seed, 0x9e3779b97f4a7c15ull) ^ y;
	return parse_mix(x ^ (__u64)port << 40, 0xd6e8feb86659fd93ull);
}

/* A UDP port of VXLAN, GTP-U, Geneve: the other port is a hash of what is inside, and differs per direction. */
PARSE_INLINE int parse_is_tunnel_port(__u16 port)
{
	return port == 4789 || port == 4790 || port == 8472 || port == 2152 || port == 6081;
}

/*
 * Whether ports take part in choosing a share. They must not where a fragment of the same flow, which has none, could come along:
 * the lane that has the first fragment, the later ones and the whole datagrams must be one.
 */
PARSE_INLINE int parse_uses_ports(const struct parse *parse, __u32 share_by)
{
	if (!(parse->flags & PARSE_PORTS) || share_by == XDP_SHARE_ADDRESSES)
		return 0;
	if (share_by == XDP_SHARE_TCP_PORTS)
		return parse->proto == 6;
	return parse->proto != 17 || !(parse_is_tunnel_port(parse->src_port) || parse_is_tunnel_port(parse->dst_port));
}

/*
 * The same for both directions: the sum of what each end comes to. (Not a hash of src ^ dst: ends that count up together, as
 * generators like to, would all have the same.) The protocol is left out: behind a fragment header it is not always known, and
 * tells little. 0 for what is not IP.
 */
PARSE_INLINE __u32 parse_hash(const struct parse *parse, __u32 share_by, __u64 seed)
{
	if (!(parse->flags & PARSE_IP))
		return 0;
	__u16 src_port = 0, dst_port = 0;
	if (parse_uses_ports(parse, share_by)) {
		src_port = parse->src_port;
		dst_port = parse->dst_port;
	}
	__u64 x = parse_hash_endpoint(parse->src, src_port, seed) + parse_hash_endpoint(parse->dst, dst_port, seed);
	return (__u32)(parse_mix(x, 0x9e3779b97f4a7c15ull) >> 32);
}

/* Of the sample: the same for everybody, so that sensors agree on it, and files with live capture; and not that of the share. */
#define PARSE_SAMPLE_SEED 0x5a3f1e2d4c6b7988ull

/* 0 .. fanout - 1, evenly. */
PARSE_INLINE __u32 parse_share(__u32 hash, __u32 fanout)
{
	return (__u32)((__u64)hash * fanout >> 32);
}

#endif
