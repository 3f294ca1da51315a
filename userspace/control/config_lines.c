#include "config_lines.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct config_lines {
	yaml_document_t document;
};

struct config_lines *config_lines_read(const char *text, size_t length)
{
	struct config_lines *lines = calloc(1, sizeof(*lines));
	yaml_parser_t parser;

	if (!lines || !yaml_parser_initialize(&parser)) {
		free(lines);
		return NULL;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	int loaded = yaml_parser_load(&parser, &lines->document);
	yaml_parser_delete(&parser);
	if (loaded)
		return lines;
	free(lines);
	return NULL;
}

void config_lines_free(struct config_lines *lines)
{
	if (!lines)
		return;
	yaml_document_delete(&lines->document);
	free(lines);
}

/* The value of a key in a mapping; NULL: there is none, or this is no mapping. */
static yaml_node_t *node_of(yaml_document_t *document, const yaml_node_t *mapping, const char *name)
{
	if (!mapping || mapping->type != YAML_MAPPING_NODE)
		return NULL;
	for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(document, pair->key);
		if (key->type == YAML_SCALAR_NODE && !strcmp((const char *)key->data.scalar.value, name))
			return yaml_document_get_node(document, pair->value);
	}
	return NULL;
}

unsigned config_lines_find(struct config_lines *lines, const char *section, const char *key, int item)
{
	if (!lines)
		return 0;
	yaml_document_t *document = &lines->document;
	const yaml_node_t *node = node_of(document, node_of(document, yaml_document_get_root_node(document), section), key);

	if (node && node->type == YAML_SEQUENCE_NODE && item != CONFIG_LINES_VALUE) {
		const yaml_node_item_t *entry = node->data.sequence.items.start + item;
		node = entry < node->data.sequence.items.top ? yaml_document_get_node(document, *entry) : NULL;
	}
	return node ? (unsigned)node->start_mark.line + 1 : 0;
}
