/*
 * Rules that say which packets are wanted, by addresses, ports, protocol and VLAN: read from a YAML file, and made into the tables
 * that decide (include/flowlane/abi.h), for the XDP program and for files alike. Control thread; rules_deny() any.
 */
#ifndef FLOWLANE_RULES_H
#define FLOWLANE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flowlane/abi.h"
#include "flowlane/packet.h"

/* Which end of a packet a rule asks about. */
enum rules_end { RULES_EITHER, RULES_SOURCE, RULES_DESTINATION, RULES_ENDS };

enum rules_what { RULES_NET, RULES_PORT, RULES_PROTOCOL, RULES_VLAN };

/* One thing that a rule is content with; of several of a kind one will do. */
struct rules_item {
	uint32_t rule; /* its place in the file, from 0 */
	uint8_t what;  /* enum rules_what */
	uint8_t end;   /* enum rules_end, for nets and ports */
	union {
		struct rules_prefix net;
		struct {
			uint32_t from, to; /* inclusive; VLAN: RULES_UNTAGGED is none */
		};
	};
};

struct rules_rule {
	bool deny;
	uint8_t asks;  /* bit rules_ask(what, end) */
	uint32_t line; /* of the file */
};

/* The file, as it is written. */
struct rules_source {
	struct rules_rule *rule;
	struct rules_item *item;
	unsigned rules, items;
	bool deny_others;
};

static inline unsigned rules_ask(enum rules_what what, enum rules_end end)
{
	return what == RULES_NET ? end : what == RULES_PORT ? 3u + end : what == RULES_PROTOCOL ? 6 : 7;
}

/* A prefix, and what is to be known of the addresses in it. */
struct rules_entry {
	struct rules_prefix prefix;
	struct rules_address address;
	uint32_t parent; /* the prefix around it; UINT32_MAX: none */
};

struct rules_set {
	struct rules_tables tables;
	unsigned rules;
	unsigned entries;
	struct rules_entry entry[]; /* in the order of addresses, longer ones behind those around them */
};

/* 0, or -EINVAL or -ENOMEM with a sentence in `error` that names file, line and field. */
int rules_load(const char *path, struct rules_set **set, char *error, size_t size);
/* 0, or -EINVAL or -ENOMEM with a sentence in `error`, and in *line the line that it is about. */
int rules_compile(const struct rules_source *source, struct rules_set **set, unsigned *line, char *error, size_t size);
void rules_free(struct rules_set *set); /* accepts NULL */

struct parse;
/* Packet path. */
bool rules_deny(const struct rules_set *set, const struct parse *parse);

#endif
