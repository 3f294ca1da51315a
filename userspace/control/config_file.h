/*
 * The YAML configuration file. It gives texts; options.c turns them into values, by the same code as those of the command
 * line. The libcyaml schema is made from the option table; keys that are not in it are errors.
 */
#ifndef FLOWLANE_CONFIG_FILE_H
#define FLOWLANE_CONFIG_FILE_H

#include "config_lines.h"
#include "option_table.h"

struct config_texts {
	char *text[OPTION_COUNT_MAX]; /* by index in option_table; NULL: not in the file */
	struct {
		char **items;
		unsigned count;
	} list[OPTION_COUNT_MAX];
};

struct config_file;

/* 0, or -EINVAL with options->error set. */
int config_file_load(const char *path, struct options *options, struct config_file **file);
/* What the file says of option `index`: its text, or NULL if it is silent or empty. */
const char *config_file_text(const struct config_file *file, unsigned index);
/* The list of option `index` (option_is_list()): its count. */
unsigned config_file_list(const struct config_file *file, unsigned index, char *const **items);
/* Where it says so, for messages: "flow.yaml: line 7: run.lanes". item: entry of a list, or CONFIG_LINES_VALUE. */
void config_file_where(struct config_file *file, const char *path, unsigned index, int item, char *where, size_t size);
void config_file_free(struct config_file *file); /* accepts NULL */

#endif
