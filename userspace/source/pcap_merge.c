#include "pcap_merge.h"

#include "counters.h"
#include "poison.h"

static struct pcap_source *pcap_source_of(struct source *source)
{
	return (struct pcap_source *)source; /* its first member */
}

int pcap_merge_rx_one(struct source *source, struct frame *frames, unsigned n)
{
	struct pcap_source *self = pcap_source_of(source);
	struct pcap_reader *reader = &self->inputs[0].reader;
	unsigned taken = pcap_reader_take(reader, frames, n);

	if (__builtin_expect(taken == 0, 0)) {
		int filled = pcap_reader_refill(reader);
		if (filled <= 0)
			return filled;
		taken = pcap_reader_take(reader, frames, n);
	}
	counter_add(&self->frames, taken);
	return (int)taken;
}

static bool is_earlier(const struct pcap_input *a, const struct pcap_input *b)
{
	uint64_t a_ns = a->ahead[a->next].ts_ns;
	uint64_t b_ns = b->ahead[b->next].ts_ns;

	return a_ns != b_ns ? a_ns < b_ns : a < b; /* they lie in the order of the files */
}

static void heap_sift_down(struct pcap_source *self)
{
	struct pcap_input **heap = self->heap;
	struct pcap_input *moved = heap[0];
	unsigned at = 0;

	for (;;) {
		unsigned child = 2 * at + 1;
		if (child >= self->heap_size)
			break;
		if (child + 1 < self->heap_size && is_earlier(heap[child + 1], heap[child]))
			child++;
		if (!is_earlier(heap[child], moved))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = moved;
}

static void heap_push(struct pcap_source *self, struct pcap_input *input)
{
	unsigned at = self->heap_size++;

	for (; at > 0 && is_earlier(input, self->heap[(at - 1) / 2]); at = (at - 1) / 2)
		self->heap[at] = self->heap[(at - 1) / 2];
	self->heap[at] = input;
}

static void heap_pop(struct pcap_source *self)
{
	self->heap[0] = self->heap[--self->heap_size];
	if (self->heap_size > 1)
		heap_sift_down(self);
}

/* Frames ahead out of the block at hand. False: it is used up. */
static bool input_advance(struct pcap_input *input)
{
	input->next = 0;
	input->count = pcap_reader_take(&input->reader, input->ahead, FLOWLANE_BATCH);
	return input->count > 0;
}

/* True: all inputs have their next frame in the heap, or are at their end. False: one waits for its pipe. */
static bool inputs_refill(struct pcap_source *self)
{
	while (self->empty_size > 0) {
		struct pcap_input *input = self->empty[self->empty_size - 1];
		int filled = pcap_reader_refill(&input->reader);

		if (filled == 0)
			return false;
		self->empty_size--;
		if (filled > 0 && input_advance(input))
			heap_push(self, input);
		else if (filled < 0 && filled != SOURCE_END && !self->failed)
			self->failed = filled;
	}
	return true;
}

int pcap_merge_rx_many(struct source *source, struct frame *frames, unsigned n)
{
	struct pcap_source *self = pcap_source_of(source);
	unsigned taken = 0;

	if (!inputs_refill(self))
		return 0;
	if (self->heap_size == 0)
		return self->failed ? self->failed : SOURCE_END;
	/* The batch ends where a file needs its next block: that may be where frames of this batch lie. */
	while (taken < n && self->empty_size == 0) {
		struct pcap_input *input = self->heap[0];

		frames[taken++] = input->ahead[input->next++];
		if (input->next < input->count || input_advance(input)) {
			heap_sift_down(self);
		} else {
			heap_pop(self);
			self->empty[self->empty_size++] = input;
		}
	}
	counter_add(&self->frames, taken);
	return (int)taken;
}
