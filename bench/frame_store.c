#include "frame_store.h"

#include "arena.h"

void frame_store_fill(struct frame_store *store, uint64_t flows, uint64_t packets, uint64_t gap_ns)
{
	struct load_options options = {
		.flows = flows, .packets = packets, .frame_size = LOAD_FRAME_MIN, .seed = 1, .order = LOAD_SETUP_FIRST
	};
	struct load *load = load_create(&options);

	store->frames = arena_map(packets * FRAME_STORE_SLOT);
	if (!store->frames)
		traffic_die("no memory for %llu frames", (unsigned long long)packets);
	store->packets = packets;
	store->setup_packets = load_setup_packets(&options);
	store->flows = flows;
	store->tcp_flows = load_tcp_flows(load);
	store->gap_ns = gap_ns;
	for (uint64_t i = 0; i < packets; i++)
		load_next(load, store->frames + i * FRAME_STORE_SLOT);
	load_free(load);
}

void frame_store_free(struct frame_store *store)
{
	arena_unmap(store->frames, store->packets * FRAME_STORE_SLOT);
	store->frames = 0;
}
