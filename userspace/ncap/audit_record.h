/*
 * From layers to records. An encoder belongs to a lane; it writes one message at a time, without the length in front. The types with a
 * record per packet are written by hand (wire.h), the others are filled into the structs of protobuf-c and packed by it.
 *
 * record_SOMETHING() take a layer that the walk has found, and return the end of what they wrote at `out`, where RECORD_MAX bytes
 * are free; NULL: this is no such record after all. Lane's thread, packet path.
 */
#ifndef FLOWLANE_NCAP_AUDIT_RECORD_H
#define FLOWLANE_NCAP_AUDIT_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "ncap_walk.h"
#include "scratch.h"

/* The longest packet of a capture file, and a list of options or names as long as the scratch allows. */
#define RECORD_MAX (768u << 10)

struct record_options {
	enum ncap_schema schema;
	bool payload;
	bool entropy;
};

/* Where protobuf-c keeps the fields that most records have. 0: the type has no such field (none is at the start of a struct). */
struct record_common {
	uint16_t stamp, src_ip, dst_ip, src_port, dst_port;
	uint16_t context_field; /* number of the first of the last four: the legacy schema has a message of its own there ... */
	bool flat;              /* ... or not: they are fields as in the current one */
};

/* What the records of a frame have found that profiles want to know; good until the next frame. */
#define FOUND_ANSWERS 16

struct encoder_found {
	const char *sni; /* of a client's hello; NULL: none */
	const char *ja3;
	unsigned answers; /* of DNS: names with their addresses */
	struct {
		const char *name;
		const uint8_t *address; /* 4 or 16 bytes */
		uint8_t version;
	} answer[FOUND_ANSWERS];
};

struct encoder {
	struct record_options options;
	bool legacy;
	uint8_t stamp_bytes;
	uint8_t stamp[32]; /* field 1, the time stamp of the frame at hand, encoded */
	uint64_t stamp_ns;
	struct ncap_walk *walk; /* the frame at hand */
	struct record_common common[NCAP_TYPES];
	uint8_t tcp_flags[256][16]; /* the fields of each combination; a segment has one of a few, mostly */
	struct scratch scratch;     /* of the frame at hand */
	struct encoder_found found;
	uint64_t too_large; /* records that were left out */
};

int encoder_create(const struct record_options *options, struct encoder **encoder); /* 0 or -ENOMEM */
void encoder_destroy(struct encoder *encoder);                                      /* accepts NULL */

/* From now on, layers are those of this frame. */
void encoder_begin(struct encoder *encoder, struct ncap_walk *walk);
/* The record of a layer of it. */
uint8_t *encoder_layer(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out);
/* The length, then the message. */
uint8_t *encoder_frame(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out);

/* Packs a struct of protobuf-c, with the time stamp of the frame and the addresses and ports of `ip` (NULL: none) in the fields that
 * the type has for them. */
uint8_t *record_pack(
	struct encoder *encoder, enum ncap_type type, ProtobufCMessage *message, const struct ncap_ip *ip, uint8_t *out);
/* Without these: the caller has filled all fields, for the current schema. */
uint8_t *record_pack_whole(struct encoder *encoder, const ProtobufCMessage *message, uint8_t *out);

/* The legacy schema's message of addresses and ports. */
uint8_t *record_context(
	struct encoder *encoder, uint32_t field, const struct ncap_ip *ip, bool addresses, bool ports, uint8_t *out);

/* The legacy schema's "seconds.microseconds". Returns its length; text has room for 32 bytes. */
unsigned record_time_text(char *text, uint64_t ns);

/* The message at the start of each file. */
struct record_header {
	uint64_t created_ns;
	const char *source;
	const char *version;
	uint32_t type; /* the format's number */
	bool payloads;
	bool legacy;
};
/* Length and message; `out` has room for RECORD_HEADER_MAX. Returns the number of bytes. Not for the packet path. */
#define RECORD_HEADER_MAX 8192
size_t record_header(const struct record_header *header, uint8_t *out);

/* Shannon entropy, bits per byte. */
double record_entropy(const uint8_t *bytes, uint32_t n);

#define RECORD_MAC_BYTES 17
void record_mac(char text[RECORD_MAC_BYTES + 1], const uint8_t mac[6]);

static inline const struct ncap_ip *record_ip(const struct encoder *encoder, const struct ncap_layer *layer)
{
	return layer->ip == NCAP_NO_IP ? NULL : &encoder->walk->ips[layer->ip];
}

/* Field 1, with which each record begins. */
static inline uint8_t *record_stamp(const struct encoder *encoder, uint8_t *out)
{
	memcpy(out, encoder->stamp, sizeof(encoder->stamp));
	return out + encoder->stamp_bytes;
}

typedef uint8_t *record_fn(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out);

/* record_link.c */
record_fn record_ethernet, record_dot1q, record_mpls, record_arp;
/* record_network.c */
record_fn record_ipv4, record_ipv6, record_ipv6_fragment;
/* record_icmp.c */
record_fn record_icmpv4, record_icmpv6, record_icmpv6_echo, record_icmpv6_neighbor, record_igmp;
/* record_transport.c */
record_fn record_tcp, record_udp, record_sctp;
/* record_tunnel.c */
record_fn record_gre, record_vxlan, record_geneve;
/* record_dns.c, record_ntp.c, record_dhcp.c, record_tls.c */
record_fn record_dns, record_ntp, record_dhcpv4, record_tls_client_hello, record_tls_server_hello;

#endif
