/*
 * In which line of a configuration file a value stands: libcyaml, which reads the values, does not keep that, so the text is taken
 * apart once more by libyaml. For complaints about values that are well-formed YAML, but not what the option takes.
 */
#ifndef FLOWLANE_CONFIG_LINES_H
#define FLOWLANE_CONFIG_LINES_H

#include <stddef.h>

#define CONFIG_LINES_VALUE (-1) /* in place of an item's number: the value as a whole */

struct config_lines;

/* NULL: no memory, or no YAML. The text may go afterwards. */
struct config_lines *config_lines_read(const char *text, size_t length);
void config_lines_free(struct config_lines *lines); /* accepts NULL */
/* Of section.key: of its value, or of entry `item` of its list. Counts from 1; 0: it is not there. */
unsigned config_lines_find(struct config_lines *lines, const char *section, const char *key, int item);

#endif
