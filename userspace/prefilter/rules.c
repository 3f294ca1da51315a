#include "rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules.bpf.h"

#define NO_PARENT UINT32_MAX

struct compiler {
	const struct rules_source *source;
	struct rules_set *set;
	uint16_t *bit; /* [rules] the rule's bit; RULES_BITS: it needs none */
	unsigned bits;
	unsigned line;
	const char *error;
};

static void bits_add(struct rules_bits *bits, unsigned bit)
{
	bits->word[bit / 64] |= 1ull << (bit % 64);
}

static struct rules_bits *match_end(struct rules_match *match, unsigned end)
{
	return end == RULES_EITHER ? &match->either : end == RULES_SOURCE ? &match->source : &match->destination;
}

/* Asks for addresses at one end, and nothing else; or for nothing at all. */
static bool is_plain(const struct rules_rule *rule)
{
	return rule->asks == 0 || rule->asks == 1u << RULES_EITHER || rule->asks == 1u << RULES_SOURCE ||
	       rule->asks == 1u << RULES_DESTINATION;
}

static void compile_bits(struct compiler *c)
{
	struct rules_tables *tables = &c->set->tables;

	tables->fallback = RULES_NUMBER(c->source->rules, c->source->deny_others);
	for (unsigned i = 0; i < c->source->rules && !c->error; i++) {
		const struct rules_rule *rule = &c->source->rule[i];
		uint32_t number = RULES_NUMBER(i, rule->deny);
		c->bit[i] = RULES_BITS;
		if (!rule->asks) {
			tables->fallback = rules_lower(tables->fallback, number);
		} else if (!is_plain(rule) && c->bits == RULES_BITS) {
			c->line = rule->line;
			c->error = "is one too many: 256 rules may ask for more than addresses at one end; several nets, ports "
				   "or protocols can be a list in one rule";
		} else if (!is_plain(rule)) {
			c->bit[i] = (uint16_t)c->bits;
			tables->number[c->bits++] = number;
		}
	}
}

/* Rules that do not ask are content with anything. */
static void compile_indifferent(struct compiler *c)
{
	struct rules_tables *tables = &c->set->tables;

	for (unsigned i = 0; i < c->source->rules; i++) {
		unsigned bit = c->bit[i], asks = c->source->rule[i].asks;
		if (bit == RULES_BITS)
			continue;
		for (unsigned end = 0; end < RULES_ENDS; end++) {
			if (!(asks >> rules_ask(RULES_NET, end) & 1))
				bits_add(match_end(&tables->elsewhere.match, end), bit);
			if (!(asks >> rules_ask(RULES_PORT, end) & 1))
				bits_add(match_end(&tables->no_ports, end), bit);
		}
		for (unsigned v = 0; v <= RULES_NOT_IP && !(asks >> rules_ask(RULES_PROTOCOL, 0) & 1); v++)
			bits_add(&tables->protocol[v], bit);
		for (unsigned v = 0; v <= RULES_UNTAGGED && !(asks >> rules_ask(RULES_VLAN, 0) & 1); v++)
			bits_add(&tables->vlan[v], bit);
	}
	tables->elsewhere.as_source = tables->elsewhere.as_destination = RULES_NUMBER_NONE;
}

static void compile_values(struct compiler *c)
{
	struct rules_tables *tables = &c->set->tables;

	for (unsigned i = 0; i < c->source->items; i++) {
		const struct rules_item *item = &c->source->item[i];
		if (item->what != RULES_PROTOCOL && item->what != RULES_VLAN)
			continue;
		struct rules_bits *table = item->what == RULES_VLAN ? tables->vlan : tables->protocol;
		for (uint32_t v = item->from; v <= item->to; v++)
			bits_add(&table[v], c->bit[item->rule]);
	}
}

/* --- ports ------------------------------------------------------------------------------------------------------------- */

/* Ports between two borders of ranges are all alike: they share a class. */
static void compile_ports(struct compiler *c)
{
	struct rules_tables *tables = &c->set->tables;
	uint8_t *border = calloc(65536 + 1, 1);
	unsigned class = 0;

	if (!border) {
		c->error = "cannot be taken: out of memory";
		return;
	}
	for (unsigned i = 0; i < c->source->items; i++) {
		const struct rules_item *item = &c->source->item[i];
		if (item->what == RULES_PORT)
			border[item->from] = border[item->to + 1] = 1;
	}
	for (uint32_t port = 0; port < 65536; port++) {
		class += port && border[port];
		if (class == RULES_CLASSES) {
			c->error = "cannot be taken: the rules have over 1,000 different borders of port ranges; make them fewer";
			break;
		}
		tables->port_class[port] = (uint16_t) class;
		tables->ports[class] = tables->no_ports;
	}
	for (unsigned i = 0; i < c->source->items && !c->error; i++) {
		const struct rules_item *item = &c->source->item[i];
		if (item->what != RULES_PORT)
			continue;
		for (unsigned k = tables->port_class[item->from]; k <= tables->port_class[item->to]; k++)
			bits_add(match_end(&tables->ports[k], item->end), c->bit[item->rule]);
	}
	free(border);
}

