#include "index_follow.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "byte_stream.h"
#include "decode.h"
#include "flowlane/source.h"
#include "index_store.h"
#include "log.h"
#include "pcap_reader.h"

#define NAP_US 20000 /* while nothing is new */

struct capture {
	struct capture *next;
	bool removed;   /* an order to remove its index, not a file to read */
	uint64_t bytes; /* written by the writer of the capture, read by the thread */
	bool ended;     /* the same */
	char path[];
};

struct index_follow {
	struct index_writer *writer;
	struct decoder *decoder;
	pthread_t thread;
	bool running;
	bool broken_off; /* close without finish */
	struct index_report report;

	pthread_mutex_t lock;
	struct capture *first, *last; /* under the lock: what is to be done, in order */
	struct capture *at_hand;      /* of the caller: the one that grows */
	bool finishing;               /* under the lock: nothing more comes */

	/* the thread's */
	struct packet packets[FLOWLANE_BATCH];
	struct index_entry entries[FLOWLANE_BATCH];
	uint64_t frames, first_ns; /* of the file at hand */
};

static char *index_path(const char *capture)
{
	char *path;

	return asprintf(&path, "%s%s", capture, INDEX_SUFFIX) < 0 ? NULL : path;
}

int index_follow_check(const char *capture)
{
	struct stat status;

	if (stat(capture, &status) == 0 && !S_ISREG(status.st_mode)) {
		log_error("index: \"%s\" is no regular file, so nothing can point into it; write the capture to a file", capture);
		return -EINVAL;
	}
	char *path = index_path(capture);
	int error = path ? index_store_check(path) : -ENOMEM;
	free(path);
	return error;
}

/* --- the thread ------------------------------------------------------------------------------------------------------ */

static void frames_index(struct index_follow *follow, const struct pcap_reader *reader, const struct frame *frames, unsigned n)
{
	unsigned made = 0;

	if (follow->frames == 0)
		follow->first_ns = frames[0].ts_ns;
	decode_batch(follow->decoder, frames, follow->packets, n);
	for (unsigned i = 0; i < n; i++)
		made += index_entry_make(&follow->packets[i], follow->frames + i + 1, pcap_reader_position(reader, frames[i].data),
			&follow->entries[made]);
	follow->frames += n;
	index_writer_add(follow->writer, follow->entries, made);
}

/* All that is there now. False: the file cannot be read on. */
static bool capture_read(struct index_follow *follow, struct pcap_reader *reader, uint64_t bytes)
{
	struct frame frames[FLOWLANE_BATCH];
	int filled = 1;

	byte_stream_set_limit(reader->stream, bytes);
	while (filled > 0 && !__atomic_load_n(&follow->broken_off, __ATOMIC_RELAXED)) {
		unsigned n = pcap_reader_take(reader, frames, FLOWLANE_BATCH);
		if (n > 0)
			frames_index(follow, reader, frames, n);
		else
			filled = pcap_reader_refill(reader);
	}
	return filled >= 0;
}

/* Reads the file until it ends. Whether it was read whole. */
static bool capture_follow(struct index_follow *follow, struct capture *capture, struct pcap_reader *reader, uint64_t *bytes)
{
	bool good, ended;

	do {
		ended = __atomic_load_n(&capture->ended, __ATOMIC_ACQUIRE);
		*bytes = __atomic_load_n(&capture->bytes, __ATOMIC_ACQUIRE);
		good = capture_read(follow, reader, *bytes);
		if (good && !ended)
			usleep(NAP_US);
	} while (good && !ended && !__atomic_load_n(&follow->broken_off, __ATOMIC_RELAXED));
	return good && ended && !follow->broken_off;
}

/* -ENOENT, and no word: rotation with --write-pcap-max-files was faster, there is nothing left to point into. */
static int capture_open(const struct capture *capture, struct pcap_reader *reader)
{
	log_mute(true);
	int error = pcap_reader_open(reader, capture->path, PCAP_BLOCK_BYTES, 1);
	log_mute(false);
	if (!error)
		return 0;
	if (access(capture->path, F_OK) < 0 && errno == ENOENT)
		return -ENOENT;
	log_error("index: \"%s\" cannot be read back (%s); it has no index", capture->path, strerror(-error));
	return error;
}

static void capture_index(struct index_follow *follow, struct capture *capture)
{
	char *path = index_path(capture->path);
	struct pcap_reader reader;
	uint64_t bytes = 0;
	int error = path ? capture_open(capture, &reader) : -ENOMEM;

	follow->frames = follow->first_ns = 0;
	if (error) {
		free(path);
		if (error != -ENOENT && !follow->report.error)
			follow->report.error = error;
		return;
	}
	/* After an error the file is read all the same: the packets that are not indexed are counted. */
	index_writer_begin(follow->writer, path, capture->path);
	bool whole = capture_follow(follow, capture, &reader, &bytes);
	pcap_reader_close(&reader);
	index_writer_end(follow->writer, bytes, follow->frames, follow->first_ns, whole, &follow->report);
	if (!whole && !follow->report.error)
		follow->report.error = -EIO;
	free(path);
}

