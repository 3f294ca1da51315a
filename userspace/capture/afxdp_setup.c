#include <errno.h>
#include <string.h>

#include "afxdp_source.h"
#include "arena.h"
#include "flowlane/pcap_format.h"

/* The sources of a capture end with it. */
static void afxdp_close(struct source *source)
{
	(void)source;
}

static const struct source_ops afxdp_source_ops = {
	.name = "afxdp",
	.rx_batch = afxdp_rx_batch,
	.release = afxdp_release,
	.stats = afxdp_stats,
	.now_ns = afxdp_now_ns,
	.close = afxdp_close,
};

int afxdp_source_open(
	struct afxdp_source *source, struct xsk_queue *queue, unsigned share, const struct afxdp_port *port, uint32_t joined_bytes)
{
	*source = (struct afxdp_source){
		.base = { .ops = &afxdp_source_ops,
			.info = { .link = LINK_ETHERNET,
				.snaplen = PCAP_CAP_LEN_MAX,
				.nanoseconds = true,
				.live = true,
				.ts_source = "xdp" } },
		.xsk = &queue->share[share],
		.queue = queue,
		.port = port,
		.joined_bytes = joined_bytes,
	};
	if (!joined_bytes)
		return 0;
	source->joined = arena_map((size_t)joined_bytes * FLOWLANE_BATCH);
	if (!source->joined)
		return -ENOMEM;
	memset(source->joined, 0, (size_t)joined_bytes * FLOWLANE_BATCH); /* the packet path must find every page in place */
	return 0;
}

void afxdp_source_close(struct afxdp_source *source)
{
	arena_unmap(source->joined, (size_t)source->joined_bytes * FLOWLANE_BATCH);
	source->joined = NULL;
}
