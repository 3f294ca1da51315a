/*
 * Snappy (google/snappy, format_description.txt) for records that resemble earlier ones. Nothing is searched for: who encodes knows which
 * bytes are likely to be the same and how far back they lie; those that are become copies, all else is literal. That takes some
 * nanoseconds a record, and is right for any bytes.
 *
 *   | length of all, varint | literal: n, bytes | copy: n, how far back | literal ...
 *
 * Functions return where they stopped. Pure; any thread.
 */
#ifndef FLOWLANE_INDEX_SNAPPY_H
#define FLOWLANE_INDEX_SNAPPY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "bytes.h"

#define INDEX_SNAPPY_PREAMBLE 5     /* bytes of the length at most */
#define INDEX_SNAPPY_DISTANCE 65535 /* the farthest that a copy reaches back */
#define INDEX_SNAPPY_COMPARED 56    /* bytes beside each other at once */
/* A shorter run is not worth it: a copy takes two or three bytes, and the literal behind it a tag of its own. */
#define INDEX_SNAPPY_RUN 6
/* Of literals so many bytes behind their end may be read and written, as vectors are. */
#define INDEX_SNAPPY_SLACK 32

/* How long is what follows, uncompressed. */
uint8_t *index_snappy_preamble(uint8_t *to, uint32_t bytes);
/* One byte more than `bytes`; from 61 on two, from 257 three, and for each further 65,536. */
uint8_t *index_snappy_literal(uint8_t *to, const uint8_t *from, size_t bytes);
/* INDEX_SNAPPY_COMPARED bytes or less, a multiple of eight, some of which may be those that were encoded as `before`, `distance` bytes ago. A
 * byte more than `bytes` at most. */
uint8_t *index_snappy_beside(uint8_t *to, const uint8_t *at, const uint8_t *before, size_t bytes, size_t distance);

/* The copy of INDEX_SNAPPY_RUN to 64 bytes. */
static inline uint8_t *index_snappy_copy(uint8_t *to, size_t distance, size_t bytes)
{
	if (bytes < 12 && distance < 2048) {
		*to++ = (uint8_t)(distance >> 8 << 5 | (bytes - 4) << 2 | 1);
		*to++ = (uint8_t)distance;
		return to;
	}
	*to++ = (uint8_t)((bytes - 1) << 2 | 2);
	*to++ = (uint8_t)distance;
	*to++ = (uint8_t)(distance >> 8);
	return to;
}

/* A bit for each byte: set where they are the same. A multiple of eight, at most 64. */
#ifdef __SSE2__
static inline uint64_t index_snappy_equal(const uint8_t *a, const uint8_t *b, size_t bytes)
{
	uint64_t equal = 0;
	size_t i = 0;

	for (; i + 16 <= bytes; i += 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(const void *)(a + i));
		__m128i y = _mm_loadu_si128((const __m128i *)(const void *)(b + i));
		equal |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) << i;
	}
	if (i < bytes) {
		__m128i x = _mm_loadl_epi64((const __m128i *)(const void *)(a + i));
		__m128i y = _mm_loadl_epi64((const __m128i *)(const void *)(b + i));
		equal |= (uint64_t)(_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) & 255) << i;
	}
	return equal;
}
#else
static inline uint64_t index_snappy_equal(const uint8_t *a, const uint8_t *b, size_t bytes)
{
	const uint64_t low = 0x7f7f7f7f7f7f7f7fu;
	uint64_t equal = 0;

	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t differ = load_le64(a + i) ^ load_le64(b + i);
		uint64_t zero = ~(((differ & low) + low) | differ | low); /* the high bit of each byte that is zero */
		equal |= (zero >> 7) * 0x0102040810204080u >> 56 << i;    /* those bits side by side */
	}
	return equal;
}
#endif

/* Where a run of INDEX_SNAPPY_RUN begins, or goes on for as long. */
static inline uint64_t index_snappy_runs(uint64_t equal)
{
	uint64_t pairs = equal & equal >> 1;

	return pairs & pairs >> 2 & pairs >> 4;
}

/* The next run of them, which is taken out: where it begins and ends. Of fewer than 64 bytes. */
static inline unsigned index_snappy_run(uint64_t equal, uint64_t *runs, unsigned *from)
{
	*from = (unsigned)__builtin_ctzll(*runs);
	unsigned end = *from + (unsigned)__builtin_ctzll(~(equal >> *from));
	*runs &= ~0ull << end;
	return end;
}

#endif
