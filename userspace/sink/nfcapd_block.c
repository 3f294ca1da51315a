#include "nfcapd_block.h"

#include <bzlib.h>
#include <errno.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "nfcapd_lzo.h"
#include "way_row.h"

#define BZ2_LEVEL 9

size_t nfcapd_packed_max(size_t bytes)
{
	/* What bzip2 asks for; LZ4 asks for less. */
	return bytes + bytes / 100 + 600;
}

int nfcapd_block_init(struct nfcapd_block *block, uint32_t limit, enum nfcapd_compression compression)
{
	memset(block, 0, sizeof(*block));
	block->compression = compression;
	block->limit = limit;
	block->raw = malloc(limit);
	block->packed = malloc(sizeof(struct nfcapd_block_header) + nfcapd_packed_max(limit));
	if (!block->raw || !block->packed) {
		nfcapd_block_free(block);
		return -ENOMEM;
	}
	nfcapd_block_clear(block);
	return 0;
}

void nfcapd_block_free(struct nfcapd_block *block)
{
	free(block->raw);
	free(block->packed);
	block->raw = block->packed = NULL;
}

long nfcapd_compress(enum nfcapd_compression compression, const uint8_t *from, size_t bytes, uint8_t *to, size_t size)
{
	unsigned made = (unsigned)size;

	switch (compression) {
	case NFCAPD_COMPRESSION_NONE:
		memcpy(to, from, bytes);
		return (long)bytes;
	case NFCAPD_COMPRESSION_LZ4: {
		int n = LZ4_compress_default((const char *)from, (char *)to, (int)bytes, (int)size);
		return n > 0 ? n : -EIO;
	}
	case NFCAPD_COMPRESSION_BZ2:
		if (BZ2_bzBuffToBuffCompress((char *)to, &made, (char *)(uintptr_t)from, (unsigned)bytes, BZ2_LEVEL, 0, 0) != BZ_OK)
			return -EIO;
		return made;
	case NFCAPD_COMPRESSION_LZO:
		break;
	}
	return -ENOTSUP;
}

long nfcapd_decompress(enum nfcapd_compression compression, const uint8_t *from, size_t bytes, uint8_t *to, size_t size)
{
	unsigned made = (unsigned)size;

	switch (compression) {
	case NFCAPD_COMPRESSION_NONE:
		if (bytes > size)
			return -EINVAL;
		memcpy(to, from, bytes);
		return (long)bytes;
	case NFCAPD_COMPRESSION_LZ4: {
		int n = LZ4_decompress_safe((const char *)from, (char *)to, (int)bytes, (int)size);
		return n >= 0 ? n : -EINVAL;
	}
	case NFCAPD_COMPRESSION_BZ2:
		if (BZ2_bzBuffToBuffDecompress((char *)to, &made, (char *)(uintptr_t)from, (unsigned)bytes, 0, 0) != BZ_OK)
			return -EINVAL;
		return made;
	case NFCAPD_COMPRESSION_LZO:
		return lzo_decompress(from, bytes, to, size);
	}
	return -ENOTSUP;
}

#include "poison.h"

void nfcapd_stat_clear(struct nfcapd_stat *stat)
{
	memset(stat, 0, sizeof(*stat));
	stat->first_ms = UINT64_MAX;
}

void nfcapd_stat_add(struct nfcapd_stat *sum, const struct nfcapd_stat *stat)
{
	sum->flows += stat->flows;
	sum->octets += stat->octets;
	sum->packets += stat->packets;
	for (unsigned i = 0; i < NFCAPD_CLASSES; i++) {
		sum->class_flows[i] += stat->class_flows[i];
		sum->class_octets[i] += stat->class_octets[i];
		sum->class_packets[i] += stat->class_packets[i];
	}
	sum->first_ms = stat->first_ms < sum->first_ms ? stat->first_ms : sum->first_ms;
	sum->last_ms = stat->last_ms > sum->last_ms ? stat->last_ms : sum->last_ms;
	sum->sequence_failures += stat->sequence_failures;
}

static enum nfcapd_class class_of(uint8_t prot)
{
	switch (prot) {
	case 6:
		return NFCAPD_TCP;
	case 17:
		return NFCAPD_UDP;
	case 1:
	case 58:
		return NFCAPD_ICMP;
	default:
		return NFCAPD_OTHER;
	}
}

/* As nfdump counts: a record stands for the flows that were added up to it. */
static void stat_count(struct nfcapd_stat *stat, const struct way_row *row)
{
	enum nfcapd_class class = class_of(row->prot);
	uint64_t flows = row->aggs ? row->aggs : 1, first_ms = way_row_first_ms(row), last_ms = way_row_last_ms(row);

	stat->flows += flows;
	stat->octets += row->octets;
	stat->packets += row->packets;
	stat->class_flows[class] += flows;
	stat->class_octets[class] += row->octets;
	stat->class_packets[class] += row->packets;
	stat->first_ms = first_ms < stat->first_ms ? first_ms : stat->first_ms;
	stat->last_ms = last_ms > stat->last_ms ? last_ms : stat->last_ms;
}

#define HEAD(id_, type)                                                                                                            \
	{                                                                                                                          \
		.id = id_, .length = sizeof(type)                                                                                  \
	}

#define PUT(type, ...)                                                                                                             \
	do {                                                                                                                       \
		const type element_ = { __VA_ARGS__ };                                                                             \
		memcpy(at, &element_, sizeof(element_));                                                                           \
		at += sizeof(element_);                                                                                            \
		elements++;                                                                                                        \
	} while (0)

