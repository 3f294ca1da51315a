/*
 * The types of audit records: a row for each, from which files, encoders, options and the reader are made. The numbers are the
 * format's, and those of enum Type in audit.proto.
 */
#ifndef FLOWLANE_NCAP_TYPES_H
#define FLOWLANE_NCAP_TYPES_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

/* In the order of the layers; the last ones are no layers of a packet. */
enum ncap_type {
	NCAP_ETHERNET,
	NCAP_DOT1Q,
	NCAP_MPLS,
	NCAP_ARP,
	NCAP_IPV4,
	NCAP_IPV6,
	NCAP_IPV6_FRAGMENT,
	NCAP_ICMPV4,
	NCAP_ICMPV6,
	NCAP_ICMPV6_ECHO,
	NCAP_ICMPV6_SOLICITATION,
	NCAP_ICMPV6_ADVERTISEMENT,
	NCAP_IGMP,
	NCAP_TCP,
	NCAP_UDP,
	NCAP_SCTP,
	NCAP_GRE,
	NCAP_VXLAN,
	NCAP_GENEVE,
	NCAP_DNS,
	NCAP_NTP,
	NCAP_DHCPV4,
	NCAP_TLS_CLIENT_HELLO,
	NCAP_TLS_SERVER_HELLO,
	NCAP_LAYERS, /* up to here: records of packets */
	NCAP_CONNECTION = NCAP_LAYERS,
	NCAP_FLOW, /* in the legacy schema only */
	NCAP_IP_PROFILE,
	NCAP_DEVICE_PROFILE,
	NCAP_ALERT,
	NCAP_TYPES,
};

enum ncap_schema { NCAP_SCHEMA_CURRENT, NCAP_SCHEMA_LEGACY };

struct ncap_type_info {
	const char *name; /* of the file, and of the type in options */
	uint16_t number;
	const ProtobufCMessageDescriptor *current; /* NULL: not in this schema */
	const ProtobufCMessageDescriptor *legacy;
};

extern const struct ncap_type_info ncap_types[NCAP_TYPES];

/* Of the `bytes` at name, upper or lower case; -1: no type has it. */
int ncap_type_find(const char *name, unsigned bytes);

/*
 * What the two lists of options select, bit by enum ncap_type. NULL: all; none. 0, or -EINVAL with `error` a sentence about the first
 * name that is none.
 */
int ncap_types_select(
	const char *include, const char *exclude, enum ncap_schema schema, uint64_t *types, char *error, unsigned error_bytes);

/* The message of a file whose header has this type number; *name: the type's, or NULL. NULL: flowlane does not know its fields. */
const ProtobufCMessageDescriptor *ncap_message_of(uint32_t number, enum ncap_schema schema, const char **name);

#endif
