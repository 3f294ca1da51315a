#include "crc32c.h"

#include "bytes.h"

/* Of the polynomial 0x1EDC6F41, reflected: what four bits make of a remainder. */
static const uint32_t nibbles[16] = { 0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362,
	0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75 };

uint32_t crc32c_plain(uint32_t crc, const void *data, size_t bytes)
{
	const uint8_t *at = data, *end = at + bytes;

	crc = ~crc;
	for (; at < end; at++) {
		crc ^= *at;
		crc = crc >> 4 ^ nibbles[crc & 15];
		crc = crc >> 4 ^ nibbles[crc & 15];
	}
	return ~crc;
}

#ifdef __SSE4_2__

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
	const uint8_t *at = data;
	uint64_t sum = ~crc;

	for (; bytes >= sizeof(uint64_t); at += sizeof(uint64_t), bytes -= sizeof(uint64_t))
		sum = __builtin_ia32_crc32di(sum, load_le64(at));
	for (; bytes > 0; at++, bytes--)
		sum = __builtin_ia32_crc32qi((uint32_t)sum, *at);
	return ~(uint32_t)sum;
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
	return crc32c_plain(crc, data, bytes);
}

#endif
