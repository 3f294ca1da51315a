/* The hand-written message against protobuf-c, byte for byte, and against the golden frame of the format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packet_message.h"
#include "packet_streaming.pb-c.h"

static size_t put(uint8_t *out, const struct packet_message *message)
{
	uint8_t *end = packet_message_put(out, message);

	memcpy(end, message->data, message->cap_len);
	return (size_t)(end - out) + message->cap_len;
}

static size_t put_with_protobuf_c(uint8_t *out, const struct packet_message *message)
{
	PacketStreaming__PacketHeader header = PACKET_STREAMING__PACKET_HEADER__INIT;
	PacketStreaming__PacketData data = PACKET_STREAMING__PACKET_DATA__INIT;
	PacketStreaming__Packet packet = PACKET_STREAMING__PACKET__INIT;

	header.ts_sec = message->ts_sec;
	header.ts_usec = message->ts_usec;
	header.caplen = message->cap_len;
	header.len = message->wire_len;
	header.ts_nsec_rest = message->ts_nsec_rest;
	data.data.data = (uint8_t *)message->data;
	data.data.len = message->cap_len;
	packet.header = &header;
	packet.data = &data;
	return packet_streaming__packet__pack(&packet, out);
}

static void put__when_any_values__then_bytes_of_protobuf_c(void **state)
{
	static const uint32_t values[] = { 0, 1, 59, 60, 127, 128, 999, 16383, 16384, 999999, 2097151, 2097152, 268435455,
		268435456, UINT32_MAX };
	static const uint32_t lengths[] = { 0, 1, 60, 125, 126, 127, 128, 1514, 16379, 16380, 16384, 65535, 262144 };
	uint8_t *bytes = malloc(262144), *mine = malloc(262144 + PACKET_MESSAGE_OVERHEAD), *theirs = malloc(262144 + 100);

	(void)state;
	for (unsigned i = 0; i < 262144; i++)
		bytes[i] = (uint8_t)(i * 7);
	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		for (unsigned j = 0; j < sizeof(lengths) / sizeof(lengths[0]); j++) {
			struct packet_message message = { .ts_sec = values[i],
				.ts_usec = values[(i + j) % 10],
				.ts_nsec_rest = values[i % 7],
				.wire_len = values[j],
				.cap_len = lengths[j],
				.data = bytes };
			size_t length = put(mine, &message);
			assert_true(length <= lengths[j] + PACKET_MESSAGE_OVERHEAD);
			assert_int_equal(length, put_with_protobuf_c(theirs, &message));
			assert_memory_equal(mine, theirs, length);
			struct packet_message back;
			assert_null(packet_message_read(mine, length, &back));
			assert_int_equal(back.ts_sec, message.ts_sec);
			assert_int_equal(back.ts_usec, message.ts_usec);
			assert_int_equal(back.ts_nsec_rest, message.ts_nsec_rest);
			assert_int_equal(back.wire_len, message.wire_len);
			assert_int_equal(back.cap_len, message.cap_len);
			assert_memory_equal(back.data, bytes, back.cap_len);
		}
	}
	free(bytes);
	free(mine);
	free(theirs);
}

static void put__when_golden_packet__then_golden_message(void **state)
{
	static const uint8_t golden[] = { 0x0a, 0x0e, 0x08, 0x88, 0xc1, 0xc5, 0xad, 0x06, 0x10, 0xc0, 0xc4, 0x07, 0x18, 0x04, 0x20,
		0x3c, 0x12, 0x06, 0x0a, 0x04, 1, 2, 3, 4 };
	const struct packet_message message = {
		.ts_sec = 1706123400, .ts_usec = 123456, .cap_len = 4, .wire_len = 60, .data = (const uint8_t[]){ 1, 2, 3, 4 }
	};
	uint8_t bytes[PACKET_MESSAGE_OVERHEAD + 4];

	(void)state;
	assert_int_equal(put(bytes, &message), sizeof(golden));
	assert_memory_equal(bytes, golden, sizeof(golden));
}

/* Exactly as long as it is, so that the sanitizer sees a byte too far. */
static const char *read_bytes(const void *bytes, size_t length, struct packet_message *message)
{
	uint8_t *copy = malloc(length ? length : 1);

	memcpy(copy, bytes, length);
	const char *fault = packet_message_read(copy, length, message);
	free(copy);
	return fault;
}

