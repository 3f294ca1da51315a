#include "ncap_types.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "audit.pb-c.h"
#include "legacy.pb-c.h"

/* clang-format off */
const struct ncap_type_info ncap_types[NCAP_TYPES] = {
	[NCAP_ETHERNET] = { "Ethernet", 7, &types__ethernet__descriptor, &legacy__ethernet__descriptor },
	[NCAP_DOT1Q] = { "Dot1Q", 9, &types__dot1_q__descriptor, &legacy__dot1_q__descriptor },
	[NCAP_MPLS] = { "MPLS", 72, &types__mpls__descriptor, &legacy__mpls__descriptor },
	[NCAP_ARP] = { "ARP", 8, &types__arp__descriptor, &legacy__arp__descriptor },
	[NCAP_IPV4] = { "IPv4", 29, &types__ipv4__descriptor, &legacy__ipv4__descriptor },
	[NCAP_IPV6] = { "IPv6", 31, &types__ipv6__descriptor, &legacy__ipv6__descriptor },
	[NCAP_IPV6_FRAGMENT] = { "IPv6Fragment", 68, &types__ipv6_fragment__descriptor, &legacy__ipv6_fragment__descriptor },
	[NCAP_ICMPV4] = { "ICMPv4", 32, &types__icmpv4__descriptor, &legacy__icmpv4__descriptor },
	[NCAP_ICMPV6] = { "ICMPv6", 33, &types__icmpv6__descriptor, &legacy__icmpv6__descriptor },
	[NCAP_ICMPV6_ECHO] = { "ICMPv6Echo", 60, &types__icmpv6_echo__descriptor, &legacy__icmpv6_echo__descriptor },
	[NCAP_ICMPV6_SOLICITATION] = { "ICMPv6NeighborSolicitation", 61, &types__icmpv6_neighbor_solicitation__descriptor, &legacy__icmpv6_neighbor_solicitation__descriptor },
	[NCAP_ICMPV6_ADVERTISEMENT] = { "ICMPv6NeighborAdvertisement", 34, &types__icmpv6_neighbor_advertisement__descriptor, &legacy__icmpv6_neighbor_advertisement__descriptor },
	[NCAP_IGMP] = { "IGMP", 54, &types__igmp__descriptor, &legacy__igmp__descriptor },
	[NCAP_TCP] = { "TCP", 38, &types__tcp__descriptor, &legacy__tcp__descriptor },
	[NCAP_UDP] = { "UDP", 37, &types__udp__descriptor, &legacy__udp__descriptor },
	[NCAP_SCTP] = { "SCTP", 40, &types__sctp__descriptor, &legacy__sctp__descriptor },
	[NCAP_GRE] = { "GRE", 77, &types__gre__descriptor, &legacy__gre__descriptor },
	[NCAP_VXLAN] = { "VXLAN", 69, &types__vxlan__descriptor, &legacy__vxlan__descriptor },
	[NCAP_GENEVE] = { "Geneve", 67, &types__geneve__descriptor, &legacy__geneve__descriptor },
	[NCAP_DNS] = { "DNS", 41, &types__dns__descriptor, &legacy__dns__descriptor },
	[NCAP_NTP] = { "NTP", 52, &types__ntp__descriptor, &legacy__ntp__descriptor },
	[NCAP_DHCPV4] = { "DHCPv4", 47, &types__dhcpv4__descriptor, &legacy__dhcpv4__descriptor },
	[NCAP_TLS_CLIENT_HELLO] = { "TLSClientHello", 64, &types__tlsclient_hello__descriptor, &legacy__tlsclient_hello__descriptor },
	[NCAP_TLS_SERVER_HELLO] = { "TLSServerHello", 94, &types__tlsserver_hello__descriptor, NULL },
	[NCAP_CONNECTION] = { "Connection", 3, &types__connection__descriptor, &legacy__connection__descriptor },
	[NCAP_FLOW] = { "Flow", 2, NULL, &legacy__flow__descriptor },
	[NCAP_IP_PROFILE] = { "IPProfile", 101, &types__ipprofile__descriptor, NULL },
	[NCAP_DEVICE_PROFILE] = { "DeviceProfile", 89, &types__device_profile__descriptor, NULL },
	[NCAP_ALERT] = { "Alert", 103, &types__alert__descriptor, NULL },
};
/* clang-format on */

