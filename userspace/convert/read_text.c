/* csv_flow and pipe: a line per record, a fixed number of unsigned decimal numbers. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "reader.h"

#define BUFFER_BYTES ((size_t)1 << 20)
#define LINE_BYTES   4096 /* 22 numbers take 300 */

#define PIPE_FIELDS     22
#define PIPE_FIELDS_OLD 24
#define NUMBERS_MAX     32

struct text_reader {
	struct reader base;
	enum record_format format;
	int fd;
	bool ended;     /* all of the file is in the buffer */
	uint64_t line;  /* number of the one at hand */
	char *at, *end; /* not yet read */
	char buffer[BUFFER_BYTES + 1];
};

static int text_fail(struct text_reader *reader, const char *reason)
{
	log_error("convert: %s, line %" PRIu64 ": %s", reader->base.path, reader->line, reason);
	return -EINVAL;
}

/* Moves what is left to the front, and reads on. 0, or a negative errno, logged. */
static int text_fill(struct text_reader *reader)
{
	size_t left = (size_t)(reader->end - reader->at);

	memmove(reader->buffer, reader->at, left);
	reader->at = reader->buffer;
	reader->end = reader->buffer + left;
	while (!reader->ended && reader->end < reader->buffer + BUFFER_BYTES) {
		ssize_t n = read(reader->fd, reader->end, (size_t)(reader->buffer + BUFFER_BYTES - reader->end));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			log_error("convert: cannot read \"%s\": %s", reader->base.path, strerror(errno));
			return -errno;
		}
		reader->ended = n == 0;
		reader->end += n;
		reader->base.bytes_done += (uint64_t)n;
	}
	return 0;
}

/* The next line, its end as *stop (where a newline or the end of the file is). 1, 0 at the end, or a negative errno, logged. */
static int text_line(struct text_reader *reader, char **start, char **stop)
{
	char *newline = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));

	if (!newline && !reader->ended) {
		int error = text_fill(reader);
		if (error)
			return error;
		newline = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
	}
	if (reader->at == reader->end)
		return 0;
	reader->line++;
	if (!newline)
		log_warning("convert: %s, line %" PRIu64
			    ": no newline at its end; if the file was cut off there, its last field is wrong",
			reader->base.path, reader->line);
	*start = reader->at;
	*stop = newline ? newline : reader->end;
	reader->at = newline ? newline + 1 : reader->end;
	if (*stop - *start > LINE_BYTES)
		return text_fail(reader, "the line is longer than any record");
	**stop = '\0'; /* the buffer has one byte more */
	return 1;
}

/* --- numbers --------------------------------------------------------------------------------------------------------- */

static char *skip_blanks(char *at)
{
	while (*at == ' ' || *at == '\t' || *at == '\r')
		at++;
	return at;
}

/* The number at *at, which goes behind it. False: none, or one that 64 bits cannot hold; *at is at its first digit then. */
static inline bool number_take(char **at, uint64_t *number)
{
	char *digits = *at, *end = digits;
	uint64_t value = 0;
	bool overflow = false;
	unsigned digit;

	for (; (digit = (unsigned)(*end - '0')) <= 9; end++)
		value = value * 10 + digit;
	if (end - digits > 19) { /* 19 digits always fit */
		value = 0;
		for (char *c = digits; c < end; c++)
			overflow |= __builtin_mul_overflow(value, 10, &value) ||
				    __builtin_add_overflow(value, (uint64_t)(*c - '0'), &value);
	}
	*number = value;
	*at = overflow ? digits : end;
	return end > digits && !overflow;
}

static int number_fail(struct text_reader *reader, unsigned n, const char *at, char separator)
{
	size_t length = strcspn(at, (char[]){ separator, '\0' }), digits = strspn(at, "0123456789");
	char reason[160], shown[41] = "";

	for (unsigned i = 0; i < length && i < sizeof(shown) - 1; i++)
		shown[i] = at[i] >= ' ' && at[i] <= '~' ? at[i] : '?'; /* for a terminal */
	snprintf(reason, sizeof(reason), "field %u is \"%s\", and must be a whole number%s", n + 1, shown,
		digits > 19 && digits == length ? " below 2^64" : "");
	return text_fail(reader, reason);
}