static uint64_t mac_number(const uint8_t mac[6])
{
	return (uint64_t)load_be16(mac) << 32 | load_be32(mac + 2);
}

/* IE 136 */
static uint8_t end_reason(const struct flow_way *way)
{
	switch (way->end) {
	case FLOW_END_TIMEOUT:
		return 1;
	case FLOW_CUT:
		return 2;
	case FLOW_END_REUSE:
		return 3;
	case FLOW_END_EVICTION:
		return 5;
	default:
		return 4; /* forced: the input ended */
	}
}

void nfcapd_extra_fill(struct nfcapd_extra *extra, const struct flow_way *way)
{
	*extra = (struct nfcapd_extra){
		.received_ms = way->end_ns / 1000000,
		.mac = { mac_number(way->src_mac), mac_number(way->dst_mac) },
		.latency_us = { way->client_us, way->server_us },
		.vlan = { way->vlan },
		.has_misc = true,
		.has_mac = way->has_mac,
		.has_latency = way->client_us || way->server_us,
		.has_vlan = way->vlan != FLOW_VLAN_NONE,
		.biflow_direction = way->initiator ? 1 : 2,
		.end_reason = end_reason(way),
	};
}

void nfcapd_block_add(struct nfcapd_block *block, const struct way_row *row, const struct nfcapd_extra *extra)
{
	uint8_t *start = block->raw + block->bytes, *at = start + sizeof(struct nfcapd_flow_header);
	uint16_t elements = 0;

	stat_count(&block->stat, row);
	PUT(struct nfcapd_generic, .element = HEAD(NFCAPD_GENERIC, struct nfcapd_generic), .first_ms = way_row_first_ms(row),
		.last_ms = way_row_last_ms(row), .received_ms = extra->received_ms, .packets = row->packets, .octets = row->octets,
		.sp = row->sp, .dp = row->dp, .prot = row->prot, .tcp_flags = row->tcp_flags, .tos = row->tos);
	if (row->af == WAY_AF_IPV6)
		PUT(struct nfcapd_ipv6, .element = HEAD(NFCAPD_IPV6, struct nfcapd_ipv6),
			.src = { (uint64_t)row->sa[0] << 32 | row->sa[1], (uint64_t)row->sa[2] << 32 | row->sa[3] },
			.dst = { (uint64_t)row->da[0] << 32 | row->da[1], (uint64_t)row->da[2] << 32 | row->da[3] });
	else
		PUT(struct nfcapd_ipv4, .element = HEAD(NFCAPD_IPV4, struct nfcapd_ipv4), .src = row->sa[3], .dst = row->da[3]);
	if (extra->has_misc || row->inif || row->outif)
		PUT(struct nfcapd_misc, .element = HEAD(NFCAPD_MISC, struct nfcapd_misc), .input = row->inif, .output = row->outif,
			.biflow_direction = extra->biflow_direction, .end_reason = extra->end_reason);
	if (row->aggs)
		PUT(struct nfcapd_count, .element = HEAD(NFCAPD_COUNT, struct nfcapd_count), .flows = row->aggs);
	if (extra->has_vlan)
		PUT(struct nfcapd_vlan, .element = HEAD(NFCAPD_VLAN, struct nfcapd_vlan), .src = extra->vlan[0],
			.dst = extra->vlan[1]);
	if (row->src_as || row->dst_as)
		PUT(struct nfcapd_as, .element = HEAD(NFCAPD_AS, struct nfcapd_as), .src = row->src_as, .dst = row->dst_as);
	if (extra->has_mac)
		PUT(struct nfcapd_mac, .element = HEAD(NFCAPD_MAC, struct nfcapd_mac), .in_src = extra->mac[0],
			.out_dst = extra->mac[1], .in_dst = extra->mac[2], .out_src = extra->mac[3]);
	if (extra->has_latency)
		PUT(struct nfcapd_latency, .element = HEAD(NFCAPD_LATENCY, struct nfcapd_latency),
			.client_us = extra->latency_us[0], .server_us = extra->latency_us[1],
			.application_us = extra->latency_us[2]);
	const struct nfcapd_flow_header header = {
		.record = { .type = NFCAPD_RECORD_FLOW, .size = (uint16_t)(at - start) },
		.elements = elements,
		.flags = extra->anonymized ? NFCAPD_FLAG_ANONYMIZED : 0,
		.version = NFCAPD_VERSION_PCAP,
	};
	memcpy(start, &header, sizeof(header));
	block->bytes += (uint32_t)(at - start);
	block->records++;
}

const uint8_t *nfcapd_block_pack(struct nfcapd_block *block, size_t *bytes)
{
	uint8_t *body = block->packed + sizeof(struct nfcapd_block_header);
	long packed = nfcapd_compress(block->compression, block->raw, block->bytes, body, nfcapd_packed_max(block->limit));

	if (packed < 0)
		return NULL;
	const struct nfcapd_block_header header = {
		.records = block->records, .size = (uint32_t)packed, .type = NFCAPD_BLOCK_FLOWS
	};
	memcpy(block->packed, &header, sizeof(header));
	*bytes = sizeof(header) + (size_t)packed;
	return block->packed;
}

void nfcapd_block_clear(struct nfcapd_block *block)
{
	block->records = block->bytes = 0;
	nfcapd_stat_clear(&block->stat);
}
