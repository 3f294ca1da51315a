/* flow-models' binary format: a directory of columns, NAME.CODE. A missing column is zero, as the reference takes it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "log.h"
#include "reader.h"

#define ROWS 4096 /* read at a time */

struct column {
	int fd; /* -1: there is none */
	char code;
	unsigned width;
	char name[16]; /* "first.I" */
	uint8_t values[ROWS * 8];
};

struct binary_reader {
	struct reader base;
	uint64_t rows; /* in each column */
	uint64_t row;  /* of the first value in the buffers */
	unsigned filled, used;
	struct column column[WAY_FIELDS];
};

/* Python's type codes; l and L have 8 bytes there. 0: none of them. */
static unsigned code_width(char code)
{
	switch (code) {
	case 'b':
	case 'B':
		return 1;
	case 'h':
	case 'H':
		return 2;
	case 'i':
	case 'I':
		return 4;
	case 'l':
	case 'L':
	case 'q':
	case 'Q':
		return 8;
	default:
		return 0;
	}
}

static bool code_signed(char code)
{
	return code >= 'a';
}

/* --- open ------------------------------------------------------------------------------------------------------------ */

static int column_open(struct binary_reader *reader, unsigned i, const char *name)
{
	struct column *column = &reader->column[i];
	const char *code = strchr(name, '.') + 1;
	char path[4096];
	struct stat st;

	if (column->fd >= 0) {
		log_error("convert: %s has both %s and %s; remove one", reader->base.path, column->name, name);
		return -EINVAL;
	}
	column->code = *code;
	column->width = code[0] && !code[1] ? code_width(*code) : 0;
	if (!column->width) {
		log_error("convert: %s/%s: the type code \"%s\" is no whole number's; b, h, i, l, q and their capitals are",
			reader->base.path, name, code);
		return -EINVAL;
	}
	snprintf(column->name, sizeof(column->name), "%s", name);
	snprintf(path, sizeof(path), "%s/%s", reader->base.path, name);
	column->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (column->fd < 0 || fstat(column->fd, &st) < 0) {
		log_error("convert: cannot read \"%s\": %s", path, strerror(errno));
		return -errno;
	}
	if (st.st_size % column->width) {
		log_error("convert: %s: %jd bytes, which is no whole number of %u-byte values; it is cut off", path,
			(intmax_t)st.st_size, column->width);
		return -EINVAL;
	}
	reader->base.bytes_total += (uint64_t)st.st_size;
	return 0;
}

static int field_of(const char *name)
{
	for (unsigned i = 0; i < WAY_FIELDS; i++) {
		size_t length = strlen(way_fields[i].name);
		if (!strncmp(name, way_fields[i].name, length) && name[length] == '.')
			return (int)i;
	}
	return -1;
}

bool binary_reader_knows(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	bool found = false;

	if (!directory)
		return false;
	while (!found && (entry = readdir(directory)))
		found = field_of(entry->d_name) >= 0;
	closedir(directory);
	return found;
}

static int columns_open(struct binary_reader *reader)
{
	DIR *directory = opendir(reader->base.path);
	struct dirent *entry;
	int error = 0;

	if (!directory) {
		log_error("convert: cannot read the directory \"%s\": %s", reader->base.path, strerror(errno));
		return -errno;
	}
	while (!error && (entry = readdir(directory))) {
		int field = field_of(entry->d_name);
		if (field >= 0)
			error = column_open(reader, (unsigned)field, entry->d_name);
	}
	closedir(directory);
	return error;
}

/* All columns have as many values as the first. */
static int columns_check(struct binary_reader *reader)
{
	const struct column *first = NULL;
	unsigned missing = 0;

	for (unsigned i = 0; i < WAY_FIELDS; i++) {
		struct column *column = &reader->column[i];
		if (column->fd < 0) {
			missing++;
			continue;
		}
		uint64_t rows = (uint64_t)lseek(column->fd, 0, SEEK_END) / column->width;
		lseek(column->fd, 0, SEEK_SET);
		if (!first) {
			first = column;
			reader->rows = rows;
		} else if (rows != reader->rows) {
			log_error("convert: %s: %s has %" PRIu64 " values, and %s has %" PRIu64 "; columns must be of one length",
				reader->base.path, first->name, reader->rows, column->name, rows);
			return -EINVAL;
		}
	}
	if (!first) {
		log_error("convert: %s holds no column of flows (af.B, prot.B, sa3.I ...); name a directory of flow-models' binary "
			  "format",
			reader->base.path);
		return -EINVAL;
	}
	if (missing)
		log_warning("convert: %s lacks %u of the %u columns; they are taken as 0", reader->base.path, missing, WAY_FIELDS);
	return 0;
}

