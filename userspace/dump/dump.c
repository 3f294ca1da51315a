#include "dump.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.pb-c.h"
#include "file_header.h"
#include "frames.h"
#include "log.h"
#include "ncap_types.h"
#include "print.h"
#include "table_text.h"

#define EXIT_USAGE   1
#define EXIT_RUNTIME 2

enum dump_format { DUMP_TEXT, DUMP_JSON, DUMP_CSV, DUMP_TABLE };

struct dump {
	const char *path;
	enum dump_format format;
	const char *select;
	bool header_only;
	struct frames *frames;
	struct file_header header;
	const char *type_name;
	const ProtobufCMessageDescriptor *message;
	struct print_fields fields;
	struct table_text *table;
	uint64_t records;
};

/* ---- options ------------------------------------------------------------------------------------------------------- */

static void print_help(void)
{
	printf("Usage: flowlane dump [OPTIONS] FILE\n"
	       "\n"
	       "Prints the audit records of FILE (.ncap or .ncap.gz; - is standard input), whoever wrote it. Fields that are 0 or\n"
	       "empty are left out of text and JSON; fields that flowlane does not know are skipped.\n"
	       "\n"
	       "      --json           a line for each record, an object\n"
	       "      --csv            a line for each record, and one with the names of the fields\n"
	       "      --table          the same in columns, for people\n"
	       "      --select F,G     only these fields, in this order\n"
	       "      --header         only the header of the file: type, source, time, version\n"
	       "  -h, --help           this text\n"
	       "\n"
	       "Exit code: 0; 1: wrong usage, or FILE is broken: then all that comes before is printed; 2: cannot read or write.\n"
	       "A FILE that ends within a record is no error, but said.\n");
}

static int usage(const char *text, const char *what)
{
	log_error("dump: %s%s; see flowlane dump --help", text, what);
	return EXIT_USAGE;
}

enum { LONG_JSON = 256, LONG_CSV, LONG_TABLE, LONG_SELECT, LONG_HEADER };