/* --- prefixes ---------------------------------------------------------------------------------------------------------- */

static int item_compare(const void *x, const void *y)
{
	const struct rules_item *a = *(const struct rules_item *const *)x, *b = *(const struct rules_item *const *)y;
	int order = memcmp(a->net.address, b->net.address, sizeof(a->net.address));

	return order ? order : (a->net.bits > b->net.bits) - (a->net.bits < b->net.bits);
}

static bool prefix_covers(const struct rules_prefix *prefix, const uint8_t *address)
{
	unsigned bytes = prefix->bits / 8, rest = prefix->bits % 8;

	if (memcmp(prefix->address, address, bytes) != 0)
		return false;
	return !rest || (prefix->address[bytes] ^ address[bytes]) >> (8 - rest) == 0;
}

/* The entry that is nearest around `address`, from `entry` outwards. */
static uint32_t entry_around(const struct rules_set *set, uint32_t entry, const uint8_t *address)
{
	while (entry != NO_PARENT && !prefix_covers(&set->entry[entry].prefix, address))
		entry = set->entry[entry].parent;
	return entry;
}

static void entry_add(const struct compiler *c, struct rules_entry *entry, const struct rules_item *item)
{
	unsigned bit = c->bit[item->rule];
	uint32_t number = RULES_NUMBER(item->rule, c->source->rule[item->rule].deny);

	if (bit != RULES_BITS) {
		bits_add(match_end(&entry->address.match, item->end), bit);
		return;
	}
	if (item->end != RULES_DESTINATION)
		entry->address.as_source = rules_lower(entry->address.as_source, number);
	if (item->end != RULES_SOURCE)
		entry->address.as_destination = rules_lower(entry->address.as_destination, number);
}

/* nets: sorted, so that what is around a prefix comes before it. */
static void compile_entries(struct compiler *c, const struct rules_item *const *nets, unsigned count)
{
	struct rules_set *set = c->set;

	for (unsigned i = 0; i < count; i++) {
		const struct rules_prefix *prefix = &nets[i]->net;
		struct rules_entry *entry = &set->entry[set->entries ? set->entries - 1 : 0];
		if (!set->entries || memcmp(&entry->prefix, prefix, sizeof(*prefix)) != 0) {
			uint32_t parent = entry_around(set, set->entries ? set->entries - 1 : NO_PARENT, prefix->address);
			entry = &set->entry[set->entries++];
			entry->prefix = *prefix;
			entry->parent = parent;
			entry->address = parent == NO_PARENT ? set->tables.elsewhere : set->entry[parent].address;
		}
		entry_add(c, entry, nets[i]);
	}
	if (set->entries > RULES_PREFIXES_MAX)
		c->error = "cannot be taken: the rules have more than 262,144 different nets";
}

int rules_compile(const struct rules_source *source, struct rules_set **set, unsigned *line, char *error, size_t size)
{
	const struct rules_item **nets = calloc(source->items + 1u, sizeof(*nets));
	struct compiler c = { .source = source, .bit = calloc(source->rules + 1u, sizeof(*c.bit)), .line = 1 };
	unsigned count = 0;

	for (unsigned i = 0; nets && i < source->items; i++) {
		if (source->item[i].what == RULES_NET)
			nets[count++] = &source->item[i];
	}
	c.set = calloc(1, sizeof(*c.set) + count * sizeof(c.set->entry[0]));
	if (!nets || !c.bit || !c.set) {
		c.error = "cannot be taken: out of memory";
	} else {
		c.set->rules = source->rules;
		qsort(nets, count, sizeof(*nets), item_compare);
		compile_bits(&c);
		if (!c.error) {
			compile_indifferent(&c);
			compile_values(&c);
			compile_ports(&c);
			compile_entries(&c, nets, count);
		}
	}
	free(nets);
	free(c.bit);
	if (c.error) {
		snprintf(error, size, "%s", c.error);
		*line = c.line;
		rules_free(c.set);
		return -EINVAL;
	}
	*set = c.set;
	return 0;
}

void rules_free(struct rules_set *set)
{
	free(set);
}

#include "poison.h"

/* The longest prefix: the last that begins at or before the address, or one around it. */
static const struct rules_address *rules_find(const struct rules_set *set, const __u32 words[4], uint8_t ip_version)
{
	struct rules_prefix prefix;
	uint32_t low = 0, high = set->entries;

	rules_prefix_of(&prefix, words, ip_version);
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (memcmp(set->entry[middle].prefix.address, prefix.address, sizeof(prefix.address)) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	uint32_t found = entry_around(set, low ? low - 1 : NO_PARENT, prefix.address);
	return found == NO_PARENT ? &set->tables.elsewhere : &set->entry[found].address;
}

bool rules_deny(const struct rules_set *set, const struct parse *parse)
{
	const struct rules_address *source = &set->tables.elsewhere, *destination = source;

	if (parse->flags & PARSE_IP) {
		source = rules_find(set, parse->src, parse->ip_version);
		destination = rules_find(set, parse->dst, parse->ip_version);
	}
	return rules_decide(&set->tables, parse, source, destination) & 1;
}
