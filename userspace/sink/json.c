/*
 * JSON and JSONL. Everything between two values (comma, indent, key) is one piece, made once; a record is pieces and values
 * in turn.
 */
#include "export_format.h"

#include <stdio.h>
#include <stdlib.h>

#include "values.h"

#define JSON_RATE_DIGITS 1

struct piece {
	char text[47]; /* copied whole: three vector moves */
	uint8_t length;
};

struct export_layout {
	unsigned fields;
	const struct field *rows[FIELDS_MAX];
	struct piece before[FIELDS_MAX]; /* what stands before the value of each field */
	struct piece endpoint_ip;
	struct piece endpoint_port;
	struct piece endpoint_end;
	struct piece record_end;
	struct value_words words;
};

/* What the two forms of JSON put around keys and values. */
struct json_style {
	const char *first_key; /* before the first key of a record */
	const char *next_key;
	const char *colon;
	const char *endpoint[3];
	const char *record_end;
};

static const struct json_style json_pretty = {
	.first_key = "\n  {\n    \"",
	.next_key = ",\n    \"",
	.colon = "\": ",
	.endpoint = { "{ \"ip\": \"", "\", \"port\": ", " }" },
	.record_end = "\n  }",
};

static const struct json_style json_compact = {
	.first_key = ",\"",
	.next_key = ",\"",
	.colon = "\":",
	.endpoint = { "{\"ip\":\"", "\",\"port\":", "}" },
	.record_end = "}\n",
};

static void piece_init(struct piece *piece, const char *before, const char *key, const char *after)
{
	int length = snprintf(piece->text, sizeof(piece->text), "%s%s%s", before, key, after);

	piece->length = (uint8_t)length;
}

static inline char *piece_write(char *out, const struct piece *piece)
{
	memcpy(out, piece, sizeof(*piece));
	return out + piece->length;
}

static struct export_layout *layout_new(const struct json_style *style, unsigned extras)
{
	struct export_layout *layout = calloc(1, sizeof(*layout));

	if (!layout)
		return NULL;
	layout->fields = fields_choose(extras, layout->rows);
	for (unsigned i = 0; i < layout->fields; i++)
		piece_init(&layout->before[i], i ? style->next_key : style->first_key, layout->rows[i]->name, style->colon);
	piece_init(&layout->endpoint_ip, style->endpoint[0], "", "");
	piece_init(&layout->endpoint_port, style->endpoint[1], "", "");
	piece_init(&layout->endpoint_end, style->endpoint[2], "", "");
	piece_init(&layout->record_end, style->record_end, "", "");
	value_words_init(&layout->words, "\"", "null");
	return layout;
}

static inline char *endpoint_write(
	char *out, const struct export_layout *layout, const struct field *field, const struct flow_record *record)
{
	out = piece_write(out, &layout->endpoint_ip);
	out = text_address(out, (const uint8_t *)record + field->offset, record->key.ip_version);
	out = piece_write(out, &layout->endpoint_port);
	out = text_u64(out, value_u16(record, field->companion));
	return piece_write(out, &layout->endpoint_end);
}

static char *fields_write(const struct export_layout *layout, const struct flow_record *record, char *out)
{
	for (unsigned i = 0; i < layout->fields; i++) {
		const struct field *field = layout->rows[i];
		out = piece_write(out, &layout->before[i]);
		if (field->type == FIELD_ENDPOINT)
			out = endpoint_write(out, layout, field, record);
		else
			out = value_write(out, field, record, &layout->words, JSON_RATE_DIGITS);
	}
	return piece_write(out, &layout->record_end);
}

static struct export_layout *json_layout_new(unsigned extras)
{
	return layout_new(&json_pretty, extras);
}

static char *json_begin(const struct export_layout *layout, char *out)
{
	(void)layout;
	*out = '[';
	return out + 1;
}

static char *json_record(const struct export_layout *layout, const struct flow_record *record, uint64_t index, char *out)
{
	*out = ',';
	return fields_write(layout, record, out + (index > 0));
}

static char *json_end(const struct export_layout *layout, uint64_t records, char *out)
{
	(void)layout;
	*out = '\n';
	out += records > 0;
	memcpy(out, "]\n", 2);
	return out + 2;
}

const struct export_format export_json = {
	.name = "json",
	.what = "JSON export",
	.layout_new = json_layout_new,
	.begin = json_begin,
	.record = json_record,
	.end = json_end,
};

static struct export_layout *jsonl_layout_new(unsigned extras)
{
	return layout_new(&json_compact, extras);
}

static char *jsonl_begin(const struct export_layout *layout, char *out)
{
	(void)layout;
	return out;
}

static char *jsonl_record(const struct export_layout *layout, const struct flow_record *record, uint64_t index, char *out)
{
	(void)index;
	memcpy(out, "{\"ts\":", 6);
	out = text_decimal(out + 6, record->end_ns / 1000, 6);
	memcpy(out, ",\"reason\":", 10);
	out = value_word(out + 10, &layout->words.end[record->end % (FLOW_ALIVE + 1)]);
	return fields_write(layout, record, out);
}

static char *jsonl_end(const struct export_layout *layout, uint64_t records, char *out)
{
	(void)layout;
	(void)records;
	return out;
}

const struct export_format export_jsonl = {
	.name = "expired_flows_jsonl",
	.what = "expired flows",
	.layout_new = jsonl_layout_new,
	.begin = jsonl_begin,
	.record = jsonl_record,
	.end = jsonl_end,
};
