/*
 * JSON, written member by member to a stream: two blanks of indent per level, one member a line. Control thread.
 *
 *   struct json json = { .out = out };
 *   json_open(&json, NULL, '{');
 *   json_number(&json, "packets", 5);
 *   json_close(&json, '}');
 */
#ifndef FLOWLANE_JSON_WRITER_H
#define FLOWLANE_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	unsigned depth;
	bool started; /* the innermost object or array has a member */
};

/* In arrays key is NULL. */
void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);
void json_number(struct json *json, const char *key, uint64_t value);
void json_secs(struct json *json, const char *key, uint64_t ns); /* seconds with six digits */
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);
void json_ratio(struct json *json, const char *key, double value);    /* four digits */
void json_text(struct json *json, const char *key, const char *text); /* what is not UTF-8 becomes U+FFFD */

#endif
