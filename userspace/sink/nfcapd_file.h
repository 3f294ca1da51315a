/*
 * One nfcapd file in the making. Several threads append blocks; nobody sees it under its name before it is complete.
 *
 * A file that is there already under the name is replaced, or joined (NFCAPD_FILE_JOIN).
 */
#ifndef FLOWLANE_NFCAPD_FILE_H
#define FLOWLANE_NFCAPD_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "nfcapd_block.h"

struct nfcapd_file;

enum nfcapd_file_flags {
	NFCAPD_FILE_JOIN = 1 << 0,    /* the blocks of a file that is there under the name are taken in, as nfcapd does it */
	NFCAPD_FILE_SALVAGE = 1 << 1, /* what cannot be finished stays, readable, under its temporary name */
};

/* Written as `temporary`, committed as `path`; both are copied. flags: enum nfcapd_file_flags. created_s: for the header; 0: the time
 * of the first flow. 0 or a negative errno, logged. */
int nfcapd_file_open(const char *what, const char *path, const char *temporary, unsigned flags, enum nfcapd_compression compression,
	uint64_t created_s, struct nfcapd_file **file);
/* Packs the block, appends it as a whole or not at all, and clears it. 0, or a negative errno; the first is logged. Any thread. */
int nfcapd_file_append(struct nfcapd_file *file, struct nfcapd_block *block);
/* Appendix, header, name. slot_ms: the times that a file without flows gets. 0, or a negative errno, logged: then it is removed, or
 * salvaged. *bytes: of the file. Frees. */
int nfcapd_file_commit(struct nfcapd_file *file, const uint64_t slot_ms[2], uint64_t *bytes);
void nfcapd_file_abort(struct nfcapd_file *file); /* removes it; accepts NULL */

#endif
