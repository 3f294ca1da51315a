/*
 * The thread that streams packets to a collector: takes full blocks from the lanes' rings, sends their messages, connects again when
 * the connection breaks. Control thread, but for stream_sender_wait() and the two flags, which are the lanes'.
 *
 *   lane 0 ─▶ ring of blocks ─┐
 *   lane 1 ─▶ ring of blocks ─┴─▶ this thread ─▶ gRPC ─▶ collector
 *
 * What became of each packet that a lane put into a block is in exactly one of confirmed, unconfirmed and unsent.
 */
#ifndef FLOWLANE_STREAM_SENDER_H
#define FLOWLANE_STREAM_SENDER_H

#include <pthread.h>

#include "stream_blocks.h"
#include "stream_connection.h"

#define STREAM_LANES_MAX 64

struct stream_sender {
	struct stream_settings settings;
	uint64_t timeout_ns; /* files: so long without a collector, then it is given up; both: so long without progress */
	struct stream_blocks lanes[STREAM_LANES_MAX];
	unsigned lanes_count;
	pthread_t thread;
	bool started;
	atomic_bool closing;   /* written by control: no more blocks come */
	atomic_bool connected; /* written by the sender: tells lanes why their ring is full */
	atomic_bool failed;    /* written by the sender: given up for good, lanes need not wait */

	/* the sender's own */
	struct stream_connection connection;
	struct stream_block *block; /* the one being sent; NULL: none */
	grpc_slice whole;           /* all of it */
	uint32_t offset;            /* of the next message in it */
	uint32_t left;              /* messages */
	unsigned turn;              /* the lane to look at next */
	uint64_t down_since_ns;     /* 0: connected, and for a while */
	uint64_t sent;              /* in this stream: taken by gRPC */
	uint64_t given;             /* in all streams; read by control */
	bool stalled;               /* this stream came to a standstill, and was ended by us */
	bool said;                  /* that the collector cannot be reached */

	/* valid once stopped */
	uint64_t confirmed;   /* in streams that the collector answered: all of them arrived */
	uint64_t unconfirmed; /* in streams that broke: some of them arrived */
	uint64_t unsent;      /* never given to a stream */
	uint64_t bytes;       /* of messages sent */
	uint64_t streams;     /* begun */
	int error;            /* 0, or why the last stream did not end well */
};

/* 0, or a negative errno, logged. */
int stream_sender_start(struct stream_sender *sender);
/* All lanes are done: sends what they left, ends the stream, waits for the collector's answer; counts what could not be sent. */
void stream_sender_stop(struct stream_sender *sender);

/* A lane, for files: waits until its ring has a free block. False: the sender has given up. */
bool stream_sender_wait(const struct stream_sender *sender, struct stream_blocks *blocks);

#endif
