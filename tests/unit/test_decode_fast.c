/* The fast path must be a pure optimisation: where it answers, the general path gives the same bytes. */
#include "decode_case.h"

static uint64_t random_state;

/* xorshift64*: the tests are the same on every run. */
static uint64_t random_next(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1d;
}

static uint32_t random_below(uint32_t n)
{
	return (uint32_t)(random_next() >> 33) % n;
}

static bool one_in(uint32_t n)
{
	return random_below(n) == 0;
}

static uint16_t random_port(void)
{
	static const uint16_t special[] = { 2152, 3544, 4789, 4790, 6081, 8472, 53, 443 };

	return one_in(8) ? special[random_below(8)] : (uint16_t)random_next();
}

/* Few different ones, so that source and destination are equal now and then, or differ late. */
static void random_addresses(int family, char text[2][INET6_ADDRSTRLEN])
{
	for (int i = 0; i < 2; i++) {
		uint8_t bytes[16] = { 0x20, 1 };

		for (int k = 2; k < 16; k++)
			bytes[k] = one_in(2) ? (uint8_t)random_next() : 0;
		if (one_in(4))
			memset(bytes, 7, 8 + random_below(9));
		inet_ntop(family, bytes + (family == AF_INET ? 8 : 0), text[i], INET6_ADDRSTRLEN);
	}
}

static void random_ip(struct packet_builder *b, bool six, uint8_t proto)
{
	char text[2][INET6_ADDRSTRLEN];

	random_addresses(six ? AF_INET6 : AF_INET, text);
	if (six)
		pb_ipv6(b, text[0], text[1], proto);
	else
		pb_ipv4_full(b, text[0], text[1], proto, (uint16_t)random_next(), one_in(8) ? (uint16_t)random_next() : 0x4000,
			"\1\1\1\1\1\1\1\1", one_in(8) ? 8 : 0);
}

/* Mostly what the fast path takes, with each field now and then odd. */
static void random_packet(struct packet_builder *b)
{
	bool tagged = one_in(3), tcp = one_in(2), six = one_in(2);
	uint16_t type = six != one_in(20) ? 0x86dd : 0x0800;

	*b = pb_new();
	pb_ethernet(b, tagged ? (one_in(9) ? 0x88a8 : 0x8100) : type);
	if (tagged)
		pb_vlan(b, one_in(4) ? 0xe000 : (uint16_t)random_next(), one_in(20) ? 0x8100 : type);
	random_ip(b, six, one_in(16) ? (uint8_t)random_next() : tcp ? 6 : 17);
	if (tcp)
		pb_tcp_options(b, random_port(), random_port(), (uint32_t)random_next(), (uint32_t)random_next(),
			(uint8_t)random_next(), "\1\1\1\1\1\1\1\1\1\1\1\1", random_below(4) * 4);
	else
		pb_udp(b, random_port(), random_port());
	pb_fill(b, random_below(40));
	pb_finish(b);
	pb_zero(b, one_in(2) ? random_below(20) : 0);
	for (unsigned i = one_in(4) ? random_below(3) : 0; i > 0; i--)
		b->bytes[12 + random_below(60)] ^= (uint8_t)(1 << random_below(8));
}

static unsigned compare_random(const struct decoder_options *options, unsigned count)
{
	struct decoder *decoder;
	unsigned fast_count = 0;

	assert_int_equal(decoder_create(options, &decoder), 0);
	for (unsigned i = 0; i < count; i++) {
		struct packet_builder b;
		struct packet fast, general;

		random_packet(&b);
		struct frame frame = pb_frame_cut(&b, LINK_ETHERNET, one_in(4) ? random_below(b.len + 1) : b.len);
		if (one_in(8))
			frame.wire_len = random_below(2 * b.len);
		if (one_in(16))
			frame.vlan_tpid = 0x8100;
		if (one_in(32))
			frame.link = LINK_RAW;
		memset(&fast, 0xa5, sizeof(fast));
		if (decode_fast(decoder, &frame, &fast)) {
			decode_general(decoder, &frame, &general);
			assert_memory_equal(&fast, &general, offsetof(struct packet, unused));
			fast_count++;
		}
		case_decode(decoder, options, &frame);
		pb_frame_free(&frame);
	}
	decoder_destroy(decoder);
	return fast_count;
}

