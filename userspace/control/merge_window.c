#include "merge_window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	uint64_t ts_ns; /* as in the packet: comparing does not touch it */
	uint64_t arrival;
	struct merge_packet *packet;
};

struct merge_window {
	uint64_t arrivals;
	uint64_t bytes;
	uint64_t bytes_max;
	uint32_t packets_max;
	uint32_t room; /* entries in each of the two: one more than packets_max, for put before take */

	struct entry *queue; /* a ring */
	uint32_t queue_head;
	uint32_t queue_size;

	struct entry *heap;
	uint32_t heap_size;
};

struct merge_window *merge_window_new(uint32_t packets, uint64_t bytes)
{
	struct merge_window *window = calloc(1, sizeof(*window));

	if (!window)
		return NULL;
	window->packets_max = packets;
	window->bytes_max = bytes;
	window->room = packets + 1;
	window->queue = calloc(window->room, sizeof(*window->queue));
	window->heap = calloc(window->room, sizeof(*window->heap));
	if (!window->queue || !window->heap) {
		merge_window_free(window);
		return NULL;
	}
	return window;
}

void merge_window_free(struct merge_window *window)
{
	struct merge_packet *packet;

	if (!window)
		return;
	if (window->queue && window->heap)
		while ((packet = merge_window_take(window)))
			free(packet);
	free(window->queue);
	free(window->heap);
	free(window);
}

static uint32_t window_size(const struct merge_window *window)
{
	return window->queue_size + window->heap_size;
}

bool merge_window_full(const struct merge_window *window)
{
	return window_size(window) > window->packets_max || (window->bytes > window->bytes_max && window_size(window) > 1);
}

static struct entry *queue_at(struct merge_window *window, uint32_t index)
{
	uint64_t at = (uint64_t)window->queue_head + index;
	return &window->queue[at < window->room ? at : at - window->room];
}

static bool is_earlier(const struct entry *a, const struct entry *b)
{
	return a->ts_ns != b->ts_ns ? a->ts_ns < b->ts_ns : a->arrival < b->arrival;
}

static void heap_push(struct merge_window *window, const struct entry *entry)
{
	uint32_t at = window->heap_size++;

	for (; at > 0 && is_earlier(entry, &window->heap[(at - 1) / 2]); at = (at - 1) / 2)
		window->heap[at] = window->heap[(at - 1) / 2];
	window->heap[at] = *entry;
}

static struct entry heap_pop(struct merge_window *window)
{
	struct entry *heap = window->heap;
	struct entry first = heap[0];
	struct entry moved = heap[--window->heap_size];
	uint32_t at = 0;

	for (;;) {
		uint32_t child = 2 * at + 1;
		if (child >= window->heap_size)
			break;
		if (child + 1 < window->heap_size && is_earlier(&heap[child + 1], &heap[child]))
			child++;
		if (!is_earlier(&heap[child], &moved))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = moved;
	return first;
}

int merge_window_put(struct merge_window *window, const struct frame *frame)
{
	struct merge_packet *packet = malloc(sizeof(*packet) + frame->cap_len);

	if (!packet)
		return -ENOMEM;
	packet->ts_ns = frame->ts_ns;
	packet->cap_len = frame->cap_len;
	packet->wire_len = frame->wire_len;
	memcpy(packet->data, frame->data, frame->cap_len);
	window->bytes += frame->cap_len;

	struct entry entry = { .ts_ns = frame->ts_ns, .arrival = window->arrivals++, .packet = packet };
	if (window->queue_size > 0 && frame->ts_ns < queue_at(window, window->queue_size - 1)->ts_ns)
		heap_push(window, &entry);
	else
		*queue_at(window, window->queue_size++) = entry;
	return 0;
}

struct merge_packet *merge_window_take(struct merge_window *window)
{
	struct entry entry;

	if (window_size(window) == 0)
		return NULL;
	if (window->queue_size == 0 || (window->heap_size > 0 && is_earlier(&window->heap[0], queue_at(window, 0)))) {
		entry = heap_pop(window);
	} else {
		entry = *queue_at(window, 0);
		window->queue_head = window->queue_head + 1 < window->room ? window->queue_head + 1 : 0;
		window->queue_size--;
	}
	window->bytes -= entry.packet->cap_len;
	return entry.packet;
}
