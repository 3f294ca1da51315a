/* --help. The widths: options up to column 36, text up to column 100. */
#include <string.h>

#include "option_docs.h"

#define COLUMNS     100
#define TEXT_COLUMN 36

/* Prints words from column `at`, breaking lines at COLUMNS and continuing at column `indent`. */
static void print_wrapped(FILE *out, const char *text, int at, int indent)
{
	while (*text) {
		int length = (int)strcspn(text, " ");
		if (at > indent && at + 1 + length > COLUMNS) {
			fprintf(out, "\n%*s", indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', out);
			at++;
		}
		fwrite(text, 1, (size_t)length, out);
		at += length;
		text += length;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void print_row(FILE *out, const char *left, const char *right, int column)
{
	int at = fprintf(out, "  %s", left);

	if (at + 1 > column) {
		fputc('\n', out);
		at = 0;
	}
	fprintf(out, "%*s", column - at, "");
	print_wrapped(out, right, column, column);
}

static void print_option(FILE *out, const struct option_spec *spec)
{
	char left[80], fallback[64], right[512];

	doc_option_left(spec, left, sizeof(left));
	doc_default(spec, fallback, sizeof(fallback));
	snprintf(right, sizeof(right), "%s%s%s%s", spec->help, fallback[0] ? " (" : "", fallback, fallback[0] ? ")" : "");
	print_row(out, left, right, TEXT_COLUMN);
}

void options_print_help(FILE *out)
{
	const char *group = "";

	fprintf(out, "flowlane %s: %s\n\n", flowlane_version(), DOC_TAGLINE);
	for (unsigned i = 0; doc_usage[i]; i++)
		fprintf(out, "%s%s\n", i ? "       " : "usage: ", doc_usage[i]);
	for (unsigned i = 0; doc_about[i]; i++) {
		fputc('\n', out);
		print_wrapped(out, doc_about[i], 0, 0);
	}
	for (unsigned i = 0; i < option_count; i++) {
		if (strcmp(group, option_table[i].group)) {
			group = option_table[i].group;
			fprintf(out, "\n%s:\n", group);
		}
		print_option(out, &option_table[i]);
	}
	fputs("\nExamples:\n", out);
	for (const struct doc_pair *pair = doc_examples; pair->left; pair++)
		fprintf(out, "  # %s\n  %s\n", pair->left, pair->right);
	fputs("\nExit codes:\n", out);
	for (const struct doc_pair *pair = doc_exit_codes; pair->left; pair++)
		print_row(out, pair->left, pair->right, 8);
	fputs("\nSignals:\n", out);
	for (const struct doc_pair *pair = doc_signals; pair->left; pair++)
		print_row(out, pair->left, pair->right, 20);
}
