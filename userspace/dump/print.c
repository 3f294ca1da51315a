#include "print.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "utf8.h"

#define MEMBER(message, offset, type) (*(type *)((uint8_t *)(message) + (offset)))

/* ---- strings and bytes --------------------------------------------------------------------------------------------- */

/* Files of others may hold any byte in a text. */

/* The code points up to 0x1f and from 0x7f to 0x9f move the cursor, or worse. */
static bool is_control(const char *at)
{
	const uint8_t *byte = (const uint8_t *)at;

	return byte[0] < 0x20 || byte[0] == 0x7f || (byte[0] == 0xc2 && byte[1] < 0xa0);
}

static void text_escaped(FILE *out, const char *text)
{
	putc('"', out);
	while (*text) {
		unsigned n = utf8_length(text);
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if (n && !is_control(text))
			fwrite(text, 1, n, out);
		else
			for (unsigned i = 0; i < (n ? n : 1); i++)
				fprintf(out, "\\%03o", (uint8_t)text[i]);
		text += n ? n : 1;
	}
	putc('"', out);
}

static void json_text(FILE *out, const char *text)
{
	putc('"', out);
	while (*text) {
		unsigned n = utf8_length(text);
		if (n == 0)
			fputs("\\ufffd", out);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if (is_control(text))
			fprintf(out, "\\u%04x", n == 1 ? (uint8_t)text[0] : (uint8_t)text[1]);
		else
			fwrite(text, 1, n, out);
		text += n ? n : 1;
	}
	putc('"', out);
}

void print_clean(FILE *out, const char *text, bool controls)
{
	while (*text) {
		unsigned n = utf8_length(text);
		if (n == 0)
			fputs("\xef\xbf\xbd", out);
		else if (!controls && is_control(text))
			putc('.', out);
		else
			fwrite(text, 1, n, out);
		text += n ? n : 1;
	}
}

static void base64(FILE *out, const ProtobufCBinaryData *data)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < data->len; i += 3) {
		size_t n = data->len - i;
		uint32_t word = (uint32_t)data->data[i] << 16;
		word |= n > 1 ? (uint32_t)data->data[i + 1] << 8 : 0;
		word |= n > 2 ? data->data[i + 2] : 0;
		putc(digits[word >> 18], out);
		putc(digits[word >> 12 & 63], out);
		putc(n > 1 ? digits[word >> 6 & 63] : '=', out);
		putc(n > 2 ? digits[word & 63] : '=', out);
	}
}

static void bytes_escaped(FILE *out, const ProtobufCBinaryData *data)
{
	putc('"', out);
	for (size_t i = 0; i < data->len; i++) {
		uint8_t byte = data->data[i];
		if (byte == '"' || byte == '\\')
			fprintf(out, "\\%c", byte);
		else if (byte < 0x20 || byte >= 0x7f)
			fprintf(out, "\\%03o", byte);
		else
			putc(byte, out);
	}
	putc('"', out);
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

static size_t value_size(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

/* The values of a field: *count of them, from the result on. A field that is not repeated has one, or none if it is 0 or empty. */
static const uint8_t *values(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, size_t *count)
{
	const uint8_t *member = (const uint8_t *)message + field->offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		*count = MEMBER(message, field->quantifier_offset, size_t);
		return *(const uint8_t *const *)member;
	}
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		*count = *(char *const *)member && **(char *const *)member;
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		*count = *(void *const *)member != NULL;
		break;
	case PROTOBUF_C_TYPE_BYTES:
		*count = ((const ProtobufCBinaryData *)member)->len > 0;
		break;
	default:
		*count = value_size(field) == 8 ? *(const uint64_t *)member != 0 : *(const uint32_t *)member != 0;
		break;
	}
	return member;
}

static void number(FILE *out, const ProtobufCFieldDescriptor *field, const uint8_t *value)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
		fprintf(out, "%" PRId32, *(const int32_t *)value);
		break;
	case PROTOBUF_C_TYPE_INT64:
		fprintf(out, "%" PRId64, *(const int64_t *)value);
		break;
	case PROTOBUF_C_TYPE_UINT64:
		fprintf(out, "%" PRIu64, *(const uint64_t *)value);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		fputs(*(const protobuf_c_boolean *)value ? "true" : "false", out);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		fprintf(out, "%.6f", *(const double *)value);
		break;
	default: /* uint32, enums */
		fprintf(out, "%" PRIu32, *(const uint32_t *)value);
		break;
	}
}

/* ---- JSON ---------------------------------------------------------------------------------------------------------- */

static void json_message(FILE *out, const ProtobufCMessage *message);

/* JSON has no numbers for these: texts, as protobuf has it. */
static void json_double(FILE *out, const ProtobufCFieldDescriptor *field, const uint8_t *value)
{
	double number_value = *(const double *)value;

	if (isnan(number_value))
		fputs("\"NaN\"", out);
	else if (isinf(number_value))
		fputs(number_value < 0 ? "\"-Infinity\"" : "\"Infinity\"", out);
	else
		number(out, field, value);
}

static void json_value(FILE *out, const ProtobufCFieldDescriptor *field, const uint8_t *value)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		json_text(out, *(char *const *)value);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		putc('"', out);
		base64(out, (const ProtobufCBinaryData *)value);
		putc('"', out);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		json_message(out, *(ProtobufCMessage *const *)value);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		json_double(out, field, value);
		break;
	default:
		number(out, field, value);
		break;
	}
}

/* The entries of a map are messages of two fields, whose name says so. */
static bool is_map(const ProtobufCFieldDescriptor *field)
{
	const ProtobufCMessageDescriptor *entry = field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
	size_t n = entry ? strlen(entry->short_name) : 0;

	return n > 5 && !strcmp(entry->short_name + n - 5, "Entry") && entry->n_fields == 2;
}

