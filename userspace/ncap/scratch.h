/*
 * Memory for the pieces of one record: handed out from the front, taken back all at once. What does not fit is refused, and the record
 * goes without it.
 */
#ifndef FLOWLANE_NCAP_SCRATCH_H
#define FLOWLANE_NCAP_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SCRATCH_BYTES ((size_t)512 << 10)

struct scratch {
	uint8_t *bytes; /* SCRATCH_BYTES */
	size_t used;
};

/* Aligned for any member; not cleared. NULL: it is full. */
static inline void *scratch_take(struct scratch *scratch, size_t bytes)
{
	size_t at = (scratch->used + 15) & ~(size_t)15;

	if (bytes > SCRATCH_BYTES || at > SCRATCH_BYTES - bytes)
		return NULL;
	scratch->used = at + bytes;
	return scratch->bytes + at;
}

/* A text that every reader of protocol buffers takes: what is no UTF-8 becomes U+FFFD, byte by byte, and so does a zero byte, which
 * would end the text. "" if there is no room. Returns a text with a zero at its end. */
char *scratch_text(struct scratch *scratch, const void *bytes, size_t n);

/* An address of 4 or 16 bytes; "" if there is no room. */
char *scratch_address(struct scratch *scratch, const uint8_t *address, bool v6);

#endif
