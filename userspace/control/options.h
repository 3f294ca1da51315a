/*
 * The options of a run: command line over configuration file over defaults. Control thread, at start.
 *
 *   flowlane [OPTIONS] -r FILE... [FILTER...]
 *
 * Each option is described once, in option_table.c; the parser, the YAML configuration, --dump-config, --help, the man page
 * and docs/options.md come from there.
 */
#ifndef FLOWLANE_OPTIONS_H
#define FLOWLANE_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "flowlane/config.h"

#define EXIT_USAGE   1 /* options, configuration file, filter expression */
#define EXIT_RUNTIME 2 /* an input or output failed, or something was lost */

struct options {
	struct config config;
	char *config_file;
	/* Instead of a run: */
	bool help, version, man, markdown, dump_config;
	bool sizes;       /* with dump_config: also what the tables reserve */
	char error[1024]; /* the sentence for the user, when options_parse() fails */
};

/* Parses, reads --config, fills in the defaults, and refuses what contradicts itself. 0, or -EINVAL with options->error set.
 * `options` may be uninitialised; options_free() it in either case. */
int options_parse(int argc, char **argv, struct options *options);
void options_free(struct options *options);

/* One of the outputs goes to standard output ("-"): text for people belongs on standard error then. */
bool options_use_stdout(const struct config *config);

void options_print_help(FILE *out);     /* at most 100 columns */
void options_print_man(FILE *out);      /* roff, man(7) macros */
void options_print_markdown(FILE *out); /* docs/options.md is exactly this */
const char *flowlane_version(void);     /* "0.1.0" */

/* YAML of the effective configuration: --config reads it back to the same values. 0, or -EILSEQ with options->error set when a
 * path or the filter is not UTF-8, which YAML cannot hold; nothing is printed then. */
int options_dump(struct options *options, FILE *out);

/* --help, --version, --man, --markdown, --dump-config: prints what was asked for, and sets *status to the exit code. False: nothing
 * of that kind was asked for. */
bool options_inform(struct options *options, FILE *out, int *status);

#endif
