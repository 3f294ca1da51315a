#include "chunk_writer.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "chunk_stream.h"
#include "counters.h"
#include "log.h"

/*
 * Waking a thread costs a lane 10 to 20 us where an idle CPU is a halted virtual one, as much as filling the chunk did. So while
 * chunks come the thread dozes, and looks by itself every DOZE_US: 1.25 MB at 10 Gbit/s, of the 32 MiB that a live lane has. Who
 * waits for a chunk to be written wakes it nevertheless.
 */
#define DOZE_US    1000
#define DOZE_TIMES 100 /* without a chunk: then it sleeps until it is woken */

enum writer_sleep { WRITER_AWAKE, WRITER_DOZES, WRITER_SLEEPS };

struct chunk_pool {
	struct chunk_pool *next; /* of the writer; control thread */
	unsigned count;
	bool patient;
	sem_t free_count; /* patient only */
	uint8_t *data;
	/* Free chunks, a stack: the writer pushes, the lane alone pops, so a chunk at the top cannot leave and come back unseen. */
	struct chunk *top;
	struct chunk chunk[];
};

struct chunk_writer {
	const char *what;
	struct file_ring *ring;
	struct chunk_stream *streams;
	struct chunk_pool *pools;
	pthread_t thread;
	bool running;

	/* the thread's */
	struct chunk_stream *active; /* streams that chunks came for */
	unsigned active_count;
	unsigned under_way; /* writes */
	unsigned dozed;     /* times in a row without a chunk */
	bool staging;       /* a stream wants chunks also while it is busy */

	/* shared */
	struct chunk *queue __attribute__((aligned(64))); /* last one first; lanes push, the thread takes all */
	int sleep;                                        /* enum writer_sleep, set by the thread; who wakes it up, resets it */
	bool ending;
};

/* --- lanes ----------------------------------------------------------------------------------------------------------- */

