/* In place of base/log.c: its sentences are not for the fuzzer's output; but their arguments must be readable. Once per program. */
#ifndef FLOWLANE_FUZZ_LOG_H
#define FLOWLANE_FUZZ_LOG_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"

static inline void require(int condition)
{
	if (!condition)
		abort();
}

static inline void log_format(const char *format, va_list args)
{
	char text[4096];

	require(vsnprintf(text, sizeof(text), format, args) > 0);
}

#define LOG_FUNCTION(name)                                                                                                         \
	void name(const char *format, ...)                                                                                         \
	{                                                                                                                          \
		va_list args;                                                                                                      \
		va_start(args, format);                                                                                            \
		log_format(format, args);                                                                                          \
		va_end(args);                                                                                                      \
	}

LOG_FUNCTION(log_error)
LOG_FUNCTION(log_warning)
LOG_FUNCTION(log_info)

#endif
