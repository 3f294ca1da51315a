#include "frame_list.h"

#include <errno.h>
#include <stdlib.h>

int frame_list_add(struct frame_list *list, const struct index_packet *packets, uint32_t n, uint64_t since_ms, uint64_t until_ms)
{
	if (list->count + n > list->room) {
		uint64_t room = 2 * (list->count + n);
		struct frame_ref *more = realloc(list->frames, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->frames = more;
		list->room = room;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (packets[i].time_ms < since_ms || packets[i].time_ms > until_ms)
			continue;
		list->frames[list->count++] = (struct frame_ref){
			.offset = packets[i].offset,
			.time_ms = packets[i].time_ms,
			.length = packets[i].length,
			.number = packets[i].number,
		};
	}
	return 0;
}

static int ref_compare(const void *x, const void *y)
{
	const struct frame_ref *a = x, *b = y;

	return (a->offset > b->offset) - (a->offset < b->offset);
}

void frame_list_sort(struct frame_list *list)
{
	uint64_t kept = 0;

	if (list->count > 1)
		qsort(list->frames, list->count, sizeof(*list->frames), ref_compare);
	for (uint64_t i = 0; i < list->count; i++) {
		if (kept == 0 || list->frames[i].offset != list->frames[kept - 1].offset)
			list->frames[kept++] = list->frames[i];
	}
	list->count = kept;
}

void frame_list_free(struct frame_list *list)
{
	free(list->frames);
	*list = (struct frame_list){ 0 };
}