static void json_map(FILE *out, const uint8_t *at, size_t count)
{
	putc('{', out);
	for (size_t i = 0; i < count; i++) {
		const ProtobufCMessage *entry = ((ProtobufCMessage *const *)at)[i];
		const ProtobufCFieldDescriptor *fields = entry->descriptor->fields;
		const uint8_t *value = (const uint8_t *)entry + fields[1].offset;
		if (i)
			putc(',', out);
		json_text(out, MEMBER(entry, fields[0].offset, char *));
		putc(':', out);
		if (fields[1].type == PROTOBUF_C_TYPE_MESSAGE && !*(void *const *)value)
			fputs("{}", out);
		else
			json_value(out, &fields[1], value);
	}
	putc('}', out);
}

static void json_field(FILE *out, const ProtobufCFieldDescriptor *field, const uint8_t *at, size_t count)
{
	if (field->label != PROTOBUF_C_LABEL_REPEATED) {
		json_value(out, field, at);
	} else if (is_map(field)) {
		json_map(out, at, count);
	} else {
		putc('[', out);
		for (size_t i = 0; i < count; i++) {
			if (i)
				putc(',', out);
			json_value(out, field, at + i * value_size(field));
		}
		putc(']', out);
	}
}

static bool json_member(FILE *out, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, bool first)
{
	size_t count;
	const uint8_t *at = values(message, field, &count);

	if (!count)
		return first;
	fprintf(out, "%s\"%s\":", first ? "" : ",", field->name);
	json_field(out, field, at, count);
	return false;
}

static void json_message(FILE *out, const ProtobufCMessage *message)
{
	bool first = true;

	putc('{', out);
	for (unsigned i = 0; i < message->descriptor->n_fields; i++)
		first = json_member(out, message, &message->descriptor->fields[i], first);
	putc('}', out);
}

void print_json(FILE *out, const ProtobufCMessage *message, const struct print_fields *fields)
{
	bool first = true;

	putc('{', out);
	for (unsigned i = 0; i < fields->count; i++)
		first = json_member(out, message, fields->fields[i], first);
	putc('}', out);
}

/* ---- text ---------------------------------------------------------------------------------------------------------- */

static void text_message(FILE *out, const ProtobufCMessage *message, unsigned depth);

static void text_field(FILE *out, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, unsigned depth)
{
	size_t count;
	const uint8_t *at = values(message, field, &count);

	for (size_t i = 0; i < count; i++, at += value_size(field)) {
		fprintf(out, "%*s%s", (int)(2 * depth), "", field->name);
		if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
			fputs(" {\n", out);
			text_message(out, *(ProtobufCMessage *const *)at, depth + 1);
			fprintf(out, "%*s}\n", (int)(2 * depth), "");
			continue;
		}
		fputs(": ", out);
		if (field->type == PROTOBUF_C_TYPE_STRING)
			text_escaped(out, *(char *const *)at);
		else if (field->type == PROTOBUF_C_TYPE_BYTES)
			bytes_escaped(out, (const ProtobufCBinaryData *)at);
		else
			number(out, field, at);
		putc('\n', out);
	}
}

/* Fields that the description does not have, by their numbers. */
static void text_unknown(FILE *out, const ProtobufCMessage *message, unsigned depth)
{
	for (unsigned i = 0; i < message->n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *field = &message->unknown_fields[i];
		fprintf(out, "%*s%" PRIu32 ": ", (int)(2 * depth), "", field->tag);
		if (field->wire_type == PROTOBUF_C_WIRE_TYPE_VARINT) {
			uint64_t value = 0;
			for (size_t k = 0; k < field->len && k < 10; k++)
				value |= (uint64_t)(field->data[k] & 0x7f) << (7 * k);
			fprintf(out, "%" PRIu64 "\n", value);
			continue;
		}
		size_t skip = 0; /* the length in front of the bytes */
		while (field->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED && skip < field->len && field->data[skip++] & 0x80)
			;
		ProtobufCBinaryData data = { field->len - skip, field->data + skip };
		bytes_escaped(out, &data);
		putc('\n', out);
	}
}

static void text_message(FILE *out, const ProtobufCMessage *message, unsigned depth)
{
	for (unsigned i = 0; i < message->descriptor->n_fields; i++)
		text_field(out, message, &message->descriptor->fields[i], depth);
}

void print_text(FILE *out, const ProtobufCMessage *message, const struct print_fields *fields)
{
	for (unsigned i = 0; i < fields->count; i++)
		text_field(out, message, fields->fields[i], 0);
	if (!message->descriptor->n_fields)
		text_unknown(out, message, 0);
}

/* ---- cells --------------------------------------------------------------------------------------------------------- */

void print_cell(FILE *out, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	size_t count;
	const uint8_t *at = values(message, field, &count);
	bool nested = field->label == PROTOBUF_C_LABEL_REPEATED || field->type == PROTOBUF_C_TYPE_MESSAGE;

	if (nested) {
		if (count)
			json_field(out, field, at, count);
	} else if (field->type == PROTOBUF_C_TYPE_STRING) {
		print_clean(out, count ? *(char *const *)at : "", true);
	} else if (field->type == PROTOBUF_C_TYPE_BYTES) {
		const ProtobufCBinaryData *data = (const ProtobufCBinaryData *)at;
		for (size_t i = 0; i < data->len; i++)
			fprintf(out, "%02x", data->data[i]);
	} else {
		number(out, field, at);
	}
}
