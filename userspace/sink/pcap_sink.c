/*
 * --write-pcap: each lane builds records in a private chunk, and hands it over when the next one might not fit.
 */
#include <errno.h>
#include <stdlib.h>

#include "bytes.h"
#include "flowlane/pcap_format.h"
#include "log.h"
#include "outfile.h"
#include "pcap_output.h"

#define VLAN_TAG_BYTES 4
#define MAC_BYTES      12 /* the tag goes behind both addresses */
#define RECORD_MAX     (sizeof(struct pcap_record_header) + PCAP_CAP_LEN_MAX + VLAN_TAG_BYTES)
#define LIVE_MAX_NS    ((uint64_t)1000000000) /* packet time: a live capture file is never more than a second behind its packets */
_Static_assert(RECORD_MAX <= OUTFILE_CHUNK, "every record fits a chunk");

struct sink {
	struct output *output;
	struct pcap_shape shape;
	uint8_t *chunk;
	uint8_t *at;
	uint64_t records;  /* in the chunk */
	uint64_t first_ns; /* of the chunk */
};

static void pcap_frames(struct sink *sink, const struct frame *frames, unsigned n);

static bool pcap_wanted(const struct config *config)
{
	return config->write_pcap != NULL;
}

static int pcap_attach(struct output *output, unsigned lane, struct sink **sink)
{
	struct sink *made = calloc(1, sizeof(*made));
	uint8_t *chunk = malloc(OUTFILE_CHUNK);

	if (!made || !chunk) {
		log_error("pcap: lane %u: no memory", lane);
		free(made);
		free(chunk);
		return -ENOMEM;
	}
	made->output = output;
	made->shape = *pcap_output_shape(output);
	made->chunk = made->at = chunk;
	*sink = made;
	return 0;
}

static void chunk_append(struct sink *sink)
{
	if (sink->records > 0)
		pcap_output_append(sink->output, sink->chunk, (size_t)(sink->at - sink->chunk), sink->records);
	sink->at = sink->chunk;
	sink->records = 0;
}

static void pcap_detach(struct sink *sink)
{
	chunk_append(sink);
	free(sink->chunk);
	free(sink);
}

const struct sink_ops sink_pcap = {
	.name = "pcap",
	.wants = SINK_FRAMES,
	.wanted = pcap_wanted,
	.open = pcap_output_open,
	.attach = pcap_attach,
	.frames = pcap_frames,
	.detach = pcap_detach,
	.close = pcap_output_close,
	.reopen = pcap_output_reopen,
};

#include "poison.h"

static inline uint32_t smaller_of(uint32_t x, uint32_t y)
{
	return x < y ? x : y;
}

/* The tag that hardware took out goes back to where it was. Returns the bytes at `out`. */
static uint32_t tagged_copy(uint8_t *out, const struct frame *frame, uint32_t snaplen)
{
	uint32_t cap_len = smaller_of(frame->cap_len, snaplen);

	memcpy(out, frame->data, MAC_BYTES);
	store_be16(out + MAC_BYTES, frame->vlan_tpid);
	store_be16(out + MAC_BYTES + 2, frame->vlan_tci);
	memcpy(out + MAC_BYTES + VLAN_TAG_BYTES, frame->data + MAC_BYTES, cap_len - MAC_BYTES);
	return smaller_of(cap_len + VLAN_TAG_BYTES, snaplen);
}

static void pcap_frames(struct sink *sink, const struct frame *frames, unsigned n)
{
	const uint32_t snaplen = sink->shape.snaplen;
	const uint32_t divisor = sink->shape.nanoseconds ? 1 : 1000;

	for (unsigned i = 0; i < n; i++) {
		const struct frame *frame = &frames[i];
		struct pcap_record_header header = {
			.seconds = (uint32_t)(frame->ts_ns / 1000000000u),
			.fraction = (uint32_t)(frame->ts_ns % 1000000000u) / divisor,
			.cap_len = smaller_of(frame->cap_len, snaplen),
			.wire_len = frame->wire_len,
		};
		if ((size_t)(sink->chunk + OUTFILE_CHUNK - sink->at) < sizeof(header) + VLAN_TAG_BYTES + header.cap_len)
			chunk_append(sink);
		if (sink->records++ == 0)
			sink->first_ns = frame->ts_ns;
		uint8_t *data = sink->at + sizeof(header);
		if (__builtin_expect(frame->vlan_tpid != 0 && frame->link == LINK_ETHERNET && header.cap_len >= MAC_BYTES, 0)) {
			header.cap_len = tagged_copy(data, frame, snaplen);
			header.wire_len += VLAN_TAG_BYTES;
		} else {
			memcpy(data, frame->data, header.cap_len);
		}
		memcpy(sink->at, &header, sizeof(header));
		sink->at = data + header.cap_len;
	}
	if (sink->shape.live && n > 0 && sink->records > 0 && frames[n - 1].ts_ns - sink->first_ns >= LIVE_MAX_NS)
		chunk_append(sink);
}
