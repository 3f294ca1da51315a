/* What the tests of audit records share: a frame from bytes, its layers, a layer's record; and how a record is read back. */
#ifndef NCAP_RIG_H
#define NCAP_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit.pb-c.h"
#include "legacy.pb-c.h"
#include "audit_record.h"

struct ncap_rig {
	struct ncap_walker *walker;
	struct encoder *encoder;
	uint8_t *frame_bytes; /* of exactly the frame's size, so that the sanitizer sees one byte too far */
	struct frame frame;
	struct ncap_walk walk;
	uint8_t *out;
};

static inline void rig_open(struct ncap_rig *rig, const struct record_options *options)
{
	memset(rig, 0, sizeof(*rig));
	assert_int_equal(ncap_walker_create(false, &rig->walker), 0);
	assert_int_equal(encoder_create(options, &rig->encoder), 0);
	rig->out = malloc(RECORD_MAX);
	assert_non_null(rig->out);
}

static inline void rig_close(struct ncap_rig *rig)
{
	ncap_walker_destroy(rig->walker);
	encoder_destroy(rig->encoder);
	free(rig->frame_bytes);
	free(rig->out);
}

/* Walks a frame. */
static inline void rig_frame(struct ncap_rig *rig, uint16_t link, uint64_t ts_ns, const uint8_t *bytes, size_t n)
{
	free(rig->frame_bytes);
	rig->frame_bytes = malloc(n ? n : 1);
	assert_non_null(rig->frame_bytes);
	memcpy(rig->frame_bytes, bytes, n);
	rig->frame = (struct frame){
		.data = rig->frame_bytes, .ts_ns = ts_ns, .cap_len = (uint32_t)n, .wire_len = (uint32_t)n, .link = link
	};
	ncap_walk_frame(rig->walker, &rig->frame, &rig->walk);
	encoder_begin(rig->encoder, &rig->walk);
}

/* The number-th layer of the type; NULL: there is none. */
static inline const struct ncap_layer *rig_layer(struct ncap_rig *rig, enum ncap_type type, unsigned number)
{
	const struct ncap_walk *walk = &rig->walk;

	for (unsigned i = 0; i < walk->layers_count; i++) {
		if (walk->layers[i].type == type && number-- == 0)
			return &walk->layers[i];
	}
	return NULL;
}

/* Its record, without a length: the bytes are rig->out, the result their number; 0: none. */
static inline size_t rig_record(struct ncap_rig *rig, enum ncap_type type, unsigned number)
{
	const struct ncap_layer *layer = rig_layer(rig, type, number);
	uint8_t *end = layer ? encoder_layer(rig->encoder, layer, rig->out) : NULL;

	return end ? (size_t)(end - rig->out) : 0;
}

/* Bytes from hexadecimal digits; blanks between them do not count. */
static inline size_t rig_hex(const char *text, uint8_t *bytes, size_t room)
{
	size_t n = 0;

	for (; *text; text++) {
		if (*text == ' ' || *text == '\n' || *text == '\t')
			continue;
		char two[3] = { text[0], text[1], 0 };
		assert_true(n < room);
		bytes[n++] = (uint8_t)strtoul(two, NULL, 16);
		text++;
	}
	return n;
}

#endif
