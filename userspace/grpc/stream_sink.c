/*
 * --stream-grpc: each lane writes its packets as messages into a block of its own; full blocks, and live ten times a second those with
 * anything in them, go to the sender's thread. When all blocks are on their way a lane waits if it reads files, and leaves packets out,
 * counted, if it captures.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "flowlane/pcap_format.h"
#include "flowlane/sink.h"
#include "counters.h"
#include "log.h"
#include "packet_message.h"
#include "stream_file.h"
#include "stream_sender.h"

#define VLAN_TAG_BYTES 4
#define MAC_BYTES      12
#define RECORD_MAX     (sizeof(uint32_t) + PACKET_MESSAGE_OVERHEAD + PCAP_CAP_LEN_MAX + VLAN_TAG_BYTES)
_Static_assert(RECORD_MAX <= STREAM_BLOCK_BYTES, "every message fits a block");

/* For files a ring that fits the caches: the sender is slower than the lane, so it is always full. */
#define FILE_BLOCKS     8
#define LIVE_BLOCKS_MIN 4

struct output {
	struct stream_sender sender;
	const struct config *config;
	uint32_t snaplen;
	bool lossless;
	uint64_t offered; /* added up when lanes detach, atomically */
	uint64_t dropped_full,
		dropped_down; /* as it happens, atomically: the collector or the network was too slow; no connection */
};

struct sink {
	struct output *output;
	struct stream_blocks *blocks;
	struct stream_block *block; /* NULL: none, and at == end */
	uint8_t *at, *end;
	uint32_t messages; /* in the block */
	uint64_t offered;  /* all packets */
};

static void stream_frames(struct sink *sink, const struct frame *frames, unsigned n);

static bool stream_wanted(const struct config *config)
{
	return config->stream_grpc != NULL;
}

static int settings_make(
	struct stream_settings *settings, const struct config *config, const struct source_info *info, uint32_t snaplen)
{
	int error = stream_target_parse("--stream-grpc", config->stream_grpc, &settings->target);

	if (!error && info->link < 0) {
		log_error("grpc: the inputs have different link types, and a stream has one; send each input in a run of its own");
		error = -EINVAL;
	}
	if (!error && config->stream_ca)
		error = stream_file_read("--stream-ca", config->stream_ca, "CERTIFICATE", &settings->ca);
	settings->tls = config->stream_tls;
	settings->live = info->live;
	snprintf(settings->link, sizeof(settings->link), "%d", info->link);
	snprintf(settings->snaplen, sizeof(settings->snaplen), "%u", snaplen);
	return error;
}

static unsigned output_destroy(struct output *output)
{
	for (unsigned i = 0; i < output->sender.lanes_count; i++)
		stream_blocks_close(&output->sender.lanes[i]);
	free(output->sender.settings.ca);
	free(output);
	return 0;
}

static int stream_open(const struct config *config, const struct source_info *info, struct output **output)
{
	struct output *made = calloc(1, sizeof(*made));

	if (!made) {
		log_error("grpc: no memory");
		return -ENOMEM;
	}
	made->config = config;
	made->snaplen = config->snaplen && config->snaplen < PCAP_CAP_LEN_MAX ? config->snaplen : PCAP_CAP_LEN_MAX;
	made->lossless = !info->live && config->stream_lossless;
	made->sender.timeout_ns = config->stream_timeout_ns;
	uint32_t input = info->snaplen ? info->snaplen : PCAP_CAP_LEN_MAX;
	int error = settings_make(&made->sender.settings, config, info, made->snaplen < input ? made->snaplen : input);
	if (error)
		output_destroy(made);
	else
		*output = made;
	return error;
}

static int stream_attach(struct output *output, unsigned lane, struct sink **sink)
{
	struct stream_sender *sender = &output->sender;
	uint64_t blocks = output->lossless ? FILE_BLOCKS : output->config->stream_buffer_bytes / STREAM_BLOCK_BYTES;
	struct sink *made = calloc(1, sizeof(*made));
	int error = made && sender->lanes_count < STREAM_LANES_MAX ? 0 : -ENOMEM;

	if (!error)
		error = stream_blocks_open(
			&sender->lanes[sender->lanes_count], blocks < LIVE_BLOCKS_MIN ? LIVE_BLOCKS_MIN : (unsigned)blocks);
	if (error) {
		log_error("grpc: lane %u: no memory for its buffer; lower --stream-buffer-mb", lane);
		free(made);
		return error;
	}
	made->output = output;
	made->blocks = &sender->lanes[sender->lanes_count++];
	*sink = made;
	return 0;
}

static int stream_start(struct output *output)
{
	return stream_sender_start(&output->sender);
}

static void block_submit(struct sink *sink)
{
	if (!sink->messages)
		return;
	sink->block->used = (uint32_t)(sink->at - sink->block->bytes);
	sink->block->messages = sink->messages;
	stream_blocks_submit(sink->blocks);
	sink->block = NULL;
	sink->at = sink->end = NULL;
	sink->messages = 0;
}

static void stream_tick(struct sink *sink, uint64_t now_ns)
{
	(void)now_ns;
	block_submit(sink);
}

static void stream_detach(struct sink *sink)
{
	struct output *output = sink->output;

	block_submit(sink);
	__atomic_add_fetch(&output->offered, sink->offered, __ATOMIC_RELAXED);
	free(sink);
}

