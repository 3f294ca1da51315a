/* What flows `extract` is asked for. Wrong texts are in tests/cli/test_index.py, where what is said of them is seen, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "query.h"

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

static void flow__when_right__then_the_key_of_the_index(void **context)
{
	(void)context;
	static const struct {
		const char *text;
		struct index_key key;
	} rows[] = {
		{ "10.1.2.3:443-10.9.8.7:51000/tcp", { .protocol = 6,
							     .source = { 10, 1, 2, 3 },
							     .destination = { 10, 9, 8, 7 },
							     .source_port = 443,
							     .destination_port = 51000,
							     .family = 1 } },
		{ "10.1.2.3:0-10.9.8.7:0/UDP",
			{ .protocol = 17, .source = { 10, 1, 2, 3 }, .destination = { 10, 9, 8, 7 }, .family = 1 } },
		{ "10.1.2.3-10.9.8.7/icmp",
			{ .protocol = 1, .source = { 10, 1, 2, 3 }, .destination = { 10, 9, 8, 7 }, .family = 1 } },
		{ "10.1.2.3:0-10.9.8.7/89",
			{ .protocol = 89, .source = { 10, 1, 2, 3 }, .destination = { 10, 9, 8, 7 }, .family = 1 } },
		{ "[::1]:1-[2::]:65535/sctp", { .protocol = 132,
						      .source = { [15] = 1 },
						      .destination = { 0, 2 },
						      .source_port = 1,
						      .destination_port = 65535,
						      .family = 2 } },
		{ "::1-2::/icmpv6", { .protocol = 58, .source = { [15] = 1 }, .destination = { 0, 2 }, .family = 2 } },
		{ "[::1]-[2::]/58", { .protocol = 58, .source = { [15] = 1 }, .destination = { 0, 2 }, .family = 2 } },
	};
	struct query *query = malloc(sizeof(*query));

	for (unsigned i = 0; i < ROWS(rows); i++) {
		query_begin(query);
		assert_int_equal(query_flow(query, rows[i].text), 0);
		assert_int_equal(query->flows_count, 1);
		assert_memory_equal(&query->flows[0], &rows[i].key, sizeof(rows[i].key));
		assert_int_equal(query_both(query), 0);
		assert_int_equal(query->flows_count, 2);
		assert_memory_equal(query->flows[1].source, rows[i].key.destination, sizeof(rows[i].key.destination));
		assert_int_equal(query->flows[1].destination_port, rows[i].key.source_port);
	}
	free(query);
}

static void net__when_its_length_varies__then_matches_either_end(void **context)
{
	(void)context;
	static const struct {
		const char *net;
		bool match;
	} rows[] = {
		{ "10.1.2.3", true },
		{ "10.9.8.7/32", true },
		{ "10.1.2.2/31", true },
		{ "10.1.2.4/31", false },
		{ "10.0.0.0/8", true },
		{ "11.0.0.0/8", false },
		{ "0.0.0.0/0", true },
		{ "::/0", false },
		{ "10.1.2.2", false },
		{ "10.1.3.0/23", true },
		{ "10.1.4.0/23", false },
	};
	const struct index_key key = { .protocol = 6, .source = { 10, 1, 2, 3 }, .destination = { 10, 9, 8, 7 }, .family = 1 };
	struct query *query = malloc(sizeof(*query));

	for (unsigned i = 0; i < ROWS(rows); i++) {
		query_begin(query);
		assert_int_equal(query_net(query, rows[i].net), 0);
		assert_true(query_match(query, &key) == rows[i].match);
	}
	free(query);
}

static void time__when_right__then_nanoseconds(void **context)
{
	(void)context;
	static const struct {
		const char *text;
		uint64_t ns;
	} rows[] = {
		{ "0", 0 },
		{ "1700000000", 1700000000000000000 },
		{ "1700000000.5", 1700000000500000000 },
		{ "1700000000.123456789", 1700000000123456789 },
		{ "2023-11-14T22:13:20", 1700000000000000000 },
		{ "2023-11-14 22:13:20.000001Z", 1700000000000001000 },
	};

	for (unsigned i = 0; i < ROWS(rows); i++) {
		uint64_t ns = 1;
		assert_int_equal(query_time("--since", rows[i].text, &ns), 0);
		assert_int_equal(ns, rows[i].ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flow__when_right__then_the_key_of_the_index),
		cmocka_unit_test(net__when_its_length_varies__then_matches_either_end),
		cmocka_unit_test(time__when_right__then_nanoseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
