#include "gzip_member.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Headers and the five bytes in front of each block that did not get smaller. */
size_t gzip_member_bound(size_t n)
{
	return n + n / 1024 + 512;
}

#ifdef FLOWLANE_ISAL
#include <isa-l/igzip_lib.h>

/* igzip's level 1: smaller than its level 0, and the aim of docs/benchmarks.md is met with it. */
#define LEVEL       1
#define LEVEL_BYTES ISAL_DEF_LVL1_LARGE

const char gzip_member_library[] = "igzip";

struct gzip_member {
	struct isal_zstream stream;
	uint8_t level[LEVEL_BYTES];
};

int gzip_member_create(struct gzip_member **gzip)
{
	struct gzip_member *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	*gzip = made;
	return 0;
}

void gzip_member_destroy(struct gzip_member *gzip)
{
	free(gzip);
}

size_t gzip_member_write(struct gzip_member *gzip, const void *bytes, size_t n, uint8_t *out)
{
	struct isal_zstream *stream = &gzip->stream;

	isal_deflate_init(stream);
	stream->level = LEVEL;
	stream->level_buf = gzip->level;
	stream->level_buf_size = LEVEL_BYTES;
	stream->gzip_flag = IGZIP_GZIP;
	stream->end_of_stream = 1;
	stream->flush = NO_FLUSH;
	stream->next_in = (uint8_t *)bytes;
	stream->avail_in = (uint32_t)n;
	stream->next_out = out;
	stream->avail_out = (uint32_t)gzip_member_bound(n);
	return isal_deflate(stream) == COMP_OK ? stream->total_out : 0;
}

#else
#include <zlib.h>

const char gzip_member_library[] = "zlib";

struct gzip_member {
	z_stream stream;
};

int gzip_member_create(struct gzip_member **gzip)
{
	struct gzip_member *made = calloc(1, sizeof(*made));

	if (made && deflateInit2(&made->stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(made);
		made = NULL;
	}
	*gzip = made;
	return made ? 0 : -ENOMEM;
}

void gzip_member_destroy(struct gzip_member *gzip)
{
	if (gzip)
		deflateEnd(&gzip->stream);
	free(gzip);
}

size_t gzip_member_write(struct gzip_member *gzip, const void *bytes, size_t n, uint8_t *out)
{
	z_stream *stream = &gzip->stream;

	deflateReset(stream);
	stream->next_in = (uint8_t *)bytes;
	stream->avail_in = (uInt)n;
	stream->next_out = out;
	stream->avail_out = (uInt)gzip_member_bound(n);
	return deflate(stream, Z_FINISH) == Z_STREAM_END ? stream->total_out : 0;
}
#endif
