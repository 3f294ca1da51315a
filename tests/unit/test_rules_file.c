/* The file of rules: what it means, and what is said of a wrong one: file, line, field, and what to write instead. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "parse.bpf.h"
#include "rules.h"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

/* The file has no name, so the sentence begins with its path in /proc. */
static int load(const char *text, size_t bytes, struct rules_set **set, char *error, size_t size)
{
	char path[64], said[1024] = "";
	int fd = memfd_create("rules", MFD_CLOEXEC);

	assert_true(fd >= 0 && write(fd, text, bytes) == (ssize_t)bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int err = rules_load(path, set, said, sizeof(said));
	if (err)
		assert_memory_equal(said, path, strlen(path));
	snprintf(error, size, "%s", err ? said + strlen(path) : "");
	close(fd);
	return err;
}

/* "src dst proto src_port dst_port vlan": "-" is none; without ports it is a fragment. */
static struct parse packet(const char *text)
{
	char from[64], to[64], proto[8], from_port[8], to_port[8], vlan[8];
	struct parse parse = { .vlan = PARSE_VLAN_NONE };

	assert_int_equal(sscanf(text, "%63s %63s %7s %7s %7s %7s", from, to, proto, from_port, to_port, vlan), 6);
	if (vlan[0] != '-')
		parse.vlan = (uint16_t)atoi(vlan);
	if (from[0] == '-')
		return parse;
	bool v6 = strchr(from, ':');
	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, from, parse.src + (v6 ? 0 : 3)), 1);
	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, to, parse.dst + (v6 ? 0 : 3)), 1);
	parse.ip_version = v6 ? 6 : 4;
	parse.flags = PARSE_IP;
	parse.proto = (uint8_t)atoi(proto);
	if (from_port[0] != '-') {
		parse.flags |= PARSE_PORTS;
		parse.src_port = (uint16_t)atoi(from_port);
		parse.dst_port = (uint16_t)atoi(to_port);
	}
	return parse;
}

