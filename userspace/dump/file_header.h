/* The first frame of a file of audit records, in either schema. */
#ifndef FLOWLANE_DUMP_FILE_HEADER_H
#define FLOWLANE_DUMP_FILE_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ncap_types.h"

struct file_header {
	char created[40]; /* seconds since 1970, with a fraction */
	char *source;
	char *version;
	uint32_t type;
	bool payloads;
	enum ncap_schema schema;
};

/* False: this is no header. Free it in either case. */
bool file_header_parse(const uint8_t *bytes, size_t n, struct file_header *header);
void file_header_free(struct file_header *header);

#endif
