/*
 * The timer wheel: which slots to look at when, on packet time. One per flow table, lane's thread only.
 *
 *   wheel slot 0..1023 ─▶ chunk ─▶ chunk ─▶ ...      a chunk is one cache line: 15 slab slots and the next chunk
 *
 * The wheel never touches a flow: inserting is one write into a chunk, and firing hands out fifteen slots at a time, so that
 * the caller can prefetch all of them before it looks at the first. A flow that moved in the meantime is put back (lazy);
 * there is no removal.
 */
#ifndef FLOWLANE_TIMERS_H
#define FLOWLANE_TIMERS_H

#include <stddef.h>
#include <stdint.h>

#define TIMER_TICK_SHIFT  28   /* 2^28 ns = 0.27 s: when records leave, not whether a flow has timed out: that is exact */
#define TIMER_SLOTS       1024 /* a horizon of 275 s; later deadlines are looked at again then */
#define TIMER_CHUNK_SLOTS 15

struct timers;

/* `entries`: the most that can be in the wheel at once. NULL with errno. */
struct timers *timers_create(uint32_t entries);
void timers_destroy(struct timers *timers);
size_t timers_bytes(const struct timers *timers); /* reserved */

/* Sets the wheel to the time of the first packet. Once, before the first insert. */
void timers_start(struct timers *timers, uint64_t now_ns);

/* Adds an entry to be handed out at or after when_ns (at the next tick if that is past). */
void timers_insert(struct timers *timers, uint32_t entry, uint64_t when_ns);

/* The time from which timers_next() has work; UINT64_MAX before timers_start(). */
uint64_t timers_due_ns(const struct timers *timers);

/*
 * Hands out up to TIMER_CHUNK_SLOTS entries that are due at now_ns, and forgets them. 0: no more; the wheel stands at now_ns.
 * The caller may insert between calls.
 */
unsigned timers_next(struct timers *timers, uint64_t now_ns, uint32_t entries[TIMER_CHUNK_SLOTS]);

#endif