static void file__when_right__then_decides_as_it_says(void **context)
{
	(void)context;
	static const struct {
		const char *name, *rules, *allows[6], *denies[6];
	} rows[] = {
		{ "empty", "", { "10.0.0.1 10.0.0.2 6 1 2 -", "- - - - - -" }, { 0 } },
		{ "all commented out", "rules:\n#  - action: deny\n", { "10.0.0.1 10.0.0.2 6 1 2 -" }, { 0 } },
		{ "default", "default: deny\n", { 0 }, { "10.0.0.1 10.0.0.2 6 1 2 -", "- - - - - -" } },
		{ "net", "rules: [{action: deny, net: [10.0.0.0/8, '2001:db8::/32']}]",
			{ "11.0.0.0 9.255.255.255 6 1 2 -", "2001:db7:: 2001:db9:: 17 1 2 -", "- - - - - 7" },
			{ "10.0.0.0 1.1.1.1 6 1 2 -", "1.1.1.1 10.255.255.255 6 1 2 -", "2001:db8:: :: 17 1 2 -",
				"::1 2001:db8:ffff:: 17 1 2 -" } },
		{ "all IPv6", "rules: [{action: deny, net: '::/0'}]",
			{ "10.0.0.0 1.1.1.1 6 1 2 -", "0.0.0.0 255.255.255.255 6 - - 3", "- - - - - -" },
			{ ":: ::1 6 1 2 -", "::ffff:10.0.0.1 ::1 6 1 2 -", "ffff:: ffff::1 6 - - -" } },
		{ "all IPv4", "rules: [{action: deny, net: 0.0.0.0/0}]",
			{ "::ffff:10.0.0.1 ::1 6 1 2 -", ":: :: 6 1 2 -", "- - - - - -" }, { "0.0.0.0 255.255.255.255 6 - - 3" } },
		{ "a net in a net", "rules:\n  - {action: allow, net: 10.1.0.0/16}\n  - {action: deny, net: 10.0.0.0/8}\n",
			{ "10.1.2.3 10.0.0.1 6 1 2 -", "10.9.9.9 10.1.0.0 6 1 2 -" }, { "10.2.0.0 1.1.1.1 6 1 2 -" } },
		{ "a net around it first", "rules:\n  - {action: deny, net: 10.0.0.0/8}\n  - {action: allow, net: 10.1.0.0/16}\n",
			{ 0 }, { "10.1.2.3 10.0.0.1 6 1 2 -" } },
		{ "one end", "rules: [{action: deny, src_net: 10.0.0.1}, {action: deny, dst_net: 10.0.0.2}]",
			{ "1.1.1.1 10.0.0.1 6 1 2 -", "10.0.0.2 1.1.1.1 6 1 2 -" },
			{ "10.0.0.1 1.1.1.1 6 1 2 -", "1.1.1.1 10.0.0.2 6 1 2 -" } },
		{ "ports",
			"rules: [{action: deny, proto: tcp, port: [22, 8000-8999]}, {action: deny, src_port: 53}, {action: deny, "
			"dst_port: 65535}]",
			{ "1.1.1.1 2.2.2.2 17 22 22 -", "1.1.1.1 2.2.2.2 6 21 7999 -", "1.1.1.1 2.2.2.2 6 9000 53 -",
				"1.1.1.1 2.2.2.2 6 - - -", "1.1.1.1 2.2.2.2 6 65535 1 -" },
			{ "1.1.1.1 2.2.2.2 6 22 1 -", "1.1.1.1 2.2.2.2 6 1 22 -", "1.1.1.1 2.2.2.2 6 8000 1 -",
				"1.1.1.1 2.2.2.2 6 1 8999 -", "1.1.1.1 2.2.2.2 17 53 1 -", "1.1.1.1 2.2.2.2 17 1 65535 -" } },
		{ "protocols", "rules: [{action: deny, proto: [icmp, 47, UDP]}]", { "1.1.1.1 2.2.2.2 6 1 2 -", "- - - - - -" },
			{ "1.1.1.1 2.2.2.2 1 - - -", "1.1.1.1 2.2.2.2 47 - - -", "1.1.1.1 2.2.2.2 17 1 2 -" } },
		{ "VLANs", "rules: [{action: deny, vlan: [100-199, none]}]",
			{ "- - - - - 99", "- - - - - 200", "1.1.1.1 2.2.2.2 1 - - 0" },
			{ "- - - - - 100", "- - - - - 199", "- - - - - -", "1.1.1.1 2.2.2.2 1 - - -" } },
		{ "all of a rule", "rules: [{action: deny, src_net: 10.0.0.0/8, proto: tcp, dst_port: 80, vlan: 5}]",
			{ "11.0.0.1 1.1.1.1 6 1 80 5", "10.0.0.1 1.1.1.1 17 1 80 5", "10.0.0.1 1.1.1.1 6 80 1 5",
				"10.0.0.1 1.1.1.1 6 1 80 6", "10.0.0.1 1.1.1.1 6 1 80 -", "1.1.1.1 10.0.0.1 6 1 80 5" },
			{ "10.0.0.1 1.1.1.1 6 1 80 5" } },
		{ "without keys", "rules: [{action: allow, proto: tcp}, {action: deny}, {action: allow, proto: udp}]",
			{ "1.1.1.1 2.2.2.2 6 1 2 -" }, { "1.1.1.1 2.2.2.2 17 1 2 -", "- - - - - -" } },
	};

	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct rules_set *set = NULL;
		char error[512];
		if (load(rows[i].rules, strlen(rows[i].rules), &set, error, sizeof(error)))
			fail_msg("%s: %s", rows[i].name, error);
		for (unsigned k = 0; k < 6; k++) {
			struct parse allowed = rows[i].allows[k] ? packet(rows[i].allows[k]) : (struct parse){ 0 };
			struct parse denied = rows[i].denies[k] ? packet(rows[i].denies[k]) : (struct parse){ 0 };
			if (rows[i].allows[k] && rules_deny(set, &allowed))
				fail_msg("%s: %s is denied", rows[i].name, rows[i].allows[k]);
			if (rows[i].denies[k] && !rules_deny(set, &denied))
				fail_msg("%s: %s is allowed", rows[i].name, rows[i].denies[k]);
		}
		rules_free(set);
	}
}

