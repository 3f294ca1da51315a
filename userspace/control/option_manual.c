/* The manual page (flowlane.1) and docs/options.md, made from the same table as --help. */
#include <inttypes.h>
#include <string.h>

#include "option_docs.h"

/* A line of roff text: backslashes and dashes are escaped, and a leading dot or quote is no request. */
static void roff_text(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
}

static void roff_bold(FILE *out, const char *text)
{
	fputs("\\fB", out);
	roff_text(out, text);
	fputs("\\fR", out);
}

static void roff_pairs(FILE *out, const char *heading, const struct doc_pair *pair)
{
	fprintf(out, ".SH %s\n", heading);
	for (; pair->left; pair++) {
		fputs(".TP\n", out);
		roff_bold(out, pair->left);
		fputc('\n', out);
		roff_text(out, pair->right);
		fputs(".\n", out);
	}
}

static void roff_option(FILE *out, const struct option_spec *spec)
{
	char left[80], takes[128];

	doc_option_left(spec, left, sizeof(left));
	fputs(".TP\n", out);
	roff_bold(out, left + strspn(left, " "));
	fputc('\n', out);
	roff_text(out, spec->help);
	fputs(".\n", out);
	if (spec->kind == OPTION_NUMBER || spec->kind == OPTION_SECONDS || spec->kind == OPTION_WORD) {
		fputs("Takes ", out);
		roff_text(out, option_takes(spec, takes, sizeof(takes)));
		fprintf(out, "; default %s.\n", spec->fallback);
	}
	if (spec->section)
		fprintf(out, "In the configuration file: \\fI%s.%s\\fR.\n", spec->section, spec->key);
}

void options_print_man(FILE *out)
{
	const char *group = "";

	fprintf(out, ".TH FLOWLANE 1 \"\" \"flowlane %s\"\n.SH NAME\nflowlane \\- %s\n.SH SYNOPSIS\n", flowlane_version(),
		DOC_TAGLINE);
	for (unsigned i = 0; doc_usage[i]; i++) {
		roff_bold(out, doc_usage[i]);
		fputs("\n.br\n", out);
	}
	fputs(".SH DESCRIPTION\n", out);
	for (unsigned i = 0; doc_about[i]; i++) {
		roff_text(out, doc_about[i]);
		fputs("\n.PP\n", out);
	}
	fputs(".SH OPTIONS\n", out);
	for (unsigned i = 0; i < option_count; i++) {
		if (strcmp(group, option_table[i].group)) {
			group = option_table[i].group;
			fprintf(out, ".SS %s\n", group);
		}
		roff_option(out, &option_table[i]);
	}
	roff_pairs(out, "EXIT STATUS", doc_exit_codes);
	roff_pairs(out, "SIGNALS", doc_signals);
	fputs(".SH EXAMPLES\n", out);
	for (const struct doc_pair *pair = doc_examples; pair->left; pair++) {
		fputs(".TP\n", out);
		roff_text(out, pair->left);
		fputs("\n.nf\n", out);
		roff_bold(out, pair->right);
		fputs("\n.fi\n", out);
	}
	fputs(".SH SEE ALSO\n\\fBpcap\\-filter\\fR(7), \\fBtcpdump\\fR(8), \\fBtshark\\fR(1)\n", out);
}

/* A cell of a Markdown table: a bar would end it. */
static void markdown_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void markdown_option(FILE *out, const struct option_spec *spec)
{
	char left[80], takes[128];

	doc_option_left(spec, left, sizeof(left));
	fputs("| `", out);
	markdown_text(out, left + strspn(left, " "));
	fputs("` | ", out);
	markdown_text(out, spec->help);
	fputs(" | ", out);
	if (spec->section)
		fprintf(out, "`%s.%s`", spec->section, spec->key);
	fprintf(out, " | %s | %s |\n", option_takes(spec, takes, sizeof(takes)),
		spec->fallback              ? spec->fallback
		: spec->kind == OPTION_FLAG ? "no"
					    : "");
}

static void markdown_pairs(FILE *out, const char *heading, const struct doc_pair *pair)
{
	fprintf(out, "\n## %s\n\n", heading);
	for (; pair->left; pair++)
		fprintf(out, "* `%s`: %s\n", pair->left, pair->right);
}

void options_print_markdown(FILE *out)
{
	const char *group = "";

	fputs("# Options\n\nMade by `flowlane --markdown`; a test compares the two. What the summary's names mean is in "
	      "[summary.md](summary.md).\n\n```\n",
		out);
	for (unsigned i = 0; doc_usage[i]; i++)
		fprintf(out, "%s\n", doc_usage[i]);
	fputs("```\n", out);
	for (unsigned i = 0; doc_about[i]; i++)
		fprintf(out, "\n%s\n", doc_about[i]);
	for (unsigned i = 0; i < option_count; i++) {
		if (strcmp(group, option_table[i].group)) {
			group = option_table[i].group;
			fprintf(out,
				"\n## %s\n\n| option | what it does | in the configuration file | takes | default "
				"|\n|---|---|---|---|---|\n",
				group);
		}
		markdown_option(out, &option_table[i]);
	}
	fputs("\n## Configuration file\n\nYAML, read by `--config FILE`. The command line wins over it, it wins over the defaults; "
	      "an empty value "
	      "counts as not given, an unknown key is an error. `flowlane --dump-config` prints a complete one.\n",
		out);
	fputs("\n## Examples\n\n```\n", out);
	for (const struct doc_pair *pair = doc_examples; pair->left; pair++)
		fprintf(out, "# %s\n%s\n", pair->left, pair->right);
	fputs("```\n", out);
	markdown_pairs(out, "Exit codes", doc_exit_codes);
	markdown_pairs(out, "Signals", doc_signals);
}
