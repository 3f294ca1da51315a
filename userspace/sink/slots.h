/*
 * Slots of time that lanes write files for: [start, start + interval), aligned to the wall clock. A slot is opened by the first lane
 * that comes to it, and closed when the last one leaves it.
 *
 *   lane 0  ──── slot 1 ────┬──── slot 2 ─────────▶
 *   lane 1  ──── slot 1 ──────┬── slot 2 ─────────▶
 *                           opens 2   closes 1
 */
#ifndef FLOWLANE_SLOTS_H
#define FLOWLANE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slots;

struct slots_ops {
	/* Both under the lock of the slots. NULL: failed and logged. */
	void *(*open)(void *owner, uint64_t start_s);
	void (*close)(void *owner, void *file, bool complete);
};

/* interval_s: at least 1. NULL: no memory. */
struct slots *slots_create(uint64_t interval_s, const struct slots_ops *ops, void *owner);
/* One more lane, which has been nowhere yet: its number. At most 64. Not while others use the slots. */
unsigned slots_join(struct slots *slots);

static inline uint64_t slots_start_of(uint64_t time_ns, uint64_t interval_s)
{
	uint64_t s = time_ns / 1000000000;

	return s - s % interval_s;
}

/* The lane goes to the slot that begins at start_s: *file (NULL: could not be opened; then the next lane to come tries again).
 * Steps back of up to one interval are not taken: a clock is set right now and then. What the lane wrote before must be in the
 * file by then. Returns where it is. */
uint64_t slots_enter(struct slots *slots, unsigned lane, uint64_t start_s, void **file);
/* The lane writes no more. */
void slots_leave(struct slots *slots, unsigned lane);
/* Undoes what lanes that did not leave had open. Frees. Accepts NULL. */
void slots_destroy(struct slots *slots);

/* "202311142210", local time; with seconds if the interval is shorter than a minute, or if wanted. When clocks are set back, an hour
 * comes twice: names of the second time have the zone behind them, "202310290230+0100", as with nfcapd -Z. */
#define SLOT_NAME_MAX 24
void slot_name(char name[SLOT_NAME_MAX], uint64_t start_s, bool seconds);

#endif
