/*
 * What an item of a tally meets first, inlined where it comes: under attack nearly all go no further. The flood's victim rests from
 * its alert, and the keys of a scan find no room. For tally.c and engine.c. Packet path.
 */
#ifndef FLOWLANE_TALLY_FRONT_H
#define FLOWLANE_TALLY_FRONT_H

#include "tally_private.h"

#ifdef __SSE4_1__
#include <smmintrin.h>
#endif

#define ADMIT      32 /* newcomers to a full set, of which one gets in: a packet of a scan costs 0.7 ns more with 16, 5 with 8 */
#define ADMIT_TURN 64 /* newcomers to full sets until others get in */

static inline uint64_t tally_hash(uint64_t key)
{
	return key ? key : 1; /* 0: free */
}

static inline struct tally_set *tally_set(const struct tally *tally, uint64_t hash)
{
	return &tally->sets[(hash >> 20) & (tally->options.keys / TALLY_WAYS - 1)];
}

/* TALLY_WAYS: the set does not have it. */
static inline unsigned tally_find(const struct tally_set *set, uint64_t hash)
{
#ifdef __SSE4_1__
	__m128i wanted = _mm_set1_epi64x((long long)hash);
	__m128i low = _mm_cmpeq_epi64(_mm_load_si128((const __m128i *)set->hash), wanted);
	__m128i high = _mm_cmpeq_epi64(_mm_load_si128((const __m128i *)set->hash + 1), wanted);
	int ways = _mm_movemask_pd(_mm_castsi128_pd(low)) | _mm_movemask_pd(_mm_castsi128_pd(high)) << 2;

	return (unsigned)__builtin_ctz((unsigned)ways | 1u << TALLY_WAYS);
#else
	unsigned way = 0;

	while (way < TALLY_WAYS && set->hash[way] != hash)
		way++;
	return way;
#endif
}

/* Cooldowns that lie further ahead than a cooldown is long are from before time went backwards. */
static inline bool tally_rests(const struct tally *tally, uint64_t until_ns, uint64_t now_ns)
{
	return (until_ns > now_ns) & (until_ns - now_ns <= tally->options.cooldown_ns);
}

static inline bool tally_key_rests(const struct tally *tally, const struct tally_key *key, uint64_t now_ns)
{
	return tally_rests(tally, key->until_ns, now_ns);
}

/* tally_set_is_busy() of a time that is no later than a window is long: times of the future, and 0, look like recent ones. */
bool tally_set_is_busy_early(const struct tally *tally, const struct tally_set *set, uint64_t now_ns);

/* All four have something in the window: seen in the set's first line. */
static inline bool tally_set_is_busy(const struct tally *tally, const struct tally_set *set, uint64_t now_ns)
{
	uint64_t window_ns = tally->options.window_ns;

	if (__builtin_expect(now_ns <= window_ns, 0))
		return tally_set_is_busy_early(tally, set, now_ns);
#ifdef __SSE4_1__
	/* One that is old, or of the future, has a top bit set in its age, or in what is left of the window. */
	__m128i now = _mm_set1_epi64x((long long)now_ns), window = _mm_set1_epi64x((long long)window_ns);
	__m128i low = _mm_sub_epi64(now, _mm_load_si128((const __m128i *)set->last_ns));
	__m128i high = _mm_sub_epi64(now, _mm_load_si128((const __m128i *)set->last_ns + 1));
	__m128i left = _mm_or_si128(_mm_sub_epi64(window, low), _mm_sub_epi64(window, high));

	return !_mm_movemask_pd(_mm_castsi128_pd(_mm_or_si128(left, _mm_or_si128(low, high))));
#else
	bool busy = true;

	for (unsigned i = 0; i < TALLY_WAYS; i++)
		busy &= now_ns - set->last_ns[i] <= window_ns;
	return busy;
#endif
}

/*
 * Of newcomers that find no free place only one in 32 gets in, and which ones those are changes as others are turned away: so a
 * key that keeps coming gets in soon. It can be told before the keys of the set have been looked at. evicted: the tally's count then.
 */
static inline bool tally_admits(uint64_t hash, uint64_t evicted)
{
	return ((hash >> 8) + evicted / ADMIT_TURN) % ADMIT == 0;
}

/* True: nothing is to be done for an item of this hash, and that is counted. Else tally_add_way() adds it. */
static inline bool tally_turns_away(struct tally *tally, uint64_t hash, uint64_t now_ns, unsigned *way)
{
	if (hash == tally->resting && tally_rests(tally, tally->resting_until_ns, now_ns))
		return true;
	const struct tally_set *set = tally_set(tally, hash);
	*way = tally_find(set, hash);
	if (*way < TALLY_WAYS) {
		const struct tally_key *key = &tally_keys(tally, set)[*way];
		if (!tally_key_rests(tally, key, now_ns))
			return false;
		tally->resting = hash;
		tally->resting_until_ns = key->until_ns;
		return true;
	}
	if (tally_admits(hash, tally->loss.keys_evicted) || !tally_set_is_busy(tally, set, now_ns))
		return false;
	tally->loss.keys_evicted++;
	tally->crowded = true;
	return true;
}

/* Adds what was not turned away; way: as found there. Result as of tally_add(). */
struct tally_key *tally_add_way(struct tally *tally, const struct tally_item *item, uint64_t now_ns, unsigned way);

/* Asks for the memory by which it is told whether an item is turned away. */
static inline __attribute__((always_inline)) void tally_prefetch_set(const struct tally *tally, uint64_t hash)
{
	__builtin_prefetch(tally_set(tally, hash), 1);
}

/*
 * Asks for what adding these will touch besides. evicted[i]: the tally's count of evicted keys when it comes to that, as far as can be
 * told. n <= TALLY_PREFETCH_MAX.
 */
void tally_prefetch_wanted(
	const struct tally *tally, const struct tally_item *items, const uint64_t *evicted, unsigned n, uint64_t now_ns);

#endif