/* Splits the line into numbers. Their count, or a negative errno, logged. */
static int text_numbers(struct text_reader *reader, char *at, char separator, uint64_t numbers[NUMBERS_MAX])
{
	for (unsigned n = 0;; n++, at++) {
		uint64_t value;
		char *start = at = skip_blanks(at);
		bool good = number_take(&at, &value);
		at = skip_blanks(at);
		if (!good || (*at && *at != separator))
			return number_fail(reader, n, start, separator);
		if (n < NUMBERS_MAX)
			numbers[n] = value;
		if (!*at)
			return (int)n + 1;
	}
}

static int text_out_of_range(struct text_reader *reader, unsigned field, const char *name, uint64_t value, uint64_t max)
{
	char reason[160];

	snprintf(
		reason, sizeof(reason), "field %u, %s, is %" PRIu64 "; it must not be above %" PRIu64, field + 1, name, value, max);
	return text_fail(reader, reason);
}

static int text_wrong_count(struct text_reader *reader, int count, int wanted)
{
	char reason[200];
	const char *hint = "";

	if (wanted == PIPE_FIELDS && count == PIPE_FIELDS_OLD)
		hint = "; nfdump 1.6 writes 24: use nfdump 1.7.0 to 1.7.4";
	snprintf(reason, sizeof(reason), "%d fields, but %s has %d%s", count, format_name(reader->format), wanted, hint);
	return text_fail(reader, reason);
}

/* --- records --------------------------------------------------------------------------------------------------------- */

static int csv_flow_out_of_range(struct text_reader *reader, const uint64_t *numbers)
{
	unsigned i = 0;

	while (numbers[i] <= UINT64_MAX >> (64 - 8 * way_fields[i].size))
		i++;
	return text_out_of_range(reader, i, way_fields[i].name, numbers[i], UINT64_MAX >> (64 - 8 * way_fields[i].size));
}

static int csv_flow_take(struct text_reader *reader, const uint64_t *numbers, struct way_row *row)
{
	const uint64_t *number = numbers;
	bool fits = true;

#define FIELD(name, type, member)                                                                                                  \
	row->member = (__typeof__(row->member))*number;                                                                            \
	fits &= row->member == *number++;
	WAY_FIELD_LIST(FIELD)
#undef FIELD
	if (!fits)
		return csv_flow_out_of_range(reader, numbers);
	if (row->first_ms > 999)
		return text_out_of_range(reader, 15, "first_ms", row->first_ms, 999);
	if (row->last_ms > 999)
		return text_out_of_range(reader, 17, "last_ms", row->last_ms, 999);
	return 0;
}

static int pipe_take(struct text_reader *reader, const uint64_t *numbers, struct way_row *row)
{
	static const struct {
		const char *name;
		uint64_t max;
	} limits[PIPE_FIELDS] = { { "af", UINT8_MAX }, { "first", UINT64_MAX }, { "last", UINT64_MAX }, { "prot", UINT8_MAX },
		{ "sa0", UINT32_MAX }, { "sa1", UINT32_MAX }, { "sa2", UINT32_MAX }, { "sa3", UINT32_MAX }, { "sp", UINT16_MAX },
		{ "da0", UINT32_MAX }, { "da1", UINT32_MAX }, { "da2", UINT32_MAX }, { "da3", UINT32_MAX }, { "dp", UINT16_MAX },
		{ "source AS", UINT32_MAX }, { "destination AS", UINT32_MAX }, { "input", UINT32_MAX }, { "output", UINT32_MAX },
		{ "TCP flags", UINT8_MAX }, { "tos", UINT8_MAX }, { "packets", UINT64_MAX }, { "octets", UINT64_MAX } };

	for (unsigned i = 0; i < PIPE_FIELDS; i++) {
		if (numbers[i] > limits[i].max)
			return text_out_of_range(reader, i, limits[i].name, numbers[i], limits[i].max);
	}
	*row = (struct way_row){
		.af = (uint8_t)numbers[0],
		.first = numbers[1] / 1000,
		.first_ms = (uint16_t)(numbers[1] % 1000),
		.last = numbers[2] / 1000,
		.last_ms = (uint16_t)(numbers[2] % 1000),
		.prot = (uint8_t)numbers[3],
		.sp = (uint16_t)numbers[8],
		.dp = (uint16_t)numbers[13],
		.src_as = (uint32_t)numbers[14],
		.dst_as = (uint32_t)numbers[15],
		.inif = (uint32_t)numbers[16],
		.outif = (uint32_t)numbers[17],
		.tcp_flags = (uint8_t)numbers[18],
		.tos = (uint8_t)numbers[19],
		.packets = numbers[20],
		.octets = numbers[21],
	};
	for (unsigned i = 0; i < 4; i++) {
		row->sa[i] = (uint32_t)numbers[4 + i];
		row->da[i] = (uint32_t)numbers[9 + i];
	}
	return 0;
}

