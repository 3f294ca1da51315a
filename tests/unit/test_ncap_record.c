/* Audit records: the format's golden bytes, and hand-written records against protobuf-c's. */
#include "ncap_rig.h"
#include "wire.h"

#define NS 1706123400123456000u

static const char golden_frame[] = "020000000002 020000000001 0800"
				   "45000030 00004000 40060000 c0a8012a 5db8d822"
				   "d431 01bb 000003e8 00000000 a002 faf0 1234 0000"
				   "0204 05b4 0000 0000 0000 0000 0000 0000";

static void golden__header__is_the_formats_bytes(void **state)
{
	static const char expected[] = "1b 0880b4dcba96c6d7d617 120465746830 1826 2207 76302e362e3131";
	struct record_header header = { .created_ns = NS, .source = "eth0", .version = "v0.6.11", .type = 38 };
	uint8_t bytes[RECORD_HEADER_MAX], wanted[64];

	(void)state;
	size_t n = record_header(&header, bytes);
	assert_int_equal(n, rig_hex(expected, wanted, sizeof(wanted)));
	assert_memory_equal(bytes, wanted, n);
}

/* Data offset 10 with one option: the rest of the header is the end of the list and padding; the vector has none, so they are cut off. */
static void golden__tcp_syn__is_the_formats_bytes(void **state)
{
	static const char expected[] = "4b 0880b4dcba96c6d7d617 10b1a803 18bb03 20e807 300a 4001 8001f0f503 8801b424 a2010808021004"
				       "1a0205b4 c2010c3139322e3136382e312e3432 ca010d39332e3138342e3231362e3334";
	uint8_t frame[128], wanted[128];
	struct record_options options = { 0 };
	struct ncap_rig rig;

	(void)state;
	size_t n = rig_hex(golden_frame, frame, sizeof(frame));
	rig_open(&rig, &options);
	frame[17] = 60; /* total length: 40 bytes of TCP header */
	rig_frame(&rig, LINK_ETHERNET, NS, frame, 14 + 20 + 24);
	rig.frame.wire_len = 14 + 60;
	(void)n;
	ncap_walk_frame(rig.walker, &rig.frame, &rig.walk);
	const struct ncap_layer *layer = rig_layer(&rig, NCAP_TCP, 0);
	assert_non_null(layer);
	uint8_t *end = encoder_frame(rig.encoder, layer, rig.out);
	assert_non_null(end);
	size_t wanted_n = rig_hex(expected, wanted, sizeof(wanted));
	assert_int_equal(end - rig.out, wanted_n);
	assert_memory_equal(rig.out, wanted, wanted_n);
	rig_close(&rig);
}

static void wire__lengths_around_a_bytes_border__are_read_back(void **state)
{
	static const size_t sizes[] = { 0, 1, 126, 127, 128, 129, 16382, 16383, 16384, 16385, 200000 };
	uint8_t *bytes = malloc(1 << 18);

	(void)state;
	assert_non_null(bytes);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memset(bytes + 1, 0x5a, sizes[i]);
		uint8_t *end = wire_close(bytes, bytes + 1 + sizes[i]);
		uint64_t length = 0;
		unsigned used = 0;
		do
			length |= (uint64_t)(bytes[used] & 0x7f) << (7 * used);
		while (bytes[used++] & 0x80);
		assert_int_equal(length, sizes[i]);
		assert_int_equal((size_t)(end - bytes), used + sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(bytes[used + k], 0x5a);
	}
	free(bytes);
}

static void wire__numbers_at_the_borders__are_as_protobuf_c_has_them(void **state)
{
	static const int64_t values[] = { 0, 1, 127, 128, 16383, 16384, INT32_MAX, INT64_MAX, -1, INT32_MIN, INT64_MIN };

	(void)state;
	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		Types__Header message = TYPES__HEADER__INIT;
		uint8_t bytes[32], theirs[32];
		message.created = values[i];
		uint8_t *end = wire_i64(bytes, 1, values[i]);
		assert_int_equal(types__header__pack(&message, theirs), end - bytes);
		assert_memory_equal(bytes, theirs, (size_t)(end - bytes));
	}
}

/* The forms without branches write what the loop writes, at and around each border, and for numbers in between. */
static void wire__short_forms__are_the_loops_bytes(void **state)
{
	uint64_t random = 1;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t value = i < 3 * 64 ? (1ull << i / 3) + i % 3 - 1 : random >> i % 64;
		uint8_t expected[16] = { 0 }, bytes[16] = { 0 };
		random = random * 6364136223846793005u + 1442695040888963407u;
		uint8_t *end = wire_varint(expected, (uint16_t)value);
		assert_int_equal(wire_varint16(bytes, (uint16_t)value) - bytes, end - expected);
		assert_memory_equal(bytes, expected, (size_t)(end - expected));
		end = wire_varint(expected, (uint32_t)value);
		assert_int_equal(wire_varint32(bytes, (uint32_t)value) - bytes, end - expected);
		assert_memory_equal(bytes, expected, (size_t)(end - expected));
		end = wire_varint(expected, value);
		assert_int_equal(wire_varint63(bytes, value) - bytes, end - expected);
		assert_memory_equal(bytes, expected, (size_t)(end - expected));
	}
}

