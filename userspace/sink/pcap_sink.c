/*
 * --write-pcap: each lane builds records in a chunk of its own, and hands it over when the next one might not fit. Live, when all
 * its chunks are on their way to the disk, packets are left out of the file and counted; the lane goes on.
 */
#include <errno.h>
#include <stdlib.h>

#include "bytes.h"
#include "flowlane/pcap_format.h"
#include "log.h"
#include "pcap_output.h"

#define VLAN_TAG_BYTES 4
#define MAC_BYTES      12 /* the tag goes behind both addresses */
#define RECORD_MAX     (sizeof(struct pcap_record_header) + PCAP_CAP_LEN_MAX + VLAN_TAG_BYTES)
_Static_assert(RECORD_MAX <= OUTFILE_CHUNK, "every record fits a chunk");

struct sink {
	struct output *output;
	struct pcap_lane lane;
	struct chunk *chunk; /* NULL: none taken, and at == end */
	uint8_t *at;
	uint8_t *end;
	uint64_t records;  /* in the chunk */
	uint64_t since_ns; /* when a tick saw this chunk first, 0: none has */
};

static void pcap_frames(struct sink *sink, const struct frame *frames, unsigned n);

static bool pcap_wanted(const struct config *config)
{
	return config->write_pcap != NULL;
}

static int pcap_attach(struct output *output, unsigned lane, struct sink **sink)
{
	struct sink *made = calloc(1, sizeof(*made));
	int error = -ENOMEM;

	if (!made)
		log_error("pcap: lane %u: no memory", lane);
	else
		error = pcap_output_attach(output, lane, &made->lane);
	if (error) {
		free(made);
		return error;
	}
	made->output = output;
	*sink = made;
	return 0;
}

static void chunk_send(struct sink *sink, bool flush)
{
	if (sink->records == 0)
		return;
	sink->chunk->bytes = (size_t)(sink->at - sink->chunk->data);
	sink->chunk->records = sink->records;
	sink->chunk->flush = flush;
	chunk_submit(sink->lane.stream, sink->chunk);
	sink->chunk = NULL;
	sink->at = sink->end = NULL;
	sink->records = 0;
	sink->since_ns = 0;
}

static void pcap_tick(struct sink *sink, uint64_t now_ns)
{
	if (sink->records > 0 && outfile_is_due(&sink->since_ns, now_ns))
		chunk_send(sink, true);
}

static void pcap_detach(struct sink *sink)
{
	chunk_send(sink, true);
	free(sink);
}

const struct sink_ops sink_pcap = {
	.name = "pcap",
	.wants = SINK_FRAMES,
	.wanted = pcap_wanted,
	.open = pcap_output_open,
	.attach = pcap_attach,
	.start = pcap_output_start,
	.frames = pcap_frames,
	.tick = pcap_tick,
	.detach = pcap_detach,
	.close = pcap_output_close,
	.reopen = pcap_output_reopen,
	.so_far = pcap_output_so_far,
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

/* The chunk is full, or there is none: another one. False: all are on their way. */
static bool chunk_next(struct sink *sink)
{
	chunk_send(sink, false);
	sink->chunk = chunk_take(sink->lane.pool);
	if (!sink->chunk)
		return false;
	sink->at = sink->chunk->data;
	sink->end = sink->chunk->data + OUTFILE_CHUNK;
	return true;
}

/* Packet times advance: most fall into the second of the one before, and need no division. */
struct second {
	uint64_t start_ns;
	uint32_t number;
};

static inline uint32_t second_fraction(struct second *second, uint64_t ts_ns)
{
	if (__builtin_expect(ts_ns - second->start_ns >= 1000000000u, 0)) {
		second->number = (uint32_t)(ts_ns / 1000000000u);
		second->start_ns = ts_ns - ts_ns % 1000000000u;
	}
	return (uint32_t)(ts_ns - second->start_ns);
}

/* The copy is memcpy(): a loop of 16 bytes, `rep movsb` and stores past the cache (movnt) were all slower, at 64 and at 1,500 bytes. */
static void pcap_frames(struct sink *sink, const struct frame *frames, unsigned n)
{
	const uint32_t snaplen = sink->lane.snaplen;
	const bool nanoseconds = sink->lane.nanoseconds;
	uint8_t *at = sink->at, *end = sink->end;
	struct second second = { 0 };
	unsigned counted = 0;

	if (chunk_stream_failed(sink->lane.stream)) {
		pcap_output_lost(sink->output, 0, n);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		const struct frame *frame = &frames[i];
		uint32_t fraction_ns = second_fraction(&second, frame->ts_ns);
		struct pcap_record_header header = {
			.seconds = second.number,
			.fraction = nanoseconds ? fraction_ns : fraction_ns / 1000,
			.cap_len = smaller_of(frame->cap_len, snaplen),
			.wire_len = frame->wire_len,
		};
		if ((size_t)(end - at) < sizeof(header) + VLAN_TAG_BYTES + header.cap_len) {
			sink->at = at;
			sink->records += i - counted;
			counted = i;
			if (!chunk_next(sink)) {
				pcap_output_lost(sink->output, n - i, 0);
				return;
			}
			at = sink->at;
			end = sink->end;
		}
		uint8_t *data = at + sizeof(header);
		if (__builtin_expect(frame->vlan_tpid != 0 && frame->link == LINK_ETHERNET && header.cap_len >= MAC_BYTES, 0)) {
			header.cap_len = tagged_copy(data, frame, snaplen);
			header.wire_len += VLAN_TAG_BYTES;
		} else {
			memcpy(data, frame->data, header.cap_len);
		}
		memcpy(at, &header, sizeof(header));
		at = data + header.cap_len;
	}
	sink->at = at;
	sink->records += n - counted;
}
