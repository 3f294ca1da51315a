/*
 * Rules made into tables: against a model that goes from rule to rule as the file is written, on random rules and random packets; and
 * the limits of what can be made into tables.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "parse.bpf.h"
#include "rules.h"

#define ROUNDS  400
#define PACKETS 400

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((random_state >> 33) % n);
}

/* --- the model --------------------------------------------------------------------------------------------------------- */

static void address_of(const uint32_t words[4], uint8_t version, uint8_t address[20])
{
	memset(address, 0, 20);
	address[0] = version;
	if (version == 4)
		memcpy(address + 4, &words[3], 4);
	else
		memcpy(address + 4, words, 16);
}

static bool net_has(const struct rules_prefix *net, const uint32_t words[4], const struct parse *parse)
{
	uint8_t address[20];

	if (!(parse->flags & PARSE_IP))
		return false;
	address_of(words, parse->ip_version, address);
	for (unsigned bit = 0; bit < net->bits; bit++) {
		if ((net->address[bit / 8] ^ address[bit / 8]) >> (7 - bit % 8) & 1)
			return false;
	}
	return true;
}

static bool port_has(const struct rules_item *item, uint16_t port, const struct parse *parse)
{
	return parse->flags & PARSE_PORTS && port >= item->from && port <= item->to;
}

static bool item_has(const struct rules_item *item, const struct parse *parse)
{
	bool source = false, destination = false;

	switch (item->what) {
	case RULES_NET:
		source = net_has(&item->net, parse->src, parse);
		destination = net_has(&item->net, parse->dst, parse);
		break;
	case RULES_PORT:
		source = port_has(item, parse->src_port, parse);
		destination = port_has(item, parse->dst_port, parse);
		break;
	case RULES_PROTOCOL:
		return parse->flags & PARSE_IP && parse->proto >= item->from && parse->proto <= item->to;
	default:
		if (parse->vlan == PARSE_VLAN_NONE)
			return item->from == RULES_UNTAGGED;
		return parse->vlan >= item->from && parse->vlan <= item->to;
	}
	return (source && item->end != RULES_DESTINATION) || (destination && item->end != RULES_SOURCE);
}

/* Of each kind that it asks for, one item. */
static bool rule_has(const struct rules_source *source, unsigned rule, const struct parse *parse)
{
	unsigned content = 0;

	for (unsigned i = 0; i < source->items; i++) {
		if (source->item[i].rule == rule && item_has(&source->item[i], parse))
			content |= 1u << rules_ask(source->item[i].what, source->item[i].end);
	}
	return content == source->rule[rule].asks;
}

static bool model_denies(const struct rules_source *source, const struct parse *parse)
{
	for (unsigned rule = 0; rule < source->rules; rule++) {
		if (rule_has(source, rule, parse))
			return source->rule[rule].deny;
	}
	return source->deny_others;
}

/* --- random ------------------------------------------------------------------------------------------------------------ */

/* Few values, so that things meet. The words of an address: v4 10.x.0.y; v6 ::ffff:10.x.0.y or 2001:db8::x:y. */
static void random_address(uint32_t words[4], uint8_t version)
{
	uint8_t bytes[16] = { 0 };

	if (version == 6 && random_below(2))
		memcpy(bytes, "\x20\x01\x0d\xb8", 4);
	else if (version == 6)
		memset(bytes + 10, 0xff, 2);
	if (version == 4 || bytes[10])
		bytes[12] = 10;
	bytes[13] = (uint8_t)(random_below(4) << 6 | random_below(2));
	bytes[15] = (uint8_t)random_below(4);
	memcpy(words, bytes, 16);
}

static struct parse random_packet(void)
{
	static const uint8_t protocols[] = { 6, 17, 1, 0, 255 };
	struct parse parse = { .vlan = PARSE_VLAN_NONE };

	if (!random_below(4))
		parse.vlan = (uint16_t)(random_below(3) * 2047);
	if (!random_below(12))
		return parse;
	parse.flags = PARSE_IP;
	parse.ip_version = random_below(2) ? 4 : 6;
	random_address(parse.src, parse.ip_version);
	random_address(parse.dst, parse.ip_version);
	parse.proto = protocols[random_below(sizeof(protocols))];
	if (random_below(4)) {
		parse.flags |= PARSE_PORTS;
		parse.src_port = (uint16_t)(random_below(8) ? random_below(6) : 65535 - random_below(2));
		parse.dst_port = (uint16_t)(random_below(8) ? random_below(6) : 65535 - random_below(2));
	}
	return parse;
}

