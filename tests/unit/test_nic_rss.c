#include "nic_rss.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/ethtool.h>

#define IPS   (RXH_IP_SRC | RXH_IP_DST)
#define PORTS (RXH_L4_B_0_1 | RXH_L4_B_2_3)
#define ALL   (IPS | PORTS)

/* The key of Microsoft's verification suite, which most drivers of old had as their default. */
static const uint8_t microsoft_key[40] = { 0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
	0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7,
	0x3b, 0xbe, 0xac, 0x01, 0xfa };

static struct nic_rss rss_make(uint32_t function, const uint8_t *key, unsigned key_bytes, uint64_t fields)
{
	struct nic_rss rss = { .function = function, .key_bytes = key_bytes };

	if (key)
		memcpy(rss.key, key, key_bytes);
	for (unsigned i = 0; i < NIC_RSS_FLOWS; i++) {
		rss.fields_known[i] = fields != UINT64_MAX;
		rss.fields[i] = fields;
	}
	return rss;
}

static enum nic_rss_verdict judge(const struct nic_rss *rss)
{
	char *text = malloc(96);
	enum nic_rss_verdict verdict = nic_rss_judge(rss, text, 96);

	assert_true(strlen(text) > 0);
	free(text);
	return verdict;
}

static void nic_rss_judge__when_function_key_and_fields_are_given__then_as_known(void **state)
{
	uint8_t symmetric[52], period_32[40], zero[40] = { 0 };
	const uint64_t unknown = UINT64_MAX;

	(void)state;
	nic_rss_symmetric_key(symmetric, sizeof(symmetric));
	assert_memory_equal(symmetric, "\x6d\x5a\x6d\x5a", 4);
	for (unsigned i = 0; i < sizeof(period_32); i++)
		period_32[i] = microsoft_key[i % 4];
	const struct {
		const char *name;
		uint32_t function;
		const uint8_t *key;
		unsigned key_bytes;
		uint64_t fields;
		enum nic_rss_verdict expected;
	} cases[] = {
		{ "microsoft's key, addresses and ports", NIC_RSS_TOEPLITZ, microsoft_key, 40, ALL, NIC_RSS_ASYMMETRIC },
		{ "microsoft's key, addresses", NIC_RSS_TOEPLITZ, microsoft_key, 40, IPS, NIC_RSS_ASYMMETRIC },
		{ "microsoft's key, ports", NIC_RSS_TOEPLITZ, microsoft_key, 40, PORTS, NIC_RSS_ASYMMETRIC },
		{ "microsoft's key, fields not said", NIC_RSS_TOEPLITZ, microsoft_key, 40, unknown, NIC_RSS_ASYMMETRIC },
		{ "microsoft's key, nothing is hashed", NIC_RSS_TOEPLITZ, microsoft_key, 40, 0, NIC_RSS_SYMMETRIC },
		{ "6d5a, addresses and ports", NIC_RSS_TOEPLITZ, symmetric, 40, ALL, NIC_RSS_SYMMETRIC },
		{ "6d5a, 52 bytes", NIC_RSS_TOEPLITZ, symmetric, 52, ALL, NIC_RSS_SYMMETRIC },
		{ "6d5a, addresses", NIC_RSS_TOEPLITZ, symmetric, 40, IPS, NIC_RSS_SYMMETRIC },
		{ "6d5a, ports", NIC_RSS_TOEPLITZ, symmetric, 40, PORTS, NIC_RSS_SYMMETRIC },
		{ "6d5a, fields not said", NIC_RSS_TOEPLITZ, symmetric, 40, unknown, NIC_RSS_SYMMETRIC },
		{ "6d5a, function not said", NIC_RSS_UNSAID, symmetric, 40, ALL, NIC_RSS_SYMMETRIC },
		{ "6d5a, with the VLAN id before", NIC_RSS_TOEPLITZ, symmetric, 40, ALL | RXH_VLAN, NIC_RSS_SYMMETRIC },
		{ "6d5a, source address only", NIC_RSS_TOEPLITZ, symmetric, 40, RXH_IP_SRC, NIC_RSS_ASYMMETRIC },
		{ "6d5a, one port only", NIC_RSS_TOEPLITZ, symmetric, 40, IPS | RXH_L4_B_2_3, NIC_RSS_ASYMMETRIC },
		{ "6d5a, receiver's MAC", NIC_RSS_TOEPLITZ, symmetric, 40, ALL | RXH_L2DA, NIC_RSS_ASYMMETRIC },
		{ "6d5a, too short for IPv6", NIC_RSS_TOEPLITZ, symmetric, 16, ALL, NIC_RSS_ASYMMETRIC },
		{ "period 32: addresses may swap", NIC_RSS_TOEPLITZ, period_32, 40, IPS, NIC_RSS_SYMMETRIC },
		{ "period 32: ports may not", NIC_RSS_TOEPLITZ, period_32, 40, ALL, NIC_RSS_ASYMMETRIC },
		{ "period 32: unknown place", NIC_RSS_TOEPLITZ, period_32, 40, IPS | RXH_VLAN, NIC_RSS_ASYMMETRIC },
		{ "no key", NIC_RSS_TOEPLITZ, NULL, 0, ALL, NIC_RSS_CANNOT_TELL },
		{ "a key of zeros", NIC_RSS_TOEPLITZ, zero, 40, ALL, NIC_RSS_CANNOT_TELL },
		{ "xor", NIC_RSS_XOR, microsoft_key, 40, ALL, NIC_RSS_SYMMETRIC },
		{ "xor of one side", NIC_RSS_XOR, microsoft_key, 40, RXH_IP_DST, NIC_RSS_ASYMMETRIC },
		{ "crc32", NIC_RSS_CRC32, symmetric, 40, ALL, NIC_RSS_ASYMMETRIC },
		{ "unknown function", 8, symmetric, 40, ALL, NIC_RSS_CANNOT_TELL },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nic_rss rss = rss_make(cases[i].function, cases[i].key, cases[i].key_bytes, cases[i].fields);
		if (judge(&rss) != cases[i].expected)
			fail_msg("%s: %d, not %d", cases[i].name, judge(&rss), cases[i].expected);
	}
}

