#include "file_header.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.pb-c.h"
#include "legacy.pb-c.h"

#define LEGACY_CREATED 0x0a /* tag of field 1 as a text; a number has 0x08 */

static bool current_parse(const uint8_t *bytes, size_t n, struct file_header *header)
{
	Types__Header *message = types__header__unpack(NULL, n, bytes);

	if (!message)
		return false;
	snprintf(header->created, sizeof(header->created), "%" PRId64 ".%09d", message->created / 1000000000,
		abs((int)(message->created % 1000000000)));
	header->source = strdup(message->inputsource);
	header->version = strdup(message->version);
	header->type = (uint32_t)message->type;
	header->payloads = message->containspayloads;
	types__header__free_unpacked(message, NULL);
	return header->source && header->version;
}

static bool legacy_parse(const uint8_t *bytes, size_t n, struct file_header *header)
{
	Legacy__Header *message = legacy__header__unpack(NULL, n, bytes);

	if (!message)
		return false;
	header->schema = NCAP_SCHEMA_LEGACY;
	snprintf(header->created, sizeof(header->created), "%s", message->created);
	header->source = strdup(message->inputsource);
	header->version = strdup(message->version);
	header->type = (uint32_t)message->type;
	header->payloads = message->containspayloads;
	legacy__header__free_unpacked(message, NULL);
	return header->source && header->version;
}

bool file_header_parse(const uint8_t *bytes, size_t n, struct file_header *header)
{
	*header = (struct file_header){ 0 };
	return n && bytes[0] == LEGACY_CREATED ? legacy_parse(bytes, n, header) : current_parse(bytes, n, header);
}

void file_header_free(struct file_header *header)
{
	free(header->source);
	free(header->version);
}
