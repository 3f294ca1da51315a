/* Which flows are wanted: what the command line says, and whether a flow is one of them. */
#ifndef FLOWLANE_EXTRACT_QUERY_H
#define FLOWLANE_EXTRACT_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "index_format.h"

#define QUERY_FLOWS_MAX 1024
#define QUERY_TERMS_MAX 64

struct query_net {
	uint8_t address[INDEX_ADDRESS_BYTES];
	unsigned bits;
	uint16_t family;
};

/* All kinds of terms that are given must match; of a kind, one of its terms, with one of the flow's two ends. */
struct query {
	unsigned flows_count, nets_count, ports_count, protocols_count;
	struct index_key flows[QUERY_FLOWS_MAX];
	struct query_net nets[QUERY_TERMS_MAX];
	uint16_t ports[QUERY_TERMS_MAX];
	uint8_t protocols[QUERY_TERMS_MAX];
	uint64_t since_ns, until_ns; /* UNIX time; both included */
};

void query_begin(struct query *query);

/* Each takes the text of an option. 0; or -EINVAL, logged with what is wrong and an example. */
int query_flow(struct query *query, const char *text); /* 192.0.2.1:443-198.51.100.7:51000/tcp, [2001:db8::1]:53-[::2]:4000/udp */
int query_net(struct query *query, const char *text);  /* 192.0.2.0/24, 2001:db8::/32, an address */
int query_port(struct query *query, const char *text);
int query_protocol(struct query *query, const char *text); /* tcp, udp, icmp6, 132 */
/* 1700000000.5, or 2023-11-14T22:13:20.5, which is UTC. `name` of the option. */
int query_time(const char *name, const char *text, uint64_t *ns);

/* --both: the other direction of each flow, too. */
int query_both(struct query *query);

/* By net, port and protocol. Flows are asked for by key, not here. */
bool query_match(const struct query *query, const struct index_key *key);
/* Whether the flow was alive within the time wanted. */
bool query_match_time(const struct query *query, const struct index_flow *flow);

#endif