/* ---- by hand and by protobuf-c ------------------------------------------------------------------------------------- */

static uint64_t random_state = 88172645463325252u;

static uint8_t random_byte(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint8_t)(random_state >> 32);
}

/* A record, unpacked and packed again by protobuf-c, must be the same bytes. */
static void check_same(struct ncap_rig *rig, enum ncap_type type)
{
	const ProtobufCMessageDescriptor *descriptor = rig->encoder->legacy ? ncap_types[type].legacy : ncap_types[type].current;
	size_t n = rig_record(rig, type, 0);
	uint8_t *theirs = malloc(RECORD_MAX);

	assert_non_null(theirs);
	assert_true(n > 0);
	ProtobufCMessage *message = protobuf_c_message_unpack(descriptor, NULL, n, rig->out);
	assert_non_null(message);
	assert_int_equal(message->n_unknown_fields, 0);
	assert_int_equal(protobuf_c_message_pack(message, theirs), n);
	assert_memory_equal(rig->out, theirs, n);
	protobuf_c_message_free_unpacked(message, NULL);
	free(theirs);
}

/* Headers of random bytes, with lengths and protocols that make them be taken for what they shall be. */
static void random_frame(uint8_t *frame, bool v6, uint8_t proto, uint32_t payload, unsigned options)
{
	uint32_t ip = v6 ? 40 : 20 + 4 * options, transport = proto == 6 ? 20 + 4 * options : 8;

	for (uint32_t i = 0; i < 14 + ip + transport + payload; i++)
		frame[i] = random_byte();
	uint8_t *l3 = frame + 14, *l4 = l3 + ip;
	frame[12] = v6 ? 0x86 : 0x08;
	frame[13] = v6 ? 0xdd : 0;
	uint32_t total = ip + transport + payload;
	if (v6) {
		l3[0] = (uint8_t)(0x60 | (l3[0] & 0xf));
		l3[4] = (uint8_t)((total - 40) >> 8);
		l3[5] = (uint8_t)(total - 40);
		l3[6] = proto;
	} else {
		l3[0] = (uint8_t)(0x45 + options);
		l3[2] = (uint8_t)(total >> 8);
		l3[3] = (uint8_t)total;
		l3[6] &= 0xc0; /* no fragment */
		l3[7] = 0;
		l3[9] = proto;
	}
	if (proto == 6)
		l4[12] = (uint8_t)((5 + options) << 4 | (l4[12] & 0xf));
	else {
		l4[4] = (uint8_t)((8 + payload) >> 8);
		l4[5] = (uint8_t)(8 + payload);
	}
	if (proto == 6 && options == 3 && random_byte() & 1)
		memcpy(l4 + 20, "\1\1\10\12", 4); /* NOP, NOP, timestamps */
	l4[0] = l4[2] = 0xc0;                     /* ports of nobody */
}

static void hand_written__random_packets__are_as_protobuf_c_packs_them(void **state)
{
	static uint8_t frame[4096];

	(void)state;
	for (unsigned variant = 0; variant < 8; variant++) {
		struct record_options options = { .schema = variant & 1 ? NCAP_SCHEMA_LEGACY : NCAP_SCHEMA_CURRENT,
			.payload = variant & 2,
			.entropy = variant & 4 };
		struct ncap_rig rig;
		rig_open(&rig, &options);
		for (unsigned i = 0; i < 400; i++) {
			bool v6 = i & 1;
			uint8_t proto = i & 2 ? 6 : 17;
			uint32_t payload = i % 7 * 100 + (i & 0xf);
			unsigned words = v6 && proto == 17 ? 0 : i % 11;
			random_frame(frame, v6, proto, payload, words);
			uint32_t n = 14 + (v6 ? 40 : 20 + 4 * words) + (proto == 6 ? 20 + 4 * words : 8) + payload;
			rig_frame(&rig, LINK_ETHERNET, NS + i, frame, n);
			check_same(&rig, NCAP_ETHERNET);
			check_same(&rig, v6 ? NCAP_IPV6 : NCAP_IPV4);
			check_same(&rig, proto == 6 ? NCAP_TCP : NCAP_UDP);
		}
		rig_close(&rig);
	}
}

