/*
 * One connection to a collector with one call, /packet_streaming.PacketStreaming/Run, on it. The sender's thread only.
 *
 * Without TLS the socket is made here and given to gRPC as a direct channel: reasons for a failure are those of connect(), the
 * connection's addresses are known before its first packet, and a message costs less than through gRPC's balancing of several servers.
 * gRPC has no such channel for TLS, so there it connects by itself, to the one address that was looked up here.
 */
#ifndef FLOWLANE_STREAM_CONNECTION_H
#define FLOWLANE_STREAM_CONNECTION_H

#include <grpc/grpc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "stream_target.h"

#define STREAM_METHOD "/packet_streaming.PacketStreaming/Run"
#define STREAM_WHY    512

struct stream_settings {
	struct stream_target target;
	bool tls;
	char *ca; /* PEM; NULL: the system's */
	char link[12], snaplen[12];
	bool live; /* captured live: the connection is left out of the capture */
};

/* What the completion queue hands out. */
enum stream_tag { STREAM_TAG_MESSAGE = 1, STREAM_TAG_START, STREAM_TAG_CLOSE, STREAM_TAG_STATUS };

struct stream_connection {
	grpc_channel *channel;
	grpc_completion_queue *queue;
	grpc_call *call;
	grpc_byte_buffer *message; /* empty; refilled for each one */
	unsigned pending;          /* operations that the queue has not handed out yet, one bit per tag */
	bool ended;                /* the call is over: status is valid */
	grpc_status_code status;
	char why[STREAM_WHY]; /* the peer's or gRPC's words for the status */

	/* filled by gRPC when the call is over */
	grpc_metadata_array initial, trailing;
	grpc_byte_buffer *response;
	grpc_slice details;
};

/* Looks up, connects, starts the call; takes 10 s at most besides the lookup, and ends early when *hurry is set. 0, or a negative errno
 * and the reason in `why`. Closed in either case by stream_connection_close(). */
int stream_connection_open(struct stream_connection *connection, const struct stream_settings *settings, const atomic_bool *hurry,
	char why[STREAM_WHY]);
/* Ends the call if it has not ended. Accepts zeroed. */
void stream_connection_close(struct stream_connection *connection);

/* The next of the tags that came, 0: none until the deadline. A STREAM_TAG_STATUS has been taken into the connection. */
enum stream_tag stream_connection_next(struct stream_connection *connection, gpr_timespec deadline, bool *success);
/* Starts to send the message in connection->message. Without `more` to come it goes out at once. False: the call is over. */
bool stream_connection_send(struct stream_connection *connection, bool more);
bool stream_connection_half_close(struct stream_connection *connection);
void stream_connection_cancel(struct stream_connection *connection);
/* "INVALID_ARGUMENT" */
const char *stream_status_name(grpc_status_code status);
/* Trying again would end the same way. */
bool stream_status_is_final(grpc_status_code status);

static inline gpr_timespec stream_deadline(int64_t from_now_ms)
{
	return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(from_now_ms, GPR_TIMESPAN));
}

#endif
