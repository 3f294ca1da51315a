#include "sink_helper.h"

#include <arpa/inet.h>

#include "names.h"
#include "text.h"

static const char *decimal(char *buffer, uint64_t value, unsigned digits)
{
	*text_decimal(buffer, value, digits) = '\0';
	return buffer;
}

static void text_u64__when_at_each_length__then_as_printf(void **state)
{
	uint64_t power = 1;

	(void)state;
	for (unsigned digits = 0; digits < 20; digits++, power *= 10) {
		uint64_t values[] = { power - 1, power, power + 1, power * 9, 0, UINT64_MAX };
		for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			char expected[32], *made = malloc(TEXT_U64_MAX + 1);
			snprintf(expected, sizeof(expected), "%llu", (unsigned long long)values[i]);
			*text_u64(made, values[i]) = '\0';
			assert_string_equal(made, expected);
			free(made);
		}
	}
}

static void text_decimal__when_zero_small_and_huge__then_every_digit_is_there(void **state)
{
	static const struct {
		uint64_t value;
		unsigned digits;
		const char *expected;
	} cases[] = {
		{ 0, 6, "0.000000" },
		{ 1, 6, "0.000001" },
		{ 999999, 6, "0.999999" },
		{ 1706123400123456, 6, "1706123400.123456" },
		{ 15200, 3, "15.200" },
		{ 5, 1, "0.5" },
		{ UINT64_MAX, 6, "18446744073709.551615" },
		{ UINT64_MAX, 1, "1844674407370955161.5" },
		{ 1, 9, "0.000000001" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *made = malloc(TEXT_DECIMAL_MAX + 1);
		assert_string_equal(decimal(made, cases[i].value, cases[i].digits), cases[i].expected);
		free(made);
	}
}

static void text_ipv4__when_octets_have_all_lengths__then_dotted(void **state)
{
	static const struct {
		uint8_t ip[4];
		const char *expected;
	} cases[] = {
		{ { 0, 0, 0, 0 }, "0.0.0.0" },
		{ { 255, 255, 255, 255 }, "255.255.255.255" },
		{ { 9, 10, 99, 100 }, "9.10.99.100" },
		{ { 200, 199, 101, 1 }, "200.199.101.1" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *made = malloc(TEXT_IPV4_MAX);
		*text_ipv4(made, cases[i].ip) = '\0';
		assert_string_equal(made, cases[i].expected);
		free(made);
	}
}

static void text_ipv6__when_rfc5952_has_a_rule__then_it_is_kept(void **state)
{
	static const struct {
		const char *name;
		const char *address; /* for inet_pton */
		const char *expected;
	} cases[] = {
		{ "all zero", "::", "::" },
		{ "loopback", "::1", "::1" },
		{ "zeros at the end", "2001:db8::", "2001:db8::" },
		{ "leading zeros go, 4.1", "2001:0db8::0001", "2001:db8::1" },
		{ "as short as can be, 4.2.1", "2001:db8:0:0:0:0:2:1", "2001:db8::2:1" },
		{ "one group of zeros stays, 4.2.2", "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
		{ "the longest run, 4.2.3", "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
		{ "the first of two equal runs, 4.2.3", "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "lower case, 4.3", "2001:DB8::ABCD", "2001:db8::abcd" },
		{ "no zeros", "1111:2222:3333:4444:5555:6666:7777:8888", "1111:2222:3333:4444:5555:6666:7777:8888" },
		{ "single zeros at both ends", "0:1:2:3:4:5:6:0", "0:1:2:3:4:5:6:0" },
		{ "run at the start", "0:0:1:2:3:4:5:6", "::1:2:3:4:5:6" },
		{ "run at the end", "1:2:3:4:5:6:0:0", "1:2:3:4:5:6::" },
		{ "runs at both ends, the second longer", "0:0:1:0:0:0:0:0", "0:0:1::" },
		{ "IPv4-mapped, 5", "::ffff:192.0.2.1", "::ffff:192.0.2.1" },
		{ "IPv4-compatible is not mapped", "::192.0.2.1", "::c000:201" },
		{ "link-local", "fe80::1ff:fe23:4567:890a", "fe80::1ff:fe23:4567:890a" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t ip[16];
		char *made = malloc(TEXT_IPV6_MAX);
		assert_int_equal(inet_pton(AF_INET6, cases[i].address, ip), 1);
		*text_ipv6(made, ip) = '\0';
		if (strcmp(made, cases[i].expected) != 0)
			fail_msg("%s: %s", cases[i].name, made);
		free(made);
	}
}

static void text_ipv6__when_any_pattern_of_zero_groups__then_inet_pton_reads_it_back(void **state)
{
	(void)state;
	for (unsigned pattern = 0; pattern < 256; pattern++) {
		uint8_t ip[16], back[16];
		char *made = malloc(TEXT_IPV6_MAX);
		for (unsigned i = 0; i < 8; i++)
			store_be16(ip + 2 * i, pattern >> i & 1 ? (uint16_t)(0x10 << i) : 0);
		*text_ipv6(made, ip) = '\0';
		assert_int_equal(inet_pton(AF_INET6, made, back), 1);
		assert_memory_equal(ip, back, sizeof(ip));
		free(made);
	}
}

static void text_endpoint__when_ipv6__then_brackets(void **state)
{
	struct flow_record record = record_sample();
	char *made = malloc(TEXT_ENDPOINT_MAX + 1);

	(void)state;
	*text_endpoint(made, record.key.a_ip, 4, 54321) = '\0';
	assert_string_equal(made, "192.168.1.42:54321");
	memset(record.key.a_ip, 0xff, 16);
	*text_endpoint(made, record.key.a_ip, 6, 65535) = '\0';
	assert_string_equal(made, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	free(made);
}

static void protocol_name__when_iana_has_a_keyword__then_it(void **state)
{
	static const struct {
		uint8_t number;
		const char *name;
	} cases[] = {
		{ 0, "hopopt" },
		{ 1, "icmp" },
		{ 2, "igmp" },
		{ 6, "tcp" },
		{ 17, "udp" },
		{ 41, "ipv6" },
		{ 47, "gre" },
		{ 50, "esp" },
		{ 51, "ah" },
		{ 58, "icmp6" },
		{ 88, "eigrp" },
		{ 89, "ospf" },
		{ 103, "pim" },
		{ 112, "vrrp" },
		{ 115, "l2tp" },
		{ 132, "sctp" },
		{ 136, "udplite" },
		{ 137, "mpls-in-ip" },
		{ 142, "ethernet" },
		{ 61, NULL },
		{ 63, NULL },
		{ 68, NULL },
		{ 99, NULL },
		{ 114, NULL },
		{ 143, NULL },
		{ 255, NULL },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].name)
			assert_string_equal(protocol_name(cases[i].number), cases[i].name);
		else
			assert_null(protocol_name(cases[i].number));
	}
}

static void names__when_any_enumerator__then_a_word_of_their_own(void **state)
{
	(void)state;
	assert_null(tcp_state_name(TCP_STATE_NONE));
	for (unsigned i = 1; i < TCP_STATE_COUNT; i++)
		assert_non_null(tcp_state_name(i));
	for (unsigned i = 0; i <= FLOW_ALIVE; i++)
		assert_non_null(flow_end_name(i));
	for (unsigned i = 0; i < RTT_SOURCE_COUNT; i++)
		assert_non_null(rtt_source_name(i));
	assert_string_equal(tcp_state_name(TCP_STATE_FIN_WAIT), "fin_wait");
	assert_string_equal(flow_end_name(FLOW_END_EVICTION), "eviction");
	assert_string_equal(flow_end_name(FLOW_ALIVE), "alive");
	assert_string_equal(rtt_source_name(RTT_SEQ_ACK), "seq_ack");
}

static void flow_key_compare__when_one_member_differs__then_it_decides_in_its_place(void **state)
{
	struct flow_key x = record_sample().key, y;

	(void)state;
	y = x;
	assert_int_equal(flow_key_compare(&x, &y), 0);
	y.tunnel = 1;
	assert_true(flow_key_compare(&x, &y) < 0);
	x.vlan = 0xffff, y.vlan = 1;
	assert_true(flow_key_compare(&x, &y) > 0);
	x.b_port = 1, y.b_port = 256; /* numerically, not by bytes */
	assert_true(flow_key_compare(&x, &y) < 0);
	x.b_ip[15] = 2, y.b_ip[15] = 1;
	assert_true(flow_key_compare(&x, &y) > 0);
	x.a_port = 255, y.a_port = 256;
	assert_true(flow_key_compare(&x, &y) < 0);
	x.a_ip[12] = 200, y.a_ip[12] = 10;
	assert_true(flow_key_compare(&x, &y) > 0);
	x.ip_version = 4, y.ip_version = 6;
	assert_true(flow_key_compare(&x, &y) < 0);
	x.proto = 17, y.proto = 6;
	assert_true(flow_key_compare(&x, &y) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_u64__when_at_each_length__then_as_printf),
		cmocka_unit_test(text_decimal__when_zero_small_and_huge__then_every_digit_is_there),
		cmocka_unit_test(text_ipv4__when_octets_have_all_lengths__then_dotted),
		cmocka_unit_test(text_ipv6__when_rfc5952_has_a_rule__then_it_is_kept),
		cmocka_unit_test(text_ipv6__when_any_pattern_of_zero_groups__then_inet_pton_reads_it_back),
		cmocka_unit_test(text_endpoint__when_ipv6__then_brackets),
		cmocka_unit_test(protocol_name__when_iana_has_a_keyword__then_it),
		cmocka_unit_test(names__when_any_enumerator__then_a_word_of_their_own),
		cmocka_unit_test(flow_key_compare__when_one_member_differs__then_it_decides_in_its_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
