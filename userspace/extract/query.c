#include "query.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "log.h"
#include "names.h"

#define NS_PER_SECOND 1000000000ULL
#define TEXT_MAX      256

enum { PROTO_TCP = 6, PROTO_UDP = 17, PROTO_DCCP = 33, PROTO_ICMPV6 = 58, PROTO_SCTP = 132, PROTO_UDPLITE = 136 };

void query_begin(struct query *query)
{
	memset(query, 0, sizeof(*query));
	query->until_ns = UINT64_MAX;
}

/* --- parts ----------------------------------------------------------------------------------------------------------- */

static bool number_parse(const char *text, unsigned long max, unsigned long *number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtoul(text, &end, 10);
	return !*end && !errno && *number <= max;
}

static bool protocol_parse(const char *text, uint8_t *protocol)
{
	unsigned long number;

	if (number_parse(text, 255, &number)) {
		*protocol = (uint8_t)number;
		return true;
	}
	if (!strcasecmp(text, "icmpv6") || !strcasecmp(text, "ipv6-icmp")) {
		*protocol = PROTO_ICMPV6;
		return true;
	}
	for (unsigned i = 0; i < 256; i++) {
		const char *name = protocol_name((uint8_t)i);
		if (name && !strcasecmp(name, text)) {
			*protocol = (uint8_t)i;
			return true;
		}
	}
	return false;
}

/* 0: it is no address; else its family. */
static uint16_t address_parse(const char *text, uint8_t address[INDEX_ADDRESS_BYTES])
{
	memset(address, 0, INDEX_ADDRESS_BYTES);
	if (inet_pton(AF_INET, text, address) == 1)
		return INDEX_FAMILY_IPV4;
	return inet_pton(AF_INET6, text, address) == 1 ? INDEX_FAMILY_IPV6 : 0;
}

/* "192.0.2.1:80", "[2001:db8::1]:80", and without a port "192.0.2.1", "[2001:db8::1]", "2001:db8::1". Cuts the text up. */
static bool endpoint_parse(char *text, uint8_t address[INDEX_ADDRESS_BYTES], uint16_t *family, uint16_t *port, bool *has_port)
{
	char *port_text = NULL, *first = strchr(text, ':'), *bracket = strchr(text, ']');
	unsigned long number = 0;

	if (*text == '[') {
		if (!bracket || (bracket[1] && bracket[1] != ':'))
			return false;
		port_text = bracket[1] ? bracket + 2 : NULL;
		*bracket = '\0';
		text++;
	} else if (first && !strchr(first + 1, ':')) {
		*first = '\0';
		port_text = first + 1;
	}
	*family = address_parse(text, address);
	*has_port = port_text != NULL;
	if (!*family || (port_text && !number_parse(port_text, 65535, &number)))
		return false;
	*port = (uint16_t)number;
	return true;
}

/* --- terms ----------------------------------------------------------------------------------------------------------- */

static int flow_refuse(const char *text, const char *why)
{
	log_error("extract: --flow \"%s\": %s; it must be like 192.0.2.1:443-198.51.100.7:51000/tcp, "
		  "[2001:db8::1]:53-[2001:db8::2]:4000/"
		  "udp, or 192.0.2.1-198.51.100.7/icmp",
		text, why);
	return -EINVAL;
}

static bool has_ports(uint8_t proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_SCTP || proto == PROTO_DCCP || proto == PROTO_UDPLITE;
}

int query_flow(struct query *query, const char *text)
{
	struct index_key key = { 0 };
	char copy[TEXT_MAX];
	uint16_t family;
	uint8_t protocol;
	bool source_port, destination_port;

	if (query->flows_count == QUERY_FLOWS_MAX)
		return flow_refuse(text, "too many flows are asked for");
	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return flow_refuse(text, "too long");
	char *slash = strrchr(copy, '/'), *minus = strchr(copy, '-');
	if (!slash)
		return flow_refuse(text, "the protocol is missing");
	*slash = '\0';
	if (!protocol_parse(slash + 1, &protocol))
		return flow_refuse(text, "that is no IP protocol");
	if (!minus || minus > slash)
		return flow_refuse(text, "there are no two ends");
	*minus = '\0';
	if (!endpoint_parse(copy, key.source, &key.family, &key.source_port, &source_port))
		return flow_refuse(text, "the source is no address and port");
	if (!endpoint_parse(minus + 1, key.destination, &family, &key.destination_port, &destination_port))
		return flow_refuse(text, "the destination is no address and port");
	if (family != key.family)
		return flow_refuse(text, "one end is IPv4 and the other IPv6");
	if (has_ports(protocol) && !(source_port && destination_port))
		return flow_refuse(text, "a port is missing (0 are later fragments)");
	if (!has_ports(protocol) && (key.source_port || key.destination_port))
		return flow_refuse(text, "this protocol has no ports");
	key.protocol = protocol;
	query->flows[query->flows_count++] = key;
	return 0;
}

