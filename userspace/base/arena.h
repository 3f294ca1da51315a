/*
 * Large zeroed areas that ask for huge pages: a random access over 2 GB is 326 ns with 4 KiB pages and 173 ns with 2 MiB.
 *
 * The area is reserved at once, and backed by memory when it is first touched: its size is a bound, not a cost. All
 * functions are for setup, not for the packet path.
 */
#ifndef FLOWLANE_ARENA_H
#define FLOWLANE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --populate: from now on each area is backed with memory when it is made, so that none is taken under attack. Before threads. */
void arena_back_all(void);
bool arena_backs_all(void);
/* Bytes that the kernel says can be had without swapping; UINT64_MAX: it does not say. */
uint64_t arena_available(void);
/* 2 MiB-aligned, zeroed; NULL with errno set. */
void *arena_map(size_t bytes);
/* Live: backs the first `bytes` of an area with memory now, for clearing a huge page takes a millisecond, in which a thousand packets
 * come. Where memory is short it does less; packets that touch the rest wait for it then. */
void arena_populate(void *area, size_t bytes);
/* The same for a part of an area that another thread may be writing to: its data stays. False: the kernel cannot (before Linux 5.14), or
 * memory is short. */
bool arena_touch(void *part, size_t bytes);
/* Zeroes it, by giving its memory back until it is touched again, unless all is to stay backed. `bytes`: as it was mapped. */
void arena_clear(void *area, size_t bytes);
void arena_unmap(void *area, size_t bytes); /* accepts NULL */

#endif
