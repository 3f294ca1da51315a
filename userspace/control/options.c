#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_file.h"
#include "option_check.h"
#include "option_table.h"

/* The command line, taken apart but not yet understood. Borrows from argv. */
struct arguments {
	const char *text[OPTION_COUNT_MAX]; /* NULL: not given */
	struct list_item {
		unsigned option; /* index in the table */
		const char *text;
	} * items; /* of the lists, in the order given */
	unsigned items_count;
	char *filter; /* the other words, joined */
};

const char *flowlane_version(void)
{
	return FLOWLANE_VERSION;
}

static int find_long(const char *name, size_t length)
{
	for (unsigned i = 0; i < option_count; i++) {
		const char *candidate = option_table[i].name;
		if (candidate && strlen(candidate) == length && !memcmp(candidate, name, length))
			return (int)i;
	}
	return -1;
}

static int find_letter(char letter)
{
	for (unsigned i = 0; i < option_count; i++) {
		if (letter && option_table[i].letter == letter)
			return (int)i;
	}
	return -1;
}

/* "--export": one of its many ends would be a poor guess. Lists the names that begin so; false if they are fewer than two. */
static bool begins_several(const char *given, size_t length, const char *const *names, unsigned count, char *list, size_t size)
{
	unsigned found = 0;
	size_t used = 0;

	for (unsigned i = 0; length >= 3 && i < count; i++) {
		if (strncmp(names[i], given, length) || used >= size)
			continue;
		used += (size_t)snprintf(list + used, size - used, "%s--%s", found ? ", " : "", names[i]);
		found++;
	}
	return found > 1 && used < size;
}

static int unknown_long(struct options *options, const char *name, size_t length)
{
	const char *names[OPTION_COUNT_MAX];
	unsigned count = 0;
	char given[64], several[400];

	snprintf(given, sizeof(given), "%.*s", (int)length, name);
	for (unsigned i = 0; i < option_count; i++) {
		if (option_table[i].name)
			names[count++] = option_table[i].name;
	}
	if (begins_several(given, length, names, count, several, sizeof(several)))
		return option_fail(options, "unknown option --%s; there are %s", given, several);
	const char *near = nearest_name(given, names, count);
	if (near)
		return option_fail(options, "unknown option --%s; did you mean --%s?", given, near);
	return option_fail(options, "unknown option --%s; flowlane --help lists all options", given);
}

static int missing_argument(struct options *options, const struct option_spec *spec, const char *where)
{
	char takes[128];

	return option_fail(options, "%s needs %s: %s %s", where, option_takes(spec, takes, sizeof(takes)), where, spec->argument);
}

/* "-r --stats" forgot the file; "-w -" and "-c -5" did not (the number will be refused for what it is). */
static bool looks_like_option(const char *word)
{
	return word[0] == '-' && (word[1] == '-' || find_letter(word[1]) >= 0);
}

static int take(struct options *options, struct arguments *given, unsigned index, const char *text, const char *where)
{
	const struct option_spec *spec = &option_table[index];

	if (option_is_list(spec)) {
		given->items[given->items_count++] = (struct list_item){ index, text };
		return 0;
	}
	/* A later number replaces an earlier one, so that scripts can append; a second file would silently take the place of
	 * the first. */
	if (spec->kind == OPTION_PATH && given->text[index])
		return option_fail(options, "%s is given twice, with %s and %s; give one", where, given->text[index], text);
	given->text[index] = text;
	return 0;
}

/* --name, --name=text, --name text, --no-name. Moves *next over a text taken from there. */
static int take_long(struct options *options, struct arguments *given, char **argv, int argc, int *next)
{
	const char *word = argv[*next - 1] + 2;
	size_t length = strcspn(word, "=");
	const char *text = word[length] ? word + length + 1 : NULL;
	int index = find_long(word, length);
	char where[80];

	if (index < 0 && length > 3 && !strncmp(word, "no-", 3) && !text) {
		index = find_long(word + 3, length - 3);
		if (index >= 0 && option_table[index].kind == OPTION_FLAG && option_table[index].section)
			return take(options, given, (unsigned)index, "no", word);
		index = -1;
	}
	if (index < 0)
		return unknown_long(options, word, length);
	snprintf(where, sizeof(where), "--%s", option_table[index].name);
	if (!text && option_table[index].kind == OPTION_FLAG)
		text = "yes";
	if (!text && (*next == argc || looks_like_option(argv[*next])))
		return missing_argument(options, &option_table[index], where);
	if (!text)
		text = argv[(*next)++];
	return take(options, given, (unsigned)index, text, where);
}

/* -q, -qr FILE, -rFILE, -r FILE. */
static int take_letters(struct options *options, struct arguments *given, char **argv, int argc, int *next)
{
	for (const char *at = argv[*next - 1] + 1; *at; at++) {
		int index = find_letter(*at);
		char where[3] = { '-', *at, 0 };

		if (index < 0)
			return option_fail(options, "unknown option -%c; flowlane --help lists all options", *at);
		if (option_table[index].kind == OPTION_FLAG) {
			given->text[index] = "yes";
			continue;
		}
		if (at[1])
			return take(options, given, (unsigned)index, at + 1, where);
		if (*next == argc || looks_like_option(argv[*next]))
			return missing_argument(options, &option_table[index], where);
		return take(options, given, (unsigned)index, argv[(*next)++], where);
	}
	return 0;
}