/* What is to be done next; NULL: nothing ever. Waits for it. */
static struct capture *follow_next(struct index_follow *follow)
{
	for (;;) {
		pthread_mutex_lock(&follow->lock);
		struct capture *capture = follow->first;
		bool finishing = follow->finishing;
		if (capture) {
			follow->first = capture->next;
			follow->last = follow->first ? follow->last : NULL;
		}
		pthread_mutex_unlock(&follow->lock);
		if (capture || finishing)
			return capture;
		usleep(NAP_US);
	}
}

static void *follow_run(void *argument)
{
	struct index_follow *follow = argument;
	struct capture *capture;

	while ((capture = follow_next(follow))) {
		if (capture->removed) {
			char *path = index_path(capture->path);
			if (path)
				index_store_remove(path);
			free(path);
		} else {
			capture_index(follow, capture);
		}
		free(capture);
	}
	return NULL;
}

/* --- the writer of the capture ---------------------------------------------------------------------------------------- */

static void capture_end(struct index_follow *follow)
{
	if (follow->at_hand)
		__atomic_store_n(&follow->at_hand->ended, true, __ATOMIC_RELEASE);
	follow->at_hand = NULL;
}

static struct capture *follow_push(struct index_follow *follow, const char *path, bool removed)
{
	struct capture *capture = calloc(1, sizeof(*capture) + strlen(path) + 1);

	if (!capture) {
		log_error("index: no memory for the index of \"%s\"", path);
		return NULL;
	}
	strcpy(capture->path, path);
	capture->removed = removed;
	pthread_mutex_lock(&follow->lock);
	if (follow->last)
		follow->last->next = capture;
	else
		follow->first = capture;
	follow->last = capture;
	pthread_mutex_unlock(&follow->lock);
	return capture;
}

int index_follow_begin(struct index_follow *follow, const char *capture)
{
	capture_end(follow);
	follow->at_hand = follow_push(follow, capture, false);
	return follow->at_hand ? 0 : -ENOMEM;
}

void index_follow_grew(struct index_follow *follow, uint64_t bytes)
{
	if (follow->at_hand)
		__atomic_store_n(&follow->at_hand->bytes, bytes, __ATOMIC_RELEASE);
}

void index_follow_remove(struct index_follow *follow, const char *capture)
{
	follow_push(follow, capture, true);
}

/* --- setup ----------------------------------------------------------------------------------------------------------- */

int index_follow_open(bool outer, struct index_follow **follow)
{
	struct index_follow *made = calloc(1, sizeof(*made));
	struct decoder_options decode = { .outer = outer, .seed = HASH_SEED_FIXED };
	int error = -ENOMEM;

	if (made) {
		pthread_mutex_init(&made->lock, NULL);
		error = decoder_create(&decode, &made->decoder);
	}
	if (error) {
		log_error("index: no memory");
		index_follow_close(made);
	} else {
		*follow = made;
	}
	return error;
}

int index_follow_start(struct index_follow *follow, const struct index_writer_options *options)
{
	sigset_t all, before;
	int error = index_writer_create(options, &follow->writer);

	if (error)
		return error;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = -pthread_create(&follow->thread, NULL, follow_run, follow);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	follow->running = error == 0;
	if (error)
		log_error("index: cannot start its thread: %s", strerror(-error));
	else
		pthread_setname_np(follow->thread, "index");
	return error;
}

static void follow_join(struct index_follow *follow)
{
	capture_end(follow);
	pthread_mutex_lock(&follow->lock);
	follow->finishing = true;
	pthread_mutex_unlock(&follow->lock);
	if (follow->running)
		pthread_join(follow->thread, NULL);
	follow->running = false;
}

void index_follow_finish(struct index_follow *follow, struct index_report *report)
{
	follow_join(follow);
	*report = follow->report;
}

void index_follow_close(struct index_follow *follow)
{
	if (!follow)
		return;
	__atomic_store_n(&follow->broken_off, true, __ATOMIC_RELAXED);
	follow_join(follow);
	while (follow->first) {
		struct capture *capture = follow->first;
		follow->first = capture->next;
		free(capture);
	}
	index_writer_destroy(follow->writer);
	decoder_destroy(follow->decoder);
	pthread_mutex_destroy(&follow->lock);
	free(follow);
}
