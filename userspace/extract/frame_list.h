/* Where the frames lie that are wanted, of one capture. One owner. */
#ifndef FLOWLANE_FRAME_LIST_H
#define FLOWLANE_FRAME_LIST_H

#include <stdint.h>

#include "index_format.h"

struct frame_ref {
	uint64_t offset;  /* of the data in the file */
	uint64_t time_ms; /* as the index has it */
	uint32_t length;
	uint32_t number;
};

struct frame_list {
	struct frame_ref *frames;
	uint64_t count, room;
};

/* Those with a time from since_ms to until_ms. 0 or -ENOMEM, not logged. */
int frame_list_add(struct frame_list *list, const struct index_packet *packets, uint32_t n, uint64_t since_ms, uint64_t until_ms);
void frame_list_sort(struct frame_list *list); /* by place in the file; a frame that is there twice stays once */
void frame_list_free(struct frame_list *list);

#endif