/* The usual option has a template: it says what the options are. */
static void tcp__timestamps_alone__are_three_options(void **state)
{
	static const uint8_t values[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct record_options options = { 0 };
	static uint8_t frame[128];
	struct ncap_rig rig;

	(void)state;
	rig_open(&rig, &options);
	random_frame(frame, false, 6, 0, 3);
	uint8_t *tcp = frame + 14 + 20 + 4 * 3;
	memcpy(tcp + 20, "\1\1\10\12", 4);
	memcpy(tcp + 24, values, 8);
	rig_frame(&rig, LINK_ETHERNET, NS, frame, (size_t)(tcp + 32 - frame));
	size_t n = rig_record(&rig, NCAP_TCP, 0);
	Types__TCP *record = types__tcp__unpack(NULL, n, rig.out);
	assert_non_null(record);
	assert_int_equal(record->n_options, 3);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(record->options[i]->optiontype, 1);
		assert_int_equal(record->options[i]->optionlength, 1);
		assert_int_equal(record->options[i]->optiondata.len, 0);
	}
	assert_int_equal(record->options[2]->optiontype, 8);
	assert_int_equal(record->options[2]->optionlength, 10);
	assert_int_equal(record->options[2]->optiondata.len, 8);
	assert_memory_equal(record->options[2]->optiondata.data, values, 8);
	types__tcp__free_unpacked(record, NULL);
	rig_close(&rig);
}

/* A segment of port 53: a length, and the header of a message; 5 bytes of a question or 11 of an answer, and more. */
static void dns__tcp_segment_whose_counts_have_no_room__is_none(void **state)
{
	static const struct {
		const char *name, *message;
		bool is;
	} cases[] = {
		{ "a question", "0011 0001 0100 0001 0000 0000 0000 00 0001 0001", true },
		{ "an answer", "0017 0001 8000 0000 0001 0000 0000 00 0001 0001 00000000 0000", true },
		{ "two questions in the room of one", "0011 0001 0100 0002 0000 0000 0000 00 0001 0001", false },
		{ "answers without room", "0011 0001 8000 0001 0001 0000 0000 00 0001 0001", false },
		{ "amid a file", "0010 5989 4589 f48d 7df4 c745 f803 00000000", false },
		{ "longer than the segment", "0012 0001 0100 0001 0000 0000 0000 00 0001 0001", false },
	};
	struct record_options options = { 0 };
	uint8_t frame[256];
	struct ncap_rig rig;

	(void)state;
	rig_open(&rig, &options);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t head = rig_hex("020000000001 020000000002 0800", frame, sizeof(frame));
		size_t tcp = rig_hex("c000 0035 00000001 00000001 5018 0400 0000 0000", frame + head + 20, 64);
		size_t n = rig_hex(cases[i].message, frame + head + 20 + tcp, 128);
		rig_hex("4500 0000 0000 0000 4006 0000 c0000201 c0000202", frame + head, 64);
		frame[head + 3] = (uint8_t)(20 + tcp + n);
		rig_frame(&rig, LINK_ETHERNET, NS, frame, head + 20 + tcp + n);
		if ((rig_record(&rig, NCAP_DNS, 0) != 0) != cases[i].is)
			fail_msg("%s", cases[i].name);
	}
	rig_close(&rig);
}

/* ---- texts --------------------------------------------------------------------------------------------------------- */

static void text__invalid_utf8__becomes_the_replacement_character(void **state)
{
	static const struct {
		const char *name, *from;
		size_t n;
		const char *to;
	} cases[] = {
		{ "ascii", "abc", 3, "abc" },
		{ "two bytes", "\xc3\xa4", 2, "\xc3\xa4" },
		{ "four bytes", "\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80" },
		{ "zero", "a\0b", 3, "a\xef\xbf\xbd\x62" },
		{ "lone continuation", "\x80", 1, "\xef\xbf\xbd" },
		{ "overlong", "\xc0\xaf", 2, "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "overlong of three", "\xe0\x80\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "surrogate", "\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "beyond unicode", "\xf4\x90\x80\x80", 4, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "cut off", "x\xe2\x82", 3, "x\xef\xbf\xbd\xef\xbf\xbd" },
	};
	struct scratch scratch = { .bytes = malloc(SCRATCH_BYTES) };

	(void)state;
	assert_non_null(scratch.bytes);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *exact = malloc(cases[i].n);
		assert_non_null(exact);
		memcpy(exact, cases[i].from, cases[i].n);
		assert_string_equal(scratch_text(&scratch, exact, cases[i].n), cases[i].to);
		free(exact);
	}
	free(scratch.bytes);
}

static void legacy__time__is_seconds_and_six_digits(void **state)
{
	char text[32];

	(void)state;
	text[record_time_text(text, 1706123400084372999u)] = 0;
	assert_string_equal(text, "1706123400.084372");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden__header__is_the_formats_bytes),
		cmocka_unit_test(golden__tcp_syn__is_the_formats_bytes),
		cmocka_unit_test(wire__lengths_around_a_bytes_border__are_read_back),
		cmocka_unit_test(wire__numbers_at_the_borders__are_as_protobuf_c_has_them),
		cmocka_unit_test(wire__short_forms__are_the_loops_bytes),
		cmocka_unit_test(hand_written__random_packets__are_as_protobuf_c_packs_them),
		cmocka_unit_test(tcp__timestamps_alone__are_three_options),
		cmocka_unit_test(dns__tcp_segment_whose_counts_have_no_room__is_none),
		cmocka_unit_test(text__invalid_utf8__becomes_the_replacement_character),
		cmocka_unit_test(legacy__time__is_seconds_and_six_digits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