/* --- read ------------------------------------------------------------------------------------------------------------ */

static int column_fill(struct binary_reader *reader, struct column *column, unsigned rows)
{
	size_t bytes = (size_t)rows * column->width, done = 0;

	while (done < bytes) {
		ssize_t n = read(column->fd, column->values + done, bytes - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log_error("convert: %s/%s, offset %" PRIu64 ": %s", reader->base.path, column->name,
				reader->row * column->width + done, n < 0 ? strerror(errno) : "the file has become shorter");
			return n < 0 ? -errno : -EIO;
		}
		done += (size_t)n;
	}
	reader->base.bytes_done += bytes;
	return 0;
}

static int binary_fill(struct binary_reader *reader)
{
	uint64_t left = reader->rows - (reader->row + reader->filled);

	reader->row += reader->filled;
	reader->filled = left < ROWS ? (unsigned)left : ROWS;
	reader->used = 0;
	for (unsigned i = 0; i < WAY_FIELDS; i++) {
		int error = reader->column[i].fd < 0 ? 0 : column_fill(reader, &reader->column[i], reader->filled);
		if (error)
			return error;
	}
	return 0;
}

static int value_fail(const struct binary_reader *reader, const struct column *column, const char *reason)
{
	log_error("convert: %s/%s, offset %" PRIu64 ": %s", reader->base.path, column->name,
		(reader->row + reader->used) * column->width, reason);
	return -EINVAL;
}

/* memcpy of a length that is not known beforehand would be a call for each value. */
static uint64_t value_load(const uint8_t *at, unsigned width)
{
	switch (width) {
	case 1:
		return *at;
	case 2:
		return load_le16(at);
	case 4:
		return load_le32(at);
	default:
		return load_le64(at);
	}
}

static void value_store(void *at, unsigned size, uint64_t value)
{
	switch (size) {
	case 1:
		*(uint8_t *)at = (uint8_t)value;
		return;
	case 2:
		*(uint16_t *)at = (uint16_t)value;
		return;
	case 4:
		*(uint32_t *)at = (uint32_t)value;
		return;
	default:
		*(uint64_t *)at = value;
	}
}

static int binary_record(struct binary_reader *reader, struct record *record)
{
	memset(record, 0, sizeof(*record));
	for (unsigned i = 0; i < WAY_FIELDS; i++) {
		const struct column *column = &reader->column[i];
		const struct way_field *field = &way_fields[i];
		if (column->fd < 0)
			continue;
		uint64_t value = value_load(column->values + (size_t)reader->used * column->width, column->width);
		if (code_signed(column->code) && value >> (8 * column->width - 1))
			return value_fail(reader, column, "a negative number");
		if (field->size < 8 && value >> (8 * field->size))
			return value_fail(reader, column, "the number is too large for this field");
		value_store((uint8_t *)&record->row + field->offset, field->size, value);
	}
	if (record->row.first_ms > 999 || record->row.last_ms > 999)
		return value_fail(reader, &reader->column[record->row.first_ms > 999 ? 15 : 17], "more than 999 milliseconds");
	record->extra.received_ms = record->row.last * 1000 + record->row.last_ms;
	reader->used++;
	return 0;
}

static int binary_next(struct reader *base, struct record *records, unsigned n)
{
	struct binary_reader *reader = (struct binary_reader *)base;
	unsigned got = 0;

	while (got < n) {
		if (reader->used == reader->filled) {
			int error = binary_fill(reader);
			if (error)
				return error;
			if (!reader->filled)
				break;
		}
		int error = binary_record(reader, &records[got]);
		if (error)
			return error;
		got++;
	}
	return (int)got;
}

static void binary_close(struct reader *base)
{
	struct binary_reader *reader = (struct binary_reader *)base;

	for (unsigned i = 0; i < WAY_FIELDS; i++) {
		if (reader->column[i].fd >= 0)
			close(reader->column[i].fd);
	}
	free(reader);
}

static const struct reader_ops binary_ops = { binary_next, binary_close };

int binary_reader_open(const char *path, struct reader **result)
{
	struct binary_reader *reader = calloc(1, sizeof(*reader));

	if (!reader) {
		log_error("convert: no memory");
		return -ENOMEM;
	}
	reader->base = (struct reader){ .ops = &binary_ops, .path = path };
	for (unsigned i = 0; i < WAY_FIELDS; i++)
		reader->column[i].fd = -1;
	int error = columns_open(reader);
	if (!error)
		error = columns_check(reader);
	if (error)
		binary_close(&reader->base);
	else
		*result = &reader->base;
	return error;
}
