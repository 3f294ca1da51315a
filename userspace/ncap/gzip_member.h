/*
 * gzip, a member at a time (RFC 1952: a file is a row of members). A member depends on nothing before it: so lanes compress side by
 * side, whole members are appended, and a file is whole at each moment. One per lane; packet path.
 */
#ifndef FLOWLANE_NCAP_GZIP_MEMBER_H
#define FLOWLANE_NCAP_GZIP_MEMBER_H

#include <stddef.h>
#include <stdint.h>

struct gzip_member;

int gzip_member_create(struct gzip_member **gzip);  /* 0 or -ENOMEM */
void gzip_member_destroy(struct gzip_member *gzip); /* accepts NULL */
/* Room that a member of n bytes may need. */
size_t gzip_member_bound(size_t n);
/* Returns the bytes of the member at `out`, which has gzip_member_bound(n). */
size_t gzip_member_write(struct gzip_member *gzip, const void *bytes, size_t n, uint8_t *out);
/* "igzip" or "zlib": which library does it. */
extern const char gzip_member_library[];

#endif