static void read__when_odd__then_as_protobuf_says(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t length;
		const char *fault; /* NULL: it is a packet */
	} cases[] = {
		{ "empty", "", 0, "without a header" },
		{ "header only", "\x0a\x00", 2, "without data" },
		{ "data only", "\x12\x00", 2, "without a header" },
		{ "both empty", "\x0a\x00\x12\x00", 4, NULL },
		{ "data before header", "\x12\x03\x0a\x01\x41\x0a\x02\x18\x01", 9, NULL },
		{ "caplen too small", "\x0a\x00\x12\x03\x0a\x01\x41", 7, "caplen" },
		{ "caplen too large", "\x0a\x02\x18\x02\x12\x03\x0a\x01\x41", 9, "caplen" },
		{ "usec 1000000", "\x0a\x04\x10\xc0\x84\x3d\x12\x00", 8, "ts_usec" },
		{ "nanoseconds 1000", "\x0a\x03\x78\xe8\x07\x12\x00", 7, "ts_nsec_rest" },
		{ "unknown varint", "\x18\x05\x0a\x00\x12\x00", 6, NULL },
		{ "unknown 64 bits", "\x19\x31\x32\x33\x34\x35\x36\x37\x38\x0a\x00\x12\x00", 13, NULL },
		{ "unknown 32 bits", "\x1d\x31\x32\x33\x34\x0a\x00\x12\x00", 9, NULL },
		{ "unknown bytes in the header", "\x0a\x04\x32\x02\x41\x42\x12\x00", 8, NULL },
		{ "header as a number", "\x08\x05\x12\x00", 4, "without a header" },
		{ "long form of a number", "\x0a\x03\x18\x81\x00\x12\x03\x0a\x01\x41", 10, NULL },
		{ "number of 11 bytes", "\x0a\x0c\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x00", 16, "broken" },
		{ "cut number", "\x0a\x02\x08\xff\x12\x00", 6, "broken" },
		{ "cut header", "\x0a\x0e\x08", 3, "broken" },
		{ "length of 2^63", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, "broken" },
		{ "tag only", "\x0a", 1, "broken" },
		{ "group", "\x0b\x0c", 2, "broken" },
		{ "field 0", "\x02\x00", 2, "broken" },
		{ "text", "GET / HTTP/1.1\r\n", 16, "broken" },
	};
	struct packet_message message;

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *fault = read_bytes(cases[i].bytes, cases[i].length, &message);
		if (cases[i].fault ? !fault || !strstr(fault, cases[i].fault) : fault != NULL)
			fail_msg("%s: %s", cases[i].name, fault ? fault : "a packet");
		/* What protobuf-c cannot read is no packet; the rest is a matter of our own rules. */
		PacketStreaming__Packet *packet =
			packet_streaming__packet__unpack(NULL, cases[i].length, (const uint8_t *)cases[i].bytes);
		if (!packet && !fault)
			fail_msg("%s: protobuf-c does not read it", cases[i].name);
		if (packet && !fault)
			if (packet->header->caplen != message.cap_len)
				fail_msg("%s: protobuf-c reads %u", cases[i].name, packet->header->caplen);
		if (packet)
			packet_streaming__packet__free_unpacked(packet, NULL);
	}
}

/* As protobuf says; protobuf-c forgets what the first part had. */
static void read__when_header_comes_in_two_parts__then_they_are_one(void **state)
{
	struct packet_message message;

	(void)state;
	assert_null(read_bytes("\x0a\x02\x18\x01\x12\x03\x0a\x01\x41\x0a\x02\x20\x3c", 13, &message));
	assert_int_equal(message.cap_len, 1);
	assert_int_equal(message.wire_len, 60);
}

/* Damaged messages: no crash, and no other packet than protobuf-c reads. */
static void read__when_damaged__then_agrees_with_protobuf_c(void **state)
{
	uint8_t bytes[PACKET_MESSAGE_OVERHEAD + 64], damaged[sizeof(bytes)];
	const struct packet_message message = {
		.ts_sec = 1706123400, .ts_usec = 123456, .cap_len = 64, .wire_len = 1514, .data = bytes
	};
	uint64_t random = 1;
	unsigned compared = 0;
	size_t length;

	(void)state;
	memset(bytes, 0x0a, sizeof(bytes));
	length = put(damaged, &message);
	memcpy(bytes, damaged, length);
	for (unsigned i = 0; i < 200000; i++) {
		struct packet_message back;
		memcpy(damaged, bytes, length);
		for (unsigned j = 0; j < 1 + i % 4; j++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			damaged[(random >> 33) % (j ? 24 : length)] ^= (uint8_t)(random >> 57);
		}
		size_t cut = i % 8 ? length : (random >> 40) % (length + 1);
		if (read_bytes(damaged, cut, &back))
			continue;
		PacketStreaming__Packet *packet = packet_streaming__packet__unpack(NULL, cut, damaged);
		if (!packet)
			continue; /* a known field of another wire type: protobuf-c gives up, protobuf (and we) skip it */
		compared++;
		assert_int_equal(packet->header->ts_sec, back.ts_sec);
		assert_int_equal(packet->header->ts_usec, back.ts_usec);
		assert_int_equal(packet->header->len, back.wire_len);
		assert_int_equal(packet->data->data.len, back.cap_len);
		packet_streaming__packet__free_unpacked(packet, NULL);
	}
	assert_true(compared > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put__when_any_values__then_bytes_of_protobuf_c),
		cmocka_unit_test(put__when_golden_packet__then_golden_message),
		cmocka_unit_test(read__when_odd__then_as_protobuf_says),
		cmocka_unit_test(read__when_header_comes_in_two_parts__then_they_are_one),
		cmocka_unit_test(read__when_damaged__then_agrees_with_protobuf_c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
