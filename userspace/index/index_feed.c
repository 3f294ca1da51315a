#include "index_feed.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "decode.h"
#include "index_capture.h"
#include "index_store.h"
#include "log.h"

#define BATCH   512
#define BATCHES 64  /* 2.3 MB: the lane goes on while a round is sorted for a short one */
#define NAP_US  500 /* of the thread when nothing waits: the lane fills 13 batches meanwhile, and has nobody to wake */
#define AHEAD   8   /* entries: their memory was last in the thread's cache, and takes a while to come */

struct batch {
	unsigned n;
	struct index_entry entries[BATCH];
};

struct index_feed {
	char *path, *capture;
	struct index_writer *writer;
	pthread_t thread;
	bool running;
	sem_t filled, empty;
	struct batch batches[BATCHES];
	struct index_report report; /* the thread's, as it ends */

	/* the lane's */
	struct decoder *decoder;
	struct batch_place place;
	uint64_t frames;     /* read */
	bool ended;          /* all packets came; the thread looks at it when it ends */
	struct batch *batch; /* being filled; NULL: none taken */
	unsigned next;       /* of the batches */
	struct packet packets[FLOWLANE_BATCH];
};

static void feed_complete(struct index_feed *feed)
{
	struct stat status;
	uint64_t bytes = stat(feed->capture, &status) == 0 ? (uint64_t)status.st_size : 0, first_ns = 0;

	index_capture_first(feed->capture, &first_ns);
	index_writer_end(feed->writer, bytes, feed->frames, first_ns, true, &feed->report);
}

static void *feed_run(void *argument)
{
	struct index_feed *feed = argument;

	for (unsigned at = 0;; at = (at + 1) % BATCHES) {
		while (sem_trywait(&feed->filled) < 0) {
			if (!index_writer_idle(feed->writer))
				usleep(NAP_US); /* not sem_wait(): the lane would wake this thread 20,000 times in 10 million packets */
		}
		struct batch *batch = &feed->batches[at];
		if (batch->n == 0)
			break;
		index_writer_add(feed->writer, batch->entries, batch->n);
		batch->n = 0;
		sem_post(&feed->empty);
	}
	if (feed->ended)
		feed_complete(feed);
	return NULL;
}

int index_feed_open(
	const struct index_writer_options *options, bool outer, const char *path, const char *capture, struct index_feed **feed)
{
	struct decoder_options decode = { .outer = outer, .seed = HASH_SEED_FIXED };
	struct index_feed *made = NULL;
	int error = index_store_check(path);

	if (error)
		return error;
	if (posix_memalign((void **)&made, 64, sizeof(*made)))
		made = NULL;
	if (made) {
		memset(made, 0, sizeof(*made));
		sem_init(&made->filled, 0, 0);
		sem_init(&made->empty, 0, BATCHES);
		made->path = strdup(path);
		made->capture = strdup(capture);
	}
	if (!made || !made->path || !made->capture || decoder_create(&decode, &made->decoder)) {
		log_error("index: no memory for \"%s\"", path);
		error = -ENOMEM;
	} else {
		error = index_writer_create(options, &made->writer);
	}
	if (error)
		index_feed_close(made);
	else
		*feed = made;
	return error;
}

int index_feed_start(struct index_feed *feed)
{
	sigset_t all, before;
	int error = index_writer_begin(feed->writer, feed->path, feed->capture);

	if (error)
		return error;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = -pthread_create(&feed->thread, NULL, feed_run, feed);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	feed->running = error == 0;
	if (error)
		log_error("index: cannot start its thread: %s", strerror(-error));
	else
		pthread_setname_np(feed->thread, "index");
	return error;
}

static struct batch *batch_take(struct index_feed *feed)
{
	while (sem_wait(&feed->empty) < 0)
		;
	return &feed->batches[feed->next];
}

static void batch_submit(struct index_feed *feed)
{
	feed->next = (feed->next + 1) % BATCHES;
	sem_post(&feed->filled);
	feed->batch = NULL;
}

/* A batch without entries ends the thread. */
static void feed_stop(struct index_feed *feed)
{
	if (feed->batch && feed->batch->n > 0)
		batch_submit(feed);
	if (!feed->batch)
		feed->batch = batch_take(feed);
	feed->batch->n = 0;
	batch_submit(feed);
}

void index_feed_end(struct index_feed *feed)
{
	if (!feed->running || feed->ended)
		return;
	feed->ended = true;
	feed_stop(feed);
}

static void feed_join(struct index_feed *feed)
{
	if (!feed->running)
		return;
	if (!feed->ended)
		feed_stop(feed);
	pthread_join(feed->thread, NULL);
	feed->running = false;
}

void index_feed_finish(struct index_feed *feed, struct index_report *report)
{
	index_feed_end(feed);
	feed_join(feed);
	if (!feed->ended)
		feed_complete(feed);
	*report = feed->report;
}

void index_feed_close(struct index_feed *feed)
{
	if (!feed)
		return;
	feed_join(feed);
	index_writer_destroy(feed->writer);
	decoder_destroy(feed->decoder);
	sem_destroy(&feed->filled);
	sem_destroy(&feed->empty);
	free(feed->path);
	free(feed->capture);
	free(feed);
}

void index_feed_place(struct index_feed *feed, const struct batch_place *place)
{
	feed->place = *place;
	feed->frames = place->number + place->count - 1;
}

#include "poison.h"

static inline void packet_add(struct index_feed *feed, const struct packet *packet)
{
	const struct batch_place *place = &feed->place;
	const struct frame *frame = packet->frame;
	uint64_t position = place->position + (uint64_t)(frame->data - place->data);

	if (!feed->batch)
		feed->batch = batch_take(feed);
	struct batch *batch = feed->batch;
	__builtin_prefetch((const uint8_t *)&batch->entries[batch->n] + AHEAD * sizeof(batch->entries[0]), 1);
	batch->n += index_entry_make(packet, place->number + frame->number, position, &batch->entries[batch->n]);
	if (batch->n == BATCH)
		batch_submit(feed);
}

void index_feed_packets(struct index_feed *feed, const struct packet *const *packets, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		packet_add(feed, packets[i]);
}

void index_feed_frames(struct index_feed *feed, const struct frame *frames, unsigned n)
{
	decode_batch(feed->decoder, frames, feed->packets, n);
	for (unsigned i = 0; i < n; i++)
		packet_add(feed, &feed->packets[i]);
}