struct chunk *chunk_take(struct chunk_pool *pool)
{
	if (pool->patient) {
		while (sem_wait(&pool->free_count) < 0)
			; /* a signal */
	}
	struct chunk *chunk = __atomic_load_n(&pool->top, __ATOMIC_ACQUIRE);
	while (chunk && !__atomic_compare_exchange_n(&pool->top, &chunk, chunk->next, true, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
		;
	return chunk;
}

void chunk_release(struct chunk *chunk)
{
	struct chunk_pool *pool = chunk->pool;
	bool patient = pool->patient;

	chunk->next = __atomic_load_n(&pool->top, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&pool->top, &chunk->next, chunk, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	if (patient)
		sem_post(&pool->free_count);
}

/* The thread sets `sleep`, then looks at the queue; who pushes does it the other way round: one of them sees the other. */
static void queue_push(struct chunk_writer *writer, struct chunk *chunk, enum writer_sleep wakes)
{
	chunk->next = __atomic_load_n(&writer->queue, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&writer->queue, &chunk->next, chunk, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	if (__atomic_load_n(&writer->sleep, __ATOMIC_SEQ_CST) >= (int)wakes &&
		__atomic_exchange_n(&writer->sleep, WRITER_AWAKE, __ATOMIC_SEQ_CST) != WRITER_AWAKE)
		file_ring_wake(writer->ring);
}

void chunk_submit(struct chunk_stream *stream, struct chunk *chunk)
{
	chunk->stream = stream;
	chunk->taken = 0;
	queue_push(stream->writer, chunk, chunk->pool->patient ? WRITER_DOZES : WRITER_SLEEPS);
}

bool chunk_stream_failed(const struct chunk_stream *stream)
{
	return __atomic_load_n(&stream->error, __ATOMIC_RELAXED) != 0;
}

void chunk_stream_reopen(struct chunk_stream *stream)
{
	if (__atomic_exchange_n(&stream->reopen_queued, true, __ATOMIC_ACQUIRE))
		return;
	stream->reopen_message.stream = stream;
	queue_push(stream->writer, &stream->reopen_message, WRITER_DOZES);
}

/* --- the thread ------------------------------------------------------------------------------------------------------ */

static void queue_take(struct chunk_writer *writer)
{
	struct chunk *chunk = __atomic_exchange_n(&writer->queue, NULL, __ATOMIC_SEQ_CST), *first = NULL;

	writer->dozed = chunk ? 0 : writer->dozed + 1;
	while (chunk) {
		struct chunk *next = chunk->next;
		chunk->next = first;
		first = chunk;
		chunk = next;
	}
	while (first) {
		struct chunk *next = first->next;
		struct chunk_stream *stream = first->stream;
		if (!stream->active) {
			stream->active = true;
			stream->next_active = writer->active;
			writer->active = stream;
			writer->active_count++;
			writer->staging |= stream->options.direct;
		}
		stream_add(stream, first);
		first = next;
	}
}

/* Returns whether all is written. */
static bool streams_step(struct chunk_writer *writer, bool ending)
{
	bool idle = true;

	writer->under_way = 0;
	for (struct chunk_stream *stream = writer->active; stream; stream = stream->next_active) {
		stream_step(stream, ending);
		idle &= stream_idle(stream);
		writer->under_way += stream->busy;
	}
	return idle;
}

/* How to wait: the end of a write wakes the thread by itself, and only other streams, or a stage that could be filled meanwhile,
 * have a use for chunks before that. */
static enum writer_sleep streams_sleep(const struct chunk_writer *writer)
{
	if (writer->under_way > 0)
		return writer->staging || writer->active_count > 1 ? WRITER_DOZES : WRITER_AWAKE;
	return writer->dozed < DOZE_TIMES ? WRITER_DOZES : WRITER_SLEEPS;
}

static void streams_wait(struct chunk_writer *writer)
{
	struct file_write *done[FILE_RING_WRITES];
	enum writer_sleep sleep = streams_sleep(writer);

	__atomic_store_n(&writer->sleep, sleep, __ATOMIC_SEQ_CST);
	if (sleep == WRITER_AWAKE || !__atomic_load_n(&writer->queue, __ATOMIC_SEQ_CST)) {
		unsigned n = file_ring_wait(writer->ring, sleep == WRITER_DOZES ? DOZE_US : 0, done, FILE_RING_WRITES);
		for (unsigned i = 0; i < n; i++)
			stream_done(done[i]->owner);
	}
	__atomic_store_n(&writer->sleep, WRITER_AWAKE, __ATOMIC_SEQ_CST);
}

static void *writer_run(void *argument)
{
	struct chunk_writer *writer = argument;

	for (;;) {
		bool ending = __atomic_load_n(&writer->ending, __ATOMIC_ACQUIRE);
		queue_take(writer);
		if (streams_step(writer, ending) && ending)
			return NULL;
		streams_wait(writer);
	}
}

/* --- setup ----------------------------------------------------------------------------------------------------------- */

int chunk_writer_start(struct chunk_writer *writer)
{
	sigset_t all, before;

	/* Signals are for the threads that expect them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = -pthread_create(&writer->thread, NULL, writer_run, writer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	writer->running = error == 0;
	if (error)
		log_error("%s: cannot start the thread that writes: %s", writer->what, strerror(-error));
	else
		pthread_setname_np(writer->thread, "writer");
	return error;
}

int chunk_writer_open(const char *what, bool uring, struct chunk_writer **writer)
{
	struct chunk_writer *made = aligned_alloc(64, sizeof(*made));
	int error = -ENOMEM;

	if (!made)
		goto fail;
	memset(made, 0, sizeof(*made));
	made->what = what;
	error = file_ring_open(uring, &made->ring);
	if (error)
		goto fail;
	*writer = made;
	return 0;
fail:
	log_error("%s: cannot prepare writing: %s", what, strerror(-error));
	free(made);
	return error;
}

int chunk_writer_add_stream(struct chunk_writer *writer, const struct chunk_stream_options *options, struct chunk_stream **stream)
{
	struct chunk_stream *made = calloc(1, sizeof(*made));

	if (!made)
		goto fail;
	made->writer = writer;
	made->ring = writer->ring;
	made->what = writer->what;
	made->options = *options;
	made->file = options->file;
	if (stream_init(made))
		goto fail;
	made->next = writer->streams;
	writer->streams = made;
	*stream = made;
	return 0;
fail:
	log_error("%s: no memory", writer->what);
	if (made)
		stream_free(made);
	return -ENOMEM;
}

int chunk_writer_add_pool(struct chunk_writer *writer, unsigned count, bool patient, struct chunk_pool **pool)
{
	struct chunk_pool *made = calloc(1, sizeof(*made) + count * sizeof(made->chunk[0]));
	uint8_t *data = made ? arena_map(count * OUTFILE_CHUNK) : NULL;

	if (!data) {
		free(made);
		log_error("%s: no memory for %zu MiB of buffers", writer->what, count * OUTFILE_CHUNK >> 20);
		return -ENOMEM;
	}
	/* Who cannot wait for a chunk cannot wait for its pages either. */
	if (!patient)
		memset(data, 0, count * OUTFILE_CHUNK);
	made->data = data;
	made->count = count;
	made->patient = patient;
	sem_init(&made->free_count, 0, 0);
	for (unsigned i = count; i-- > 0;) {
		made->chunk[i].data = data + i * OUTFILE_CHUNK;
		made->chunk[i].pool = made;
		chunk_release(&made->chunk[i]);
	}
	made->next = writer->pools;
	writer->pools = made;
	*pool = made;
	return 0;
}

/* --- the end --------------------------------------------------------------------------------------------------------- */

void chunk_writer_finish(struct chunk_writer *writer)
{
	if (__atomic_exchange_n(&writer->ending, true, __ATOMIC_RELEASE))
		return;
	if (!writer->running) {
		writer_run(writer);
		return;
	}
	file_ring_wake(writer->ring);
	pthread_join(writer->thread, NULL);
	writer->running = false;
}

void chunk_stream_so_far(const struct chunk_stream *stream, uint64_t *records, uint64_t *lost)
{
	*records = counter_read(&stream->records);
	*lost = counter_read(&stream->lost);
}

void chunk_stream_finish(struct chunk_stream *stream, struct chunk_stream_report *report, struct outfile **file)
{
	if (report) {
		*report = (struct chunk_stream_report){
			.records = stream->records,
			.lost = stream->lost,
			.bytes = stream->bytes_closed + (stream->file ? outfile_bytes(stream->file) : 0),
			.error = stream->error ? stream->error : stream->reopen_error,
		};
	}
	*file = stream->file;
	stream->file = NULL;
}

void chunk_writer_close(struct chunk_writer *writer)
{
	if (!writer)
		return;
	chunk_writer_finish(writer);
	while (writer->streams) {
		struct chunk_stream *stream = writer->streams;
		writer->streams = stream->next;
		outfile_abort(stream->file);
		stream_free(stream);
	}
	while (writer->pools) {
		struct chunk_pool *pool = writer->pools;
		writer->pools = pool->next;
		arena_unmap(pool->data, pool->count * OUTFILE_CHUNK);
		sem_destroy(&pool->free_count);
		free(pool);
	}
	file_ring_close(writer->ring);
	free(writer);
}
