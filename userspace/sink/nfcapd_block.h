/* A block of nfcapd records in the making, and its compression. One owner; a lane's, or the converter's. */
#ifndef FLOWLANE_NFCAPD_BLOCK_H
#define FLOWLANE_NFCAPD_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "flowlane/fields.h"
#include "flowlane/flow.h"
#include "nfcapd_format.h"

/* What nfcapd has besides a row. */
struct nfcapd_extra {
	uint64_t received_ms;
	uint64_t mac[4];        /* in_src, out_dst, in_dst, out_src, as numbers */
	uint64_t latency_us[3]; /* client, server, application */
	uint32_t vlan[2];       /* source, destination side */
	bool has_misc;          /* interfaces and what follows here; without it only if an interface is known */
	bool has_mac;
	bool has_latency;
	bool has_vlan;
	bool anonymized;
	uint8_t biflow_direction; /* IE 239: 1 initiator, 2 reverse initiator */
	uint8_t end_reason;       /* IE 136 */
};

void nfcapd_extra_fill(struct nfcapd_extra *extra, const struct flow_way *way);

struct nfcapd_block {
	uint32_t records;
	uint32_t bytes; /* of records */
	uint32_t limit; /* that `bytes` stays below */
	enum nfcapd_compression compression;
	struct nfcapd_stat stat; /* of them */
	uint8_t *raw;            /* limit */
	uint8_t *packed;         /* header, and what compression made of raw */
};

/* limit: NFCAPD_BLOCK_BYTES, or less where nobody may wait for its compression. 0 or a negative errno; nothing is logged. */
int nfcapd_block_init(struct nfcapd_block *block, uint32_t limit, enum nfcapd_compression compression);
void nfcapd_block_free(struct nfcapd_block *block); /* accepts what is zero */

static inline bool nfcapd_block_full(const struct nfcapd_block *block)
{
	return block->bytes > block->limit - NFCAPD_RECORD_MAX;
}

/* Adds a record. The block is not full. A row's aggs, if not 0, become the element of the number of flows. */
void nfcapd_block_add(struct nfcapd_block *block, const struct way_row *row, const struct nfcapd_extra *extra);
/* The block as it belongs into the file, header included: its bytes, *bytes of them. NULL: the compressor failed. The block is not
 * empty. Compresses 1 MiB: about 1 ms with LZ4, 60 ms with bzip2. */
const uint8_t *nfcapd_block_pack(struct nfcapd_block *block, size_t *bytes);
void nfcapd_block_clear(struct nfcapd_block *block);

/* Any block body (LZO is only read): bytes at most of `size` at `from` into `to`; returns the bytes made, or a negative errno. */
long nfcapd_compress(enum nfcapd_compression compression, const uint8_t *from, size_t bytes, uint8_t *to, size_t size);
long nfcapd_decompress(enum nfcapd_compression compression, const uint8_t *from, size_t bytes, uint8_t *to, size_t size);
size_t nfcapd_packed_max(size_t bytes);

/* Adds one to the other. */
void nfcapd_stat_add(struct nfcapd_stat *sum, const struct nfcapd_stat *stat);
void nfcapd_stat_clear(struct nfcapd_stat *stat);

#endif
