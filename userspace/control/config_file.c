#include "config_file.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_lines.h"

#define FILE_MAX_BYTES (1u << 20)
#define SECTION_MAX    16

/* Every section is a struct config_texts of its own, of which it fills its options. */
struct sections {
	struct config_texts *section[SECTION_MAX];
};

struct config_file {
	struct sections *sections;
	struct config_lines *lines;
	const char *names[SECTION_MAX];
	unsigned count;
	cyaml_schema_field_t field[SECTION_MAX][OPTION_COUNT_MAX + 1]; /* a zero key ends each list */
	cyaml_schema_field_t top[SECTION_MAX + 1];
	cyaml_schema_value_t root;
	struct complaint {
		char text[256];
		char field[64], section[64];
		unsigned line;
		unsigned places; /* lines of the backtrace seen */
	} complaint;
};

static const cyaml_schema_value_t schema_path = {
	.type = CYAML_STRING, .flags = CYAML_FLAG_POINTER, .data_size = sizeof(char), .string = { .min = 0, .max = UINT32_MAX }
};

/* libcyaml says one thing in several calls: the complaint, then a backtrace from the field outwards. */
static void hear(cyaml_log_t level, void *context, const char *format, va_list args)
{
	struct complaint *complaint = context;
	char line[256], name[64];
	unsigned at;

	(void)level;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = 0;
	const char *said = strncmp(line, "Load: ", 6) ? line : line + 6;
	if (!complaint->text[0]) {
		snprintf(complaint->text, sizeof(complaint->text), "%.255s", said);
		return;
	}
	if (sscanf(said, " in mapping field '%63[^']' (line: %u", name, &at) == 2) {
		/* The section is the last name heard; the field, if the complaint is about one, came before it. */
		strcpy(complaint->field, complaint->section);
		strcpy(complaint->section, name);
	} else if (sscanf(said, " in %*[a-z] (line: %u", &at) != 1 && sscanf(said, " in sequence entry %*s (line: %u", &at) != 1) {
		return;
	}
	if (!complaint->places++)
		complaint->line = at;
}

static unsigned section_index(struct config_file *file, const char *name)
{
	unsigned i = 0;

	while (i < file->count && strcmp(file->names[i], name))
		i++;
	if (i == file->count)
		file->names[file->count++] = name;
	return i;
}

static void make_schema(struct config_file *file)
{
	unsigned used[SECTION_MAX] = { 0 };

	for (unsigned i = 0; i < option_count; i++) {
		const struct option_spec *spec = &option_table[i];
		if (!spec->section)
			continue;
		unsigned section = section_index(file, spec->section);
		cyaml_schema_field_t *field = &file->field[section][used[section]++];

		field->key = spec->key;
		field->value.flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL;
		if (option_is_list(spec)) {
			field->data_offset = (uint32_t)offsetof(struct config_texts, list[i].items);
			field->count_offset = (uint32_t)offsetof(struct config_texts, list[i].count);
			field->count_size = sizeof(unsigned);
			field->value.type = CYAML_SEQUENCE;
			field->value.data_size = sizeof(char *);
			field->value.sequence.max = UINT32_MAX;
			field->value.sequence.entry = &schema_path;
		} else {
			field->data_offset = (uint32_t)(offsetof(struct config_texts, text) + i * sizeof(char *));
			field->value.type = CYAML_STRING;
			field->value.data_size = sizeof(char);
			field->value.string.max = UINT32_MAX;
		}
	}
	for (unsigned i = 0; i < file->count; i++) {
		cyaml_schema_field_t *top = &file->top[i];
		top->key = file->names[i];
		top->data_offset = (uint32_t)(i * sizeof(file->sections->section[0]));
		top->value.type = CYAML_MAPPING;
		/* A section whose keys are all commented out is an empty scalar. */
		top->value.flags = CYAML_FLAG_POINTER_NULL_STR | CYAML_FLAG_OPTIONAL;
		top->value.data_size = sizeof(struct config_texts);
		top->value.mapping.fields = file->field[i];
	}
	file->root.type = CYAML_MAPPING;
	file->root.flags = CYAML_FLAG_POINTER_NULL_STR;
	file->root.data_size = sizeof(struct sections);
	file->root.mapping.fields = file->top;
}

static cyaml_config_t cyaml_setup(struct config_file *file)
{
	return (cyaml_config_t){ .log_fn = hear,
		.log_ctx = &file->complaint,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_WARNING,
		.flags = CYAML_CFG_NO_ALIAS };
}

/* libcyaml places a bad key at the end of what stood before it: look for the key from there on. `otherwise`: not found. */
static unsigned find_key_line(const char *text, const char *key, unsigned from, unsigned otherwise)
{
	size_t key_len = strlen(key);

	for (unsigned line = 1;; line++) {
		const char *at = text + strspn(text, " \t\"'-{");
		if (line >= from && !strncmp(at, key, key_len) && strchr(": \t\"'", at[key_len]))
			return line;
		text += strcspn(text, "\n");
		if (!*text++)
			return otherwise;
	}
}

static int explain_key(struct config_file *file, const char *path, const char *text, const char *key, struct options *options)
{
	const struct complaint *complaint = &file->complaint;
	const char *names[OPTION_COUNT_MAX];
	unsigned count = 0, line = find_key_line(text, key, complaint->line, complaint->line);
	const char *section = complaint->section;

	for (unsigned i = 0; i < file->count && !section[0]; i++)
		names[count++] = file->names[i];
	for (unsigned i = 0; i < option_count && section[0]; i++) {
		if (option_table[i].section && !strcmp(option_table[i].section, section))
			names[count++] = option_table[i].key;
	}
	const char *near = nearest_name(key, names, count);
	return option_fail(options, "%s: line %u: unknown key '%s%s%s'%s%s%s flowlane --dump-config shows all keys", path, line,
		section, section[0] ? "." : "", key, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : ";");
}

