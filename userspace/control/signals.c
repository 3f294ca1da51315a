#include "signals.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lanes.h"

/* Handlers may run on a lane's thread: only lock-free atomics, lanes_stop(), lanes_reopen(), write() and _exit(). */
static struct lanes *_Atomic signal_lanes;
static volatile sig_atomic_t stop_signal;

static void quit_at_once(int number)
{
	static const char text[] = "flowlane: interrupted twice: the exports are incomplete (NAME.part, or cut off)\n";
	ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)ignored; /* nowhere left to say it */
	_exit(128 + number);
}

static void on_stop(int number)
{
	struct lanes *lanes = signal_lanes;

	if (stop_signal)
		quit_at_once(number);
	stop_signal = number;
	if (lanes)
		lanes_stop(lanes);
}

static void on_reopen(int number)
{
	struct lanes *lanes = signal_lanes;

	(void)number;
	if (lanes)
		lanes_reopen(lanes);
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };

	/* Both stop signals are held back while one is handled: "first" and "second" cannot race on one thread. */
	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGINT);
	sigaddset(&action.sa_mask, SIGTERM);
	sigaction(number, &action, NULL);
}

void signals_attach(struct lanes *lanes)
{
	signal_lanes = lanes;
	handle(SIGINT, on_stop);
	handle(SIGTERM, on_stop);
	handle(SIGHUP, on_reopen);
	handle(SIGPIPE, SIG_IGN);
	handle(SIGXFSZ, SIG_IGN);
}

void signals_detach(void)
{
	signal_lanes = NULL;
}

int signals_stop_signal(void)
{
	return stop_signal;
}