int ncap_type_find(const char *name, unsigned bytes)
{
	for (unsigned i = 0; i < NCAP_TYPES; i++) {
		if (strlen(ncap_types[i].name) == bytes && !strncasecmp(ncap_types[i].name, name, bytes))
			return (int)i;
	}
	return -1;
}

static const ProtobufCMessageDescriptor *message_in(enum ncap_type type, enum ncap_schema schema)
{
	return schema == NCAP_SCHEMA_LEGACY ? ncap_types[type].legacy : ncap_types[type].current;
}

/* The names of one list; *types gets their bits. */
static int list_read(const char *list, enum ncap_schema schema, uint64_t *types, char *error, unsigned error_bytes)
{
	for (const char *at = list; at; at = *at ? at + 1 : NULL) {
		unsigned bytes = (unsigned)strcspn(at, ",");
		int type = ncap_type_find(at, bytes);
		if (type < 0) {
			snprintf(error, error_bytes, "\"%.*s\" is no type of audit records; there are ", (int)bytes, at);
			for (unsigned i = 0; i < NCAP_TYPES; i++) {
				size_t used = strlen(error);
				snprintf(error + used, error_bytes - used, "%s%s", i ? ", " : "", ncap_types[i].name);
			}
			return -EINVAL;
		}
		if (!message_in((enum ncap_type)type, schema)) {
			snprintf(error, error_bytes, "%s is in the other schema only; use --ncap-schema %s, or leave it out",
				ncap_types[type].name, schema == NCAP_SCHEMA_LEGACY ? "current" : "legacy");
			return -EINVAL;
		}
		*types |= 1ull << type;
		at += bytes;
	}
	return 0;
}

int ncap_types_select(
	const char *include, const char *exclude, enum ncap_schema schema, uint64_t *types, char *error, unsigned error_bytes)
{
	uint64_t wanted = 0, unwanted = 0;
	int err = 0;

	for (unsigned i = 0; i < NCAP_TYPES && !include; i++)
		wanted |= message_in((enum ncap_type)i, schema) ? 1ull << i : 0;
	if (include)
		err = list_read(include, schema, &wanted, error, error_bytes);
	if (!err && exclude)
		err = list_read(exclude, schema, &unwanted, error, error_bytes);
	if (!err && !(wanted & ~unwanted)) {
		snprintf(error, error_bytes, "no type is left of audit records; include one that is not excluded");
		err = -EINVAL;
	}
	if (!err)
		*types = wanted & ~unwanted;
	return err;
}

/* The file's name for a type is that of its value, without the prefix; its message has the same name (VRRPv2 and the like: none). */
const ProtobufCMessageDescriptor *ncap_message_of(uint32_t number, enum ncap_schema schema, const char **name)
{
	bool legacy = schema == NCAP_SCHEMA_LEGACY;
	const ProtobufCEnumDescriptor *values = legacy ? &legacy__type__descriptor : &types__type__descriptor;
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(values, (int)number);
	static const ProtobufCMessageDescriptor *const others[] = { &types__batch__descriptor, &types__llc__descriptor,
		&types__snap__descriptor, &types__ipv6_hop_by_hop__descriptor, &types__icmpv6_router_solicitation__descriptor,
		&types__icmpv6_router_advertisement__descriptor, &types__ipsec_ah__descriptor, &types__ipsec_esp__descriptor,
		&types__service__descriptor, &types__credentials__descriptor, &types__software__descriptor,
		&types__vulnerability__descriptor, &types__exploit__descriptor };
	static const ProtobufCMessageDescriptor *const legacy_others[] = { &legacy__batch__descriptor, &legacy__llc__descriptor,
		&legacy__snap__descriptor, &legacy__ipv6_hop_by_hop__descriptor, &legacy__icmpv6_router_solicitation__descriptor,
		&legacy__icmpv6_router_advertisement__descriptor, &legacy__ipsec_ah__descriptor, &legacy__ipsec_esp__descriptor };
	const ProtobufCMessageDescriptor *const *more = legacy ? legacy_others : others;
	unsigned count = legacy ? sizeof(legacy_others) / sizeof(legacy_others[0]) : sizeof(others) / sizeof(others[0]);

	*name = value ? value->name + strlen("NC_") : NULL;
	if (!value)
		return NULL;
	for (unsigned i = 0; i < NCAP_TYPES; i++) {
		if (ncap_types[i].number == number)
			return message_in((enum ncap_type)i, schema);
	}
	for (unsigned i = 0; i < count; i++) {
		if (!strcmp(more[i]->short_name, *name))
			return more[i];
	}
	return NULL;
}
