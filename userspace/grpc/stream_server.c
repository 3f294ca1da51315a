/*
 * One stream of a receiver, from the sensor's call to our answer. Lane's thread.
 *
 *   NEW ─▶ MESSAGE ─▶ MESSAGE ─▶ ... ─▶ MESSAGE (NULL) ─▶ ANSWER, CLOSE ─▶ free
 *                        └─ malformed: INVALID_ARGUMENT ────▲
 */
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stream_connection.h"
#include "stream_receiver_internal.h"

static void *tag_of(struct stream *stream, enum stream_event event)
{
	return (void *)((uintptr_t)stream | event);
}
_Static_assert(_Alignof(struct stream) >= STREAM_EVENT_COUNT, "events fit the low bits of a stream's address");

static bool stream_start(struct stream *stream, const grpc_op *ops, size_t count, enum stream_event event)
{
	if (grpc_call_start_batch(stream->call, ops, count, tag_of(stream, event), NULL) != GRPC_CALL_OK)
		return false;
	stream->pending |= (uint8_t)(1u << event);
	return true;
}

/* --- the answer ------------------------------------------------------------------------------------------------------ */

/* Empty and OK, or no message and a reason. */
static void stream_answer(struct stream *stream, grpc_status_code status, const char *reason)
{
	grpc_slice details = grpc_slice_from_copied_string(reason);
	grpc_byte_buffer *empty = status == GRPC_STATUS_OK ? grpc_raw_byte_buffer_create(NULL, 0) : NULL;
	grpc_op ops[3] = {
		{ .op = GRPC_OP_SEND_INITIAL_METADATA },
		{ .op = GRPC_OP_SEND_STATUS_FROM_SERVER,
			.data.send_status_from_server = { .status = status, .status_details = &details } },
		{ .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = empty },
	};

	stream->answered = true;
	stream_start(stream, ops, empty ? 3 : 2, STREAM_EVENT_ANSWER);
	grpc_byte_buffer_destroy(empty);
	grpc_slice_unref(details);
}

static void stream_refuse(struct stream *stream, const char *why)
{
	char reason[160];

	snprintf(reason, sizeof(reason), "%s (packet %" PRIu64 " of the stream)", why, stream->report.packets + 1);
	stream->report.malformed++;
	stream_answer(stream, GRPC_STATUS_INVALID_ARGUMENT, reason);
}

/* --- the beginning --------------------------------------------------------------------------------------------------- */

/* "ipv6:%5B::1%5D:40000" -> "[::1]:40000" */
static void peer_name(grpc_call *call, char *name, size_t size)
{
	char *peer = grpc_call_get_peer(call);
	const char *at = strchr(peer, ':');
	size_t length = 0;

	for (at = at ? at + 1 : peer; *at && length + 1 < size; at++) {
		char c = *at;
		if (!strncmp(at, "%5B", 3) || !strncmp(at, "%5D", 3)) {
			c = at[2] == 'B' ? '[' : ']';
			at += 2;
		}
		name[length++] = c > ' ' && c < 0x7f ? c : '?';
	}
	name[length] = 0;
	gpr_free(peer);
}

static bool slice_is(grpc_slice slice, const char *text)
{
	return GRPC_SLICE_LENGTH(slice) == strlen(text) && !memcmp(GRPC_SLICE_START_PTR(slice), text, strlen(text));
}

/* The link type that the request names; without a name, Ethernet; -1: that is no number. */
static int metadata_link(const grpc_metadata_array *metadata)
{
	for (size_t i = 0; i < metadata->count; i++) {
		if (!slice_is(metadata->metadata[i].key, "x-flowlane-linktype"))
			continue;
		grpc_slice value = metadata->metadata[i].value;
		const uint8_t *digits = GRPC_SLICE_START_PTR(value);
		size_t length = GRPC_SLICE_LENGTH(value);
		int link = 0;
		for (size_t at = 0; at < length; at++) {
			if (digits[at] < '0' || digits[at] > '9' || at == 5)
				return -1;
			link = link * 10 + (digits[at] - '0');
		}
		return length ? link : -1;
	}
	return LINK_ETHERNET;
}

