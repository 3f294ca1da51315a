/* What the live tools share: options, interface, CPU, an orderly end. An error ends the program with a sentence. */
#ifndef LIVE_H
#define LIVE_H

#include <signal.h>
#include <stdint.h>

/* "PROGRAM: message", exit code 2. */
void live_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* "PROGRAM: message" and the usage, exit code 1. */
void live_usage_die(const char *usage, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* The value of option --name, decimal, min to max; K and M mean 10^3 and 10^6. Else exit code 1. */
uint64_t live_number(const char *name, const char *text, uint64_t min, uint64_t max);
double live_seconds(const char *name, const char *text);

/* Index of an interface in this network namespace. */
unsigned live_interface(const char *name);
void live_pin(unsigned cpu);

/* Set by SIGINT, SIGTERM, and when the time of live_stop_after() is over: these interrupt system calls. */
extern volatile sig_atomic_t live_stopped;
void live_stop_catch(void);
void live_stop_after(double seconds); /* 0: never */

/* The verifier's log and the like are for developers: with LIVE_DEBUG in the environment. */
void live_quiet_libbpf(void);

#endif
