/*
 * Messages for the user on standard error: one sentence, who, what, why, and what to do. Thread-safe; never on the packet
 * path (packets cause counters). A message is logged once, where the failure is first seen; callers pass the errno on.
 */
#ifndef FLOWLANE_LOG_H
#define FLOWLANE_LOG_H

#include <stdbool.h>

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* 1: no log_info (--quiet). */
void log_set_quiet(int quiet);

/* This thread says nothing until it is set back: for the second reader of a file, whose complaints would be the first one's. */
void log_mute(bool mute);

#endif
