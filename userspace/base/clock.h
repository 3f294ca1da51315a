/* The only place that reads a clock. Packet processing gets time as an argument. */
#ifndef FLOWLANE_CLOCK_H
#define FLOWLANE_CLOCK_H

#include <stdint.h>

uint64_t clock_monotonic_ns(void);
/* UNIX time, as far as the system knows it; it may jump. For live capture only: files have their own time. */
uint64_t clock_realtime_ns(void);
uint64_t clock_process_cpu_ns(void);
uint64_t clock_thread_cpu_ns(void);

#endif
