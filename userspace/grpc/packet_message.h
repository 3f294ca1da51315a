/*
 * The one message of packet streaming (packet_streaming.proto), written and read by hand: both run once per packet, and protobuf-c
 * allocates four times to read one (docs/streaming.md has the figures). tests/unit/test_packet_message.c holds it to protobuf-c byte for byte.
 *
 *   0a <length> header { 08 ts_sec, 10 ts_usec, 18 caplen, 20 len, 78 ts_nsec_rest }   each left out if 0
 *   12 <length> data   { 0a <length> bytes }                                           bytes left out if there are none
 */
#ifndef FLOWLANE_PACKET_MESSAGE_H
#define FLOWLANE_PACKET_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

/* What a message has besides the packet's bytes, at most: tags and lengths 2 + 2 * 6, five fields of 6 bytes. */
#define PACKET_MESSAGE_OVERHEAD 48

struct packet_message {
	uint32_t ts_sec;
	uint32_t ts_usec;
	uint32_t ts_nsec_rest;
	uint32_t cap_len;
	uint32_t wire_len;
	const uint8_t *data; /* cap_len bytes */
};

static inline uint8_t *packet_message_put_varint(uint8_t *out, uint32_t value)
{
	while (value >= 0x80) {
		*out++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*out++ = (uint8_t)value;
	return out;
}

static inline uint8_t *packet_message_put_field(uint8_t *out, uint8_t tag, uint32_t value)
{
	if (!value)
		return out;
	*out++ = tag;
	return packet_message_put_varint(out, value);
}

static inline uint32_t packet_message_varint_bytes(uint32_t value)
{
	return (uint32_t)(38 - __builtin_clz(value | 1)) / 7;
}

/* Writes all but the packet's bytes, which follow it: message->cap_len of them. Returns the end. Packet path. */
static inline uint8_t *packet_message_put(uint8_t *out, const struct packet_message *message)
{
	uint32_t cap_len = message->cap_len;
	uint8_t *header = out + 2; /* at most 30 bytes, so its length is one */
	uint8_t *end = packet_message_put_field(header, 0x08, message->ts_sec);

	end = packet_message_put_field(end, 0x10, message->ts_usec);
	end = packet_message_put_field(end, 0x18, cap_len);
	end = packet_message_put_field(end, 0x20, message->wire_len);
	end = packet_message_put_field(end, 0x78, message->ts_nsec_rest);
	out[0] = 0x0a;
	out[1] = (uint8_t)(end - header);
	*end++ = 0x12;
	end = packet_message_put_varint(end, cap_len ? 1 + packet_message_varint_bytes(cap_len) + cap_len : 0);
	return packet_message_put_field(end, 0x0a, cap_len);
}

/* NULL, and *message points into the bytes; or what is wrong with them, as a sentence for their sender. Packet path. */
const char *packet_message_read(const uint8_t *bytes, size_t length, struct packet_message *message);

#endif
