#include "small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void small_file_open(struct small_file *file, const char *directory, const char *name)
{
	file->at = file->buffer;
	file->error = 0;
	snprintf(file->path, sizeof(file->path), "%s/%s", directory, name);
	snprintf(file->temporary, sizeof(file->temporary), "%s/.%s.%d.part", directory, name, (int)getpid());
	file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (file->fd < 0)
		file->error = -errno;
}

static void small_file_flush(struct small_file *file)
{
	for (char *at = file->buffer; at < file->at && !file->error;) {
		ssize_t n = write(file->fd, at, (size_t)(file->at - at));
		if (n > 0)
			at += n;
		else if (n == 0 || errno != EINTR)
			file->error = n ? -errno : -EIO;
	}
	file->at = file->buffer;
}

char *small_file_room(struct small_file *file, size_t bytes)
{
	if ((size_t)(file->buffer + sizeof(file->buffer) - file->at) < bytes)
		small_file_flush(file);
	return file->at;
}

int small_file_commit(struct small_file *file, uint64_t *bytes)
{
	if (file->fd < 0)
		return file->error;
	small_file_flush(file);
	off_t size = lseek(file->fd, 0, SEEK_CUR);
	if (close(file->fd) < 0 && !file->error)
		file->error = -errno;
	if (!file->error && rename(file->temporary, file->path) < 0)
		file->error = -errno;
	if (file->error)
		unlink(file->temporary);
	else
		*bytes += (uint64_t)size;
	return file->error;
}
