#include "binary_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

struct binary_dir {
	const char *what;
	char *path;
	char *temporary;
	bool made;
	int fd[WAY_FIELDS];
	pthread_mutex_t lock;
	uint64_t rows; /* whole ones, in all files */
	int error;     /* first one */
};

/* --- rows ------------------------------------------------------------------------------------------------------------ */

int columns_init(struct columns *columns)
{
	memset(columns, 0, sizeof(*columns));
	for (unsigned i = 0; i < WAY_FIELDS; i++) {
		columns->column[i] = malloc((size_t)COLUMN_ROWS * column_width(way_fields[i].code));
		if (!columns->column[i]) {
			columns_free(columns);
			return -ENOMEM;
		}
	}
	return 0;
}

void columns_free(struct columns *columns)
{
	for (unsigned i = 0; i < WAY_FIELDS; i++) {
		free(columns->column[i]);
		columns->column[i] = NULL;
	}
}

void columns_add(struct columns *columns, const struct way_row *row)
{
	uint8_t **column = columns->column;
	uint64_t clamped = 0;

	/* Members as wide as their column leave nothing of the comparison. */
#define FIELD(name, type, member)                                                                                                  \
	clamped += (type)row->member != row->member;                                                                               \
	((type *)*column++)[columns->rows] = (type)row->member == row->member ? (type)row->member : (type)-1;
	WAY_FIELD_LIST(FIELD)
#undef FIELD
	columns->clamped += clamped;
	columns->rows++;
}

/* --- the directory --------------------------------------------------------------------------------------------------- */

static void column_path(char *path, size_t size, const char *directory, unsigned i)
{
	snprintf(path, size, "%s/%s.%c", directory, way_fields[i].name, way_fields[i].code);
}

/* Removes our files from it, and it: 0, or a negative errno if something else is in it. */
static int directory_remove(const char *directory)
{
	char path[4096];

	for (unsigned i = 0; i < WAY_FIELDS; i++) {
		column_path(path, sizeof(path), directory, i);
		unlink(path);
	}
	return rmdir(directory) < 0 ? -errno : 0;
}

static void dir_close_files(struct binary_dir *dir)
{
	for (unsigned i = 0; i < WAY_FIELDS; i++) {
		if (dir->fd[i] >= 0 && close(dir->fd[i]) < 0 && !dir->error) {
			dir->error = -errno;
			log_error("%s: cannot finish \"%s\": %s", dir->what, dir->path, strerror(errno));
		}
		dir->fd[i] = -1;
	}
}

static void dir_free(struct binary_dir *dir)
{
	pthread_mutex_destroy(&dir->lock);
	free(dir->path);
	free(dir->temporary);
	free(dir);
}

/* "x/flows" is made as "x/.flows.PID.part". */
static int dir_names(struct binary_dir *dir, const char *path)
{
	char *folder = strdup(path), *name = strdup(path);
	int error = -ENOMEM;

	dir->path = strdup(path);
	while (dir->path && strlen(dir->path) > 1 && dir->path[strlen(dir->path) - 1] == '/')
		dir->path[strlen(dir->path) - 1] = '\0';
	if (folder && name && dir->path &&
		asprintf(&dir->temporary, "%s/.%s.%d.part", dirname(folder), basename(name), (int)getpid()) > 0)
		error = 0;
	else
		dir->temporary = NULL;
	free(folder);
	free(name);
	return error;
}

static int dir_create(struct binary_dir *dir)
{
	char path[4096];

	directory_remove(dir->temporary); /* of a process that had our number and was killed */
	if (mkdir(dir->temporary, 0777) < 0)
		return -errno;
	dir->made = true;
	for (unsigned i = 0; i < WAY_FIELDS; i++) {
		column_path(path, sizeof(path), dir->temporary, i);
		dir->fd[i] = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (dir->fd[i] < 0)
			return -errno;
	}
	return 0;
}

int binary_dir_open(const char *what, const char *path, struct binary_dir **result)
{
	struct binary_dir *dir = calloc(1, sizeof(*dir));
	int error = -ENOMEM;

	if (!dir)
		goto fail;
	dir->what = what;
	for (unsigned i = 0; i < WAY_FIELDS; i++)
		dir->fd[i] = -1;
	pthread_mutex_init(&dir->lock, NULL);
	error = dir_names(dir, path);
	if (!error)
		error = dir_create(dir);
	if (error)
		goto fail;
	*result = dir;
	return 0;
fail:
	log_error(
		"%s: cannot create \"%s\": %s; create its parent directory, or choose another place", what, path, strerror(-error));
	binary_dir_abort(dir);
	return error;
}

static int write_all(int fd, const uint8_t *at, size_t bytes)
{
	while (bytes) {
		ssize_t n = write(fd, at, bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* All columns end at the last whole row again. */
static void dir_failed(struct binary_dir *dir, int error)
{
	dir->error = error;
	log_error("%s: cannot write to \"%s\": %s after %llu records; the rest is lost; free some space, or choose another disk",
		dir->what, dir->path, strerror(-error), (unsigned long long)dir->rows);
	for (unsigned i = 0; i < WAY_FIELDS; i++) {
		if (ftruncate(dir->fd[i], (off_t)(dir->rows * column_width(way_fields[i].code))) < 0)
			log_warning("%s: %s of \"%s\" is longer than the others: %s", dir->what, way_fields[i].name, dir->path,
				strerror(errno));
	}
}

int binary_dir_append(struct binary_dir *dir, struct columns *columns)
{
	pthread_mutex_lock(&dir->lock);
	int error = dir->error;
	for (unsigned i = 0; i < WAY_FIELDS && !error; i++) {
		error = write_all(dir->fd[i], columns->column[i], (size_t)columns->rows * column_width(way_fields[i].code));
		if (error)
			dir_failed(dir, error);
	}
	if (!error)
		dir->rows += columns->rows;
	pthread_mutex_unlock(&dir->lock);
	columns->rows = 0;
	return error;
}

/* A directory cannot be renamed over one that holds something: they change places, and the old one goes. */
static int dir_replace(struct binary_dir *dir)
{
	if (renameat2(AT_FDCWD, dir->temporary, AT_FDCWD, dir->path, RENAME_EXCHANGE) < 0)
		return -errno;
	int error = directory_remove(dir->temporary);
	if (error)
		log_warning("%s: what was in \"%s\" before is in \"%s\" now: %s", dir->what, dir->path, dir->temporary,
			strerror(-error));
	return 0;
}

static int dir_publish(struct binary_dir *dir, bool replace)
{
	int error = rename(dir->temporary, dir->path) < 0 ? -errno : 0;

	if ((error == -ENOTEMPTY || error == -EEXIST) && replace)
		error = dir_replace(dir);
	if (error)
		log_error("%s: cannot name the result \"%s\": %s; remove what is there, or choose another name", dir->what,
			dir->path, strerror(-error));
	return error;
}

int binary_dir_commit(struct binary_dir *dir, bool replace, bool empty, uint64_t *bytes)
{
	*bytes = 0;
	for (unsigned i = 0; i < WAY_FIELDS; i++)
		*bytes += dir->rows * column_width(way_fields[i].code);
	dir_close_files(dir);
	int error = dir->error;
	bool publish = dir->rows || empty;
	if (!error && publish)
		error = dir_publish(dir, replace);
	if (error || !publish)
		directory_remove(dir->temporary);
	dir_free(dir);
	return error;
}

void binary_dir_abort(struct binary_dir *dir)
{
	if (!dir)
		return;
	dir_close_files(dir);
	if (dir->made)
		directory_remove(dir->temporary);
	dir_free(dir);
}
