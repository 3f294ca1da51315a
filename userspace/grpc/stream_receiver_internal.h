/* What the files of stream_receiver*.c share: a lane of the receiver, and a stream. Private to grpc/. */
#ifndef FLOWLANE_STREAM_RECEIVER_INTERNAL_H
#define FLOWLANE_STREAM_RECEIVER_INTERNAL_H

#include <grpc/grpc.h>
#include <stdatomic.h>

#include "flowlane/pcap_format.h"
#include "packet_message.h"
#include "stream_receiver.h"

#define STREAM_MESSAGE_MAX   (PCAP_CAP_LEN_MAX + PACKET_MESSAGE_OVERHEAD)
#define STREAM_SCRATCH_BYTES ((size_t)4 << 20)

/* More sensors per lane wait until one is done. A stream takes 600 bytes here. */
#define STREAMS_PER_LANE 1024

/* What the queue says of a stream, in the low bits of the tag, which is the stream's address. */
enum stream_event {
	STREAM_EVENT_NEW,     /* a sensor asks for a stream */
	STREAM_EVENT_MESSAGE, /* a message, or NULL: none will follow */
	STREAM_EVENT_ANSWER,  /* our answer is out */
	STREAM_EVENT_CLOSE,   /* the call is over, whoever ended it */
	STREAM_EVENT_COUNT,
};

struct stream {
	struct stream_lane *lane;
	struct stream *next_free;
	grpc_call *call; /* NULL: free, or waiting for a sensor */
	grpc_call_details details;
	grpc_metadata_array metadata;
	grpc_byte_buffer *message; /* filled by gRPC */
	int cancelled;             /* filled by gRPC */
	uint8_t pending;           /* a bit per enum stream_event that the queue has not said yet */
	bool answered;             /* our last word is given; no message is taken any more */
	bool answer_sent;
	bool counts; /* a packet stream, and not a call of something else */
	struct stream_report report;
};

struct stream_lane {
	struct source source; /* first member */
	struct stream_receiver *receiver;
	unsigned number;
	grpc_completion_queue *queue;
	_Atomic(unsigned) open; /* streams; written by this lane, read by the others */
	struct stream *asked;   /* waits for a sensor; NULL: none does */
	struct stream *free;
	struct stream *streams; /* [STREAMS_PER_LANE] */

	/* the batch at hand */
	grpc_byte_buffer *held[FLOWLANE_BATCH]; /* messages that frames point into */
	unsigned held_count;
	uint8_t *scratch; /* messages that came in pieces */
	size_t scratch_used;

	/* packet time */
	uint64_t latest_ns;    /* the highest time stamp */
	uint64_t latest_at_ns; /* monotonic time when a look at the clock found it */
	bool latest_is_new;    /* no look since */
	uint64_t stop_ns;      /* monotonic time when the lane saw that it is to stop; 0: not yet */

	/* written by the lane, read by control (base/counters.h) */
	uint64_t frames, bytes;
	struct streams_report report; /* of streams that are over; valid at the end */
};

struct stream_receiver {
	grpc_server *server;
	bool ethernet_only;
	atomic_bool attached;
	atomic_bool stopping;
	unsigned lanes_count;
	struct stream_lane *lanes;
	char listen[320];
};

/* Takes an event of the lane's queue. True: *frame is a packet. */
bool stream_take_event(struct stream_lane *lane, const grpc_event *event, struct frame *frame);
/* Waits for a sensor, unless another lane has fewer. */
void stream_ask(struct stream_lane *lane);
/* The stream is over, or the run: into the lane's report. */
void stream_add_report(struct stream_lane *lane, const struct stream *stream);

/* The ops of a lane's source (stream_source.c). */
extern const struct source_ops stream_source_ops;

#endif