static void file__when_wrong__then_line_and_field_are_named(void **context)
{
	(void)context;
	static const struct {
		const char *rules, *error;
	} rows[] = {
		{ "rules:\n  - action: deny\n    port: 70000\n", ": line 3: rules[0].port: '70000' is no port" },
		{ "rules:\n  - action: deny\n    port: [1, 9-8]\n", ": line 3: rules[0].port: '9-8' is no port" },
		{ "rules:\n  - {action: deny, port: -1}\n", ": line 2: rules[0].port: '-1' is no port" },
		{ "rules:\n  - {action: deny, port: ''}\n", ": line 2: rules[0].port: '' is no port" },
		{ "rules:\n  - {action: deny, port: 1-}\n", ": line 2: rules[0].port: '1-' is no port" },
		{ "rules:\n  - {action: deny, port: 99999999999999999999}\n",
			": line 2: rules[0].port: '99999999999999999999' is no port" },
		{ "rules:\n  - {action: deny, net: 10.0.0.0/33}\n",
			": line 2: rules[0].net: '10.0.0.0/33' has no prefix length from 0 to 32" },
		{ "rules:\n  - {action: deny, net: '::/129'}\n",
			": line 2: rules[0].net: '::/129' has no prefix length from 0 to 128" },
		{ "rules:\n  - {action: deny, net: 10.0.0.0/}\n", ": line 2: rules[0].net: '10.0.0.0/' has no prefix length" },
		{ "rules:\n  - {action: allow}\n  - {action: deny, src_net: 10.0.0.1/8}\n",
			": line 3: rules[1].src_net: '10.0.0.1/8' has bits set behind its prefix; the net is 10.0.0.0/8" },
		{ "rules:\n  - {action: deny, dst_net: '2001:db8::1/64'}\n",
			": line 2: rules[0].dst_net: '2001:db8::1/64' has bits set behind its prefix; the net is 2001:db8::/64" },
		{ "rules:\n  - {action: deny, net: example.org}\n", ": line 2: rules[0].net: 'example.org' is no net" },
		{ "rules:\n  - {action: deny, net: 10.0.0}\n", ": line 2: rules[0].net: '10.0.0' is no net" },
		{ "rules:\n  - {action: deny, net: []}\n", ": line 2: rules[0].net: an empty list matches nothing" },
		{ "rules:\n  - {action: deny, net: [[10.0.0.0/8]]}\n", ": line 2: rules[0].net: its list takes values" },
		{ "rules:\n  - {action: deny, net: {a: b}}\n", ": line 2: rules[0].net: it takes a value or a list" },
		{ "rules:\n  - {action: deny, proto: 256}\n", ": line 2: rules[0].proto: '256' is no IP protocol" },
		{ "rules:\n  - {action: deny, proto: tpc}\n", ": line 2: rules[0].proto: 'tpc' is no IP protocol" },
		{ "rules:\n  - {action: deny, vlan: 4096}\n", ": line 2: rules[0].vlan: '4096' is no VLAN" },
		{ "rules:\n  - {action: drop}\n", ": line 2: rules[0].action: it takes allow or deny, not 'drop'" },
		{ "rules:\n  - {net: 10.0.0.0/8}\n", ": line 2: rules[0].action: it is missing" },
		{ "rules:\n  - {action: deny, action: allow}\n", ": line 2: rules[0].action: it is given twice" },
		{ "rules:\n  - {action: deny, prot: tcp}\n", ": line 2: rules[0].prot" },
		{ "rules:\n  - deny\n", ": line 2: rules[0]: a rule takes keys" },
		{ "rules: deny\n", ": line 1: rules: it takes a list" },
		{ "default: maybe\n", ": line 1: default: it takes allow or deny, not 'maybe'" },
		{ "default: deny\nrules:\ndefault: allow\n", ": line 3: default: it is given twice" },
		{ "rule:\n  - {action: deny}\n", ": line 1: rule" },
		{ "- action: deny\n", ": line 1: this is no file of rules" },
		{ "rules:\n  - {action: deny\n", ": line 3: not valid YAML" },
		{ "rules:\n\t- action: deny\n", ": line 2: not valid YAML" },
	};

	for (unsigned i = 0; i < ROWS(rows); i++) {
		struct rules_set *set = NULL;
		char error[1024];
		if (load(rows[i].rules, strlen(rows[i].rules), &set, error, sizeof(error)) != -EINVAL)
			fail_msg("taken: %s", rows[i].rules);
		assert_null(set);
		if (strncmp(error, rows[i].error, strlen(rows[i].error)) != 0)
			fail_msg("%s is said to be%s", rows[i].rules, error);
	}
}

static void file__when_it_is_none__then_why(void **context)
{
	(void)context;
	struct rules_set *set = NULL;
	char error[256];

	assert_int_equal(rules_load("/nonexistent/rules.yaml", &set, error, sizeof(error)), -EINVAL);
	assert_string_equal(error, "/nonexistent/rules.yaml: cannot open the file of rules: No such file or directory");
	assert_int_equal(rules_load("/", &set, error, sizeof(error)), -EINVAL);
	assert_null(set);
}

/* However long: a file of many rules is cut nowhere. */
static void file__when_long__then_all_of_it_counts(void **context)
{
	(void)context;
	enum { RULES = 20000 };
	char *text = malloc(RULES * 64), *at = text, error[256];
	struct rules_set *set = NULL;

	at += sprintf(at, "rules:\n");
	for (unsigned i = 0; i < RULES; i++)
		at += sprintf(at, "  - {action: %s, src_net: 10.%u.%u.0/24}\n", i % 3 ? "deny" : "allow", i / 256, i % 256);
	assert_int_equal(load(text, (size_t)(at - text), &set, error, sizeof(error)), 0);
	assert_int_equal(set->rules, RULES);
	for (unsigned i = 0; i < RULES; i++) {
		struct parse parse = packet("10.0.0.1 1.1.1.1 6 1 2 -");
		parse.src[3] = htonl(10u << 24 | i << 8 | 7);
		assert_int_equal(rules_deny(set, &parse), i % 3 != 0);
	}
	rules_free(set);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file__when_right__then_decides_as_it_says),
		cmocka_unit_test(file__when_wrong__then_line_and_field_are_named),
		cmocka_unit_test(file__when_it_is_none__then_why),
		cmocka_unit_test(file__when_long__then_all_of_it_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
