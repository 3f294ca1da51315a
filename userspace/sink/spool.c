#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arena.h"
#include "log.h"
#include "spool_private.h"
#include "spool_sort.h"

#define SPOOL_WRITE_RECORDS 2048 /* 384 KiB: gathered in order, then one write */

int spool_open(const char *what, const char *near, enum spool_order order, size_t buffer_bytes, struct spool **spool)
{
	struct spool *made = calloc(1, sizeof(*made));
	const char *slash = strrchr(near, '/');

	if (made && strcmp(near, "-") != 0)
		made->directory = slash ? strndup(near, (size_t)(slash - near) + 1) : strdup(".");
	if (!made || (strcmp(near, "-") != 0 && !made->directory)) {
		log_error("%s: no memory", what);
		free(made);
		return -ENOMEM;
	}
	made->what = what;
	made->order = order;
	made->buffer_bytes = buffer_bytes;
	*spool = made;
	return 0;
}

int spool_attach(struct spool *spool, unsigned lane, struct spool_lane **attached)
{
	struct spool_lane *made = calloc(1, sizeof(*made));

	if (made) {
		made->spool = spool;
		made->fd = -1;
		made->capacity = (uint32_t)(spool->buffer_bytes / sizeof(struct flow_record));
		made->records = arena_map(spool->buffer_bytes);
	}
	if (!made || !made->records) {
		log_error("%s: lane %u: no memory to collect flows in (%zu MiB)", spool->what, lane, spool->buffer_bytes >> 20);
		free(made);
		return -ENOMEM;
	}
	spool->lanes[lane] = made;
	*attached = made;
	return 0;
}

