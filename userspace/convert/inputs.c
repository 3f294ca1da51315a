#include "inputs.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"
#include "reader.h"

static bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/* Takes the string. */
static int inputs_add(struct inputs *inputs, char *path)
{
	char **grown = path ? realloc(inputs->path, (inputs->count + 1) * sizeof(*grown)) : NULL;

	if (!grown) {
		log_error("convert: no memory");
		free(path);
		return -ENOMEM;
	}
	inputs->path = grown;
	inputs->path[inputs->count++] = path;
	return 0;
}

/* What of a folder may be an input; files being written have other names. */
static int entry_is_wanted(const struct dirent *entry)
{
	const char *name = entry->d_name;

	return name[0] != '.' && strncmp(name, "nfcapd.current", strlen("nfcapd.current"));
}

static int folder_add(struct inputs *inputs, const char *folder)
{
	struct dirent **entries;
	unsigned before = inputs->count;
	int n = scandir(folder, &entries, entry_is_wanted, alphasort), error = 0;

	if (n < 0) {
		log_error("convert: cannot read the directory \"%s\": %s", folder, strerror(errno));
		return -errno;
	}
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		char *path;
		if (asprintf(&path, "%s/%s", folder, name) < 0)
			path = NULL;
		bool wanted =
			path && (is_directory(path) ? binary_reader_knows(path) : !strncmp(name, "nfcapd.", strlen("nfcapd.")));
		if (!error && (wanted || !path))
			error = inputs_add(inputs, path);
		else
			free(path);
		free(entries[i]);
	}
	free(entries);
	if (!error && inputs->count == before) {
		log_error("convert: %s holds no column of flows (af.B, prot.B, sa3.I ...), no directory of such, and no file "
			  "nfcapd.*; name one that does",
			folder);
		error = -EINVAL;
	}
	return error;
}

int inputs_expand(struct inputs *inputs, char *const *given, unsigned count)
{
	int error = 0;

	for (unsigned i = 0; i < count && !error; i++) {
		if (is_directory(given[i]) && !binary_reader_knows(given[i]))
			error = folder_add(inputs, given[i]);
		else
			error = inputs_add(inputs, strdup(given[i]));
	}
	return error;
}

void inputs_free(struct inputs *inputs)
{
	for (unsigned i = 0; i < inputs->count; i++)
		free(inputs->path[i]);
	free(inputs->path);
	*inputs = (struct inputs){ 0 };
}