static int explain(struct config_file *file, cyaml_err_t error, const char *path, const char *text, struct options *options)
{
	const struct complaint *complaint = &file->complaint;
	char name[140], key[64], wanted[32];

	snprintf(name, sizeof(name), "%s%s%s", complaint->section, complaint->field[0] ? "." : "", complaint->field);
	if (sscanf(complaint->text, "Unexpected key: %63[^\n]", key) == 1)
		return explain_key(file, path, text, key, options);
	if (sscanf(complaint->text, "Mapping field already seen: %63[^\n]", key) == 1)
		return option_fail(options, "%s: line %u: '%s' is given twice", path,
			find_key_line(text, key, complaint->line + 1, complaint->line), name);
	if (error == CYAML_ERR_ALIAS)
		return option_fail(
			options, "%s: line %u: YAML aliases (*name) are not supported; write the value out", path, complaint->line);
	if (sscanf(complaint->text, "Expecting %31[A-Z]", wanted) == 1) {
		const char *takes = !strcmp(wanted, "STRING")     ? "one value"
				    : !strcmp(wanted, "SEQUENCE") ? "a list, such as [a.pcap, b.pcap]"
								  : "keys with values below it";
		if (!name[0])
			return option_fail(options, "%s: this is not a configuration; it takes sections such as 'input:'", path);
		return option_fail(options, "%s: line %u: '%s' takes %s", path, complaint->line, name, takes);
	}
	if (!strncmp(complaint->text, "Ignoring documents", 18))
		return option_fail(options, "%s: a configuration is one YAML document; remove what follows '---'", path);
	const char *said = strncmp(complaint->text, "libyaml: ", 9) ? complaint->text : complaint->text + 9;
	return option_fail(options, "%s: line %u or soon after: not valid YAML: %s", path, complaint->line ? complaint->line : 1,
		said[0] ? said : cyaml_strerror(error));
}

static int read_text(const char *path, struct options *options, char **text, size_t *length)
{
	FILE *stream = fopen(path, "r");
	char *buffer = malloc(FILE_MAX_BYTES + 1);
	int error = 0;

	if (!stream || !buffer) {
		error = option_fail(options, "%s: cannot open the configuration file: %s", path, strerror(errno));
		goto out;
	}
	*length = fread(buffer, 1, FILE_MAX_BYTES + 1, stream);
	if (ferror(stream))
		error = option_fail(options, "%s: cannot read the configuration file: %s", path, strerror(errno));
	else if (*length > FILE_MAX_BYTES)
		error = option_fail(options, "%s: this is not a configuration file: it is over 1 MiB", path);
	else if (memchr(buffer, 0, *length))
		error = option_fail(options, "%s: this is not a configuration file: it is binary", path);
	else
		buffer[*length] = 0;
out:
	if (stream)
		fclose(stream);
	if (error)
		free(buffer);
	else
		*text = buffer;
	return error;
}

int config_file_load(const char *path, struct options *options, struct config_file **out)
{
	struct config_file *file = calloc(1, sizeof(*file));
	char *text = NULL;
	size_t length = 0;

	if (!file)
		return option_fail(options, "out of memory while reading %s", path);
	int error = read_text(path, options, &text, &length);
	if (error)
		goto fail;
	make_schema(file);
	cyaml_config_t setup = cyaml_setup(file);
	cyaml_err_t status =
		cyaml_load_data((const uint8_t *)text, length, &setup, &file->root, (cyaml_data_t **)&file->sections, NULL);
	if (status != CYAML_OK || file->complaint.text[0]) {
		error = explain(file, status, path, text, options);
		goto fail;
	}
	file->lines = config_lines_read(text, length);
	free(text);
	*out = file;
	return 0;
fail:
	free(text);
	config_file_free(file);
	return error;
}

static const struct config_texts *section_of(const struct config_file *file, unsigned index)
{
	for (unsigned i = 0; file->sections && i < file->count; i++) {
		if (option_table[index].section && !strcmp(file->names[i], option_table[index].section))
			return file->sections->section[i];
	}
	return NULL;
}

const char *config_file_text(const struct config_file *file, unsigned index)
{
	const struct config_texts *texts = section_of(file, index);
	const char *text = texts ? texts->text[index] : NULL;

	return text && text[0] ? text : NULL;
}

unsigned config_file_list(const struct config_file *file, unsigned index, char *const **items)
{
	const struct config_texts *texts = section_of(file, index);

	*items = texts ? texts->list[index].items : NULL;
	return texts ? texts->list[index].count : 0;
}

void config_file_where(struct config_file *file, const char *path, unsigned index, int item, char *where, size_t size)
{
	const struct option_spec *spec = &option_table[index];
	unsigned line = config_lines_find(file->lines, spec->section, spec->key, item);

	if (line)
		snprintf(where, size, "%s: line %u: %s.%s", path, line, spec->section, spec->key);
	else
		snprintf(where, size, "%s: %s.%s", path, spec->section, spec->key);
}

void config_file_free(struct config_file *file)
{
	if (!file)
		return;
	config_lines_free(file->lines);
	if (file->sections) {
		cyaml_config_t setup = cyaml_setup(file);
		cyaml_free(&setup, &file->root, file->sections, 0);
	}
	free(file);
}
