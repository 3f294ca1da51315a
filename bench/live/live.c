#include "live.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

volatile sig_atomic_t live_stopped;

void live_die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(2);
}

void live_usage_die(const char *usage, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n%s", usage);
	va_end(arguments);
	exit(1);
}

uint64_t live_number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	unsigned long long value, unit = 1;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end == 'K' || *end == 'M')
		unit = *end++ == 'K' ? 1000 : 1000000;
	if (errno || end == text || *end || *text == '-' || value > max / unit || value * unit < min) {
		fprintf(stderr, "%s: --%s wants a number from %llu to %llu, not '%s'\n", program_invocation_short_name, name,
			(unsigned long long)min, (unsigned long long)max, text);
		exit(1);
	}
	return value * unit;
}

double live_seconds(const char *name, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value > 0 && value < 1e6)) {
		fprintf(stderr, "%s: --%s wants a number of seconds, not '%s'\n", program_invocation_short_name, name, text);
		exit(1);
	}
	return value;
}

unsigned live_interface(const char *name)
{
	unsigned index = if_nametoindex(name);

	if (!index)
		live_die("there is no interface '%s' in this network namespace; 'ip link' lists those that are", name);
	return index;
}

void live_pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (cpu < CPU_SETSIZE)
		CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		live_die("cannot run on CPU %u: %s", cpu, strerror(errno));
}

static void stop(int number)
{
	(void)number;
	live_stopped = 1;
}

void live_stop_catch(void)
{
	struct sigaction action = { .sa_handler = stop };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
}

void live_stop_after(double seconds)
{
	struct itimerval timer = { .it_value = { .tv_sec = (time_t)seconds } };

	timer.it_value.tv_usec = (suseconds_t)((seconds - (double)timer.it_value.tv_sec) * 1e6);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static int print_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

void live_quiet_libbpf(void)
{
	if (!getenv("LIVE_DEBUG"))
		libbpf_set_print(print_nothing);
}
