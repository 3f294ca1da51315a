/* A thread that calls a function every so often, by the wall clock: for files that are rewritten while lanes run. */
#ifndef FLOWLANE_PERIODIC_H
#define FLOWLANE_PERIODIC_H

#include <stdint.h>

struct periodic;

/* 0 or a negative errno; nothing is logged. */
int periodic_start(void (*work)(void *context), void *context, uint64_t interval_ns, struct periodic **periodic);
/* Returns when no call is under way, and none will come. Accepts NULL. */
void periodic_stop(struct periodic *periodic);

#endif
