/* What index_sst.c writes its file with: a buffer, and the checksum of what went through it. One thread. */
#ifndef FLOWLANE_INDEX_SST_FILE_H
#define FLOWLANE_INDEX_SST_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SST_BUFFER ((size_t)256 << 10) /* stays in the L2 cache, from where the kernel copies it */
#define SST_ROOM   ((size_t)64 << 10)  /* at most at once */

struct sst_file {
	int fd;
	int error; /* the first; nothing is written behind it */
	uint8_t *buffer;
	size_t used, summed; /* of the buffer; what lies behind `summed` is not in the checksum yet */
	uint32_t crc;
	uint64_t written;  /* of the file, before the buffer */
	uint64_t asked;    /* of the file, on their way to the disk */
	uint64_t reserved; /* of the file; UINT64_MAX: no more */
};

int sst_open(struct sst_file *file, const char *path); /* 0 or a negative errno; to be closed then, too */
void sst_close(struct sst_file *file);
void sst_fail(struct sst_file *file, int error);

void sst_append(struct sst_file *file, const void *data, size_t bytes);
void sst_flush(struct sst_file *file);
void sst_sum(struct sst_file *file);                     /* all so far into the checksum */
bool sst_reserve(struct sst_file *file, uint64_t bytes); /* as index_sst_reserve() */
int sst_end(struct sst_file *file);                      /* 0 or the first error */

/* At least `bytes` from `used` on, at most SST_ROOM. Whoever writes there adds to `used`. */
static inline uint8_t *sst_room(struct sst_file *file, size_t bytes)
{
	if (__builtin_expect(file->used + bytes > SST_BUFFER, 0))
		sst_flush(file);
	return file->buffer + file->used;
}

static inline uint64_t sst_at(const struct sst_file *file)
{
	return file->written + file->used;
}

/* A checksum of what comes. */
static inline void sst_sum_begin(struct sst_file *file)
{
	file->crc = 0;
	file->summed = file->used;
}

#endif
