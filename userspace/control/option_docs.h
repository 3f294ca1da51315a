/* What the help, the manual page and the Markdown reference say besides the options. Private to control/. */
#ifndef FLOWLANE_OPTION_DOCS_H
#define FLOWLANE_OPTION_DOCS_H

#include "option_table.h"

struct doc_pair {
	const char *left;
	const char *right;
};

#define DOC_TAGLINE "network flows, round-trip times and loss out of packets"
extern const char *const doc_usage[];          /* NULL ends each of these */
extern const char *const doc_about[];          /* paragraphs */
extern const struct doc_pair doc_examples[];   /* what for, command */
extern const struct doc_pair doc_exit_codes[]; /* code, meaning */
extern const struct doc_pair doc_signals[];    /* name, effect */

/* "-r, --read-pcap FILE" or "--lanes N" or "FILTER...". */
const char *doc_option_left(const struct option_spec *spec, char *text, size_t size);
/* "default 60", or "" for flags and what is unset. */
const char *doc_default(const struct option_spec *spec, char *text, size_t size);

#endif