static void nic_rss_judge__when_the_input_is_transformed__then_the_key_does_not_matter(void **state)
{
	struct nic_rss rss = rss_make(NIC_RSS_TOEPLITZ, microsoft_key, 40, ALL);

	(void)state;
	rss.transform = NIC_RSS_SYM_XOR;
	assert_int_equal(judge(&rss), NIC_RSS_SYMMETRIC);
	rss.transform = NIC_RSS_SYM_OR_XOR;
	assert_int_equal(judge(&rss), NIC_RSS_SYMMETRIC);
	rss.transform = 4; /* not known yet */
	assert_int_equal(judge(&rss), NIC_RSS_ASYMMETRIC);
	rss.transform = NIC_RSS_SYM_XOR;
	rss.fields[NIC_RSS_UDP6] = RXH_IP_SRC;
	assert_int_equal(judge(&rss), NIC_RSS_ASYMMETRIC);
}

static void nic_rss_judge__when_one_kind_of_flow_is_one_sided__then_it_is_named(void **state)
{
	static const char *const names[NIC_RSS_FLOWS] = { "tcp4", "udp4", "tcp6", "udp6" };
	uint8_t symmetric[40];
	char text[96];

	(void)state;
	nic_rss_symmetric_key(symmetric, sizeof(symmetric));
	for (unsigned i = 0; i < NIC_RSS_FLOWS; i++) {
		struct nic_rss rss = rss_make(NIC_RSS_TOEPLITZ, symmetric, 40, ALL);
		rss.fields[i] = IPS | RXH_L4_B_0_1;
		assert_int_equal(nic_rss_judge(&rss, text, sizeof(text)), NIC_RSS_ASYMMETRIC);
		assert_non_null(strstr(text, names[i]));
		rss.one_queue = true;
		assert_int_equal(nic_rss_judge(&rss, text, sizeof(text)), NIC_RSS_SYMMETRIC);
	}
}

/* The Toeplitz hash itself, as the specification has it: the judgement is about this. */
static uint32_t toeplitz(const uint8_t *key, const uint8_t *input, unsigned bytes)
{
	uint32_t hash = 0;

	for (unsigned bit = 0; bit < bytes * 8; bit++) {
		if (!(input[bit / 8] >> (7 - bit % 8) & 1))
			continue;
		for (unsigned k = 0; k < 32; k++)
			hash ^= (uint32_t)(key[(bit + k) / 8] >> (7 - (bit + k) % 8) & 1) << (31 - k);
	}
	return hash;
}

static void input_make(uint8_t *forth, uint8_t *back, unsigned address_bytes)
{
	for (unsigned i = 0; i < 2 * address_bytes + 4; i++)
		forth[i] = (uint8_t)rand();
	memcpy(back, forth + address_bytes, address_bytes);
	memcpy(back + address_bytes, forth, address_bytes);
	memcpy(back + 2 * address_bytes, forth + 2 * address_bytes + 2, 2);
	memcpy(back + 2 * address_bytes + 2, forth + 2 * address_bytes, 2);
}

static void nic_rss_judge__when_compared_with_the_hash_itself__then_it_is_right(void **state)
{
	/* From the specification: 66.9.149.187:2794 to 161.142.100.80:1766. */
	static const uint8_t known[12] = { 66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6 };
	uint8_t key[40], forth[36], back[36];

	(void)state;
	assert_int_equal(toeplitz(microsoft_key, known, 12), 0x51ccc178);
	srand(1);
	for (unsigned round = 0; round < 400; round++) {
		bool same = true;
		nic_rss_symmetric_key(key, sizeof(key));
		if (round % 2) /* one wrong bit, anywhere */
			key[rand() % 40] ^= (uint8_t)(1 << rand() % 8);
		struct nic_rss rss = rss_make(NIC_RSS_TOEPLITZ, key, 40, ALL);
		for (unsigned i = 0; i < 200; i++) {
			unsigned address_bytes = i % 2 ? 4 : 16;
			input_make(forth, back, address_bytes);
			same &= toeplitz(key, forth, 2 * address_bytes + 4) == toeplitz(key, back, 2 * address_bytes + 4);
		}
		assert_int_equal(judge(&rss), same ? NIC_RSS_SYMMETRIC : NIC_RSS_ASYMMETRIC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nic_rss_judge__when_function_key_and_fields_are_given__then_as_known),
		cmocka_unit_test(nic_rss_judge__when_the_input_is_transformed__then_the_key_does_not_matter),
		cmocka_unit_test(nic_rss_judge__when_one_kind_of_flow_is_one_sided__then_it_is_named),
		cmocka_unit_test(nic_rss_judge__when_compared_with_the_hash_itself__then_it_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
