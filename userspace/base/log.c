#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool log_quiet;
static _Thread_local bool log_muted;

void log_set_quiet(int quiet)
{
	log_quiet = quiet != 0;
}

void log_mute(bool mute)
{
	log_muted = mute;
}

/* One write() per message: lines of several threads do not mix. */
static void log_line(const char *prefix, const char *format, va_list args)
{
	char line[2048];

	if (log_muted)
		return;
	int used = snprintf(line, sizeof(line), "flowlane: %s", prefix);
	int text = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, args);

	if (text < 0)
		return;
	size_t length = strnlen(line, sizeof(line) - 2);
	line[length++] = '\n';
	ssize_t ignored = write(STDERR_FILENO, line, length);
	(void)ignored; /* nowhere left to say it */
}

void log_error(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	log_line("", format, args);
	va_end(args);
}

void log_warning(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	log_line("warning: ", format, args);
	va_end(args);
}

void log_info(const char *format, ...)
{
	if (log_quiet)
		return;
	va_list args;
	va_start(args, format);
	log_line("", format, args);
	va_end(args);
}