static unsigned stream_close(struct output *output, struct output_report *reports)
{
	struct stream_sender *sender = &output->sender;

	stream_sender_stop(sender);
	if (!reports)
		return output_destroy(output);
	*reports = (struct output_report){
		.name = "grpc",
		.records = sender->confirmed + sender->unconfirmed,
		.bytes = sender->bytes,
		.lost = output->dropped_full + output->dropped_down + sender->unsent,
		.files = (unsigned)sender->streams,
		.error = sender->error,
		.details = {
			{ "offered", output->offered },
			{ "confirmed", sender->confirmed },
			{ "unconfirmed", sender->unconfirmed },
			{ "dropped_buffer_full", output->dropped_full },
			{ "dropped_no_connection", output->dropped_down },
			{ "unsent", sender->unsent },
		},
	};
	snprintf(reports->path, sizeof(reports->path), "%s", sender->settings.target.text);
	output_destroy(output);
	return 1;
}

static unsigned stream_so_far(const struct output *output, struct output_report *reports)
{
	*reports = (struct output_report){
		.name = "grpc",
		.records = counter_read(&output->sender.given),
		.lost = counter_read(&output->dropped_full) + counter_read(&output->dropped_down),
	};
	return 1;
}

const struct sink_ops sink_grpc = {
	.name = "grpc",
	.wants = SINK_FRAMES,
	.wanted = stream_wanted,
	.open = stream_open,
	.attach = stream_attach,
	.start = stream_start,
	.frames = stream_frames,
	.tick = stream_tick,
	.detach = stream_detach,
	.close = stream_close,
	.so_far = stream_so_far,
};

#include "poison.h"

/* The block is full, or there is none. False: all are on their way, and it was not waited for one. */
static __attribute__((noinline)) bool block_next(struct sink *sink)
{
	block_submit(sink);
	sink->block = stream_blocks_free(sink->blocks);
	if (!sink->block && sink->output->lossless && stream_sender_wait(&sink->output->sender, sink->blocks))
		sink->block = stream_blocks_free(sink->blocks);
	if (!sink->block)
		return false;
	sink->at = sink->block->bytes;
	sink->end = sink->at + STREAM_BLOCK_BYTES;
	return true;
}

/* Packet times advance: most fall into the second of the one before, and need no division. */
static inline uint32_t second_fraction(struct packet_message *message, uint64_t *start_ns, uint64_t ts_ns)
{
	if (__builtin_expect(ts_ns - *start_ns >= 1000000000u, 0)) {
		message->ts_sec = (uint32_t)(ts_ns / 1000000000u);
		*start_ns = ts_ns - ts_ns % 1000000000u;
	}
	return (uint32_t)(ts_ns - *start_ns);
}

/* The packet's bytes; a VLAN tag that hardware took out goes back to where it was. */
static inline uint8_t *put_data(uint8_t *out, const struct frame *frame, uint32_t length, bool tagged)
{
	if (__builtin_expect(!tagged, 1)) {
		memcpy(out, frame->data, length);
		return out + length;
	}
	uint8_t tag[VLAN_TAG_BYTES];
	uint32_t behind = length > MAC_BYTES + VLAN_TAG_BYTES ? length - MAC_BYTES - VLAN_TAG_BYTES : 0;
	store_be16(tag, frame->vlan_tpid);
	store_be16(tag + 2, frame->vlan_tci);
	memcpy(out, frame->data, MAC_BYTES);
	memcpy(out + MAC_BYTES, tag, length - MAC_BYTES - behind);
	memcpy(out + length - behind, frame->data + MAC_BYTES, behind);
	return out + length;
}

static void stream_frames(struct sink *sink, const struct frame *frames, unsigned n)
{
	const uint32_t snaplen = sink->output->snaplen;
	struct packet_message message = { 0 };
	uint64_t second_ns = 0;

	sink->offered += n;
	for (unsigned i = 0; i < n; i++) {
		const struct frame *frame = &frames[i];
		bool tagged = frame->vlan_tpid != 0 && frame->link == LINK_ETHERNET && frame->cap_len >= MAC_BYTES &&
			      snaplen >= MAC_BYTES;
		uint32_t cap_len = frame->cap_len + (tagged ? VLAN_TAG_BYTES : 0);
		uint32_t fraction_ns = second_fraction(&message, &second_ns, frame->ts_ns);

		message.ts_usec = fraction_ns / 1000;
		message.ts_nsec_rest = fraction_ns % 1000;
		message.cap_len = cap_len < snaplen ? cap_len : snaplen;
		message.wire_len = frame->wire_len + (tagged ? VLAN_TAG_BYTES : 0);
		if ((size_t)(sink->end - sink->at) < sizeof(uint32_t) + PACKET_MESSAGE_OVERHEAD + message.cap_len &&
			!block_next(sink)) {
			struct output *output = sink->output;
			bool connected = atomic_load_explicit(&output->sender.connected, memory_order_relaxed);
			__atomic_fetch_add(connected ? &output->dropped_full : &output->dropped_down, n - i, __ATOMIC_RELAXED);
			return;
		}
		uint8_t *begin = sink->at + sizeof(uint32_t);
		uint8_t *end = put_data(packet_message_put(begin, &message), frame, message.cap_len, tagged);
		uint32_t length = (uint32_t)(end - begin);
		memcpy(sink->at, &length, sizeof(length));
		sink->at = end;
		sink->messages++;
	}
}
