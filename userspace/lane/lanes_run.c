/* Starts the lanes, watches them, and asks them to end. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "counters.h"
#include "lanes_internal.h"
#include "log.h"

#define NS_PER_S   ((uint64_t)1000000000)
#define STUCK_SECS 5

int lanes_attach(struct lanes *lanes)
{
	int err = lanes->capture ? capture_attach(lanes->capture) : 0;

	/* What the program selects is selected; the lanes' threads are not there yet. */
	for (unsigned i = 0; lanes->capture && i < lanes->count; i++) {
		if (capture_filters(lanes->capture, i))
			lanes->lane[i].prefilter.filter = NULL;
	}
	if (lanes->receiver)
		stream_receiver_attach(lanes->receiver);
	if (!err && lanes->live && lanes->config->duration_ns)
		lanes->end_ns = clock_monotonic_ns() + lanes->config->duration_ns;
	return err;
}

bool lanes_need_admin(const struct lanes *lanes)
{
	return lanes->capture && capture_needs_admin(lanes->capture);
}

/* A lane that may not be pinned works all the same, only slower. */
static void lane_pin(const struct lanes *lanes, const struct lane *lane)
{
	struct capture_place place;
	cpu_set_t cpus;

	if (!lanes->capture)
		return;
	capture_place(lanes->capture, lane->number, &place);
	if (place.cpu < 0)
		return;
	CPU_ZERO(&cpus);
	CPU_SET((size_t)place.cpu, &cpus);
	int err = pthread_setaffinity_np(lane->thread, sizeof(cpus), &cpus);
	if (err)
		log_warning(
			"lane %u: cannot pin it to CPU %d: %s; it may move between CPUs", lane->number, place.cpu, strerror(err));
}

static int lanes_start_outputs(struct lanes *lanes)
{
	for (unsigned i = 0; i < lanes->outputs_count; i++) {
		int err = lanes->outputs[i].ops->start ? lanes->outputs[i].ops->start(lanes->outputs[i].output) : 0;
		if (err)
			return err;
	}
	return 0;
}

int lanes_start(struct lanes *lanes)
{
	int error = lanes_start_outputs(lanes);

	if (error)
		return error;
	for (unsigned i = 0; i < lanes->count; i++) {
		int err = pthread_create(&lanes->lane[i].thread, NULL, lane_run, &lanes->lane[i]);
		if (err) {
			log_error("lane %u: starting its thread: %s", i, strerror(err));
			lanes_stop(lanes);
			capture_detach(lanes->capture);
			for (unsigned j = i; lanes->anomaly && j < lanes->count; j++)
				anomaly_end(anomaly_tap(lanes->anomaly, j)); /* nobody waits for these */
			stream_receiver_detach(lanes->receiver);
			while (lanes->started)
				pthread_join(lanes->lane[--lanes->started].thread, NULL);
			return -err;
		}
		lane_pin(lanes, &lanes->lane[i]);
		lanes->started++;
	}
	return 0;
}

void lanes_stop(struct lanes *lanes)
{
	atomic_store_explicit(&lanes->stop, true, memory_order_relaxed);
}

void lanes_reopen(struct lanes *lanes)
{
	atomic_store_explicit(&lanes->reopen, true, memory_order_relaxed);
}

static void lanes_reopen_outputs(struct lanes *lanes)
{
	for (unsigned i = 0; i < lanes->outputs_count; i++) {
		if (lanes->outputs[i].ops->reopen)
			lanes->outputs[i].ops->reopen(lanes->outputs[i].output);
	}
}

static bool lanes_done(const struct lanes *lanes)
{
	for (unsigned i = 0; i < lanes->started; i++) {
		if (!atomic_load_explicit(&lanes->lane[i].done, memory_order_acquire))
			return false;
	}
	return true;
}

/* A lane that stands still, most likely because a disk or a reader of a pipe does not keep up, loses packets. */
static void lanes_watch_stuck(struct lanes *lanes)
{
	for (unsigned i = 0; i < lanes->started; i++) {
		uint64_t batches = counter_read(&lanes->lane[i].batches);
		bool still = batches == lanes->batches_seen[i] && !atomic_load_explicit(&lanes->lane[i].done, memory_order_relaxed);
		lanes->still_secs[i] = still ? lanes->still_secs[i] + 1 : 0;
		lanes->batches_seen[i] = batches;
		if (lanes->still_secs[i] == STUCK_SECS)
			log_warning(
				"lane %u has stood still for %u s: an output (a slow disk, a pipe nobody reads) holds it up; its "
				"packets are being lost",
				i, STUCK_SECS);
	}
}

/* Live: what the control thread sees to. */
static void lanes_watch(struct lanes *lanes)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (lanes->anomaly)
		anomaly_merge(lanes->anomaly);
	if (lanes->capture && now_ns >= lanes->watch_due_ns && !lanes->detached) {
		lanes->watch_due_ns = now_ns + NS_PER_S;
		lanes_watch_stuck(lanes);
		lanes->gone = !capture_tick(lanes->capture);
	}
	bool over = lanes->gone || (lanes->end_ns && now_ns >= lanes->end_ns) ||
		    !atomic_load_explicit(&lanes->left, memory_order_relaxed) ||
		    atomic_load_explicit(&lanes->stop, memory_order_relaxed);
	if (over && !lanes->detached) {
		/* The program goes first, so that the rings can be emptied. */
		capture_detach(lanes->capture);
		stream_receiver_detach(lanes->receiver);
		lanes->detached = true;
	}
}

bool lanes_wait(struct lanes *lanes, unsigned timeout_ms)
{
	/* Looking every millisecond costs nothing that can be measured, and lanes need no lock to say that they are done. */
	struct timespec pause = { .tv_nsec = 1000000 };

	if (atomic_exchange_explicit(&lanes->reopen, false, memory_order_relaxed))
		lanes_reopen_outputs(lanes);
	for (unsigned waited_ms = 0; waited_ms < timeout_ms && !lanes_done(lanes); waited_ms++) {
		if (lanes->live)
			lanes_watch(lanes);
		if (nanosleep(&pause, NULL) && errno == EINTR)
			break; /* a signal: the caller wants to know */
	}
	return lanes_done(lanes);
}