static struct rules_prefix random_net(void)
{
	static const uint8_t lengths[] = { 0, 1, 8, 9, 10, 16, 31, 32, 96, 104, 128 };
	struct rules_prefix net = { 0 };
	uint8_t version = random_below(2) ? 4 : 6;
	uint32_t words[4], length;

	random_address(words, version);
	address_of(words, version, net.address);
	do
		length = lengths[random_below(sizeof(lengths))];
	while (version == 4 && length > 32);
	net.bits = RULES_VERSION_BITS + length;
	for (unsigned bit = net.bits; bit < 160; bit++)
		net.address[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return net;
}

static void random_item(struct rules_source *source, unsigned rule, enum rules_what what, enum rules_end end)
{
	struct rules_item *item = &source->item[source->items++];

	*item = (struct rules_item){ .rule = rule, .what = (uint8_t)what, .end = (uint8_t)end };
	if (what == RULES_NET) {
		item->net = random_net();
	} else if (what == RULES_PORT) {
		item->from = random_below(8) ? random_below(6) : 65534;
		item->to = item->from + random_below(2);
	} else if (what == RULES_PROTOCOL) {
		static const uint8_t protocols[] = { 6, 17, 1, 0, 255 };
		item->from = item->to = protocols[random_below(sizeof(protocols))];
	} else {
		item->from = random_below(3) ? random_below(3) * 2047 : RULES_UNTAGGED;
		item->to = item->from + (item->from < 4095 && random_below(2));
	}
	source->rule[rule].asks |= (uint8_t)(1u << rules_ask(what, end));
}

#define RULES_MOST 40
#define ITEMS_MOST (RULES_MOST * 8)

static void random_rules(struct rules_source *source)
{
	source->rules = random_below(RULES_MOST);
	source->items = 0;
	source->deny_others = random_below(2);
	for (unsigned rule = 0; rule < source->rules; rule++) {
		source->rule[rule] = (struct rules_rule){ .deny = random_below(2), .line = rule + 1 };
		if (!random_below(50))
			continue; /* asks for nothing */
		unsigned kinds = 1 + random_below(3);
		for (unsigned k = 0; k < kinds; k++) {
			enum rules_what what = random_below(2) ? RULES_NET : (enum rules_what)random_below(4);
			enum rules_end end = what <= RULES_PORT ? (enum rules_end)random_below(RULES_ENDS) : RULES_EITHER;
			for (unsigned n = 1 + random_below(2); n; n--)
				random_item(source, rule, what, end);
		}
	}
}

static void rules__when_random__then_the_first_that_matches_decides(void **context)
{
	(void)context;
	struct rules_rule rule[RULES_MOST];
	struct rules_item item[ITEMS_MOST];
	struct rules_source source = { .rule = rule, .item = item };
	unsigned denied = 0, compared = 0;

	random_state = 1;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct rules_set *set = NULL;
		char error[256] = "";
		unsigned line;
		random_rules(&source);
		if (rules_compile(&source, &set, &line, error, sizeof(error)))
			fail_msg("%u rules: %s", source.rules, error);
		for (unsigned i = 0; i < PACKETS; i++) {
			struct parse parse = random_packet();
			bool expected = model_denies(&source, &parse);
			if (rules_deny(set, &parse) != expected)
				fail_msg("round %u, packet %u: the model %s it", round, i, expected ? "denies" : "allows");
			denied += expected;
			compared++;
		}
		rules_free(set);
	}
	assert_in_range(denied, compared / 5, compared / 5 * 4); /* else it would not be much of a comparison */
}

/* --- limits ------------------------------------------------------------------------------------------------------------ */

static int compile(struct rules_source *source, char *error, size_t size, unsigned *line)
{
	struct rules_set *set = NULL;
	int err = rules_compile(source, &set, line, error, size);

	if (err)
		assert_null(set);
	rules_free(set);
	return err;
}

