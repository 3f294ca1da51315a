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

/* An instruction takes three cycles, but one can begin in each: so three stretches are summed at once. */
#define STRETCH 2560 /* bytes: two times three are in a block of 16 KiB, and joining them is 3 % of the work */

/* What STRETCH zero bytes behind it make of each bit of a remainder. */
static const uint32_t zeros[32] = { 0xb8b67c1c, 0x74808ec9, 0xe9011d92, 0xd7ee4dd5, 0xaa30ed5b, 0x518dac47, 0xa31b588e, 0x43dac7ed,
	0x87b58fda, 0x0a876945, 0x150ed28a, 0x2a1da514, 0x543b4a28, 0xa8769450, 0x55015e51, 0xaa02bca2, 0x51e90fb5, 0xa3d21f6a,
	0x42484825, 0x8490904a, 0x0ccd5665, 0x199aacca, 0x33355994, 0x666ab328, 0xccd56650, 0x9c46ba51, 0x3d610253, 0x7ac204a6,
	0xf584094c, 0xeee46469, 0xd824be23, 0xb5a50ab7 };

static uint32_t zeros_add(uint32_t sum)
{
	uint32_t result = 0;

	for (unsigned i = 0; i < 32; i++)
		result ^= zeros[i] & (0 - (sum >> i & 1));
	return result;
}

static uint32_t stretches_add(uint32_t sum, const uint8_t *at)
{
	uint64_t first = sum, second = 0, third = 0;

	for (unsigned i = 0; i < STRETCH; i += sizeof(uint64_t)) {
		first = __builtin_ia32_crc32di(first, load_le64(at + i));
		second = __builtin_ia32_crc32di(second, load_le64(at + STRETCH + i));
		third = __builtin_ia32_crc32di(third, load_le64(at + 2 * STRETCH + i));
	}
	return zeros_add(zeros_add((uint32_t)first) ^ (uint32_t)second) ^ (uint32_t)third;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t bytes)
{
	const uint8_t *at = data;
	uint64_t sum = ~crc;

	for (; bytes >= 3 * (size_t)STRETCH; at += 3 * STRETCH, bytes -= 3 * (size_t)STRETCH)
		sum = stretches_add((uint32_t)sum, at);
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
