#include "ncap_files.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "directory.h"
#include "gzip_member.h"
#include "log.h"
#include "outfile.h"
#include "audit_record.h"

#define WHAT     "audit records"
#define NS_PER_S ((uint64_t)1000000000)

struct type_file {
	pthread_mutex_t lock;
	struct outfile *file; /* NULL: none is begun */
	uint64_t slot_ns;     /* start of its interval */
	uint64_t records, lost, bytes;
	unsigned begun;
	int error;
	uint8_t head[RECORD_HEADER_MAX + 1024]; /* as it is in the file */
	size_t head_bytes;
};

struct ncap_files {
	struct ncap_files_options options;
	struct gzip_member *gzip; /* for the heads, under a lock of its own */
	pthread_mutex_t gzip_lock;
	struct type_file types[NCAP_TYPES];
};

/* ---- files --------------------------------------------------------------------------------------------------------- */

int ncap_files_open(const struct ncap_files_options *options, struct ncap_files **result)
{
	int error = directory_make(WHAT, options->directory);
	struct ncap_files *files = error ? NULL : calloc(1, sizeof(*files));

	if (error)
		return error;
	if (!files || (options->gzip && gzip_member_create(&files->gzip))) {
		log_error("%s: no memory", WHAT);
		free(files);
		return -ENOMEM;
	}
	files->options = *options;
	pthread_mutex_init(&files->gzip_lock, NULL);
	for (unsigned i = 0; i < NCAP_TYPES; i++)
		pthread_mutex_init(&files->types[i].lock, NULL);
	*result = files;
	return 0;
}

/* NAME.ncap.gz, with rotation NAME.20231114T221000Z.ncap.gz; the second one of an interval has .2 behind it. False: too long. */
static bool file_path(const struct ncap_files *files, enum ncap_type type, uint64_t slot_ns, unsigned number, char path[PATH_MAX])
{
	const char *suffix = files->options.gzip ? ".ncap.gz" : ".ncap";
	char slot[32] = "", more[16] = "";
	time_t seconds = (time_t)(slot_ns / NS_PER_S);
	struct tm utc;

	if (files->options.rotate_ns && gmtime_r(&seconds, &utc))
		strftime(slot, sizeof(slot), ".%Y%m%dT%H%M%SZ", &utc);
	if (number > 1)
		snprintf(more, sizeof(more), ".%u", number);
	return snprintf(path, PATH_MAX, "%s/%s%s%s%s", files->options.directory, ncap_types[type].name, slot, more, suffix) <
	       PATH_MAX;
}

/* Live, what an earlier run has written of the interval stays: it will not come again. */
static bool file_path_new(const struct ncap_files *files, enum ncap_type type, uint64_t slot_ns, char path[PATH_MAX])
{
	unsigned number = 1;
	bool fits;

	do
		fits = file_path(files, type, slot_ns, number, path);
	while (fits && files->options.live && files->options.rotate_ns && access(path, F_OK) == 0 && ++number);
	return fits;
}

/* The head of a type's files: the same for all of them. */
static void head_make(struct ncap_files *files, enum ncap_type type, uint64_t ns)
{
	struct type_file *mine = &files->types[type];
	struct record_header header = {
		.created_ns = files->options.live ? files->options.created_ns : ns,
		.source = files->options.source,
		.version = files->options.version,
		.type = ncap_types[type].number,
		.payloads = files->options.payloads,
		.legacy = files->options.schema == NCAP_SCHEMA_LEGACY,
	};
	uint8_t plain[RECORD_HEADER_MAX];
	size_t n = record_header(&header, plain);

	if (files->gzip) {
		pthread_mutex_lock(&files->gzip_lock);
		mine->head_bytes = gzip_member_write(files->gzip, plain, n, mine->head);
		pthread_mutex_unlock(&files->gzip_lock);
	} else {
		memcpy(mine->head, plain, n);
		mine->head_bytes = n;
	}
}

/* Ends the file at hand. */
static void file_end(struct type_file *mine)
{
	if (!mine->file)
		return;
	mine->bytes += outfile_bytes(mine->file);
	int error = outfile_commit(mine->file, NULL, 0);
	mine->error = mine->error ? mine->error : error;
	mine->file = NULL;
}

/* Under the lock: the file that a chunk belongs into. */
static int file_for(struct ncap_files *files, enum ncap_type type, const struct ncap_chunk *chunk)
{
	struct type_file *mine = &files->types[type];
	char path[PATH_MAX];

	if (mine->file && chunk->slot_ns <= mine->slot_ns)
		return 0;
	file_end(mine);
	if (!mine->head_bytes)
		head_make(files, type, chunk->first_ns);
	if (!file_path_new(files, type, chunk->slot_ns, path))
		return -ENAMETOOLONG;
	int error = outfile_open(WHAT, path, OUTFILE_DIRECT, &mine->file);
	if (!error) {
		mine->slot_ns = chunk->slot_ns;
		mine->begun++;
		error = outfile_append(mine->file, mine->head, mine->head_bytes);
	}
	return error;
}

