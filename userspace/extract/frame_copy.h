/* Copies frames out of a capture by their places in it. One thread. */
#ifndef FLOWLANE_FRAME_COPY_H
#define FLOWLANE_FRAME_COPY_H

#include <stdint.h>

#include "frame_list.h"
#include "frame_output.h"

/*
 * The frames of the sorted list whose times, to the nanosecond, are from since_ns to until_ns. Of a pcap file only these frames are
 * read, neighbours together; a pcapng file is read from its beginning to the last of them, because what their times mean is said in
 * blocks between them. 0 or a negative errno, logged: also if the list is not of this file.
 */
int frame_copy(const char *path, const struct frame_list *list, uint64_t since_ns, uint64_t until_ns, struct frame_output *output);

#endif
