#include "json_writer.h"

#include <inttypes.h>
#include <string.h>

#include "utf8.h"

#define NS_PER_S ((uint64_t)1000000000)

static void begin_member(struct json *json, const char *key)
{
	if (json->depth)
		fprintf(json->out, "%s\n%*s", json->started ? "," : "", (int)json->depth * 2, "");
	if (key)
		fprintf(json->out, "\"%s\": ", key);
	json->started = true;
}

void json_open(struct json *json, const char *key, char bracket)
{
	begin_member(json, key);
	fputc(bracket, json->out);
	json->depth++;
	json->started = false;
}

void json_close(struct json *json, char bracket)
{
	json->depth--;
	if (json->started)
		fprintf(json->out, "\n%*s", (int)json->depth * 2, "");
	fputc(bracket, json->out);
	json->started = true;
}

void json_number(struct json *json, const char *key, uint64_t value)
{
	begin_member(json, key);
	fprintf(json->out, "%" PRIu64, value);
}

void json_secs(struct json *json, const char *key, uint64_t ns)
{
	begin_member(json, key);
	fprintf(json->out, "%" PRIu64 ".%06" PRIu64, ns / NS_PER_S, ns % NS_PER_S / 1000);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin_member(json, key);
	fputs(value ? "true" : "false", json->out);
}

void json_null(struct json *json, const char *key)
{
	begin_member(json, key);
	fputs("null", json->out);
}

void json_ratio(struct json *json, const char *key, double value)
{
	begin_member(json, key);
	fprintf(json->out, "%.4f", value);
}

/* File names need not be UTF-8, JSON must be. */
void json_text(struct json *json, const char *key, const char *text)
{
	begin_member(json, key);
	fputc('"', json->out);
	while (*text) {
		unsigned length = utf8_length(text);
		if (!length)
			fputs("\\ufffd", json->out);
		else if (*text == '"' || *text == '\\')
			fprintf(json->out, "\\%c", *text);
		else if (length == 1 && (unsigned char)*text < 0x20)
			fprintf(json->out, "\\u%04x", (unsigned)*text);
		else
			fwrite(text, 1, length, json->out);
		text += length ? length : 1;
	}
	fputc('"', json->out);
}