void ncap_files_reopen(struct ncap_files *files)
{
	for (unsigned i = 0; i < NCAP_TYPES; i++) {
		struct type_file *mine = &files->types[i];
		pthread_mutex_lock(&mine->lock);
		if (mine->file)
			outfile_reopen(mine->file, mine->head, mine->head_bytes);
		pthread_mutex_unlock(&mine->lock);
	}
}

/* A file of an earlier run, of a type that had no record in this one, would be taken for this one's. */
static void stale_remove(const struct ncap_files *files, enum ncap_type type)
{
	char path[PATH_MAX];

	if (!files->options.rotate_ns && file_path(files, type, 0, 1, path))
		unlink(path);
}

void ncap_files_close(struct ncap_files *files, struct output_report *report)
{
	for (unsigned i = 0; i < NCAP_TYPES; i++) {
		struct type_file *mine = &files->types[i];
		file_end(mine);
		pthread_mutex_destroy(&mine->lock);
		if (!report)
			continue;
		if (!mine->begun && !mine->error && files->options.types >> i & 1)
			stale_remove(files, (enum ncap_type)i);
		report->records += mine->records;
		report->bytes += mine->bytes;
		report->lost += mine->lost;
		report->files += mine->begun;
		report->error = report->error ? report->error : mine->error;
	}
	gzip_member_destroy(files->gzip);
	pthread_mutex_destroy(&files->gzip_lock);
	free(files);
}

/* ---- a lane -------------------------------------------------------------------------------------------------------- */

int ncap_writer_open(struct ncap_files *files, struct ncap_writer **result)
{
	struct ncap_writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		goto fail;
	writer->files = files;
	if (files->options.gzip && gzip_member_create(&writer->gzip))
		goto fail;
	writer->packed = malloc(gzip_member_bound(NCAP_CHUNK_BYTES + RECORD_MAX));
	if (!writer->packed)
		goto fail;
	for (unsigned i = 0; i < NCAP_TYPES; i++) {
		if (!(files->options.types >> i & 1))
			continue;
		writer->chunks[i].bytes = malloc(NCAP_CHUNK_BYTES + RECORD_MAX); /* backed by memory as it is used */
		if (!writer->chunks[i].bytes)
			goto fail;
		writer->chunks[i].at = writer->chunks[i].bytes;
	}
	*result = writer;
	return 0;
fail:
	log_error("%s: no memory for a lane", WHAT);
	ncap_writer_close(writer);
	return -ENOMEM;
}

void ncap_writer_flush(struct ncap_writer *writer, enum ncap_type type)
{
	struct ncap_chunk *chunk = &writer->chunks[type];
	struct type_file *mine = &writer->files->types[type];
	const uint8_t *bytes = chunk->bytes;
	size_t n = (size_t)(chunk->at - chunk->bytes);

	if (n == 0)
		return;
	if (writer->gzip) {
		n = gzip_member_write(writer->gzip, bytes, n, writer->packed);
		bytes = writer->packed;
	}
	pthread_mutex_lock(&mine->lock);
	int error = mine->error ? mine->error : n == 0 ? -EMSGSIZE : file_for(writer->files, type, chunk);
	if (n == 0 && !mine->error)
		log_error("%s: %s records could not be compressed; use --ncap-compress none", WHAT, ncap_types[type].name);
	if (!error)
		error = outfile_append(mine->file, bytes, n);
	mine->error = error;
	*(error ? &mine->lost : &mine->records) += chunk->records;
	pthread_mutex_unlock(&mine->lock);
	chunk->at = chunk->bytes;
	chunk->records = 0;
	chunk->since_ns = 0;
}

void ncap_writer_chunk(struct ncap_writer *writer, enum ncap_type type, uint64_t ns)
{
	struct ncap_chunk *chunk = &writer->chunks[type];
	uint64_t interval = writer->files->options.rotate_ns;

	ncap_writer_flush(writer, type);
	chunk->first_ns = ns;
	chunk->slot_ns = interval ? ns - ns % interval : 0;
	chunk->slot_end_ns = interval ? chunk->slot_ns + interval : UINT64_MAX;
}

void ncap_writer_tick(struct ncap_writer *writer, uint64_t now_ns)
{
	for (unsigned i = 0; i < NCAP_TYPES; i++) {
		struct ncap_chunk *chunk = &writer->chunks[i];
		if (chunk->records && outfile_is_due(&chunk->since_ns, now_ns))
			ncap_writer_flush(writer, (enum ncap_type)i);
	}
}

void ncap_writer_close(struct ncap_writer *writer)
{
	if (!writer)
		return;
	for (unsigned i = 0; i < NCAP_TYPES; i++) {
		if (!writer->chunks[i].bytes)
			continue;
		ncap_writer_flush(writer, (enum ncap_type)i);
		free(writer->chunks[i].bytes);
	}
	gzip_member_destroy(writer->gzip);
	free(writer->packed);
	free(writer);
}
