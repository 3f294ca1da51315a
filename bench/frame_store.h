/*
 * The frames of one benchmark case, in memory: 64 bytes each, one behind the other in huge pages, and handed out in batches with
 * times that follow from their position. So reading them costs what a NIC's ring costs at best: one streamed line per packet.
 */
#ifndef FRAME_STORE_H
#define FRAME_STORE_H

#include <stdint.h>

#include "flowlane/packet.h"
#include "load.h"

#define FRAME_STORE_SLOT     64
#define FRAME_STORE_START_NS ((uint64_t)1700000000 * 1000000000)

struct frame_store {
	uint8_t *frames;
	uint64_t packets;
	uint64_t setup_packets; /* the first ones: they open all flows */
	uint64_t flows;
	uint64_t tcp_flows;
	uint64_t gap_ns; /* packet time from one frame to the next */
};

/* Makes `packets` frames of `flows` flows; ends the program if there is no memory. */
void frame_store_fill(struct frame_store *store, uint64_t flows, uint64_t packets, uint64_t gap_ns);
void frame_store_free(struct frame_store *store);

static inline uint64_t frame_store_ts_ns(const struct frame_store *store, uint64_t index)
{
	return FRAME_STORE_START_NS + index * store->gap_ns;
}

static inline void frame_store_batch(const struct frame_store *store, uint64_t first, struct frame *frames, unsigned n)
{
	const uint8_t *data = store->frames + first * FRAME_STORE_SLOT;
	uint64_t ts_ns = frame_store_ts_ns(store, first);

	for (unsigned i = 0; i < n; i++) {
		frames[i] = (struct frame){
			.data = data,
			.ts_ns = ts_ns,
			.cap_len = LOAD_FRAME_MIN - 4,
			.wire_len = LOAD_FRAME_MIN - 4,
			.link = LINK_ETHERNET,
		};
		data += FRAME_STORE_SLOT;
		ts_ns += store->gap_ns;
	}
}

#endif
