/*
 * Protocol buffers by hand: for the records of which there is one per packet, straight from the frame, without a struct in between.
 * A test holds their bytes to those of protobuf-c. Fields are written in ascending order, and not at all if they are 0 or empty, as
 * proto3 has it.
 *
 * Each function writes at `out` and returns the end; the caller sees to the room.
 */
#ifndef FLOWLANE_NCAP_WIRE_H
#define FLOWLANE_NCAP_WIRE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum wire_type { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_GROUP, WIRE_GROUP_END, WIRE_32 };

#define WIRE_VARINT_MAX 10

static inline uint8_t *wire_varint(uint8_t *out, uint64_t value)
{
	while (__builtin_expect(value >= 0x80, 0)) {
		*out++ = (uint8_t)value | 0x80;
		value >>= 7;
	}
	*out = (uint8_t)value;
	return out + 1;
}

/*
 * Short ones without a branch, as nobody can predict how many bytes a sequence number or a checksum takes: seven bits are moved into each
 * byte, and the length is known before they are. They write eight and four bytes at `out`.
 */
#define WIRE_MORE 0x8080808080808080u /* in each byte: another one follows */

static inline uint8_t *wire_varint32(uint8_t *out, uint32_t value)
{
	unsigned bytes = ((32 - (unsigned)__builtin_clz(value | 1)) * 9 + 64) >> 6; /* bits / 7, rounded up */
	uint64_t spread = (value & 0x0fffffff) | (uint64_t)(value & 0xf0000000) << 4;

	spread = (spread & 0x00003fff00003fff) | (spread & 0x0fffc0000fffc000) << 2;
	spread = (spread & 0x007f007f007f007f) | (spread & 0x3f803f803f803f80) << 1;
	spread |= WIRE_MORE & ((1ull << 8 * (bytes - 1)) - 1);
	memcpy(out, &spread, sizeof(spread));
	return out + bytes;
}

static inline uint8_t *wire_varint16(uint8_t *out, uint16_t value)
{
	bool second = value >= 1 << 7, third = value >= 1 << 14;
	uint32_t spread =
		(value & 0x7f) | (value & 0x3f80u) << 1 | (value & 0xc000u) << 2 | (uint32_t)second << 7 | (uint32_t)third << 15;

	memcpy(out, &spread, sizeof(spread));
	return out + 1 + second + third;
}

/* Of all 63 bits that times have: as above, and the ninth byte by itself. Nine bytes and one more are written. */
static inline uint8_t *wire_varint63(uint8_t *out, uint64_t value)
{
	uint64_t spread = (value & 0x0fffffff) | (value & 0x00fffffff0000000) << 4;

	if (value >> 56 == 0 || value >> 63)
		return wire_varint(out, value);
	spread = (spread & 0x00003fff00003fff) | (spread & 0x0fffc0000fffc000) << 2;
	spread = (spread & 0x007f007f007f007f) | (spread & 0x3f803f803f803f80) << 1 | WIRE_MORE;
	memcpy(out, &spread, sizeof(spread));
	out[8] = (uint8_t)(value >> 56);
	return out + 9;
}

/* The field number is a constant where this is called: one or two stores. */
static inline __attribute__((always_inline)) uint8_t *wire_tag(uint8_t *out, uint32_t field, enum wire_type type)
{
	return wire_varint(out, field << 3 | type);
}

static inline __attribute__((always_inline)) uint8_t *wire_u64(uint8_t *out, uint32_t field, uint64_t value)
{
	return value ? wire_varint(wire_tag(out, field, WIRE_VARINT), value) : out;
}

static inline __attribute__((always_inline)) uint8_t *wire_u32(uint8_t *out, uint32_t field, uint32_t value)
{
	return value ? wire_varint32(wire_tag(out, field, WIRE_VARINT), value) : out;
}

/* Nanoseconds since 1970. */
static inline __attribute__((always_inline)) uint8_t *wire_time(uint8_t *out, uint32_t field, uint64_t ns)
{
	return ns ? wire_varint63(wire_tag(out, field, WIRE_VARINT), ns) : out;
}

static inline __attribute__((always_inline)) uint8_t *wire_u16(uint8_t *out, uint32_t field, uint16_t value)
{
	return value ? wire_varint16(wire_tag(out, field, WIRE_VARINT), value) : out;
}

/* Negative numbers take ten bytes: the format extends them to 64 bits. */
static inline __attribute__((always_inline)) uint8_t *wire_i64(uint8_t *out, uint32_t field, int64_t value)
{
	return wire_u64(out, field, (uint64_t)value);
}

static inline __attribute__((always_inline)) uint8_t *wire_bool(uint8_t *out, uint32_t field, bool value)
{
	uint8_t *end = wire_tag(out, field, WIRE_VARINT);

	*end = 1; /* stays only if it is */
	return value ? end + 1 : out;
}

static inline __attribute__((always_inline)) uint8_t *wire_double(uint8_t *out, uint32_t field, double value)
{
	if (value == 0)
		return out;
	out = wire_tag(out, field, WIRE_64);
	memcpy(out, &value, sizeof(value));
	return out + sizeof(value);
}

static inline __attribute__((always_inline)) uint8_t *wire_bytes(uint8_t *out, uint32_t field, const void *bytes, uint32_t n)
{
	if (n == 0)
		return out;
	out = wire_varint(wire_tag(out, field, WIRE_BYTES), n);
	memcpy(out, bytes, n);
	return out + n;
}

/* Short texts: `room` bytes at `text` can be read, and are copied as such; cheaper than a copy of variable length. */
#define WIRE_TEXT(out, field, text, n) wire_text_room(out, field, text, n, sizeof(text))
static inline __attribute__((always_inline)) uint8_t *wire_text_room(
	uint8_t *out, uint32_t field, const char *text, uint32_t n, size_t room)
{
	if (n == 0)
		return out;
	out = wire_tag(out, field, WIRE_BYTES);
	*out++ = (uint8_t)n; /* below 128 */
	memcpy(out, text, room);
	return out + n;
}

/* The length of what was written behind one byte for it goes into that byte; if it needs more, what was written moves. */
static inline uint8_t *wire_close(uint8_t *begin, uint8_t *end)
{
	uint64_t n = (uint64_t)(end - begin - 1);
	uint8_t length[WIRE_VARINT_MAX];

	if (__builtin_expect(n < 0x80, 1)) {
		*begin = (uint8_t)n;
		return end;
	}
	size_t bytes = (size_t)(wire_varint(length, n) - length);
	memmove(begin + bytes, begin + 1, n);
	memcpy(begin, length, bytes);
	return begin + bytes + n;
}

#endif