/* "flowlane -r *.pcap" gives the second file as a filter: say so before the filter compiler says "syntax error". */
static bool names_capture_file(const char *word)
{
	static const char *const endings[] = { ".pcap", ".pcapng", ".cap", ".dmp", ".gz" };
	size_t length = strlen(word);

	for (unsigned i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t ending = strlen(endings[i]);
		if (length > ending && !strcmp(word + length - ending, endings[i]))
			return true;
	}
	return false;
}

static int add_filter_word(struct options *options, struct arguments *given, const char *word)
{
	char *longer;

	if (names_capture_file(word) && access(word, F_OK) == 0)
		return option_fail(options, "%s is a file, not a part of a filter; to read it too, give -r %s", word, word);
	if (names_capture_file(word) && strstr(word, ".pcap"))
		return option_fail(options, "there is no file %s, and it is no part of a filter; files are given as -r FILE", word);
	if (asprintf(&longer, "%s%s%s", given->filter ? given->filter : "", given->filter ? " " : "", word) < 0)
		return option_fail(options, "out of memory while reading the options");
	free(given->filter);
	given->filter = longer;
	return 0;
}

static int take_arguments(struct options *options, struct arguments *given, int argc, char **argv)
{
	bool only_words = false;
	int error = 0;

	for (int next = 1; next < argc && !error;) {
		const char *word = argv[next++];
		if (only_words || word[0] != '-' || !word[1])
			error = add_filter_word(options, given, word);
		else if (!strcmp(word, "--"))
			only_words = true;
		else if (word[1] == '-')
			error = take_long(options, given, argv, argc, &next);
		else
			error = take_letters(options, given, argv, argc, &next);
	}
	return error;
}

static int apply_list(struct options *options, const struct arguments *given, struct config_file *file, unsigned index)
{
	const struct option_spec *spec = &option_table[index];
	char where[512];
	char *const *items = NULL;
	bool is_given = false;
	int error = 0;

	snprintf(where, sizeof(where), "--%s", spec->name);
	for (unsigned i = 0; i < given->items_count && !error; i++) {
		if (given->items[i].option != index)
			continue;
		is_given = true;
		error = option_set(options, spec, given->items[i].text, where);
	}
	if (is_given || !file)
		return error;
	unsigned count = config_file_list(file, index, &items);
	for (unsigned i = 0; i < count && !error; i++) {
		config_file_where(file, options->config_file, index, (int)i, where, sizeof(where));
		error = option_set(options, spec, items[i], where);
	}
	return error;
}

/* Command line over file over default. */
static int apply(struct options *options, const struct arguments *given, struct config_file *file, unsigned index)
{
	const struct option_spec *spec = &option_table[index];
	const char *text = given->text[index];
	char where[512];

	if (option_is_list(spec))
		return apply_list(options, given, file, index);
	snprintf(where, sizeof(where), "--%s", spec->name ? spec->name : "filter");
	if (!text && file && (text = config_file_text(file, index)))
		config_file_where(file, options->config_file, index, CONFIG_LINES_VALUE, where, sizeof(where));
	if (!text)
		text = spec->fallback;
	return text ? option_set(options, spec, text, where) : 0;
}

/* Those that are no part of a configuration, --config above all, must be known before the file is read. */
static int apply_all(struct options *options, const struct arguments *given, struct config_file *file, bool configurable)
{
	int error = 0;

	for (unsigned i = 0; i < option_count && !error; i++) {
		if ((option_table[i].section != NULL) == configurable)
			error = apply(options, given, file, i);
	}
	return error;
}

static void resolve_progress(struct config *config)
{
	config->progress = config->progress_when == PROGRESS_ALWAYS ||
			   (config->progress_when == PROGRESS_AUTO && !config->quiet && isatty(STDERR_FILENO));
}

int options_parse(int argc, char **argv, struct options *options)
{
	struct config_file *file = NULL;
	struct arguments given = { .items = calloc((size_t)argc + 1, sizeof(*given.items)) };
	int error;

	memset(options, 0, sizeof(*options));
	detectors_reset(&options->config);
	if (!given.items) {
		error = option_fail(options, "out of memory while reading the options");
		goto out;
	}
	error = take_arguments(options, &given, argc, argv);
	if (error)
		goto out;
	for (unsigned i = 0; i < option_count; i++) {
		if (option_table[i].kind == OPTION_FILTER)
			given.text[i] = given.filter;
	}
	error = apply_all(options, &given, NULL, false);
	if (error || options->help || options->version || options->man || options->markdown)
		goto out;
	if (options->config_file)
		error = config_file_load(options->config_file, options, &file);
	if (!error)
		error = apply_all(options, &given, file, true);
	if (!error)
		error = options_check(options);
	resolve_progress(&options->config);
	options->config.stdout_taken = options_use_stdout(&options->config);
out:
	config_file_free(file);
	free(given.filter);
	free(given.items);
	return error;
}

void options_free(struct options *options)
{
	for (unsigned i = 0; i < option_count; i++) {
		const struct option_spec *spec = &option_table[i];
		char *const *items;
		if (spec->kind == OPTION_PATH || spec->kind == OPTION_TEXT || spec->kind == OPTION_FILTER)
			free(*(char **)((char *)options + spec->offset));
		for (unsigned count = option_is_list(spec) ? option_list(options, spec, &items) : 0; count; count--)
			free(items[count - 1]);
		if (option_is_list(spec))
			free(*(char ***)((char *)options + spec->offset));
	}
	memset(options, 0, sizeof(*options));
}