/* A header line begins with a letter; say so. */
static int text_check_line(struct text_reader *reader, const char *line)
{
	if (!*line)
		return text_fail(reader, "the line is empty; remove it");
	if ((*line >= 'a' && *line <= 'z') || (*line >= 'A' && *line <= 'Z') || *line == '#')
		return text_fail(reader, reader->line == 1 ? "a header line, which this format has not; remove it"
							   : "a line of text, not of numbers; remove it");
	return 0;
}

static int text_record(struct text_reader *reader, struct record *record)
{
	bool pipe = reader->format == FORMAT_PIPE;
	int wanted = pipe ? PIPE_FIELDS : WAY_FIELDS;
	uint64_t numbers[NUMBERS_MAX];
	char *line, *stop;
	int error = text_line(reader, &line, &stop);

	if (error <= 0)
		return error;
	error = text_check_line(reader, skip_blanks(line));
	if (error)
		return error;
	if (strlen(line) != (size_t)(stop - line))
		return text_fail(reader, "a zero byte in the line; is it text?");
	int count = text_numbers(reader, line, pipe ? '|' : ',', numbers);
	if (count < 0)
		return count;
	if (count != wanted)
		return text_wrong_count(reader, count, wanted);
	memset(record, 0, sizeof(*record));
	error = pipe ? pipe_take(reader, numbers, &record->row) : csv_flow_take(reader, numbers, &record->row);
	if (error)
		return error;
	record->extra.received_ms = record->row.last * 1000 + record->row.last_ms;
	return 1;
}

static int text_next(struct reader *base, struct record *records, unsigned n)
{
	struct text_reader *reader = (struct text_reader *)base;
	unsigned got = 0;
	int more = 1;

	while (got < n && more > 0) {
		more = text_record(reader, &records[got]);
		got += more > 0;
	}
	return more < 0 ? more : (int)got;
}

static void text_close(struct reader *base)
{
	struct text_reader *reader = (struct text_reader *)base;

	if (reader->fd > STDERR_FILENO)
		close(reader->fd);
	free(reader);
}

static const struct reader_ops text_ops = { text_next, text_close };

int text_reader_open(const char *path, enum record_format format, struct reader **result)
{
	struct text_reader *reader = malloc(sizeof(*reader));
	bool standard = !strcmp(path, "-");
	struct stat st;

	if (!reader) {
		log_error("convert: no memory");
		return -ENOMEM;
	}
	memset(reader, 0, offsetof(struct text_reader, buffer));
	reader->base = (struct reader){ .ops = &text_ops, .path = standard ? "standard input" : path };
	reader->format = format;
	reader->at = reader->end = reader->buffer;
	reader->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (reader->fd < 0 || fstat(reader->fd, &st) < 0) {
		int error = -errno;
		log_error("convert: cannot read \"%s\": %s", path, strerror(-error));
		text_close(&reader->base);
		return error;
	}
	if (S_ISREG(st.st_mode))
		reader->base.bytes_total = (uint64_t)st.st_size;
	*result = &reader->base;
	return 0;
}
