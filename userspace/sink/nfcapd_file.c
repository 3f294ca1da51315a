#include "nfcapd_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define IDENT "none" /* nfcapd's own default */

struct nfcapd_file {
	const char *what;
	char *path;
	char *temporary;
	int fd;
	unsigned flags; /* enum nfcapd_file_flags */
	pthread_mutex_t lock;
	struct nfcapd_file_header header;
	struct nfcapd_stat stat;
	uint64_t offset; /* end of the last whole block */
	int error;       /* first one */
};

static void file_free(struct nfcapd_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	pthread_mutex_destroy(&file->lock);
	free(file->path);
	free(file->temporary);
	free(file);
}

static int write_all(int fd, const void *data, size_t bytes, uint64_t offset)
{
	const uint8_t *at = data;

	while (bytes) {
		ssize_t n = pwrite(fd, at, bytes, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
		offset += (size_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* Under the lock, or alone. What is half in the file goes out again. */
static int file_failed(struct nfcapd_file *file, const char *verb, int error)
{
	if (!file->error) {
		log_error("%s: cannot %s \"%s\": %s; free some space, or check the directory", file->what, verb, file->path,
			strerror(-error));
		file->error = error;
	}
	if (ftruncate(file->fd, (off_t)file->offset) < 0)
		log_warning("%s: \"%s\" ends in half a block: %s", file->what, file->temporary, strerror(errno));
	return error;
}

int nfcapd_file_open(const char *what, const char *path, const char *temporary, unsigned flags, enum nfcapd_compression compression,
	uint64_t created_s, struct nfcapd_file **result)
{
	struct nfcapd_file *file = calloc(1, sizeof(*file));
	int error = -ENOMEM;

	if (!file)
		goto fail;
	file->what = what;
	file->flags = flags;
	file->fd = -1;
	pthread_mutex_init(&file->lock, NULL);
	file->path = strdup(path);
	file->temporary = strdup(temporary);
	if (!file->path || !file->temporary)
		goto fail;
	file->fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	error = file->fd < 0 ? -errno : 0;
	if (error)
		goto fail;
	file->header = (struct nfcapd_file_header){
		.magic = NFCAPD_MAGIC,
		.layout = NFCAPD_LAYOUT,
		.version = NFCAPD_VERSION,
		.created = (int64_t)created_s,
		.compression = (uint8_t)compression,
	};
	nfcapd_stat_clear(&file->stat);
	/* Until it is complete the header says that there are no blocks. */
	error = write_all(file->fd, &file->header, sizeof(file->header), 0);
	if (error)
		goto fail;
	file->offset = sizeof(file->header);
	*result = file;
	return 0;
fail:
	log_error("%s: cannot create \"%s\": %s; check the directory and the space in it", what, path, strerror(-error));
	nfcapd_file_abort(file);
	return error;
}

int nfcapd_file_append(struct nfcapd_file *file, struct nfcapd_block *block)
{
	size_t bytes = 0;
	const uint8_t *packed = nfcapd_block_pack(block, &bytes); /* outside of the lock: it takes longest */

	pthread_mutex_lock(&file->lock);
	int error = file->error;
	if (!error)
		error = packed ? write_all(file->fd, packed, bytes, file->offset) : -EIO;
	if (!error) {
		file->offset += bytes;
		file->header.blocks++;
		nfcapd_stat_add(&file->stat, &block->stat);
	} else if (!file->error) {
		file_failed(file, "write to", error);
	}
	pthread_mutex_unlock(&file->lock);
	nfcapd_block_clear(block);
	return error;
}

/* --- the end --------------------------------------------------------------------------------------------------------- */

struct appendix {
	struct nfcapd_record_header ident_header;
	char ident[sizeof(IDENT)];
	struct nfcapd_record_header stat_header;
	struct nfcapd_stat stat;
} __attribute__((packed));

static int file_finish(struct nfcapd_file *file, const uint64_t slot_ms[2])
{
	uint8_t packed[2 * sizeof(struct appendix) + 600];
	struct nfcapd_block_header *header = (struct nfcapd_block_header *)packed;
	struct appendix appendix = {
		.ident_header = { NFCAPD_RECORD_IDENT, sizeof(appendix.ident_header) + sizeof(IDENT) },
		.ident = IDENT,
		.stat_header = { NFCAPD_RECORD_STAT, sizeof(appendix.stat_header) + sizeof(appendix.stat) },
	};

	if (!file->stat.flows) {
		file->stat.first_ms = slot_ms[0];
		file->stat.last_ms = slot_ms[1];
	}
	appendix.stat = file->stat;
	if (!file->header.created)
		file->header.created = (int64_t)(file->stat.first_ms / 1000);
	long size = nfcapd_compress(file->header.compression, (const uint8_t *)&appendix, sizeof(appendix),
		packed + sizeof(*header), sizeof(packed) - sizeof(*header));
	if (size < 0)
		return (int)size;
	*header = (struct nfcapd_block_header){ .records = 2, .size = (uint32_t)size, .type = NFCAPD_BLOCK_FLOWS };
	int error = write_all(file->fd, packed, sizeof(*header) + (size_t)size, file->offset);
	if (error)
		return error;
	file->header.appendix_blocks = 1;
	file->header.appendix_offset = (int64_t)file->offset;
	file->offset += sizeof(*header) + (size_t)size;
	return write_all(file->fd, &file->header, sizeof(file->header), 0);
}

/* The blocks of a file from before, in front of ours. What is no such file is left alone: -EEXIST. */
static int file_take_old(struct nfcapd_file *file, int old)
{
	struct nfcapd_file_header header;
	struct nfcapd_block_header block;
	struct appendix appendix;
	uint8_t packed[2 * sizeof(struct appendix) + 600];

	if (pread(old, &header, sizeof(header), 0) != sizeof(header) || header.magic != NFCAPD_MAGIC ||
		header.layout != NFCAPD_LAYOUT || header.compression != file->header.compression || header.encryption ||
		header.appendix_blocks != 1 || header.appendix_offset < (int64_t)sizeof(header))
		return -EEXIST;
	uint64_t data_bytes = (uint64_t)header.appendix_offset - sizeof(header);
	if (pread(old, &block, sizeof(block), header.appendix_offset) != sizeof(block) || block.size > sizeof(packed) ||
		pread(old, packed, block.size, header.appendix_offset + (off_t)sizeof(block)) != (ssize_t)block.size)
		return -EEXIST;
	if (nfcapd_decompress(header.compression, packed, block.size, (uint8_t *)&appendix, sizeof(appendix)) != sizeof(appendix) ||
		appendix.stat_header.type != NFCAPD_RECORD_STAT)
		return -EEXIST;
	/* Blocks have no order: theirs go behind ours. */
	for (uint64_t done = 0; done < data_bytes;) {
		uint8_t copy[65536];
		uint64_t left = data_bytes - done;
		ssize_t n = pread(old, copy, left < sizeof(copy) ? left : sizeof(copy), (off_t)(sizeof(header) + done));
		if (n <= 0)
			return -EEXIST;
		int error = write_all(file->fd, copy, (size_t)n, file->offset + done);
		if (error)
			return error;
		done += (uint64_t)n;
	}
	file->offset += data_bytes;
	file->header.blocks += header.blocks;
	const struct nfcapd_stat stat = appendix.stat;
	if (stat.flows)
		nfcapd_stat_add(&file->stat, &stat);
	return 0;
}

static int file_join_old(struct nfcapd_file *file)
{
	int old = open(file->path, O_RDONLY | O_CLOEXEC), error = 0;

	if (old >= 0) {
		error = file_take_old(file, old);
		close(old);
	}
	return error;
}

/* 0, or a negative errno, logged. */
static int file_publish(struct nfcapd_file *file, const uint64_t slot_ms[2])
{
	int error = file->error;

	if (error)
		return error;
	if (file->flags & NFCAPD_FILE_JOIN) {
		error = file_join_old(file);
		if (error) {
			log_error("%s: \"%s\" is there already, and cannot be joined with what was written: %s", file->what,
				file->path, strerror(-error));
			return error;
		}
	}
	error = file_finish(file, slot_ms);
	if (error)
		return file_failed(file, "finish", error);
	if (close(file->fd) < 0)
		error = -errno;
	file->fd = -1;
	if (!error && rename(file->temporary, file->path) < 0)
		error = -errno;
	if (error)
		log_error("%s: cannot finish \"%s\": %s", file->what, file->path, strerror(-error));
	return error;
}

/* Whole blocks, no appendix: nfdump reads that. */
static void file_salvage(struct nfcapd_file *file)
{
	if (file->fd >= 0) {
		file->header.appendix_blocks = 0;
		file->header.appendix_offset = 0;
		(void)!write_all(file->fd, &file->header, sizeof(file->header), 0);
	}
	log_warning("%s: what was written is in \"%s\"", file->what, file->temporary);
}

int nfcapd_file_commit(struct nfcapd_file *file, const uint64_t slot_ms[2], uint64_t *bytes)
{
	int error = file_publish(file, slot_ms);

	*bytes = file->offset;
	if (error && file->flags & NFCAPD_FILE_SALVAGE)
		file_salvage(file);
	else if (error)
		unlink(file->temporary);
	file_free(file);
	return error;
}

void nfcapd_file_abort(struct nfcapd_file *file)
{
	if (!file)
		return;
	if (file->fd >= 0)
		unlink(file->temporary);
	file_free(file);
}
