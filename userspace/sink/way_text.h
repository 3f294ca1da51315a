/* What pipe and csv_flow have in common: lines into one file. */
#ifndef FLOWLANE_WAY_TEXT_H
#define FLOWLANE_WAY_TEXT_H

#include "way_format.h"
#include "way_row.h"

typedef char *way_line_fn(char *out, const struct way_row *row);

int way_text_open(const char *name, const char *what, const char *path, way_line_fn *line, const struct config *config, bool live,
	struct way_state **state);
int way_text_attach(struct way_state *state, struct way_writer **writer);
void way_text_put(struct way_writer *writer, const struct flow_way *ways, unsigned n);
void way_text_tick(struct way_writer *writer, uint64_t now_ns);
void way_text_detach(struct way_writer *writer);
void way_text_close(struct way_state *state, int error, struct output_report *report);
void way_text_reopen(struct way_state *state);
void way_text_so_far(const struct way_state *state, struct output_report *report);

#endif