static bool link_is_known(int link)
{
	static const int known[] = { LINK_NULL, LINK_ETHERNET, LINK_RAW, LINK_LOOP, LINK_LINUX_SLL, LINK_IPV4, LINK_IPV6,
		LINK_LINUX_SLL2 };

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i] == link)
			return true;
	}
	return false;
}

/* 0, or the status with which the stream is refused, and why. */
static grpc_status_code check_request(struct stream *stream, const char **why)
{
	int link = metadata_link(&stream->metadata);

	stream->counts = slice_is(stream->details.method, STREAM_METHOD);
	stream->report.link = link;
	if (!stream->counts) {
		*why = "there is only " STREAM_METHOD;
		return GRPC_STATUS_UNIMPLEMENTED;
	}
	if (!link_is_known(link)) {
		*why = "x-flowlane-linktype is no link type that can be read: 0, 1, 101, 108, 113, 228, 229, 276";
		return GRPC_STATUS_INVALID_ARGUMENT;
	}
	if (link != LINK_ETHERNET && stream->lane->receiver->ethernet_only) {
		*why = "this receiver writes packets to an output that takes Ethernet only";
		return GRPC_STATUS_FAILED_PRECONDITION;
	}
	return GRPC_STATUS_OK;
}

static void stream_next_message(struct stream *stream)
{
	grpc_op op = { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &stream->message };

	stream_start(stream, &op, 1, STREAM_EVENT_MESSAGE);
}

static void stream_begin(struct stream *stream)
{
	struct stream_lane *lane = stream->lane;
	grpc_op close = { .op = GRPC_OP_RECV_CLOSE_ON_SERVER, .data.recv_close_on_server.cancelled = &stream->cancelled };
	const char *why = "";

	atomic_store_explicit(&lane->open, atomic_load_explicit(&lane->open, memory_order_relaxed) + 1, memory_order_relaxed);
	stream->report = (struct stream_report){ .lane = lane->number };
	stream->answered = stream->answer_sent = false;
	stream->cancelled = 0;
	peer_name(stream->call, stream->report.peer, sizeof(stream->report.peer));
	grpc_status_code status = check_request(stream, &why);
	stream_start(stream, &close, 1, STREAM_EVENT_CLOSE);
	if (status == GRPC_STATUS_OK) {
		stream_next_message(stream);
		return;
	}
	stream->report.malformed = stream->counts;
	stream_answer(stream, status, why);
}

static void stream_set_up(struct stream *stream)
{
	grpc_call_details_init(&stream->details);
	grpc_metadata_array_init(&stream->metadata);
	stream->call = NULL;
	stream->message = NULL;
}

void stream_ask(struct stream_lane *lane)
{
	const struct stream_receiver *receiver = lane->receiver;
	unsigned mine = atomic_load_explicit(&lane->open, memory_order_relaxed);

	if (lane->asked || !lane->free || lane->stop_ns)
		return;
	for (unsigned i = 0; i < receiver->lanes_count; i++) {
		if (atomic_load_explicit(&receiver->lanes[i].open, memory_order_relaxed) < mine)
			return;
	}
	struct stream *stream = lane->free;
	stream_set_up(stream);
	if (grpc_server_request_call(receiver->server, &stream->call, &stream->details, &stream->metadata, lane->queue, lane->queue,
		    tag_of(stream, STREAM_EVENT_NEW)) != GRPC_CALL_OK)
		return;
	lane->free = stream->next_free;
	lane->asked = stream;
	stream->pending = 1u << STREAM_EVENT_NEW;
}

/* --- the end --------------------------------------------------------------------------------------------------------- */

void stream_add_report(struct stream_lane *lane, const struct stream *stream)
{
	struct streams_report *sums = &lane->report;

	if (!stream->counts) {
		sums->refused++;
		return;
	}
	sums->streams++;
	sums->ends[stream->report.end]++;
	sums->packets += stream->report.packets;
	sums->malformed += stream->report.malformed;
	if (sums->reported < STREAMS_REPORTED_MAX)
		sums->stream[sums->reported++] = stream->report;
}

