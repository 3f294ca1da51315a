#include "decode_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "arena.h"
#include "counters.h"

#define FRAGMENT_TABLE_BYTES ((size_t)FRAGMENT_SETS * FRAGMENT_WAYS * sizeof(struct fragment_entry))

int decoder_create(const struct decoder_options *options, struct decoder **decoder)
{
	struct decoder *new = calloc(1, sizeof(*new));

	if (!new)
		return -ENOMEM;
	new->options = *options;
	new->tunnel_bits = options->outer ? 0 : SPECIAL_TUNNELS;
	new->vlan_hide = options->key_vlan ? 0 : FLOW_VLAN_NONE;
	new->tunnel_mask = options->key_tunnel ? UINT32_MAX : 0;
	new->fragments.entries = arena_map(FRAGMENT_TABLE_BYTES);
	if (!new->fragments.entries) {
		decoder_destroy(new);
		return -ENOMEM;
	}
	*decoder = new;
	return 0;
}

void decoder_destroy(struct decoder *decoder)
{
	if (!decoder)
		return;
	arena_unmap(decoder->fragments.entries, FRAGMENT_TABLE_BYTES);
	free(decoder);
}

uint64_t decoder_fragments_unmatched(const struct decoder *decoder)
{
	return counter_read(&decoder->fragments.unmatched);
}

uint64_t decoder_fragments_evicted(const struct decoder *decoder)
{
	return counter_read(&decoder->fragments.evicted);
}
