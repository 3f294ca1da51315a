/*
 * libFuzzer target: any bytes as a csv_flow or pipe file. What must hold: no sanitizer report, and an end; what was read, written
 * again as its format's lines, is read as the same records.
 *
 *   input: what(1): bit 0 pipe, not csv_flow; bit 1 numbers: then the file, or its numbers, each: shift(1) value(1)
 */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_log.h"
#include "reader.h"
#include "way_row.h"

#define RECORDS_MAX 64
#define LINES_BYTES ((size_t)RECORDS_MAX * WAY_LINE_MAX)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Up to RECORDS_MAX records of the bytes; those behind are read, too. *clean: the file was good. */
static unsigned read_bytes(enum record_format format, const void *data, size_t size, struct record *records, bool *clean)
{
	struct record rest[RECORDS_MAX];
	struct reader *reader;
	char path[64];
	int fd = memfd_create("input", MFD_CLOEXEC), n = 0, more = 1;

	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	require(reader_open(path, format, &reader) == 0);
	while (n < RECORDS_MAX && (more = reader->ops->next(reader, records + n, (unsigned)(RECORDS_MAX - n))) > 0)
		n += more;
	while (more > 0)
		more = reader->ops->next(reader, rest, RECORDS_MAX);
	reader->ops->close(reader);
	close(fd);
	*clean = more == 0;
	return (unsigned)n;
}

/* Lines of the right number of numbers. Their length. */
static size_t numbers_print(enum record_format format, const uint8_t *data, size_t size, char *text, size_t max)
{
	unsigned fields = format == FORMAT_PIPE ? 22 : WAY_FIELDS, field = 0;
	size_t at = 0;

	for (; size >= 2 && at + 32 < max; data += 2, size -= 2) {
		field = field % fields + 1;
		at += (size_t)snprintf(text + at, max - at, "%llu%s", (unsigned long long)data[1] << data[0] % 57,
			field == fields         ? "\n"
			: format == FORMAT_PIPE ? "|"
						: ", ");
	}
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char lines[LINES_BYTES];
	struct record records[RECORDS_MAX], again[RECORDS_MAX];
	bool clean;
	char *at = lines;

	if (!size)
		return 0;
	enum record_format format = data[0] & 1 ? FORMAT_PIPE : FORMAT_CSV_FLOW;
	if (data[0] & 2) {
		size = numbers_print(format, data + 1, size - 1, lines, sizeof(lines));
		data = (const uint8_t *)lines;
	} else {
		data++;
		size--;
	}
	unsigned n = read_bytes(format, data, size, records, &clean);
	for (unsigned i = 0; i < n; i++)
		at = format == FORMAT_PIPE ? pipe_line(at, &records[i].row) : csv_flow_line(at, &records[i].row);
	require(at <= lines + sizeof(lines));
	require(read_bytes(format, lines, (size_t)(at - lines), again, &clean) == n && clean);
	require(!n || !memcmp(records, again, n * sizeof(records[0])));
	return 0;
}