int query_both(struct query *query)
{
	unsigned count = query->flows_count;

	if (count > QUERY_FLOWS_MAX / 2) {
		log_error("extract: more than %d flows with --both", QUERY_FLOWS_MAX / 2);
		return -EINVAL;
	}
	for (unsigned i = 0; i < count; i++) {
		const struct index_key *key = &query->flows[i];
		struct index_key *back = &query->flows[query->flows_count++];
		*back = *key;
		memcpy(back->source, key->destination, sizeof(back->source));
		memcpy(back->destination, key->source, sizeof(back->destination));
		back->source_port = key->destination_port;
		back->destination_port = key->source_port;
	}
	return 0;
}

static int term_refuse(const char *name, const char *text, const char *wanted)
{
	log_error("extract: %s \"%s\" is not %s", name, text, wanted);
	return -EINVAL;
}

static bool terms_full(const char *name, unsigned count)
{
	if (count == QUERY_TERMS_MAX)
		log_error("extract: %s is given more than %d times", name, QUERY_TERMS_MAX);
	return count == QUERY_TERMS_MAX;
}

int query_net(struct query *query, const char *text)
{
	struct query_net net;
	char copy[TEXT_MAX];
	unsigned long bits;

	if (terms_full("--net", query->nets_count))
		return -EINVAL;
	snprintf(copy, sizeof(copy), "%s", text);
	char *slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	net.family = address_parse(copy, net.address);
	unsigned most = net.family == INDEX_FAMILY_IPV4 ? 32 : 128;
	bits = most;
	if (!net.family || (slash && !number_parse(slash + 1, most, &bits)))
		return term_refuse("--net", text, "a network such as 192.0.2.0/24 or 2001:db8::/32, or an address");
	net.bits = (unsigned)bits;
	query->nets[query->nets_count++] = net;
	return 0;
}

int query_port(struct query *query, const char *text)
{
	unsigned long number;

	if (terms_full("--port", query->ports_count))
		return -EINVAL;
	if (!number_parse(text, 65535, &number))
		return term_refuse("--port", text, "a port, 0 to 65535");
	query->ports[query->ports_count++] = (uint16_t)number;
	return 0;
}

int query_protocol(struct query *query, const char *text)
{
	if (terms_full("--proto", query->protocols_count))
		return -EINVAL;
	if (!protocol_parse(text, &query->protocols[query->protocols_count]))
		return term_refuse("--proto", text, "an IP protocol such as tcp, udp, icmp6 or a number up to 255");
	query->protocols_count++;
	return 0;
}

/* ".25": 250000000. */
static bool fraction_parse(const char *text, uint64_t *ns)
{
	uint64_t unit = NS_PER_SECOND / 10;

	*ns = 0;
	if (!*text || !strcmp(text, "Z"))
		return true;
	if (*text++ != '.')
		return false;
	for (; *text >= '0' && *text <= '9'; text++, unit /= 10)
		*ns += (uint64_t)(*text - '0') * unit;
	return !*text || !strcmp(text, "Z");
}

int query_time(const char *name, const char *text, uint64_t *ns)
{
	struct tm tm = { 0 };
	uint64_t seconds = 0, fraction;
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!rest)
		rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
	if (rest) {
		seconds = (uint64_t)timegm(&tm);
	} else {
		char *end;
		errno = 0;
		seconds = strtoull(text, &end, 10);
		rest = *text >= '0' && *text <= '9' && !errno ? end : "?";
	}
	if (!fraction_parse(rest, &fraction) || seconds > UINT64_MAX / NS_PER_SECOND - 1)
		return term_refuse(
			name, text, "a time: seconds since 1970 such as 1700000000.5, or UTC such as 2023-11-14T22:13:20");
	*ns = seconds * NS_PER_SECOND + fraction;
	return 0;
}

/* --- matching -------------------------------------------------------------------------------------------------------- */

static bool net_has(const struct query_net *net, const uint8_t address[INDEX_ADDRESS_BYTES])
{
	unsigned bytes = net->bits / 8, bits = net->bits % 8;

	if (memcmp(net->address, address, bytes) != 0)
		return false;
	return bits == 0 || (net->address[bytes] ^ address[bytes]) >> (8 - bits) == 0;
}

static bool match_net(const struct query *query, const struct index_key *key)
{
	bool match = query->nets_count == 0;

	for (unsigned i = 0; i < query->nets_count; i++) {
		const struct query_net *net = &query->nets[i];
		match |= net->family == key->family && (net_has(net, key->source) || net_has(net, key->destination));
	}
	return match;
}

bool query_match(const struct query *query, const struct index_key *key)
{
	bool port = query->ports_count == 0, protocol = query->protocols_count == 0;

	for (unsigned i = 0; i < query->ports_count; i++)
		port |= has_ports((uint8_t)key->protocol) &&
			(key->source_port == query->ports[i] || key->destination_port == query->ports[i]);
	for (unsigned i = 0; i < query->protocols_count; i++)
		protocol |= key->protocol == query->protocols[i];
	return port && protocol && match_net(query, key);
}

bool query_match_time(const struct query *query, const struct index_flow *flow)
{
	return flow->last_ms >= query->since_ns / 1000000 && flow->first_ms <= query->until_ns / 1000000;
}
