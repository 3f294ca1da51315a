#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

struct outfile {
	const char *what;
	char *path;   /* as the user gave it */
	char *target; /* what it leads to; NULL: itself */
	char *part;   /* NULL: written in place */
	int fd;
	bool borrowed; /* standard output: not ours to close */
	bool regular;  /* we made it: cut-off chunks can be taken back */
	bool created;  /* there was no such file before */
	bool old;      /* what was in the file before is still there; under the lock */
	pthread_mutex_t lock;
	uint64_t offset; /* written to this fd */
	uint64_t bytes;  /* and in all; written under the lock, read by anyone */
	int error;       /* first one; set under the lock, read by anyone */
};

static const char *outfile_advice(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
		return "create the directory first, or choose another path";
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return "choose a place where you may write";
	case -EISDIR:
		return "name a file in it";
	case -ENOSPC:
	case -EDQUOT:
		return "free some space, or choose another disk";
	case -EPIPE:
		return "the reader has gone";
	case -EFBIG:
		return "raise the file size limit (ulimit -f)";
	default:
		return "check the path and the disk";
	}
}

static void outfile_destroy(struct outfile *file)
{
	pthread_mutex_destroy(&file->lock);
	free(file->path);
	free(file->target);
	free(file->part);
	free(file);
}

/* Decides path, part and in-place writing. A link is resolved first: renaming over it would replace the link, and for
 * /dev/stdout that is somebody else's. */
