/* Messages as text, by the descriptions that protoc-c made of them. */
#ifndef FLOWLANE_DUMP_PRINT_H
#define FLOWLANE_DUMP_PRINT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdio.h>

/* The fields to print, in this order. */
struct print_fields {
	unsigned count;
	const ProtobufCFieldDescriptor **fields;
};

/* protobuf's text format, one field a line; what is 0 or empty is left out. */
void print_text(FILE *out, const ProtobufCMessage *message, const struct print_fields *fields);
/* One object, without a line end. Numbers stay numbers, bytes are base64, maps objects; what is 0 or empty is left out. */
void print_json(FILE *out, const ProtobufCMessage *message, const struct print_fields *fields);
/* A text as it is, but for what is no UTF-8 (U+FFFD), and without `controls` for control characters (a point). */
void print_clean(FILE *out, const char *text, bool controls);
/* A field's value for a table: bytes are hexadecimal digits; lists and messages JSON. */
void print_cell(FILE *out, const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);

#endif
