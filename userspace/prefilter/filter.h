/*
 * The trailing tcpdump expression, in user space: compiled by libpcap once per link type, run by each lane on each frame.
 * Read-only after filter_create(): all lanes share one.
 */
#ifndef FLOWLANE_FILTER_H
#define FLOWLANE_FILTER_H

#include <stdbool.h>

#include "flowlane/classic.h"
#include "flowlane/packet.h"
#include "flowlane/source.h"

struct filter;

/* `info` names the link type; with -1 the expression is compiled for every type that flowlane reads, and frames of a type for
 * which it makes no sense do not match. 0, or -EINVAL, logged with libpcap's words and the expression. */
int filter_create(const char *expression, const struct source_info *info, struct filter **filter);
void filter_destroy(struct filter *filter); /* accepts NULL */

/* What it was compiled to for this link type; NULL: it makes no sense there. Borrowed. */
const struct classic_insn *filter_code(const struct filter *filter, uint16_t link, unsigned *count);

/* Packet path. */
bool filter_match(const struct filter *filter, const struct frame *frame);

#endif
