/* Reads a file of rules. libyaml keeps the line of each value, so each complaint can name it. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "names.h"
#include "nearest.h"
#include "rules.h"

struct reader {
	const char *path;
	yaml_document_t document;
	struct rules_source source;
	unsigned rules_room, items_room;
	uint32_t rule; /* the one that is being read */
	bool in_rule;
	char *error;
	size_t size;
};

static int fail(struct reader *reader, const yaml_node_t *node, const char *key, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* "FILE: line 7: rules[2].port: ...". Always -EINVAL. */
static int fail(struct reader *reader, const yaml_node_t *node, const char *key, const char *format, ...)
{
	char place[32] = "", said[512];
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
	if (reader->in_rule)
		snprintf(place, sizeof(place), "rules[%" PRIu32 "]%s", reader->rule, key[0] ? "." : "");
	snprintf(reader->error, reader->size, "%s: line %zu: %s%s%s%s", reader->path, node->start_mark.line + 1, place, key,
		place[0] || key[0] ? ": " : "", said);
	return -EINVAL;
}

static yaml_node_t *node_at(struct reader *reader, int index)
{
	return yaml_document_get_node(&reader->document, index);
}

static const char *node_text(const yaml_node_t *node)
{
	return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

/* --- what is read ------------------------------------------------------------------------------------------------------ */

/* Room for one more; arrays double. */
static void *grow(void *array, unsigned count, unsigned *room, size_t bytes)
{
	if (count < *room)
		return array;
	*room = *room ? *room * 2 : 64;
	return realloc(array, *room * bytes);
}

static struct rules_item *add_item(struct reader *reader, enum rules_what what, enum rules_end end)
{
	struct rules_item *items = grow(reader->source.item, reader->source.items, &reader->items_room, sizeof(*items));

	if (!items)
		return NULL;
	reader->source.item = items;
	struct rules_item *item = &items[reader->source.items++];
	*item = (struct rules_item){ .rule = reader->rule, .what = (uint8_t)what, .end = (uint8_t)end };
	reader->source.rule[reader->rule].asks |= (uint8_t)(1u << rules_ask(what, end));
	return item;
}

static bool parse_number(const char *text, uint32_t max, uint32_t *value)
{
	uint64_t number = 0;

	if (!*text || strlen(text) > 9)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		number = number * 10 + (uint64_t)(*text - '0');
	}
	*value = (uint32_t)number;
	return number <= max;
}

/* "80" or "8000-8999". */
static bool parse_range(const char *text, uint32_t max, uint32_t *from, uint32_t *to)
{
	char first[12];
	const char *dash = strchr(text, '-');

	if (!dash)
		return parse_number(text, max, from) && parse_number(text, max, to);
	if (dash - text >= (int)sizeof(first))
		return false;
	snprintf(first, sizeof(first), "%.*s", (int)(dash - text), text);
	return parse_number(first, max, from) && parse_number(dash + 1, max, to) && *from <= *to;
}

/* Clears what is behind the prefix; true: something was there. */
static bool prefix_clear(struct rules_prefix *prefix)
{
	bool any = false;

	for (unsigned bit = prefix->bits; bit < 8 * sizeof(prefix->address); bit++) {
		uint8_t mask = (uint8_t)(0x80 >> (bit % 8));
		any |= prefix->address[bit / 8] & mask;
		prefix->address[bit / 8] &= (uint8_t)~mask;
	}
	return any;
}

static int read_net(struct reader *reader, const yaml_node_t *node, const char *key, const char *text, enum rules_end end)
{
	char address[INET6_ADDRSTRLEN + 1], network[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	struct rules_prefix prefix = { 0 };
	uint32_t bits = 0;

	snprintf(address, sizeof(address), "%.*s", slash ? (int)(slash - text) : INET6_ADDRSTRLEN, text);
	bool v4 = inet_pton(AF_INET, address, prefix.address + 4) == 1;
	if (!v4 && inet_pton(AF_INET6, address, prefix.address + 4) != 1)
		return fail(
			reader, node, key, "'%s' is no net; it takes one such as 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1", text);
	uint32_t most = v4 ? 32 : 128;
	if (slash && !parse_number(slash + 1, most, &bits))
		return fail(reader, node, key, "'%s' has no prefix length from 0 to %" PRIu32 " behind its /", text, most);
	prefix.address[0] = v4 ? 4 : 6;
	prefix.bits = RULES_VERSION_BITS + (slash ? bits : most);
	if (prefix_clear(&prefix)) {
		inet_ntop(v4 ? AF_INET : AF_INET6, prefix.address + 4, network, sizeof(network));
		return fail(reader, node, key, "'%s' has bits set behind its prefix; the net is %s/%" PRIu32, text, network, bits);
	}
	struct rules_item *item = add_item(reader, RULES_NET, end);
	if (!item)
		return -ENOMEM;
	item->net = prefix;
	return 0;
}

static int read_port(struct reader *reader, const yaml_node_t *node, const char *key, const char *text, enum rules_end end)
{
	uint32_t from, to;

	if (!parse_range(text, 65535, &from, &to))
		return fail(reader, node, key, "'%s' is no port; it takes numbers from 0 to 65535, such as 80 or 8000-8999", text);
	struct rules_item *item = add_item(reader, RULES_PORT, end);
	if (!item)
		return -ENOMEM;
	item->from = from;
	item->to = to;
	return 0;
}

static int read_vlan(struct reader *reader, const yaml_node_t *node, const char *key, const char *text, enum rules_end end)
{
	uint32_t from = RULES_UNTAGGED, to = RULES_UNTAGGED;

	if (strcmp(text, "none") != 0 && !parse_range(text, 4095, &from, &to))
		return fail(reader, node, key, "'%s' is no VLAN; it takes numbers from 0 to 4095, such as 12 or 100-199, or none",
			text);
	struct rules_item *item = add_item(reader, RULES_VLAN, end);
	if (!item)
		return -ENOMEM;
	item->from = from;
	item->to = to;
	return 0;
}

static int read_protocol(struct reader *reader, const yaml_node_t *node, const char *key, const char *text, enum rules_end end)
{
	uint32_t number = 0;
	bool known = parse_number(text, 255, &number);

	for (unsigned i = 0; i < 256 && !known; i++) {
		const char *name = protocol_name((uint8_t)i);
		known = name && !strcasecmp(name, text);
		number = i;
	}
	if (!known)
		return fail(reader, node, key,
			"'%s' is no IP protocol; it takes a number from 0 to 255, or a name such as tcp or icmp", text);
	struct rules_item *item = add_item(reader, RULES_PROTOCOL, end);
	if (!item)
		return -ENOMEM;
	item->from = item->to = number;
	return 0;
}

/* --- the file ---------------------------------------------------------------------------------------------------------- */

typedef int read_fn(struct reader *reader, const yaml_node_t *node, const char *key, const char *text, enum rules_end end);

static const struct {
	const char *key;
	read_fn *read; /* NULL: the action */
	enum rules_end end;
} fields[] = {
	{ "action", NULL, 0 },
	{ "net", read_net, RULES_EITHER },
	{ "src_net", read_net, RULES_SOURCE },
	{ "dst_net", read_net, RULES_DESTINATION },
	{ "proto", read_protocol, 0 },
	{ "port", read_port, RULES_EITHER },
	{ "src_port", read_port, RULES_SOURCE },
	{ "dst_port", read_port, RULES_DESTINATION },
	{ "vlan", read_vlan, 0 },
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static int read_action(struct reader *reader, const yaml_node_t *node, const char *key, bool *deny)
{
	const char *text = node_text(node);

	if (!text || (strcmp(text, "allow") != 0 && strcmp(text, "deny") != 0))
		return fail(reader, node, key, "it takes allow or deny%s%s%s", text ? ", not '" : "", text ? text : "",
			text ? "'" : "");
	*deny = !strcmp(text, "deny");
	return 0;
}

/* One value, or a list of them. */
static int read_values(struct reader *reader, const yaml_node_t *node, unsigned field)
{
	const char *key = fields[field].key;
	int error = 0;

	if (node->type == YAML_SEQUENCE_NODE && node->data.sequence.items.start == node->data.sequence.items.top)
		return fail(reader, node, key, "an empty list matches nothing; leave '%s' out to match all", key);
	if (node->type != YAML_SEQUENCE_NODE) {
		const char *text = node_text(node);
		return text ? fields[field].read(reader, node, key, text, fields[field].end)
			    : fail(reader, node, key, "it takes a value or a list of them");
	}
	for (yaml_node_item_t *at = node->data.sequence.items.start; at < node->data.sequence.items.top && !error; at++) {
		const yaml_node_t *item = node_at(reader, *at);
		const char *text = node_text(item);
		error = text ? fields[field].read(reader, item, key, text, fields[field].end)
			     : fail(reader, item, key, "its list takes values, no lists or mappings");
	}
	return error;
}

static int unknown_key(struct reader *reader, const yaml_node_t *node, const char *key, const char *const *names, unsigned count)
{
	const char *near = nearest_name(key, names, count);
	char known[128] = "";

	for (unsigned i = 0; i < count; i++)
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s", i ? ", " : "", names[i]);
	if (near)
		return fail(reader, node, key, "there is no such key; did you mean '%s'?", near);
	return fail(reader, node, key, "there is no such key; there are %s", known);
}

static int read_field(struct reader *reader, const yaml_node_pair_t *pair, unsigned *given)
{
	const yaml_node_t *node = node_at(reader, pair->key);
	const char *key = node_text(node), *names[FIELDS];
	unsigned field = 0;

	for (unsigned i = 0; i < FIELDS; i++)
		names[i] = fields[i].key;
	while (key && field < FIELDS && strcmp(key, fields[field].key) != 0)
		field++;
	if (!key || field == FIELDS)
		return unknown_key(reader, node, key ? key : "", names, FIELDS);
	if (*given >> field & 1)
		return fail(reader, node, key, "it is given twice");
	*given |= 1u << field;
	if (!fields[field].read)
		return read_action(reader, node_at(reader, pair->value), key, &reader->source.rule[reader->rule].deny);
	return read_values(reader, node_at(reader, pair->value), field);
}

static int read_rule(struct reader *reader, const yaml_node_t *node)
{
	struct rules_rule *rules = grow(reader->source.rule, reader->source.rules, &reader->rules_room, sizeof(*rules));
	unsigned given = 0;
	int error = 0;

	if (!rules)
		return -ENOMEM;
	reader->source.rule = rules;
	reader->rule = reader->source.rules++;
	reader->in_rule = true;
	rules[reader->rule] = (struct rules_rule){ .line = (uint32_t)node->start_mark.line + 1 };
	if (node->type != YAML_MAPPING_NODE)
		return fail(reader, node, "", "a rule takes keys with values, such as {action: deny, net: 192.0.2.0/24}");
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top && !error; pair++)
		error = read_field(reader, pair, &given);
	if (!error && !(given & 1))
		error = fail(reader, node, "action", "it is missing: allow or deny");
	reader->in_rule = error != 0;
	return error;
}

static int read_rules(struct reader *reader, const yaml_node_t *node)
{
	const char *text = node_text(node);
	int error = 0;

	if (text && !*text) /* all commented out */
		return 0;
	if (node->type != YAML_SEQUENCE_NODE)
		return fail(reader, node, "rules", "it takes a list of rules");
	for (yaml_node_item_t *at = node->data.sequence.items.start; at < node->data.sequence.items.top && !error; at++)
		error = read_rule(reader, node_at(reader, *at));
	return error;
}

static int read_document(struct reader *reader)
{
	static const char *const names[] = { "default", "rules" };
	const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
	unsigned given = 0;
	int error = 0;

	if (!root) /* empty: nothing is denied */
		return 0;
	if (root->type != YAML_MAPPING_NODE)
		return fail(reader, root, "", "this is no file of rules; it takes 'rules:' and a list");
	for (yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top && !error; pair++) {
		const yaml_node_t *node = node_at(reader, pair->key);
		const char *key = node_text(node) ? node_text(node) : "";
		unsigned which = !strcmp(key, "rules") ? 2 : !strcmp(key, "default") ? 1 : 0;
		if (!which)
			error = unknown_key(reader, node, key, names, 2);
		else if (given & which)
			error = fail(reader, node, key, "it is given twice");
		else if (which == 1)
			error = read_action(reader, node_at(reader, pair->value), key, &reader->source.deny_others);
		else
			error = read_rules(reader, node_at(reader, pair->value));
		given |= which;
	}
	return error;
}

static int read_stream(struct reader *reader, FILE *stream)
{
	yaml_parser_t parser;
	int error = 0;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_file(&parser, stream);
	if (yaml_parser_load(&parser, &reader->document)) {
		error = read_document(reader);
		yaml_document_delete(&reader->document);
	} else {
		error = -EINVAL;
		snprintf(reader->error, reader->size, "%s: line %zu: not valid YAML: %s", reader->path,
			parser.problem_mark.line + 1, parser.problem ? parser.problem : "it cannot be read");
	}
	yaml_parser_delete(&parser);
	return error;
}

int rules_load(const char *path, struct rules_set **set, char *error, size_t size)
{
	struct reader reader = { .path = path, .error = error, .size = size };
	FILE *stream = fopen(path, "r");
	char said[512];
	unsigned line = 1;

	snprintf(error, size, "%s: out of memory", path);
	if (!stream) {
		snprintf(error, size, "%s: cannot open the file of rules: %s", path, strerror(errno));
		return -EINVAL;
	}
	int err = read_stream(&reader, stream);
	if (!err) {
		err = rules_compile(&reader.source, set, &line, said, sizeof(said));
		if (err)
			snprintf(error, size, "%s: line %u: this rule %s", path, line, said);
	}
	fclose(stream);
	free(reader.source.rule);
	free(reader.source.item);
	return err;
}
