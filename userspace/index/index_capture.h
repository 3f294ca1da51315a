/* The capture file that an index is about. */
#ifndef FLOWLANE_INDEX_CAPTURE_H
#define FLOWLANE_INDEX_CAPTURE_H

#include <stdint.h>

/* The time of its first frame; 0: it has none. 0, or a negative errno, logged: it cannot be read as a capture. */
int index_capture_first(const char *path, uint64_t *first_ns);

#endif
