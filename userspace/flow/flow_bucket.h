/*
 * A bucket of the flow table: one cache line, eight flows. The tag is 15 bits of the hash, so that a lookup goes to the right
 * slab entry at once (8 bits would send every tenth one to a wrong one first, which is a cache miss each).
 */
#ifndef FLOWLANE_FLOW_BUCKET_H
#define FLOWLANE_FLOW_BUCKET_H

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BUCKET_SLOTS 8

struct bucket {
	uint16_t tags[BUCKET_SLOTS]; /* 0: free */
	uint32_t slots[BUCKET_SLOTS];
	uint16_t used;
	uint16_t spilled; /* flows that would be here, but live in their second bucket */
	uint32_t unused[3];
};
_Static_assert(sizeof(struct bucket) == 64, "one line");

static inline uint16_t hash_tag(uint64_t hash)
{
	return (uint16_t)(hash >> 32) | 1; /* never 0 */
}

/* One bit per slot whose tag is this one. */
static inline unsigned bucket_tags(const struct bucket *bucket, uint16_t tag)
{
#ifdef __SSE2__
	__m128i equal = _mm_cmpeq_epi16(_mm_loadu_si128((const __m128i *)bucket->tags), _mm_set1_epi16((short)tag));
	/* One byte per tag, then one bit. */
	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
#else
	unsigned bits = 0;
	for (unsigned i = 0; i < BUCKET_SLOTS; i++)
		bits |= (unsigned)(bucket->tags[i] == tag) << i;
	return bits;
#endif
}

static inline void bucket_put(struct bucket *bucket, uint16_t tag, uint32_t slot)
{
	unsigned i = (unsigned)__builtin_ctz(bucket_tags(bucket, 0));

	bucket->tags[i] = tag;
	bucket->slots[i] = slot;
	bucket->used++;
}

static inline void bucket_clear(struct bucket *bucket, unsigned i)
{
	bucket->tags[i] = 0;
	bucket->used--;
}

#endif
