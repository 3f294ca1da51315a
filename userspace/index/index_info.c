#include "index_info.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define FIRST_LINE "flowlane-index 1\n"

static const char *const state_names[] = {
	[INDEX_WRITING] = "writing", [INDEX_INCOMPLETE] = "incomplete", [INDEX_COMPLETE] = "complete"
};

static bool path_make(char path[PATH_MAX], const char *directory, const char *suffix)
{
	return snprintf(path, PATH_MAX, "%s/%s%s", directory, INDEX_INFO_FILE, suffix) < PATH_MAX;
}

static void print(FILE *file, const struct index_info *info)
{
	fputs(FIRST_LINE, file);
	fprintf(file, "state %s\n", state_names[info->state]);
	fprintf(file, "bytes %" PRIu64 "\nframes %" PRIu64 "\nfirst_ns %" PRIu64 "\n", info->capture_bytes, info->frames,
		info->first_ns);
	fprintf(file, "packets %" PRIu64 "\nlost %" PRIu64 "\n", info->packets, info->lost);
	fprintf(file, "capture %s\n", info->capture); /* last: a path may have anything in it */
}

int index_info_write(const char *directory, const struct index_info *info)
{
	char path[PATH_MAX], part[PATH_MAX];
	bool failed = true;

	if (path_make(path, directory, "") && path_make(part, directory, ".part")) {
		FILE *file = fopen(part, "we");
		if (file) {
			print(file, info);
			failed = ferror(file);
			failed |= fclose(file) != 0;
		}
		failed = failed || rename(part, path);
	} else {
		errno = ENAMETOOLONG;
	}
	if (!failed)
		return 0;
	int error = -errno;
	log_error("index: cannot write \"%s/%s\": %s", directory, INDEX_INFO_FILE, strerror(errno));
	return error;
}

static void line_take(struct index_info *info, const char *name, const char *value)
{
	const struct {
		const char *name;
		uint64_t *to;
	} numbers[] = {
		{ "bytes", &info->capture_bytes },
		{ "frames", &info->frames },
		{ "first_ns", &info->first_ns },
		{ "packets", &info->packets },
		{ "lost", &info->lost },
	};

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (!strcmp(name, numbers[i].name))
			*numbers[i].to = strtoull(value, NULL, 10);
	}
	for (unsigned i = 0; i < sizeof(state_names) / sizeof(state_names[0]); i++) {
		if (!strcmp(name, "state") && !strcmp(value, state_names[i]))
			info->state = (enum index_state)i;
	}
}

static bool parse(char *text, struct index_info *info)
{
	if (strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) != 0)
		return false;
	for (char *line = text + strlen(FIRST_LINE); *line;) {
		char *value = strchr(line, ' '), *end = strchr(line, '\n');
		if (!value || !end || end < value)
			return false;
		*value++ = '\0';
		if (!strcmp(line, "capture")) {
			size_t bytes = strlen(value);
			if (bytes == 0 || bytes > PATH_MAX || value[bytes - 1] != '\n')
				return false;
			value[bytes - 1] = '\0';
			strcpy(info->capture, value);
			return true;
		}
		*end = '\0';
		line_take(info, line, value);
		line = end + 1;
	}
	return false;
}

int index_info_read(const char *directory, struct index_info *info)
{
	char path[PATH_MAX], text[PATH_MAX + 512];

	memset(info, 0, sizeof(*info));
	FILE *file = path_make(path, directory, "") ? fopen(path, "re") : NULL;
	if (!file && (errno == ENOENT || errno == ENOTDIR))
		return -ENOENT;
	if (!file) {
		int error = -errno;
		log_error("index: cannot read \"%s\": %s", path, strerror(errno));
		return error;
	}
	size_t bytes = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[bytes] = '\0';
	if (parse(text, info))
		return 0;
	memset(info, 0, sizeof(*info));
	log_warning("index: \"%s\" is not a description that flowlane wrote; name the capture with --pcap FILE instead", path);
	return -EBADMSG;
}

bool index_info_exists(const char *directory)
{
	char path[PATH_MAX];

	return path_make(path, directory, "") && access(path, F_OK) == 0;
}

void index_info_remove(const char *directory)
{
	char path[PATH_MAX];

	if (path_make(path, directory, ""))
		unlink(path);
	if (path_make(path, directory, ".part"))
		unlink(path);
}