static int outfile_name(struct outfile *file, const char *path, enum outfile_mode mode)
{
	struct stat st;
	bool link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
	bool exists = stat(path, &st) == 0;

	if (exists && S_ISDIR(st.st_mode))
		return -EISDIR;
	file->regular = !exists || S_ISREG(st.st_mode);
	file->path = strdup(path);
	if (!file->path)
		return -ENOMEM;
	if (mode != OUTFILE_PART || !file->regular || (link && !exists))
		return 0;
	if (link)
		file->target = realpath(path, NULL);
	if (link && !file->target)
		return -errno;
	if (asprintf(&file->part, "%s.part", link ? file->target : path) < 0) {
		file->part = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* What is in the file already stays until there is something to write: a run that does not come about must not empty it. */
static int outfile_create(struct outfile *file)
{
	const char *path = file->part ? file->part : file->path;

	file->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	file->created = file->fd >= 0;
	if (file->fd < 0 && errno == EEXIST) {
		file->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
		file->old = file->regular;
	}
	return file->fd < 0 ? -errno : 0;
}

int outfile_open(const char *what, const char *path, enum outfile_mode mode, struct outfile **file)
{
	struct outfile *made = calloc(1, sizeof(*made));
	int error = -ENOMEM;

	if (!made)
		goto fail;
	made->what = what;
	made->fd = -1;
	pthread_mutex_init(&made->lock, NULL);
	if (strcmp(path, "-") == 0) {
		made->path = strdup("standard output");
		if (!made->path)
			goto fail;
		made->fd = STDOUT_FILENO;
		made->borrowed = true;
		*file = made;
		return 0;
	}
	error = outfile_name(made, path, mode);
	if (error)
		goto fail;
	error = outfile_create(made);
	if (error)
		goto fail;
	*file = made;
	return 0;
fail:
	log_error("%s: cannot create \"%s\": %s; %s", what, path, strerror(-error), outfile_advice(error));
	if (made)
		outfile_destroy(made);
	return error;
}

static void outfile_set_error(struct outfile *file, int error)
{
	__atomic_store_n(&file->error, error, __ATOMIC_RELAXED);
}

/* Under the lock: a chunk did not fit; what of it is in the file goes out again. */
static int outfile_take_back(struct outfile *file, int error)
{
	outfile_set_error(file, error);
	log_error("%s: cannot write to \"%s\": %s after %llu bytes; the rest is lost (%s)", file->what, file->path,
		strerror(-error), (unsigned long long)file->bytes, outfile_advice(error));
	if (file->regular && ftruncate(file->fd, (off_t)file->offset) < 0)
		log_warning("%s: the last record of \"%s\" is cut off: %s", file->what, file->path, strerror(errno));
	return error;
}

static void outfile_count(struct outfile *file, size_t bytes)
{
	file->offset += bytes;
	__atomic_store_n(&file->bytes, file->bytes + bytes, __ATOMIC_RELAXED);
}

/* Before the first byte: what was there before goes. */
static int outfile_empty(struct outfile *file)
{
	if (file->error)
		return file->error;
	if (file->old && ftruncate(file->fd, 0) < 0)
		return outfile_take_back(file, -errno);
	file->old = false;
	return 0;
}

static int outfile_write(struct outfile *file, const void *data, size_t bytes)
{
	int error = outfile_empty(file);
	const char *at = data;
	size_t left = bytes;

	if (error)
		return error;
	while (left > 0) {
		ssize_t n = write(file->fd, at, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return outfile_take_back(file, n < 0 ? -errno : -EIO);
		at += n;
		left -= (size_t)n;
	}
	outfile_count(file, bytes);
	return 0;
}

int outfile_append(struct outfile *file, const void *data, size_t bytes)
{
	pthread_mutex_lock(&file->lock);
	int error = outfile_write(file, data, bytes);
	pthread_mutex_unlock(&file->lock);
	return error;
}

int outfile_place(struct outfile *file, struct outfile_place *place)
{
	int error = outfile_empty(file);

	if (!error)
		*place = (struct outfile_place){ .fd = file->fd, .seekable = file->regular, .offset = file->offset };
	return error;
}

void outfile_wrote(struct outfile *file, size_t bytes, int error)
{
	outfile_count(file, bytes);
	if (error)
		outfile_take_back(file, error);
}

int outfile_set_direct(struct outfile *file, bool direct)
{
	int flags = fcntl(file->fd, F_GETFL);

	if (!file->regular)
		return -ESPIPE;
	if (flags < 0 || fcntl(file->fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) < 0)
		return -errno;
	return 0;
}

const char *outfile_path(const struct outfile *file)
{
	return file->path;
}

static bool outfile_moved(const struct outfile *file)
{
	struct stat ours, named;

	if (file->borrowed || file->part || !file->regular || fstat(file->fd, &ours) < 0)
		return false;
	return stat(file->path, &named) < 0 || named.st_dev != ours.st_dev || named.st_ino != ours.st_ino;
}

int outfile_reopen(struct outfile *file, const void *head, size_t head_bytes)
{
	int error = 0;

	pthread_mutex_lock(&file->lock);
	if (!file->error && outfile_moved(file)) {
		int fd = open(file->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (fd < 0) {
			error = -errno;
			log_error(
				"%s: cannot reopen \"%s\": %s; going on in the old file", file->what, file->path, strerror(-error));
		} else {
			if (close(file->fd) < 0)
				log_warning("%s: the old \"%s\": %s", file->what, file->path, strerror(errno));
			file->fd = fd;
			file->offset = 0;
			error = outfile_write(file, head, head_bytes);
		}
	}
	pthread_mutex_unlock(&file->lock);
	return error;
}

void outfile_fail(struct outfile *file, int error)
{
	pthread_mutex_lock(&file->lock);
	if (!file->error)
		outfile_set_error(file, error);
	pthread_mutex_unlock(&file->lock);
}

uint64_t outfile_bytes(const struct outfile *file)
{
	return __atomic_load_n(&file->bytes, __ATOMIC_RELAXED);
}

int outfile_error(const struct outfile *file)
{
	return __atomic_load_n(&file->error, __ATOMIC_RELAXED);
}

/* No fsync: a capture on a busy disk would wait seconds for it; after a crash of the machine (not of flowlane) a file may be
 * missing, and file systems that matter write a renamed file's data before the rename. */
int outfile_commit(struct outfile *file, char *where, size_t where_bytes)
{
	int error = file->error;

	if (!error && file->old)
		error = outfile_write(file, NULL, 0);
	if (!file->borrowed && close(file->fd) < 0 && !error) {
		error = -errno;
		log_error("%s: cannot finish \"%s\": %s; %s", file->what, file->path, strerror(-error), outfile_advice(error));
	}
	if (file->part && !error && rename(file->part, file->target ? file->target : file->path) < 0) {
		error = -errno;
		log_error("%s: cannot rename \"%s\" to \"%s\": %s; %s", file->what, file->part, file->path, strerror(-error),
			outfile_advice(error));
	}
	if (file->part && error)
		log_warning("%s: what was written is in \"%s\"", file->what, file->part);
	if (where)
		snprintf(where, where_bytes, "%s", file->part && error ? file->part : file->path);
	outfile_destroy(file);
	return error;
}

void outfile_abort(struct outfile *file)
{
	if (!file)
		return;
	if (!file->borrowed)
		close(file->fd);
	if (file->part)
		unlink(file->part);
	else if (file->created)
		unlink(file->path);
	outfile_destroy(file);
}