static void spool_lose(struct spool_lane *lane, uint64_t records, const char *doing, int error)
{
	int none = 0;

	lane->lost += records;
	if (__atomic_compare_exchange_n(&lane->spool->error, &none, error, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		log_error("%s: cannot %s: %s; the export will be incomplete (more memory, or TMPDIR=a directory with space, helps)",
			lane->spool->what, doing, strerror(-error));
}

/* A file without a name: whatever happens to us, nothing stays behind. */
static int file_unnamed(const char *directory)
{
	char path[4096];
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd;
	if (snprintf(path, sizeof(path), "%s/.flowlane-XXXXXX", directory) >= (int)sizeof(path))
		return -1;
	fd = mkostemp(path, O_CLOEXEC); /* for file systems without O_TMPFILE */
	if (fd >= 0)
		unlink(path);
	return fd;
}

/* Beside the output, where the space is that the output needs anyway; else in TMPDIR. */
static int run_file_open(const struct spool *spool)
{
	const char *fallback = getenv("TMPDIR");
	int fd = spool->directory ? file_unnamed(spool->directory) : -1;

	return fd >= 0 ? fd : file_unnamed(fallback && *fallback ? fallback : "/tmp");
}

static int write_all(int fd, const void *data, size_t bytes, off_t at)
{
	const char *from = data;

	while (bytes > 0) {
		ssize_t n = pwrite(fd, from, bytes, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		from += n;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

static int run_write(struct spool_lane *lane, const uint32_t *order)
{
	struct flow_record *block = malloc(SPOOL_WRITE_RECORDS * sizeof(*block));
	off_t at = (off_t)(lane->run_total * sizeof(*block));
	int error = block ? 0 : -ENOMEM;

	for (uint32_t done = 0, n; !error && done < lane->used; done += n) {
		n = lane->used - done < SPOOL_WRITE_RECORDS ? lane->used - done : SPOOL_WRITE_RECORDS;
		for (uint32_t i = 0; i < n; i++)
			block[i] = lane->records[order[done + i]];
		error = write_all(lane->fd, block, n * sizeof(*block), at);
		at += (off_t)(n * sizeof(*block));
	}
	free(block);
	return error;
}

void spool_spill(struct spool_lane *lane)
{
	uint64_t *run_records = realloc(lane->run_records, (lane->runs + 1) * sizeof(*run_records));
	uint32_t *order = malloc(lane->used * sizeof(*order));
	int error = -ENOMEM;

	if (run_records)
		lane->run_records = run_records;
	if (!run_records || !order)
		goto out;
	if (lane->fd < 0)
		lane->fd = run_file_open(lane->spool);
	error = lane->fd < 0 ? -errno : spool_sort(lane->spool->order, lane->records, lane->used, order);
	if (!error)
		error = run_write(lane, order);
	if (!error) { /* a run that failed half-way is overwritten by the next */
		lane->run_records[lane->runs++] = lane->used;
		lane->run_total += lane->used;
	}
out:
	free(order);
	if (error)
		spool_lose(lane, lane->used, "write a temporary file", error);
	lane->used = 0;
}

/* A mapping instead of read buffers: the page cache is the buffer. A disk that fails to read here kills us (SIGBUS). */
static void runs_map(struct spool_lane *lane)
{
	void *mapped = mmap(NULL, lane->run_total * sizeof(struct flow_record), PROT_READ, MAP_SHARED, lane->fd, 0);

	if (mapped != MAP_FAILED) {
		lane->mapped = mapped;
		return;
	}
	spool_lose(lane, lane->run_total, "read back a temporary file", -errno);
	lane->runs = 0;
	lane->run_total = 0;
}

static void lane_finish(struct spool_lane *lane)
{
	if (lane->runs > 0)
		runs_map(lane);
	if (lane->used == 0)
		return;
	lane->order = malloc(lane->used * sizeof(*lane->order));
	int error = lane->order ? spool_sort(lane->spool->order, lane->records, lane->used, lane->order) : -ENOMEM;
	if (error) {
		spool_lose(lane, lane->used, "sort", error);
		lane->used = 0;
	}
}

struct finisher {
	struct spool *spool;
	unsigned next; /* lane to take, atomically */
};

static void *finish_lanes(void *argument)
{
	struct finisher *finisher = argument;
	unsigned i;

	while ((i = __atomic_fetch_add(&finisher->next, 1, __ATOMIC_RELAXED)) < SPOOL_LANES_MAX) {
		if (finisher->spool->lanes[i])
			lane_finish(finisher->spool->lanes[i]);
	}
	return NULL;
}

void spool_finish(struct spool *spool)
{
	struct finisher finisher = { .spool = spool };
	pthread_t threads[SPOOL_LANES_MAX];
	unsigned lanes = 0, helpers = 0;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	for (unsigned i = 0; i < SPOOL_LANES_MAX; i++)
		lanes += spool->lanes[i] && spool->lanes[i]->used > 0;
	while (helpers + 1 < lanes && (long)helpers + 1 < cores &&
		pthread_create(&threads[helpers], NULL, finish_lanes, &finisher) == 0)
		helpers++;
	finish_lanes(&finisher);
	for (unsigned i = 0; i < helpers; i++)
		pthread_join(threads[i], NULL);
}

uint64_t spool_count(const struct spool *spool)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < SPOOL_LANES_MAX; i++) {
		if (spool->lanes[i])
			count += spool->lanes[i]->run_total + spool->lanes[i]->used;
	}
	return count;
}

uint64_t spool_lost(const struct spool *spool)
{
	uint64_t lost = 0;

	for (unsigned i = 0; i < SPOOL_LANES_MAX; i++) {
		if (spool->lanes[i])
			lost += spool->lanes[i]->lost;
	}
	return lost;
}

int spool_error(const struct spool *spool)
{
	return spool->error;
}

static void lane_close(struct spool_lane *lane)
{
	if (!lane)
		return;
	if (lane->mapped)
		munmap((void *)(uintptr_t)lane->mapped, lane->run_total * sizeof(struct flow_record));
	if (lane->fd >= 0)
		close(lane->fd);
	arena_unmap(lane->records, lane->spool->buffer_bytes);
	free(lane->order);
	free(lane->run_records);
	free(lane);
}

void spool_close(struct spool *spool)
{
	if (!spool)
		return;
	for (unsigned i = 0; i < SPOOL_LANES_MAX; i++)
		lane_close(spool->lanes[i]);
	free(spool->directory);
	free(spool);
}
