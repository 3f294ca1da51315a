/* A text file that is replaced as a whole: readers see the old one or the new one. For files that a run rewrites. */
#ifndef FLOWLANE_SMALL_FILE_H
#define FLOWLANE_SMALL_FILE_H

#include <stddef.h>
#include <stdint.h>

struct small_file {
	char path[4096];
	char temporary[4096]; /* beside it, hidden */
	int fd;
	int error; /* the first; later writes do nothing */
	char *at;
	char buffer[65536];
};

/* Errors are kept until the commit. */
void small_file_open(struct small_file *file, const char *directory, const char *name);
/* Room for `bytes` (at most 4096) at the result; small_file_wrote() says up to where it was used. */
char *small_file_room(struct small_file *file, size_t bytes);
static inline void small_file_wrote(struct small_file *file, char *end)
{
	file->at = end;
}
/* Renames it. 0 or a negative errno: then the old one stays, and nothing else. *bytes: its length is added. */
int small_file_commit(struct small_file *file, uint64_t *bytes);

#endif
