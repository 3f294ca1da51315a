#include "stream_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

int stream_blocks_open(struct stream_blocks *blocks, unsigned count)
{
	*blocks = (struct stream_blocks){ .count = count, .block = calloc(count, sizeof(*blocks->block)) };
	blocks->memory = arena_map(count * STREAM_BLOCK_BYTES);
	if (!blocks->block || !blocks->memory) {
		stream_blocks_close(blocks);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < count; i++)
		blocks->block[i].bytes = blocks->memory + i * STREAM_BLOCK_BYTES;
	return 0;
}

void stream_blocks_close(struct stream_blocks *blocks)
{
	arena_unmap(blocks->memory, blocks->count * STREAM_BLOCK_BYTES);
	free(blocks->block);
	memset(blocks, 0, sizeof(*blocks));
}
