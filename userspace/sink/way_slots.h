/*
 * What the rotating formats, nfcapd and binary, have in common: a file per interval of time, which lanes fill from buffers of their
 * own. From files a record belongs to the interval in which it ended; live, to the one that the clock says: what ends late
 * still belongs to now.
 */
#ifndef FLOWLANE_WAY_SLOTS_H
#define FLOWLANE_WAY_SLOTS_H

#include "slots.h"
#include "way_format.h"
#include "way_row.h"

struct way_slots_options {
	const char *directory;
	uint64_t interval_s;
	bool live;
	bool wire;
	enum nfcapd_compress compression;
};

/* A rotating format. `file` and `buffer` are its own. */
struct way_slots_kind {
	const char *name; /* of the report */
	const char *what; /* for messages */
	size_t buffer_size;

	int (*file_open)(
		const struct way_slots_options *options, uint64_t start_s, void **file); /* 0 or a negative errno, logged */
	int (*file_commit)(
		void *file, const struct way_slots_options *options, uint64_t start_s, uint64_t *bytes); /* the same; frees */
	void (*file_abort)(void *file);

	int (*buffer_init)(void *buffer, const struct way_slots_options *options); /* of zeros: 0 or -ENOMEM */
	void (*buffer_free)(void *buffer);
	unsigned (*buffer_records)(const void *buffer);
	bool (*buffer_full)(const void *buffer);
	void (*buffer_add)(void *buffer, struct way_row *row, const struct flow_way *way); /* packet path */
	int (*buffer_append)(void *buffer, void *file); /* all or nothing, and empties it. file NULL: nothing */
};

int way_slots_open(
	const struct way_slots_kind *kind, const char *directory, const struct config *config, bool live, struct way_state **state);

/* The rest of struct way_format. */
int way_slots_attach(struct way_state *state, struct way_writer **writer);
void way_slots_put(struct way_writer *writer, const struct flow_way *ways, unsigned n);
void way_slots_tick(struct way_writer *writer, uint64_t now_ns);
void way_slots_detach(struct way_writer *writer);
void way_slots_close(struct way_state *state, int error, struct output_report *report);
void way_slots_so_far(const struct way_state *state, struct output_report *report);

#endif