static void rules__when_more_ask_for_more_than_an_address_than_there_are_bits__then_the_line_is_told(void **context)
{
	(void)context;
	enum { MOST = RULES_BITS + 1 };
	struct rules_rule *rule = calloc(MOST, sizeof(*rule));
	struct rules_item *item = calloc(MOST, sizeof(*item));
	struct rules_source source = { .rule = rule, .item = item, .rules = MOST - 1, .items = MOST };
	char error[512] = "";
	unsigned line = 0;

	for (unsigned i = 0; i < MOST; i++) {
		rule[i] = (struct rules_rule){ .asks = (uint8_t)(1u << rules_ask(RULES_PROTOCOL, RULES_EITHER)), .line = 100 + i };
		item[i] = (struct rules_item){ .rule = i % (MOST - 1), .what = RULES_PROTOCOL, .from = i % 256, .to = i % 256 };
	}
	assert_int_equal(compile(&source, error, sizeof(error), &line), 0);
	source.rules = MOST;
	assert_int_equal(compile(&source, error, sizeof(error), &line), -22);
	assert_int_equal(line, 100 + MOST - 1);
	assert_non_null(strstr(error, "256 rules may ask for more than addresses at one end"));
	free(rule);
	free(item);
}

static void ports__when_too_many_borders__then_said(void **context)
{
	(void)context;
	struct rules_rule rule = { .asks = (uint8_t)(1u << rules_ask(RULES_PORT, RULES_EITHER)), .line = 1 };
	struct rules_item *item = calloc(RULES_CLASSES, sizeof(*item));
	struct rules_source source = { .rule = &rule, .item = item, .rules = 1 };
	char error[512] = "";
	unsigned line;

	/* Each single port in between others has two borders, port 0 one: 1 + 1 + 511 * 2 classes. */
	for (unsigned i = 1; i < RULES_CLASSES; i++)
		item[i] = (struct rules_item){ .what = RULES_PORT, .from = 1 + 2 * i, .to = 1 + 2 * i };
	item[0] = (struct rules_item){ .what = RULES_PORT };
	source.items = RULES_CLASSES / 2;
	assert_int_equal(compile(&source, error, sizeof(error), &line), 0);
	source.items++;
	assert_int_equal(compile(&source, error, sizeof(error), &line), -22);
	assert_non_null(strstr(error, "borders of port ranges"));
	free(item);
}

/* A hundred thousand nets and more, each address in its own, and none of them beside it. */
static void nets__when_as_many_as_there_may_be__then_each_is_found_and_one_more_is_too_many(void **context)
{
	(void)context;
	struct rules_rule rule[2] = { { .deny = true, .asks = 1u << RULES_SOURCE, .line = 1 },
		{ .asks = 1u << RULES_SOURCE, .line = 2 } };
	struct rules_item *item = calloc(RULES_PREFIXES_MAX + 1, sizeof(*item));
	struct rules_source source = { .rule = rule, .item = item, .rules = 2, .items = RULES_PREFIXES_MAX };
	struct parse parse = { .flags = PARSE_IP, .ip_version = 4, .vlan = PARSE_VLAN_NONE };
	struct rules_set *set = NULL;
	char error[512] = "";
	unsigned line;

	for (unsigned i = 0; i <= RULES_PREFIXES_MAX; i++) {
		item[i] = (struct rules_item){ .what = RULES_NET, .end = RULES_SOURCE, .net = { .bits = RULES_VERSION_BITS + 30 } };
		item[i].net.address[0] = 4;
		uint32_t net = htonl(0x0a000000u + i * 8);
		memcpy(item[i].net.address + 4, &net, 4);
	}
	assert_int_equal(rules_compile(&source, &set, &line, error, sizeof(error)), 0);
	assert_int_equal(set->entries, RULES_PREFIXES_MAX);
	for (uint32_t i = 0; i < RULES_PREFIXES_MAX * 8; i++) {
		parse.src[3] = htonl(0x0a000000u + i);
		if (rules_deny(set, &parse) != !(i & 4))
			fail_msg("address 10.0.0.0 + %u", i);
	}
	rules_free(set);
	source.items++;
	assert_int_equal(compile(&source, error, sizeof(error), &line), -22);
	assert_non_null(strstr(error, "more than 262,144 different nets"));
	free(item);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules__when_random__then_the_first_that_matches_decides),
		cmocka_unit_test(rules__when_more_ask_for_more_than_an_address_than_there_are_bits__then_the_line_is_told),
		cmocka_unit_test(ports__when_too_many_borders__then_said),
		cmocka_unit_test(nets__when_as_many_as_there_may_be__then_each_is_found_and_one_more_is_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
