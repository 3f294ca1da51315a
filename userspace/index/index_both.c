#include "index_both.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

void index_both(void *(*work)(void *), void *first, void *second)
{
	sigset_t all, before;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool helped = pthread_create(&thread, NULL, work, second) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	work(first);
	if (helped)
		pthread_join(thread, NULL);
	else
		work(second);
}
