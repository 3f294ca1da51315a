#include "stream_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define FILE_MAX ((size_t)4 << 20) /* all CAs of a system are 200 KiB */

static bool has_block(const char *text, const char *kind)
{
	for (const char *at = strstr(text, "-----BEGIN "); at; at = strstr(at + 1, "-----BEGIN ")) {
		const char *line_end = strchr(at, '\n');
		const char *found = strstr(at, kind);
		if (found && line_end && found < line_end)
			return true;
	}
	return false;
}

int stream_file_read(const char *option, const char *path, const char *kind, char **text)
{
	FILE *file = fopen(path, "rb");
	char *content = file ? malloc(FILE_MAX + 1) : NULL;
	size_t length = content ? fread(content, 1, FILE_MAX + 1, file) : 0;
	int error = file ? (content ? (ferror(file) ? -errno : 0) : -ENOMEM) : -errno;

	if (file)
		fclose(file);
	if (!error && length > FILE_MAX)
		error = -EFBIG;
	if (error) {
		log_error("%s %s: %s", option, path, strerror(-error));
		free(content);
		return error;
	}
	content[length] = 0;
	if (!has_block(content, kind)) {
		log_error("%s %s has no \"-----BEGIN ... %s-----\"; give a file in PEM format", option, path, kind);
		free(content);
		return -EINVAL;
	}
	*text = content;
	return 0;
}
