/*
 * The bounded buffer between a lane and the sender's thread: a ring of blocks with whole messages. The lane fills the blocks in turn,
 * the sender takes them in turn, and gRPC gives each back, from whichever thread has written its last byte:
 *
 *   FREE, filled by the lane ─▶ FULL ─▶ taken by the sender, read by gRPC (SENT) ─▶ FREE
 *
 * A block's state is the only thing shared; who sets it hands the bytes over with it (release, acquire).
 */
#ifndef FLOWLANE_STREAM_BLOCKS_H
#define FLOWLANE_STREAM_BLOCKS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* A block is one reference-counted slice of gRPC, cut into messages without copying. The longest packet (256 KiB) must fit. */
#define STREAM_BLOCK_BYTES ((size_t)512 << 10)

enum stream_block_state { STREAM_BLOCK_FREE, STREAM_BLOCK_FULL, STREAM_BLOCK_SENT };

struct stream_block {
	_Atomic(uint32_t) state; /* enum stream_block_state */
	uint32_t used;           /* bytes: messages, each behind its length (uint32_t) */
	uint32_t messages;
	uint8_t *bytes; /* STREAM_BLOCK_BYTES */
};

struct stream_blocks {
	struct stream_block *block; /* [count] */
	unsigned count;
	unsigned filling; /* lane: the one it fills, or waits for */
	unsigned sending; /* sender: the next one */
	uint8_t *memory;
};

/* 0 or -ENOMEM. All memory is there from the start. */
int stream_blocks_open(struct stream_blocks *blocks, unsigned count);
void stream_blocks_close(struct stream_blocks *blocks); /* accepts zeroed */

/* Lane: the block to fill, or NULL: all are on their way. The same one until it is handed over. Packet path. */
static inline struct stream_block *stream_blocks_free(struct stream_blocks *blocks)
{
	struct stream_block *block = &blocks->block[blocks->filling];

	return atomic_load_explicit(&block->state, memory_order_acquire) == STREAM_BLOCK_FREE ? block : NULL;
}

/* Lane: the block it fills goes to the sender. */
static inline void stream_blocks_submit(struct stream_blocks *blocks)
{
	atomic_store_explicit(&blocks->block[blocks->filling].state, STREAM_BLOCK_FULL, memory_order_release);
	blocks->filling = blocks->filling + 1 == blocks->count ? 0 : blocks->filling + 1;
}

/* Sender: the next full block, its own from now on; NULL: there is none. */
static inline struct stream_block *stream_blocks_take(struct stream_blocks *blocks)
{
	struct stream_block *block = &blocks->block[blocks->sending];

	if (atomic_load_explicit(&block->state, memory_order_acquire) != STREAM_BLOCK_FULL)
		return NULL;
	atomic_store_explicit(&block->state, STREAM_BLOCK_SENT, memory_order_relaxed);
	blocks->sending = blocks->sending + 1 == blocks->count ? 0 : blocks->sending + 1;
	return block;
}

#endif