static const struct option known_options[] = {
	{ "json", no_argument, NULL, LONG_JSON },
	{ "csv", no_argument, NULL, LONG_CSV },
	{ "table", no_argument, NULL, LONG_TABLE },
	{ "select", required_argument, NULL, LONG_SELECT },
	{ "header", no_argument, NULL, LONG_HEADER },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int format_set(struct dump *dump, enum dump_format format)
{
	if (dump->format != DUMP_TEXT && dump->format != format)
		return usage("--json, --csv and --table exclude each other", "");
	dump->format = format;
	return 0;
}

/* 0, or the exit code; *done: that was all. */
static int options_take(struct dump *dump, int argc, char **argv, bool *done)
{
	int option, status = 0;

	optind = 0;
	opterr = 0;
	while (!status && (option = getopt_long(argc, argv, ":h", known_options, NULL)) != -1) {
		switch (option) {
		case 'h':
			print_help();
			*done = true;
			return 0;
		case LONG_JSON:
		case LONG_CSV:
		case LONG_TABLE:
			status = format_set(dump, (enum dump_format)(DUMP_JSON + option - LONG_JSON));
			break;
		case LONG_SELECT:
			dump->select = optarg;
			break;
		case LONG_HEADER:
			dump->header_only = true;
			break;
		case ':':
			status = usage("an argument is missing behind ", argv[optind - 1]);
			break;
		default:
			status = usage("unknown option ", argv[optind - 1]);
			break;
		}
	}
	if (status)
		return status;
	if (argc - optind != 1)
		return usage(argc == optind ? "FILE is missing" : "only one FILE at a time", "");
	dump->path = argv[optind];
	return 0;
}

/* ---- the header ---------------------------------------------------------------------------------------------------- */

static void header_line(const char *name, const char *text)
{
	fputs(name, stdout);
	print_clean(stdout, text, false);
	putchar('\n');
}

static void header_print(const struct dump *dump)
{
	const struct file_header *header = &dump->header;

	printf("Type:             %s (%" PRIu32 ")\n", dump->type_name ? dump->type_name : "unknown", header->type);
	header_line("InputSource:      ", header->source);
	header_line("Created:          ", header->created);
	header_line("Version:          ", header->version);
	printf("ContainsPayloads: %s\n", header->payloads ? "true" : "false");
	printf("Schema:           %s\n", header->schema == NCAP_SCHEMA_LEGACY ? "legacy" : "current");
}

/* What is printed so far comes first. Returns the exit code. */
static int broken(const struct dump *dump, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int broken(const struct dump *dump, const char *format, ...)
{
	char reason[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	fflush(stdout);
	log_error("dump: %s: %s", dump->path, reason);
	return EXIT_USAGE;
}

/* frames_next() found no more, and says why. */
static int stopped(const struct dump *dump, int error, const char *question)
{
	broken(dump, "%s%s", frames_error(dump->frames), error == -EIO ? "" : question);
	return error == -EIO ? EXIT_RUNTIME : EXIT_USAGE;
}

static int header_read(struct dump *dump)
{
	const uint8_t *bytes;
	size_t n;
	int got = frames_next(dump->frames, &bytes, &n);

	if (got < 0)
		return stopped(dump, got, "; is this a file of audit records?");
	if (got == 0)
		return broken(dump, frames_truncated(dump->frames)
					    ? "it ends within its header, at offset 0; is this a file of audit records?"
					    : "it is empty, and a file of audit records has a header at least");
	if (!file_header_parse(bytes, n, &dump->header))
		return broken(dump, "what is at offset 0 is no header of a file of audit records");
	dump->message = ncap_message_of(dump->header.type, dump->header.schema, &dump->type_name);
	if (!dump->type_name || !strcmp(dump->type_name, "Header"))
		return broken(
			dump, "the header at offset 0 says type %" PRIu32 ", which is no type of audit records", dump->header.type);
	if (!dump->message)
		dump->message = &types__other__descriptor;
	return 0;
}

/* ---- fields -------------------------------------------------------------------------------------------------------- */

static int field_unknown(const struct dump *dump, const char *name, int bytes)
{
	char known[1024] = "";

	for (unsigned i = 0; i < dump->message->n_fields; i++) {
		size_t used = strlen(known);
		snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "", dump->message->fields[i].name);
	}
	log_error("dump: --select %.*s: %s records have no such field; they have %s", bytes, name, dump->type_name,
		*known ? known : "none that flowlane knows");
	return EXIT_USAGE;
}

static const ProtobufCFieldDescriptor *field_find(const ProtobufCMessageDescriptor *message, const char *name, size_t bytes)
{
	for (unsigned i = 0; i < message->n_fields; i++) {
		if (strlen(message->fields[i].name) == bytes && !memcmp(message->fields[i].name, name, bytes))
			return &message->fields[i];
	}
	return NULL;
}

/* All fields, or those of --select. */
static int fields_choose(struct dump *dump)
{
	unsigned max = dump->message->n_fields + 1;

	for (const char *at = dump->select; at && *at; at++)
		max += *at == ',';
	dump->fields.fields = calloc(max, sizeof(*dump->fields.fields));
	if (!dump->fields.fields) {
		log_error("dump: no memory");
		return EXIT_RUNTIME;
	}
	for (unsigned i = 0; !dump->select && i < dump->message->n_fields; i++)
		dump->fields.fields[dump->fields.count++] = &dump->message->fields[i];
	for (const char *at = dump->select; at; at = *at ? at + 1 : NULL) {
		size_t bytes = strcspn(at, ",");
		const ProtobufCFieldDescriptor *field = field_find(dump->message, at, bytes);
		if (!field)
			return field_unknown(dump, at, (int)bytes);
		dump->fields.fields[dump->fields.count++] = field;
		at += bytes;
	}
	return 0;
}

/* ---- records ------------------------------------------------------------------------------------------------------- */

static bool row_print(struct dump *dump, const ProtobufCMessage *message)
{
	for (unsigned i = 0; i < dump->fields.count; i++) {
		char *cell = NULL;
		size_t bytes = 0;
		FILE *out = open_memstream(&cell, &bytes);
		if (!out)
			return false;
		print_cell(out, message, dump->fields.fields[i]);
		bool good = fclose(out) == 0 && table_text_cell(dump->table, cell, bytes);
		free(cell);
		if (!good)
			return false;
	}
	return true;
}

static bool table_begin(struct dump *dump)
{
	dump->table = table_text_create(stdout, dump->fields.count, dump->format == DUMP_CSV);
	for (unsigned i = 0; dump->table && i < dump->fields.count; i++) {
		const char *name = dump->fields.fields[i]->name;
		if (!table_text_cell(dump->table, name, strlen(name)))
			return false;
	}
	return dump->table != NULL;
}

/* False: no memory. */
static bool record_print(struct dump *dump, const ProtobufCMessage *message)
{
	switch (dump->format) {
	case DUMP_TEXT:
		printf("NC_%s\n", dump->type_name);
		print_text(stdout, message, &dump->fields);
		putchar('\n');
		return true;
	case DUMP_JSON:
		print_json(stdout, message, &dump->fields);
		putchar('\n');
		return true;
	default:
		return row_print(dump, message);
	}
}

static int records_print(struct dump *dump)
{
	const uint8_t *bytes;
	size_t n;
	int got;

	while ((got = frames_next(dump->frames, &bytes, &n)) > 0 && !ferror(stdout)) {
		ProtobufCMessage *message = protobuf_c_message_unpack(dump->message, NULL, n, bytes);
		if (!message) {
			table_text_finish(dump->table);
			dump->table = NULL;
			return broken(dump, "the record at offset %" PRIu64 " (number %" PRIu64 ") is no %s record",
				frames_offset(dump->frames), dump->records + 1, dump->type_name);
		}
		bool good = record_print(dump, message);
		protobuf_c_message_free_unpacked(message, NULL);
		if (!good) {
			log_error("dump: no memory");
			return EXIT_RUNTIME;
		}
		dump->records++;
	}
	table_text_finish(dump->table);
	dump->table = NULL;
	if (got < 0)
		return stopped(dump, got, "");
	if (dump->format == DUMP_TEXT)
		printf("%" PRIu64 " records.\n", dump->records);
	if (frames_truncated(dump->frames)) {
		fflush(stdout);
		log_warning("dump: %s ends within a record, at offset %" PRIu64 "; it was cut off there, or is still written",
			dump->path, frames_offset(dump->frames));
	}
	return 0;
}

static int dump_file(struct dump *dump)
{
	int status = header_read(dump);

	if (status)
		return status;
	if (dump->header_only) {
		header_print(dump);
		return 0;
	}
	status = fields_choose(dump);
	if (status)
		return status;
	if (dump->format >= DUMP_CSV && !dump->fields.count)
		return broken(dump,
			"flowlane does not know the fields of %s records; without --csv and --table they are printed by number",
			dump->type_name);
	if (dump->format >= DUMP_CSV && !table_begin(dump)) {
		log_error("dump: no memory");
		return EXIT_RUNTIME;
	}
	return records_print(dump);
}

int dump_run(int argc, char **argv)
{
	struct dump dump = { 0 };
	char error[512] = "no memory";
	bool done = false;
	int status = options_take(&dump, argc, argv, &done);

	if (status || done)
		return status;
	if (frames_open(dump.path, &dump.frames, error, sizeof(error))) {
		log_error("dump: %s", error);
		return EXIT_RUNTIME;
	}
	status = dump_file(&dump);
	table_text_finish(dump.table);
	if (fflush(stdout) || ferror(stdout)) {
		log_error("dump: standard output: cannot write: %s", strerror(errno));
		status = status ? status : EXIT_RUNTIME;
	}
	free(dump.fields.fields);
	file_header_free(&dump.header);
	frames_close(dump.frames);
	return status;
}