static void fast_path__when_random_packets__then_as_general_path(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 8; bits++) {
		struct decoder_options options = { bits & 1, bits & 2, bits & 4, HASH_SEED_FIXED };

		random_state = 0x9e3779b97f4a7c15 + bits;
		options.seed.s[bits & 3] ^= random_next();
		unsigned fast = compare_random(&options, 20000);
		print_message("  options %u: %u of 20000 on the fast path\n", bits, fast);
		assert_in_range(fast, 5000, 15000);
	}
}

static void fast_path__when_packet_is_the_usual__then_taken(void **state)
{
	(void)state;
	struct decoder_options options = { .seed = HASH_SEED_FIXED };
	struct decoder *decoder;

	assert_int_equal(decoder_create(&options, &decoder), 0);
	for (unsigned i = 0; i < 8; i++) {
		struct packet_builder b = pb_new();
		struct packet packet;
		bool tagged = i & 1, tcp = i & 2, six = i & 4;
		uint16_t type = six ? 0x86dd : 0x0800;

		pb_ethernet(&b, tagged ? 0x8100 : type);
		if (tagged)
			pb_vlan(&b, 5, type);
		if (six)
			pb_ipv6(&b, ENDS.src6, ENDS.dst6, tcp ? 6 : 17);
		else
			pb_ipv4(&b, ENDS.src4, ENDS.dst4, tcp ? 6 : 17);
		if (tcp)
			pb_tcp(&b, 1, 2, 3, 4, 5);
		else
			pb_udp(&b, 1, 2);
		pb_fill(&b, tcp ? 0 : 12);
		pb_finish(&b);
		struct frame frame = pb_frame(&b, LINK_ETHERNET);
		assert_true(decode_fast(decoder, &frame, &packet));
		pb_frame_free(&frame);
	}
	decoder_destroy(decoder);
}

static void batch__when_any_size__then_each_packet_as_alone(void **state)
{
	(void)state;
	struct decoder_options options = { .seed = HASH_SEED_FIXED };
	struct frame frames[FLOWLANE_BATCH];
	struct packet batch[FLOWLANE_BATCH], alone;
	struct decoder *decoder;

	random_state = 42;
	assert_int_equal(decoder_create(&options, &decoder), 0);
	for (unsigned i = 0; i < FLOWLANE_BATCH; i++) {
		struct packet_builder b;

		random_packet(&b);
		frames[i] = pb_frame(&b, LINK_ETHERNET);
	}
	for (unsigned n = 0; n <= FLOWLANE_BATCH; n++) {
		memset(batch, 0xa5, sizeof(batch));
		decode_batch(decoder, frames, batch, n);
		for (unsigned i = 0; i < n; i++) {
			decode_general(decoder, &frames[i], &alone);
			assert_memory_equal(&batch[i], &alone, offsetof(struct packet, unused));
		}
		for (unsigned i = n; i < FLOWLANE_BATCH; i++)
			assert_int_equal(batch[i].verdict, 0xa5);
	}
	for (unsigned i = 0; i < FLOWLANE_BATCH; i++)
		pb_frame_free(&frames[i]);
	decoder_destroy(decoder);
}

static void garbage__when_any_link_type__then_invariants_hold(void **state)
{
	(void)state;
	static const uint16_t links[] = { LINK_NULL, LINK_ETHERNET, LINK_RAW, LINK_LOOP, LINK_LINUX_SLL, LINK_IPV4, LINK_IPV6,
		LINK_LINUX_SLL2, 9 };
	struct decoder_options options = { .key_vlan = true, .key_tunnel = true, .seed = HASH_SEED_FIXED };
	struct decoder *decoder;

	random_state = 4711;
	assert_int_equal(decoder_create(&options, &decoder), 0);
	for (unsigned i = 0; i < 50000; i++) {
		struct packet_builder b = pb_new();

		for (unsigned n = random_below(120); n > 0; n--)
			pb_u8(&b, (uint8_t)(one_in(3) ? random_next() : random_below(2) * 0x41));
		struct frame frame = pb_frame(&b, links[i % (sizeof(links) / sizeof(links[0]))]);
		frame.wire_len = random_below(300);
		case_decode(decoder, &options, &frame);
		pb_frame_free(&frame);
	}
	decoder_destroy(decoder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fast_path__when_random_packets__then_as_general_path),
		cmocka_unit_test(fast_path__when_packet_is_the_usual__then_taken),
		cmocka_unit_test(batch__when_any_size__then_each_packet_as_alone),
		cmocka_unit_test(garbage__when_any_link_type__then_invariants_hold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
