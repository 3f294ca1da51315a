#include "writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "binary_dir.h"
#include "log.h"
#include "nfcapd_file.h"
#include "outfile.h"
#include "way_row.h"

#define WHAT "convert"

struct writer {
	enum record_format format;
	const char *path;
	bool replace;
	uint64_t records;

	/* text */
	struct outfile *text;
	char *at;
	char *chunk; /* OUTFILE_CHUNK */

	/* binary */
	struct binary_dir *directory;
	struct columns columns;

	/* nfcapd */
	struct nfcapd_file *file;
	struct nfcapd_block block;
};

static void writer_free(struct writer *writer)
{
	free(writer->chunk);
	columns_free(&writer->columns);
	nfcapd_block_free(&writer->block);
	free(writer);
}

static int nfcapd_open(struct writer *writer, enum nfcapd_compression compression)
{
	char temporary[4096];
	int error = nfcapd_block_init(&writer->block, NFCAPD_BLOCK_BYTES, compression);

	if (error) {
		log_error("%s: no memory", WHAT);
		return error;
	}
	if (snprintf(temporary, sizeof(temporary), "%s.part", writer->path) >= (int)sizeof(temporary)) {
		log_error("%s: the name of the output is too long", WHAT);
		return -ENAMETOOLONG;
	}
	return nfcapd_file_open(WHAT, writer->path, temporary, 0, compression, 0, &writer->file);
}

int writer_open(
	const char *path, enum record_format format, enum nfcapd_compression compression, bool replace, struct writer **result)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	int error = -ENOMEM;

	if (!writer) {
		log_error("%s: no memory", WHAT);
		return error;
	}
	writer->format = format;
	writer->path = path;
	writer->replace = replace;
	if (format == FORMAT_NFCAPD) {
		error = nfcapd_open(writer, compression);
	} else if (format == FORMAT_BINARY) {
		error = columns_init(&writer->columns);
		if (error)
			log_error("%s: no memory", WHAT);
		else
			error = binary_dir_open(WHAT, path, &writer->directory);
	} else {
		writer->chunk = writer->at = malloc(OUTFILE_CHUNK);
		if (writer->chunk)
			error = outfile_open(WHAT, path, OUTFILE_PART, &writer->text);
		else
			log_error("%s: no memory", WHAT);
	}
	if (error)
		writer_free(writer);
	else
		*result = writer;
	return error;
}

static int text_flush(struct writer *writer)
{
	size_t bytes = (size_t)(writer->at - writer->chunk);

	writer->at = writer->chunk;
	return bytes ? outfile_append(writer->text, writer->chunk, bytes) : 0;
}

/* A number that its column cannot hold would come back as another: better none. */
static int columns_put(struct writer *writer, const struct way_row *row)
{
	uint64_t clamped = writer->columns.clamped;
	int error = writer->columns.rows == COLUMN_ROWS ? binary_dir_append(writer->directory, &writer->columns) : 0;

	if (error)
		return error;
	columns_add(&writer->columns, row);
	if (writer->columns.clamped == clamped)
		return 0;
	log_error("%s: record %" PRIu64
		  " has a number that the columns of the binary format cannot hold (interfaces: 65535, seconds: 2^32)",
		WHAT, writer->records + 1);
	return -ERANGE;
}

/* nfcapd has addresses of 32 bits and of 128: what is neither would come back as another record. */
static int nfcapd_put(struct writer *writer, const struct record *record)
{
	const struct way_row *row = &record->row;
	bool words = row->sa[0] || row->sa[1] || row->sa[2] || row->da[0] || row->da[1] || row->da[2];
	int error = 0;

	if (row->af != WAY_AF_IPV6 && (words || (row->af && row->af != WAY_AF_IPV4))) {
		log_error("%s: record %" PRIu64
			  " has addresses that nfcapd cannot hold (af %u%s; 2, with 32 bits, and 10 are known)",
			WHAT, writer->records + 1, row->af, words ? " with more than 32 bits" : "");
		return -ERANGE;
	}
	if (nfcapd_block_full(&writer->block))
		error = nfcapd_file_append(writer->file, &writer->block);
	if (!error)
		nfcapd_block_add(&writer->block, row, &record->extra);
	return error;
}

int writer_put(struct writer *writer, const struct record *record)
{
	int error = 0;

	switch (writer->format) {
	case FORMAT_CSV_FLOW:
		writer->at = csv_flow_line(writer->at, &record->row);
		break;
	case FORMAT_PIPE:
		writer->at = pipe_line(writer->at, &record->row);
		break;
	case FORMAT_BINARY:
		error = columns_put(writer, &record->row);
		break;
	default:
		error = nfcapd_put(writer, record);
		break;
	}
	if (writer->text && writer->at > writer->chunk + OUTFILE_CHUNK - WAY_LINE_MAX)
		error = text_flush(writer);
	writer->records++;
	return error;
}

static int writer_flush(struct writer *writer)
{
	if (writer->text)
		return text_flush(writer);
	if (writer->directory)
		return writer->columns.rows ? binary_dir_append(writer->directory, &writer->columns) : 0;
	return writer->block.records ? nfcapd_file_append(writer->file, &writer->block) : 0;
}

int writer_commit(struct writer *writer)
{
	static const uint64_t no_slot_ms[2] = { 0, 0 };
	uint64_t bytes;
	int error = writer_flush(writer);

	if (error) {
		writer_abort(writer);
		return error;
	}
	if (writer->text)
		error = outfile_commit(writer->text, NULL, 0);
	else if (writer->directory)
		error = binary_dir_commit(writer->directory, writer->replace, true, &bytes);
	else
		error = nfcapd_file_commit(writer->file, no_slot_ms, &bytes);
	writer_free(writer);
	return error;
}

void writer_abort(struct writer *writer)
{
	if (!writer)
		return;
	outfile_abort(writer->text);
	binary_dir_abort(writer->directory);
	nfcapd_file_abort(writer->file);
	writer_free(writer);
}
