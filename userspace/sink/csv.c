/* CSV (RFC 4180, but lines end in \n). No value ever holds a comma, a quote or a line end, so nothing is quoted. */
#include "export_format.h"

#include <stdlib.h>

#include "values.h"

#define CSV_RATE_DIGITS 3

struct export_layout {
	unsigned fields;
	const struct field *rows[FIELDS_MAX];
	struct value_words words;
};

/* The columns are fixed, --extended or not; --flow-cutoff and --sample add theirs at the end. */
static struct export_layout *csv_layout_new(unsigned extras)
{
	struct export_layout *layout = calloc(1, sizeof(*layout));

	if (!layout)
		return NULL;
	layout->fields = fields_choose(extras & ~(unsigned)FIELDS_EXTENDED, layout->rows);
	value_words_init(&layout->words, "", "");
	return layout;
}

static char *column_write(char *out, const char *name, const char *suffix, char end)
{
	out = stpcpy(stpcpy(out, name), suffix);
	*out = end;
	return out + 1;
}

static char *csv_begin(const struct export_layout *layout, char *out)
{
	for (unsigned i = 0; i < layout->fields; i++) {
		char end = i + 1 < layout->fields ? ',' : '\n';
		if (layout->rows[i]->type == FIELD_ENDPOINT) {
			out = column_write(out, layout->rows[i]->name, "_ip", ',');
			out = column_write(out, layout->rows[i]->name, "_port", end);
		} else {
			out = column_write(out, layout->rows[i]->name, "", end);
		}
	}
	return out;
}

static char *csv_record(const struct export_layout *layout, const struct flow_record *record, uint64_t index, char *out)
{
	(void)index;
	for (unsigned i = 0; i < layout->fields; i++) {
		const struct field *field = layout->rows[i];
		if (field->type == FIELD_ENDPOINT) {
			out = text_address(out, (const uint8_t *)record + field->offset, record->key.ip_version);
			*out++ = ',';
			out = text_u64(out, value_u16(record, field->companion));
		} else {
			out = value_write(out, field, record, &layout->words, CSV_RATE_DIGITS);
		}
		*out++ = ',';
	}
	out[-1] = '\n';
	return out;
}

static char *csv_end(const struct export_layout *layout, uint64_t records, char *out)
{
	(void)layout;
	(void)records;
	return out;
}

const struct export_format export_csv = {
	.name = "csv",
	.what = "CSV export",
	.layout_new = csv_layout_new,
	.begin = csv_begin,
	.record = csv_record,
	.end = csv_end,
};
