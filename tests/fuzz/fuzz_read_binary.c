/*
 * libFuzzer target: any directory of columns. What must hold: no sanitizer report, and an end; every record has what its columns hold.
 *
 *   input: columns, each: field(1) type code(1) bytes(1) and so many bytes
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz_log.h"
#include "reader.h"
#include "way_row.h"

#define COLUMNS_MAX 24
#define RECORDS_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char codes[] = "bBhHiIlLqQfdx";

/* Makes a file. Returns how many bytes of the input it took. */
static size_t column_make(const char *directory, const uint8_t *data, size_t size, char *path, size_t path_size)
{
	size_t bytes = data[2] < size - 3 ? data[2] : size - 3;

	snprintf(path, path_size, "%s/%s.%c", directory, way_fields[data[0] % WAY_FIELDS].name,
		codes[data[1] % (sizeof(codes) - 1)]);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require(fd >= 0 && write(fd, data + 3, bytes) == (ssize_t)bytes);
	close(fd);
	return bytes + 3;
}

static void read_directory(const char *directory)
{
	struct record records[RECORDS_MAX];
	struct reader *reader;
	unsigned total = 0;
	int n;

	if (binary_reader_open(directory, &reader))
		return;
	while ((n = reader->ops->next(reader, records, 7)) > 0) {
		total += (unsigned)n;
		require(n <= 7 && total <= RECORDS_MAX);
		for (int i = 0; i < n; i++)
			require(records[i].row.first_ms <= 999 && records[i].row.last_ms <= 999);
	}
	require(n || reader->bytes_done == reader->bytes_total);
	reader->ops->close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char directory[] = "/dev/shm/flowlane-fuzz-XXXXXX", paths[COLUMNS_MAX][128];
	unsigned n = 0;

	require(mkdtemp(directory) != NULL);
	while (size > 3 && n < COLUMNS_MAX) {
		size_t taken = column_make(directory, data, size, paths[n], sizeof(paths[0]));
		data += taken;
		size -= taken;
		n++;
	}
	read_directory(directory);
	while (n)
		unlink(paths[--n]);
	require(rmdir(directory) == 0);
	return 0;
}
