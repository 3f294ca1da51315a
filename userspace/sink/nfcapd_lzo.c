/*
 * LZO1X has no specification but a description of its decoder in the Linux kernel, Documentation/staging/lzo.rst, which this
 * follows. An instruction is a byte, and what belongs to it; all but literal runs copy a match and then 0 to 3 literals (S):
 *
 *   0000llll            no literals before:  3 + l literals
 *   0000ddss H          1 to 3 before:       2 bytes from (H << 2) + d + 1 back
 *                       a run before:        3 bytes from (H << 2) + d + 2049 back
 *   0001hlll D D        2 + l bytes from (h << 14) + d + 16384 back; 16384: the end
 *   001lllll D D        2 + l bytes from d + 1 back                     D D: little-endian, dddddddd ddddddss
 *   01ldddss H          3 + l bytes from (H << 3) + d + 1 back
 *   1lldddss H          5 + l bytes from (H << 3) + d + 1 back
 *
 * A length field of zeros goes on: 255 for each zero byte that follows, then the first other byte, plus the field's largest value.
 */
#include "nfcapd_lzo.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "bytes.h"

#define RUN          4  /* the instruction before was a run of literals */
#define FIRST_RUN    17 /* a first byte above it is a run of literals of its own kind */
#define END_DISTANCE 16384

struct lzo {
	const uint8_t *in, *in_end;
	uint8_t *out, *out_start, *out_end;
	unsigned before; /* literals of the instruction before, or RUN */
};

static size_t in_left(const struct lzo *lzo)
{
	return (size_t)(lzo->in_end - lzo->in);
}

static bool literals_copy(struct lzo *lzo, size_t n)
{
	if (n > in_left(lzo) || n > (size_t)(lzo->out_end - lzo->out))
		return false;
	memcpy(lzo->out, lzo->in, n);
	lzo->in += n;
	lzo->out += n;
	return true;
}

/* A match, and the literals behind it. */
static bool match_copy(struct lzo *lzo, size_t length, size_t distance, unsigned literals)
{
	if (distance > (size_t)(lzo->out - lzo->out_start) || length > (size_t)(lzo->out_end - lzo->out))
		return false;
	for (; length; length--, lzo->out++) /* it may reach into what it writes */
		*lzo->out = lzo->out[-(ptrdiff_t)distance];
	lzo->before = literals;
	return literals_copy(lzo, literals);
}

/* The rest of a length whose field, of `field_max` at most, is `field`. */
static bool length_take(struct lzo *lzo, unsigned field, unsigned field_max, size_t *length)
{
	*length = field;
	if (field)
		return true;
	*length = field_max;
	for (; in_left(lzo) && !*lzo->in; lzo->in++)
		*length += 255;
	if (!in_left(lzo))
		return false;
	*length += *lzo->in++;
	return true;
}

static bool literals_run(struct lzo *lzo, unsigned field)
{
	size_t length;

	lzo->before = RUN;
	return length_take(lzo, field, 15, &length) && literals_copy(lzo, length + 3);
}

/* The instructions with two bytes of distance. *end: it was the end. */
static bool match_far(struct lzo *lzo, unsigned instruction, bool *end)
{
	bool near = instruction >= 32;
	unsigned field_max = near ? 31 : 7;
	size_t length;

	if (!length_take(lzo, instruction & field_max, field_max, &length) || in_left(lzo) < 2)
		return false;
	unsigned word = load_le16(lzo->in);
	size_t distance = (word >> 2) + (near ? 1 : END_DISTANCE + ((size_t)(instruction & 8) << 11));
	lzo->in += 2;
	*end = !near && distance == END_DISTANCE;
	return *end || match_copy(lzo, length + 2, distance, word & 3);
}

static bool match_near(struct lzo *lzo, unsigned instruction)
{
	unsigned literals = instruction & 3;

	if (!in_left(lzo))
		return false;
	size_t high = *lzo->in++;
	if (instruction >= 128)
		return match_copy(lzo, 5 + (instruction >> 5 & 3), (high << 3) + (instruction >> 2 & 7) + 1, literals);
	if (instruction >= 64)
		return match_copy(lzo, 3 + (instruction >> 5 & 1), (high << 3) + (instruction >> 2 & 7) + 1, literals);
	if (lzo->before == RUN)
		return match_copy(lzo, 3, (high << 2) + (instruction >> 2) + 2049, literals);
	return match_copy(lzo, 2, (high << 2) + (instruction >> 2) + 1, literals);
}

static bool first_run(struct lzo *lzo)
{
	if (!in_left(lzo) || *lzo->in <= FIRST_RUN)
		return true;
	unsigned n = *lzo->in++ - FIRST_RUN;
	lzo->before = n < RUN ? n : RUN;
	return literals_copy(lzo, n);
}

long lzo_decompress(const uint8_t *from, size_t bytes, uint8_t *to, size_t size)
{
	struct lzo lzo = { .in = from, .in_end = from + bytes, .out = to, .out_start = to, .out_end = to + size };
	bool good = first_run(&lzo), end = false;

	while (good && !end && in_left(&lzo)) {
		unsigned instruction = *lzo.in++;
		if (instruction < 16 && !lzo.before)
			good = literals_run(&lzo, instruction);
		else if (instruction >= 16 && instruction < 64)
			good = match_far(&lzo, instruction, &end);
		else
			good = match_near(&lzo, instruction);
	}
	return good && end && !in_left(&lzo) ? lzo.out - to : -EINVAL;
}
