#include "pcap_segments.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define INDEX_DIGITS 6

struct pcap_segments {
	char *directory; /* with the final slash; "" for the current one */
	char *stem;
	char *extension; /* with its point; may be "" */
	char *name;      /* last one given out */
	uint32_t max_files;
	uint64_t *indices; /* files that exist, ascending; [gone, count) */
	size_t gone;
	size_t count;
	size_t room;
	uint64_t first; /* of this run */
	uint64_t next;
	bool said_unlink;
	pcap_removed_fn *removed;
	void *owner;
};

/* "capture.000012.pcap": 12; 0 if it is no segment of ours. */
static uint64_t segment_index(const struct pcap_segments *segments, const char *name)
{
	size_t stem = strlen(segments->stem);
	uint64_t index = 0;
	unsigned digits = 0;

	if (strncmp(name, segments->stem, stem) != 0 || name[stem] != '.')
		return 0;
	for (name += stem + 1; *name >= '0' && *name <= '9' && digits < 18; name++, digits++)
		index = index * 10 + (uint64_t)(*name - '0');
	return digits >= INDEX_DIGITS && strcmp(name, segments->extension) == 0 ? index : 0;
}

static int index_compare(const void *x, const void *y)
{
	uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

	return (a > b) - (a < b);
}

static int segment_add(struct pcap_segments *segments, uint64_t index)
{
	if (segments->count == segments->room) {
		/* Room is used again from the front, so a ring of files that runs for months stays small. */
		if (segments->gone > 0)
			memmove(segments->indices, segments->indices + segments->gone,
				(segments->count - segments->gone) * sizeof(index));
		segments->count -= segments->gone;
		segments->gone = 0;
	}
	if (segments->count == segments->room) {
		size_t room = segments->room ? 2 * segments->room : 16;
		uint64_t *more = realloc(segments->indices, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		segments->indices = more;
		segments->room = room;
	}
	segments->indices[segments->count++] = index;
	return 0;
}

static int segments_adopt(struct pcap_segments *segments)
{
	DIR *directory = opendir(*segments->directory ? segments->directory : ".");
	struct dirent *entry;
	int error = 0;

	if (!directory)
		return -errno;
	while (!error && (entry = readdir(directory))) {
		uint64_t index = segment_index(segments, entry->d_name);
		if (index > 0)
			error = segment_add(segments, index);
	}
	closedir(directory);
	if (segments->count > 1)
		qsort(segments->indices, segments->count, sizeof(*segments->indices), index_compare);
	if (!error && access(*segments->directory ? segments->directory : ".", W_OK | X_OK) < 0)
		error = -errno;
	return error;
}

static int segments_split(struct pcap_segments *segments, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *point = strrchr(base, '.');

	if (!point || point == base)
		point = base + strlen(base);
	segments->directory = strndup(path, (size_t)(base - path));
	segments->stem = strndup(base, (size_t)(point - base));
	segments->extension = strdup(point);
	return segments->directory && segments->stem && segments->extension ? 0 : -ENOMEM;
}

int pcap_segments_open(const char *path, uint32_t max_files, pcap_removed_fn *removed, void *owner, struct pcap_segments **segments)
{
	struct pcap_segments *made = calloc(1, sizeof(*made));
	int error = made ? segments_split(made, path) : -ENOMEM;

	if (!error)
		error = segments_adopt(made);
	if (error) {
		log_error("pcap: cannot rotate \"%s\": %s; its directory must exist, and be readable and writable", path,
			strerror(-error));
		pcap_segments_close(made);
		return error;
	}
	made->max_files = max_files;
	made->removed = removed;
	made->owner = owner;
	made->next = made->count ? made->indices[made->count - 1] + 1 : 1;
	made->first = made->next;
	*segments = made;
	return 0;
}

static bool segment_name(struct pcap_segments *segments, uint64_t index)
{
	free(segments->name);
	segments->name = NULL;
	if (asprintf(&segments->name, "%s%s.%0*" PRIu64 "%s", segments->directory, segments->stem, INDEX_DIGITS, index,
		    segments->extension) >= 0)
		return true;
	segments->name = NULL;
	log_error("pcap: no memory for the next file's name");
	return false;
}

const char *pcap_segments_next(struct pcap_segments *segments)
{
	while (segments->max_files > 0 && segments->count - segments->gone >= segments->max_files) {
		if (!segment_name(segments, segments->indices[segments->gone++]))
			return NULL;
		bool gone = unlink(segments->name) == 0 || errno == ENOENT;
		if (!gone && !segments->said_unlink) {
			log_warning("pcap: cannot remove the old \"%s\": %s; more than %u files will stay", segments->name,
				strerror(errno), segments->max_files);
			segments->said_unlink = true;
		}
		if (gone && segments->removed)
			segments->removed(segments->owner, segments->name);
	}
	if (segment_add(segments, segments->next) < 0) {
		log_error("pcap: no memory for the next file");
		return NULL;
	}
	return segment_name(segments, segments->next++) ? segments->name : NULL;
}

void pcap_segments_describe(const struct pcap_segments *segments, char *text, size_t bytes)
{
	char range[64];
	int n = snprintf(range, sizeof(range), "%0*" PRIu64, INDEX_DIGITS, segments->first);

	if (pcap_segments_made(segments) > 1)
		snprintf(range + n, sizeof(range) - (size_t)n, "-%0*" PRIu64, INDEX_DIGITS, segments->next - 1);
	snprintf(text, bytes, "%s%s.%s%s", segments->directory, segments->stem, range, segments->extension);
}

unsigned pcap_segments_made(const struct pcap_segments *segments)
{
	return (unsigned)(segments->next - segments->first);
}

void pcap_segments_close(struct pcap_segments *segments)
{
	if (!segments)
		return;
	free(segments->directory);
	free(segments->stem);
	free(segments->extension);
	free(segments->name);
	free(segments->indices);
	free(segments);
}
