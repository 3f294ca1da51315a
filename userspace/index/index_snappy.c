#include "index_snappy.h"

#define LITERAL_SHORT 60 /* longer ones have their length behind the tag, in one byte or two */
#define LITERAL_BYTE  256
#define LITERAL_MAX   65536

uint8_t *index_snappy_preamble(uint8_t *to, uint32_t bytes)
{
	for (; bytes >= 128; bytes >>= 7)
		*to++ = (uint8_t)(bytes | 128);
	*to++ = (uint8_t)bytes;
	return to;
}

static inline uint8_t *literal_put(uint8_t *to, const uint8_t *from, size_t n)
{
	if (__builtin_expect(n > LITERAL_SHORT, 0)) {
		if (n <= LITERAL_BYTE) {
			*to++ = LITERAL_SHORT << 2;
			*to++ = (uint8_t)(n - 1);
		} else {
			*to++ = (LITERAL_SHORT + 1) << 2;
			*to++ = (uint8_t)(n - 1);
			*to++ = (uint8_t)((n - 1) >> 8);
		}
		memcpy(to, from, n);
		return to + n;
	}
	if (n == 0)
		return to;
	*to++ = (uint8_t)((n - 1) << 2);
	memcpy(to, from, 32); /* of a fixed size: two vectors, and no call */
	if (n > 32)
		memcpy(to + 32, from + 32, 32);
	return to + n;
}

uint8_t *index_snappy_literal(uint8_t *to, const uint8_t *from, size_t bytes)
{
	for (; bytes > LITERAL_MAX; from += LITERAL_MAX, bytes -= LITERAL_MAX)
		to = literal_put(to, from, LITERAL_MAX);
	return literal_put(to, from, bytes);
}

uint8_t *index_snappy_beside(uint8_t *to, const uint8_t *at, const uint8_t *before, size_t bytes, size_t distance)
{
	uint64_t equal = index_snappy_equal(at, before, bytes), runs = index_snappy_runs(equal);
	unsigned done = 0;

	while (runs) {
		unsigned from, end = index_snappy_run(equal, &runs, &from);
		to = literal_put(to, at + done, from - done);
		to = index_snappy_copy(to, distance, end - from);
		done = end;
	}
	return literal_put(to, at + done, bytes - done);
}
