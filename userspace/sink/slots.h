/*
 * Slots of time that lanes write files for: [start, start + interval), aligned to the wall clock. A slot is opened by the first lane
 * that comes to it, and closed when the last has gone on to a later one; no lane goes back.
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
	/* Under the lock of the slots. NULL: failed and logged; tried again when the next lane comes. */
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

/* The lane goes on to the slot that begins at start_s, or stays if it is in that one or a later one: *file (NULL: could not be
 * opened). Returns where it is. What it wrote before must be in the file by then. */
uint64_t slots_enter(struct slots *slots, unsigned lane, uint64_t start_s, void **file);
/* The lane writes no more. */
void slots_leave(struct slots *slots, unsigned lane);
/* Closes all slots; complete: they are worth keeping. Frees. Accepts NULL. */
void slots_destroy(struct slots *slots, bool complete);

/* "202311142210", local time; with seconds if the interval is shorter than a minute, or if wanted. */
#define SLOT_NAME_MAX 16
void slot_name(char name[SLOT_NAME_MAX], uint64_t start_s, bool seconds);

#endif
