#include "table_text.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MEASURED 1000
#define WIDTH_MAX     40 /* characters of a cell in columns; of a longer one the beginning and "..." */

struct table_text {
	FILE *out;
	unsigned columns;
	unsigned column; /* of the cell to come */
	bool csv;
	bool measured;
	unsigned rows; /* that wait */
	unsigned *widths;
	char **cells; /* ROWS_MEASURED * columns */
};

struct table_text *table_text_create(FILE *out, unsigned columns, bool csv)
{
	struct table_text *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->out = out;
	table->columns = columns;
	table->csv = csv;
	table->widths = calloc(columns + 1, sizeof(*table->widths));
	table->cells = csv ? NULL : calloc((size_t)ROWS_MEASURED * columns + 1, sizeof(*table->cells));
	if (!table->widths || (!csv && !table->cells)) {
		table_text_finish(table);
		return NULL;
	}
	return table;
}

/* RFC 4180: quotes where there is a comma, a quote or a line end. */
static void csv_cell(struct table_text *table, const char *text, size_t bytes)
{
	bool quoted =
		memchr(text, ',', bytes) || memchr(text, '"', bytes) || memchr(text, '\n', bytes) || memchr(text, '\r', bytes);

	if (quoted)
		putc('"', table->out);
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '"')
			putc('"', table->out);
		putc(text[i], table->out);
	}
	if (quoted)
		putc('"', table->out);
	putc(table->column + 1 == table->columns ? '\n' : ',', table->out);
}

/* Characters, not bytes: those that continue one do not count. */
static unsigned characters(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* A copy that fits a column and has nothing in it that moves the cursor. */
static char *column_text(const char *text, size_t bytes)
{
	char *copy = malloc(bytes + 4);
	unsigned n = 0;
	size_t at = 0;

	if (!copy)
		return NULL;
	for (; at < bytes; at++) {
		unsigned char byte = (unsigned char)text[at];
		bool begins = (byte & 0xc0) != 0x80;
		if (begins && n == WIDTH_MAX)
			break;
		copy[at] = byte < 0x20 || byte == 0x7f ? '.' : text[at];
		if (at > 0 && (unsigned char)text[at - 1] == 0xc2 && byte < 0xa0)
			copy[at] = (char)0xb7; /* U+0080 to U+009F: a middle dot */
		n += begins;
	}
	copy[at] = 0;
	if (at < bytes)
		strcpy(copy + at, "...");
	return copy;
}

static void cell_print(const struct table_text *table, unsigned column, const char *text)
{
	unsigned n = characters(text), width = table->widths[column];

	fputs(text, table->out);
	if (column + 1 == table->columns)
		putc('\n', table->out);
	else
		fprintf(table->out, "%*s", (int)((width > n ? width - n : 0) + 2), "");
}

static void rows_print(struct table_text *table)
{
	for (unsigned row = 0; row < table->rows; row++) {
		for (unsigned column = 0; column < table->columns; column++) {
			char **cell = &table->cells[row * table->columns + column];
			cell_print(table, column, *cell);
			free(*cell);
			*cell = NULL;
		}
	}
	table->rows = 0;
	table->measured = true;
}

bool table_text_cell(struct table_text *table, const char *text, size_t bytes)
{
	if (table->csv) {
		csv_cell(table, text, bytes);
		table->column = (table->column + 1) % table->columns;
		return true;
	}
	char *copy = column_text(text, bytes);
	if (!copy)
		return false;
	unsigned column = table->column, n = characters(copy);
	table->column = (column + 1) % table->columns;
	if (table->measured) {
		cell_print(table, column, copy);
		free(copy);
		return true;
	}
	table->widths[column] = n > table->widths[column] ? n : table->widths[column];
	table->cells[table->rows * table->columns + column] = copy;
	if (table->column == 0 && ++table->rows == ROWS_MEASURED)
		rows_print(table);
	return true;
}

void table_text_finish(struct table_text *table)
{
	if (!table)
		return;
	if (table->cells && table->widths)
		rows_print(table);
	free(table->cells);
	free(table->widths);
	free(table);
}
