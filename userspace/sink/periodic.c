#include "periodic.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

struct periodic {
	void (*work)(void *context);
	void *context;
	uint64_t interval_ns;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* under the lock */
};

static void time_add(struct timespec *time, uint64_t ns)
{
	ns += (uint64_t)time->tv_nsec;
	time->tv_sec += (time_t)(ns / 1000000000);
	time->tv_nsec = (long)(ns % 1000000000);
}

static void *periodic_run(void *argument)
{
	struct periodic *periodic = argument;
	struct timespec due;

	clock_gettime(CLOCK_MONOTONIC, &due);
	pthread_mutex_lock(&periodic->lock);
	while (!periodic->stop) {
		time_add(&due, periodic->interval_ns);
		int error = 0;
		while (!periodic->stop && error != ETIMEDOUT)
			error = pthread_cond_timedwait(&periodic->wake, &periodic->lock, &due);
		if (periodic->stop)
			break;
		pthread_mutex_unlock(&periodic->lock);
		periodic->work(periodic->context);
		pthread_mutex_lock(&periodic->lock);
	}
	pthread_mutex_unlock(&periodic->lock);
	return NULL;
}

int periodic_start(void (*work)(void *context), void *context, uint64_t interval_ns, struct periodic **result)
{
	struct periodic *periodic = calloc(1, sizeof(*periodic));
	pthread_condattr_t attributes;

	if (!periodic)
		return -ENOMEM;
	periodic->work = work;
	periodic->context = context;
	periodic->interval_ns = interval_ns;
	pthread_mutex_init(&periodic->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&periodic->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	int error = pthread_create(&periodic->thread, NULL, periodic_run, periodic);
	if (error) {
		pthread_cond_destroy(&periodic->wake);
		pthread_mutex_destroy(&periodic->lock);
		free(periodic);
		return -error;
	}
	*result = periodic;
	return 0;
}

void periodic_stop(struct periodic *periodic)
{
	if (!periodic)
		return;
	pthread_mutex_lock(&periodic->lock);
	periodic->stop = true;
	pthread_cond_signal(&periodic->wake);
	pthread_mutex_unlock(&periodic->lock);
	pthread_join(periodic->thread, NULL);
	pthread_cond_destroy(&periodic->wake);
	pthread_mutex_destroy(&periodic->lock);
	free(periodic);
}
