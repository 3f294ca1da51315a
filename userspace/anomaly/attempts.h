/*
 * Attempts to talk to somebody that have no answer yet: pure SYNs, first UDP packets, echo requests. One that gets its answer is
 * forgotten; one that gets none within the grace time, or a RST, has failed. Failed ones are handed out in the order in which they
 * were made, so what watches them sees time go forwards.
 *
 * A fixed number of them. When all are in use, a new one is not taken, and counted: under a flood, those that were taken are a
 * sample, and each of them still has its whole time to be answered. One thread.
 */
#ifndef FLOWLANE_ATTEMPTS_H
#define FLOWLANE_ATTEMPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"

struct attempt {
	uint64_t ts_ns;  /* of the packet */
	uint64_t now_ns; /* time when it came: the same, unless packets are out of order */
	uint64_t flow;
	uint8_t src[16];
	uint8_t dst[16];
	uint16_t port;
	uint8_t proto;
	uint8_t ip_version;

	/* private to attempts.c */
	uint32_t chain;
	uint32_t before, after; /* in the order of time */
	uint32_t rejected;
};

#define ATTEMPTS_FAILED 16 /* are handed out at a time, so that what they touch can be asked for before */

typedef void attempts_failed_fn(void *context, const struct attempt *failed, unsigned n);

struct attempts;

/* capacity: a power of two. due_ns: is kept at the time from which attempts_advance() has work. 0 or a negative errno. */
int attempts_create(uint32_t capacity, uint64_t grace_ns, attempts_failed_fn *on_failed, void *context, uint64_t *due_ns,
	struct attempts **attempts);
void attempts_destroy(struct attempts *attempts); /* accepts NULL */
uint64_t attempts_bytes(uint32_t capacity);
uint64_t attempts_missed(const struct attempts *attempts); /* not taken */

/* Asks for the memory that the functions below will touch: first the head of the chain, then, when that has come, what it leads to. */
void attempts_prefetch(const struct attempts *attempts, uint64_t flow);
bool attempts_full(const struct attempts *attempts);
void attempts_prefetch_slot(const struct attempts *attempts, uint64_t flow);
/* A packet that wants an answer; if it goes against one that waits, it is the answer. */
void attempts_add(struct attempts *attempts, const struct anomaly_event *event, uint64_t now_ns);
/* The same of n of them at once; attempts_full() is true. */
void attempts_miss(struct attempts *attempts, unsigned n);
void attempts_answer(struct attempts *attempts, uint64_t flow);
void attempts_reject(struct attempts *attempts, uint64_t flow);
/* Hands out what has failed by now. */
void attempts_advance(struct attempts *attempts, uint64_t now_ns);
/* Nothing more will come, or time goes backwards: what waits has failed. */
void attempts_flush(struct attempts *attempts);

#endif
