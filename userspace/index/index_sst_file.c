#include "index_sst_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "crc32c.h"

#define SYNC_BYTES (4 << 20) /* the disk is asked to begin with so many, for RocksDB waits for all of them */
#define RESERVE    (2 << 20) /* bytes at once: half a millisecond of a tmpfs */
#define SPARE      8         /* of what the disk has, this part is left to others */

void sst_fail(struct sst_file *file, int error)
{
	file->error = file->error ? file->error : error;
}

void sst_sum(struct sst_file *file)
{
	file->crc = crc32c(file->crc, file->buffer + file->summed, file->used - file->summed);
	file->summed = file->used;
}

void sst_flush(struct sst_file *file)
{
	size_t at = 0;

	sst_sum(file);
	while (at < file->used && !file->error) {
		ssize_t n = write(file->fd, file->buffer + at, file->used - at);
		if (n > 0)
			at += (size_t)n;
		else if (n == 0 || errno != EINTR)
			sst_fail(file, n == 0 ? -EIO : -errno);
	}
	file->written += file->used;
	file->used = file->summed = 0;
	if (file->written - file->asked >= SYNC_BYTES) {
		sync_file_range(file->fd, (off_t)file->asked, (off_t)(file->written - file->asked), SYNC_FILE_RANGE_WRITE);
		file->asked = file->written;
	}
}

/* A disk that is nearly full is not taken from those who write to it now. */
static bool disk_has(int fd, uint64_t bytes)
{
	struct statvfs disk;

	return fstatvfs(fd, &disk) == 0 && disk.f_bavail * disk.f_frsize > disk.f_blocks * disk.f_frsize / SPARE + bytes;
}

bool sst_reserve(struct sst_file *file, uint64_t bytes)
{
	if (file->reserved >= bytes || bytes - file->reserved < RESERVE)
		return false;
	if (!disk_has(file->fd, RESERVE) || fallocate(file->fd, FALLOC_FL_KEEP_SIZE, (off_t)file->reserved, RESERVE) < 0) {
		file->reserved = UINT64_MAX;
		return false;
	}
	file->reserved += RESERVE;
	return true;
}

void sst_append(struct sst_file *file, const void *data, size_t bytes)
{
	const uint8_t *from = data;

	while (bytes > 0) {
		size_t n = bytes < SST_ROOM ? bytes : SST_ROOM;
		memcpy(sst_room(file, n), from, n);
		file->used += n;
		from += n;
		bytes -= n;
	}
}

int sst_end(struct sst_file *file)
{
	sst_flush(file);
	/* What was too much goes back: a file is cut where it ends. */
	if (file->reserved > file->written && !file->error && ftruncate(file->fd, (off_t)file->written) < 0)
		sst_fail(file, -errno);
	return file->error;
}

int sst_open(struct sst_file *file, const char *path)
{
	*file = (struct sst_file){ .fd = -1, .buffer = malloc(SST_BUFFER) };
	if (!file->buffer)
		return -ENOMEM;
	file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return file->fd < 0 ? -errno : 0;
}

void sst_close(struct sst_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->buffer);
}