static void stream_free(struct stream *stream)
{
	struct stream_lane *lane = stream->lane;

	grpc_byte_buffer_destroy(stream->message);
	grpc_call_details_destroy(&stream->details);
	grpc_metadata_array_destroy(&stream->metadata);
	if (stream->call) {
		grpc_call_unref(stream->call);
		stream->report.end = stream->report.malformed                    ? STREAM_MALFORMED
				     : stream->answer_sent && !stream->cancelled ? STREAM_COMPLETE
										 : STREAM_BROKEN;
		stream_add_report(lane, stream);
		atomic_store_explicit(
			&lane->open, atomic_load_explicit(&lane->open, memory_order_relaxed) - 1, memory_order_relaxed);
	}
	stream->call = NULL;
	stream->message = NULL;
	stream->next_free = lane->free;
	lane->free = stream;
}

/* --- messages -------------------------------------------------------------------------------------------------------- */

/* The message in one piece. Most are; others are put together in the lane's scratch memory, which has room for one more. */
static const uint8_t *message_bytes(struct stream_lane *lane, grpc_byte_buffer *message, size_t *length)
{
	const grpc_slice_buffer *buffer = &message->data.raw.slice_buffer;
	uint8_t *whole = lane->scratch + lane->scratch_used;

	*length = buffer->length;
	if (buffer->count == 1)
		return GRPC_SLICE_START_PTR(buffer->slices[0]);
	for (size_t i = 0; i < buffer->count; i++) {
		memcpy(lane->scratch + lane->scratch_used, GRPC_SLICE_START_PTR(buffer->slices[i]),
			GRPC_SLICE_LENGTH(buffer->slices[i]));
		lane->scratch_used += GRPC_SLICE_LENGTH(buffer->slices[i]);
	}
	return whole;
}

static void frame_fill(struct frame *frame, const struct packet_message *message, int link)
{
	*frame = (struct frame){
		.data = message->data,
		.ts_ns = message->ts_sec * UINT64_C(1000000000) + message->ts_usec * UINT64_C(1000) + message->ts_nsec_rest,
		.cap_len = message->cap_len,
		.wire_len = message->wire_len,
		.link = (uint16_t)link,
	};
}

/* True: a packet. The message is held until the batch goes back. */
static bool stream_take_message(struct stream *stream, struct frame *frame)
{
	struct stream_lane *lane = stream->lane;
	grpc_byte_buffer *message = stream->message;
	struct packet_message packet;
	size_t length;

	stream->message = NULL;
	if (stream->answered) {
		grpc_byte_buffer_destroy(message);
		return false;
	}
	if (!message) { /* half-closed; or broken, and then nobody hears the answer */
		stream_answer(stream, GRPC_STATUS_OK, "");
		return false;
	}
	lane->held[lane->held_count++] = message;
	const char *fault = "the message is compressed in a way that is not known";
	if (message->data.raw.compression == GRPC_COMPRESS_NONE && message->data.raw.slice_buffer.length <= STREAM_MESSAGE_MAX) {
		const uint8_t *bytes = message_bytes(lane, message, &length);
		fault = packet_message_read(bytes, length, &packet);
	}
	if (fault) {
		stream_refuse(stream, fault);
		return false;
	}
	stream_next_message(stream);
	frame_fill(frame, &packet, stream->report.link);
	stream->report.packets++;
	stream->report.bytes += frame->wire_len;
	if (frame->ts_ns > lane->latest_ns) {
		lane->latest_ns = frame->ts_ns;
		lane->latest_is_new = true;
	}
	return true;
}

bool stream_take_event(struct stream_lane *lane, const grpc_event *event, struct frame *frame)
{
	struct stream *stream = (struct stream *)((uintptr_t)event->tag & ~(uintptr_t)7);
	enum stream_event what = (enum stream_event)((uintptr_t)event->tag & 7);
	bool is_packet = false;

	stream->pending &= (uint8_t) ~(1u << what);
	switch (what) {
	case STREAM_EVENT_MESSAGE:
		is_packet = stream_take_message(stream, frame);
		break;
	case STREAM_EVENT_NEW:
		lane->asked = NULL;
		if (event->success)
			stream_begin(stream);
		stream_ask(lane);
		break;
	case STREAM_EVENT_ANSWER:
		stream->answer_sent = event->success != 0;
		break;
	default: /* closed: what is pending comes back now */
		break;
	}
	if (!stream->pending)
		stream_free(stream);
	return is_packet;
}
