/* Rows of cells as CSV, or as columns for people: those are as wide as the widest of the first rows. */
#ifndef FLOWLANE_DUMP_TABLE_TEXT_H
#define FLOWLANE_DUMP_TABLE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table_text;

/* NULL: no memory. */
struct table_text *table_text_create(FILE *out, unsigned columns, bool csv);
/* The next cell of the row at hand; the last one ends the row. False: no memory. */
bool table_text_cell(struct table_text *table, const char *text, size_t bytes);
/* Prints what is left, and frees. Accepts NULL. */
void table_text_finish(struct table_text *table);

#endif
