/* --dump-config: the effective configuration as YAML, with the help as comments. */
#include <errno.h>
#include <string.h>

#include "option_table.h"
#include "utf8.h"

static bool is_utf8(const char *text)
{
	unsigned n = 1;

	while (*text && (n = utf8_length(text)))
		text += n;
	return n != 0;
}

static void print_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20 || *text == 0x7f)
			fprintf(out, "\\x%02x", (unsigned char)*text);
		else
			fputc(*text, out);
	}
	fputc('"', out);
}

static void print_list(FILE *out, const struct options *options, const struct option_spec *spec)
{
	char *const *items;
	unsigned count = option_list(options, spec, &items);

	fputc('[', out);
	for (unsigned i = 0; i < count; i++) {
		if (i)
			fputs(", ", out);
		print_quoted(out, items[i]);
	}
	fputc(']', out);
}

static void print_member(FILE *out, const struct options *options, const struct option_spec *spec)
{
	char text[32];
	const char *value = option_get(options, spec, text);

	fprintf(out, "  # %s\n  %s: ", spec->help, spec->key);
	if (option_is_list(spec))
		print_list(out, options, spec);
	else if (spec->kind == OPTION_PATH || spec->kind == OPTION_TEXT || spec->kind == OPTION_FILTER)
		print_quoted(out, value);
	else
		fputs(value, out);
	fputc('\n', out);
}

static int check_utf8(struct options *options)
{
	char text[32];
	int error = 0;

	for (unsigned i = 0; i < option_count && !error; i++) {
		char *const *items;
		unsigned count = option_is_list(&option_table[i]) ? option_list(options, &option_table[i], &items) : 0;
		if (option_table[i].section && !is_utf8(option_get(options, &option_table[i], text)))
			error = -EILSEQ;
		for (; count && !error; count--)
			error = is_utf8(items[count - 1]) ? 0 : -EILSEQ;
	}
	if (error)
		option_fail(
			options, "--dump-config: a file name or the filter is not UTF-8, which YAML cannot hold; rename the file");
	return error;
}

int options_dump(struct options *options, FILE *out)
{
	const char *printed[OPTION_COUNT_MAX];
	unsigned printed_count = 0;
	int error = check_utf8(options);

	if (error)
		return error;
	fprintf(out, "# flowlane %s; use it with: flowlane --config FILE. An empty value counts as not given.\n",
		flowlane_version());
	for (unsigned i = 0; i < option_count; i++) {
		const char *section = option_table[i].section;
		unsigned seen = 0;

		/* Sections in the order in which the table first names them; a section's options need not be neighbours. */
		while (section && seen < printed_count && strcmp(printed[seen], section))
			seen++;
		if (!section || seen < printed_count)
			continue;
		printed[printed_count++] = section;
		fprintf(out, "%s:\n", section);
		for (unsigned j = i; j < option_count; j++) {
			if (option_table[j].section && !strcmp(option_table[j].section, section))
				print_member(out, options, &option_table[j]);
		}
	}
	return 0;
}
