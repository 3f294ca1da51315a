/* The table of options, and how one option's text becomes a value and back. Private to control/. */
#ifndef FLOWLANE_OPTION_TABLE_H
#define FLOWLANE_OPTION_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "nearest.h"
#include "options.h"

enum option_kind {
	OPTION_FLAG,    /* bool: --name, --no-name, --name=yes|no */
	OPTION_NUMBER,  /* 10, 64k (thousands), 4Mi (1024 * 1024) */
	OPTION_PART,    /* 1/N; stored as N */
	OPTION_SECONDS, /* 60 or 0.25; stored in nanoseconds */
	OPTION_WORD,    /* one of `words` */
	OPTION_PATH,
	OPTION_TEXT, /* any text: `unit` says what it takes */
	OPTION_PATHS, /* given once per path; a list in the configuration file. The member is a char **, its count the unsigned behind it */
	OPTION_TEXTS,  /* the same for any text */
	OPTION_FILTER, /* the words that are no options, joined by blanks */
};

struct option_word {
	const char *name; /* NULL ends the list */
	uint32_t value;
};

struct option_spec {
	const char *name;     /* without the dashes; NULL for OPTION_FILTER */
	const char *group;    /* heading in the help */
	const char *section;  /* of the configuration file; NULL: command line only */
	const char *key;      /* in that section */
	const char *argument; /* its name in the help; NULL: a flag */
	const char *unit;     /* of the number, for messages; NULL: none. Of a text: what it takes, "a user's name" */
	const char *fallback; /* default, as the user would write it; NULL: unset, false */
	const char *help;     /* a sentence without full stop, lower case */
	const struct option_word *words;
	uint64_t min, max; /* in the user's unit */
	uint64_t scale;    /* stored = given * scale; 0: 1 */
	/* For lists of texts: takes one apart, sets what it says. 0, or -EINVAL with options->error set; NULL: any text will do. */
	int (*check)(struct options *options, const char *text, const char *where);
	size_t offset; /* of the member in struct options */
	uint8_t size;  /* of the member */
	uint8_t kind;  /* enum option_kind */
	char letter;   /* short option; 0: none */
};

#define OPTION_COUNT_MAX 160
extern const struct option_spec option_table[];
extern const unsigned option_count;

/* The member is a list. */
bool option_is_list(const struct option_spec *spec);
/* The list as it is now: its count. */
unsigned option_list(const struct options *options, const struct option_spec *spec, char *const **items);
/* Sets the member from text; a list gets one more. `where` names the place for the message: "--lanes", "flow.yaml: line 7: run.lanes". 0 or -EINVAL. */
int option_set(struct options *options, const struct option_spec *spec, const char *text, const char *where);
/* The value as option_set() would read it; "" if unset. `text` has room for 32 bytes; paths are returned as they are. */
const char *option_get(const struct options *options, const struct option_spec *spec, char text[32]);
/* What the option takes, for messages and documents: "a whole number from 1 to 64", "us, ns or auto". */
const char *option_takes(const struct option_spec *spec, char *text, size_t size);

/* "10", "64k", "4Mi"; "60", "0.25". False: it is none. Too big stays too big. */
bool option_parse_number(const char *text, uint64_t *value);
bool option_parse_seconds(const char *text, uint64_t *ns);
/* option_detector.c: a check for --detector. */
int detector_set(struct options *options, const char *text, const char *where);
/* What detectors do unless they are told. */
void detectors_reset(struct config *config);

/* Sets options->error. Always -EINVAL. */
int option_fail(struct options *options, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
