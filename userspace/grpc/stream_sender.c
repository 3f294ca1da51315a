#include "stream_sender.h"

#include <errno.h>
#include <grpc/slice_buffer.h>
#include <grpc/support/log.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bytes.h"
#include "clock.h"
#include "counters.h"
#include "log.h"

#define NS_PER_S     ((uint64_t)1000000000)
#define NS_PER_MS    ((uint64_t)1000000)
#define BACKOFF_MS   250            /* the first pause; each is twice as long as the one before ... */
#define BACKOFF_MAX  30000          /* ... up to this; for files a tenth, for somebody waits */
#define STABLE_NS    NS_PER_S       /* a stream that lived so long was a good one: the next pause is a short one again */
#define IDLE_MS      2              /* how often the rings are looked at while they are empty */
#define STALL_MS     200            /* how often a send that does not come back is asked whether it still makes sense */
#define FAREWELL_NS  (5 * NS_PER_S) /* live, at the end: a collector that does not answer is not waited for any longer */
#define LANE_WAIT_NS 200000

static void pause_ns(uint64_t ns)
{
	struct timespec pause = { .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) };

	nanosleep(&pause, NULL);
}

bool stream_sender_wait(const struct stream_sender *sender, struct stream_blocks *blocks)
{
	while (!stream_blocks_free(blocks)) {
		if (atomic_load(&sender->failed))
			return false;
		pause_ns(LANE_WAIT_NS);
	}
	return true;
}

/* How long the collector may keep us waiting. */
static uint64_t patience_ns(const struct stream_sender *sender)
{
	bool farewell = sender->settings.live && atomic_load(&sender->closing);

	return farewell && FAREWELL_NS < sender->timeout_ns ? FAREWELL_NS : sender->timeout_ns;
}

/* --- messages -------------------------------------------------------------------------------------------------------- */

/* The last reference to the block's bytes is gone. On any thread. */
static void block_sent(void *block)
{
	atomic_store_explicit(&((struct stream_block *)block)->state, STREAM_BLOCK_FREE, memory_order_release);
}

/* Lanes take turns. The order of packets is that of their lanes. */
static bool block_next(struct stream_sender *sender)
{
	for (unsigned i = 0; i < sender->lanes_count && !sender->block; i++) {
		sender->block = stream_blocks_take(&sender->lanes[sender->turn]);
		sender->turn = sender->turn + 1 == sender->lanes_count ? 0 : sender->turn + 1;
	}
	if (!sender->block)
		return false;
	sender->whole = grpc_slice_new_with_user_data(sender->block->bytes, sender->block->used, block_sent, sender->block);
	sender->offset = 0;
	sender->left = sender->block->messages;
	return true;
}

static void block_done(struct stream_sender *sender)
{
	sender->block = NULL;
	grpc_slice_unref(sender->whole);
}

/* Waits for one operation. False: the call is over, or came to a standstill and was ended. */
static bool wait_for(struct stream_sender *sender, enum stream_tag tag, gpr_timespec *deadline)
{
	struct stream_connection *connection = &sender->connection;
	uint64_t since_ns = 0;
	bool success = false;

	for (;;) {
		enum stream_tag came = stream_connection_next(connection, *deadline, &success);
		if (came == tag)
			return success && !connection->ended;
		if (came)
			continue;
		uint64_t now_ns = clock_monotonic_ns();
		since_ns = since_ns ? since_ns : now_ns;
		if (now_ns - since_ns > patience_ns(sender)) {
			sender->stalled = true;
			stream_connection_cancel(connection);
		}
		*deadline = stream_deadline(STALL_MS);
	}
}

/* The rest of the block. False: the stream broke; what follows the broken message waits for the next stream. */
static bool block_send(struct stream_sender *sender, bool more_blocks)
{
	gpr_timespec deadline = stream_deadline(STALL_MS);
	grpc_slice_buffer *buffer = &sender->connection.message->data.raw.slice_buffer;

	while (sender->left) {
		uint32_t length = load_le32(sender->block->bytes + sender->offset), begin = sender->offset + sizeof(length);
		grpc_slice_buffer_add(buffer, grpc_slice_sub(sender->whole, begin, begin + length));
		if (!stream_connection_send(&sender->connection, sender->left > 1 || more_blocks)) {
			grpc_slice_buffer_reset_and_unref(buffer);
			return false;
		}
		sender->offset = begin + length;
		sender->left--;
		sender->sent++;
		counter_add(&sender->given, 1);
		sender->bytes += length;
		if (!wait_for(sender, STREAM_TAG_MESSAGE, &deadline))
			return false;
	}
	block_done(sender);
	return true;
}

/* Nothing to send: listens to the connection for a moment. */
static bool stream_idle(struct stream_sender *sender)
{
	bool success;

	stream_connection_next(&sender->connection, stream_deadline(IDLE_MS), &success);
	return !sender->connection.ended;
}

/* Until all is sent (true) or the stream breaks (false). */
static bool stream_send(struct stream_sender *sender)
{
	for (;;) {
		bool closing = atomic_load(&sender->closing);
		if (sender->block || block_next(sender)) {
			if (!block_send(sender, false))
				return false;
		} else if (closing) {
			return true;
		} else if (!stream_idle(sender)) {
			return false;
		}
	}
}

/* Half-closes, and waits for the answer: true if it is Empty with status OK. */
static bool stream_finish(struct stream_sender *sender)
{
	struct stream_connection *connection = &sender->connection;
	gpr_timespec deadline = stream_deadline(STALL_MS);

	if (stream_connection_half_close(connection))
		wait_for(sender, STREAM_TAG_CLOSE, &deadline);
	if (!connection->ended)
		wait_for(sender, STREAM_TAG_STATUS, &deadline);
	return connection->status == GRPC_STATUS_OK;
}

/* --- connecting ------------------------------------------------------------------------------------------------------ */

/* Says once that the collector cannot be reached, not each time. */
static void say_down(struct stream_sender *sender, const char *why)
{
	if (sender->said)
		return;
	sender->said = true;
	if (sender->settings.live)
		log_warning("grpc: collector %s: %s; trying again, and dropping packets when the buffer is full",
			sender->settings.target.text, why);
	else
		log_warning("grpc: collector %s: %s; trying again for %.0f s (--stream-timeout)", sender->settings.target.text, why,
			(double)sender->timeout_ns / 1e9);
}

/* By gRPC's words, which are all that it tells. */
static const char *advice(const struct stream_sender *sender, const char *why)
{
	if (strstr(why, "certificate verify failed"))
		return "Name the authority of its certificate with --stream-ca FILE";
	if (strstr(why, "not in peer certificate"))
		return "Name the host as its certificate does";
	return sender->settings.tls ? "Is a receiver listening there, with TLS?" : "Is a receiver listening there, without TLS?";
}

static void give_up(struct stream_sender *sender, const char *why, int error)
{
	log_error("grpc: collector %s: %s; given up. %s", sender->settings.target.text, why, advice(sender, why));
	sender->error = error;
	atomic_store(&sender->failed, true);
}

/* False: no more time for another attempt. */
static bool back_off(struct stream_sender *sender, unsigned *pause_ms)
{
	uint64_t begin_ns = clock_monotonic_ns(), limit_ms = sender->settings.live ? BACKOFF_MAX : BACKOFF_MAX / 10;

	/* Up to a quarter more, so that many sensors do not all come at once. */
	uint64_t length_ns = (*pause_ms + begin_ns / 1000 % (*pause_ms / 4 + 1)) * NS_PER_MS;
	*pause_ms = *pause_ms * 2 < limit_ms ? *pause_ms * 2 : (unsigned)limit_ms;
	for (;;) {
		uint64_t now_ns = clock_monotonic_ns();
		bool live = sender->settings.live, closing = atomic_load(&sender->closing);
		if (live && closing)
			return false;
		if (!live && now_ns - sender->down_since_ns > sender->timeout_ns)
			return false;
		if (now_ns - begin_ns >= length_ns)
			return true;
		pause_ns(10 * NS_PER_MS);
	}
}

/* False: given up. */
static bool connect_again(struct stream_sender *sender, unsigned *pause_ms)
{
	char why[STREAM_WHY] = "";

	for (;;) {
		int error = stream_connection_open(&sender->connection, &sender->settings, &sender->closing, why);
		if (!error)
			return true;
		stream_connection_close(&sender->connection);
		sender->down_since_ns = sender->down_since_ns ? sender->down_since_ns : clock_monotonic_ns();
		say_down(sender, why);
		if (!back_off(sender, pause_ms)) {
			give_up(sender, why, error);
			return false;
		}
	}
}

/* How the stream ended, for people. */
static void why_broke(struct stream_sender *sender, char *why, size_t size)
{
	const struct stream_connection *connection = &sender->connection;
	gpr_timespec deadline = stream_deadline(STALL_MS);

	if (!connection->ended) /* an operation failed: the status follows */
		wait_for(sender, STREAM_TAG_STATUS, &deadline);
	if (sender->stalled)
		snprintf(why, size, "takes nothing any more");
	else if (connection->status == GRPC_STATUS_OK)
		snprintf(why, size, "ended the stream: it wants no more");
	else
		snprintf(why, size, "ended the stream with %s: %s", stream_status_name(connection->status), connection->why);
}

/* After a stream that did not end well. False: another one would not either, or there is nothing to send in it. */
static bool stream_broke(struct stream_sender *sender, bool all_sent, uint64_t begin_ns, unsigned *pause_ms)
{
	uint64_t now_ns = clock_monotonic_ns();
	char why[STREAM_WHY + 64];

	why_broke(sender, why, sizeof(why));
	sender->unconfirmed += sender->sent;
	if (all_sent || (!sender->settings.live && stream_status_is_final(sender->connection.status))) {
		give_up(sender, why, all_sent ? -ECONNRESET : -EPROTO);
		return false;
	}
	if (now_ns - begin_ns >= STABLE_NS) { /* it was a good one: as if it were the first */
		*pause_ms = BACKOFF_MS;
		sender->down_since_ns = 0;
		sender->said = false;
	}
	sender->down_since_ns = sender->down_since_ns ? sender->down_since_ns : now_ns;
	say_down(sender, why);
	if (back_off(sender, pause_ms))
		return true;
	give_up(sender, why, -ECONNRESET);
	return false;
}

/* One stream, from its connection to its end. True: another one is needed. */
static bool stream_run(struct stream_sender *sender, unsigned *pause_ms)
{
	if (!connect_again(sender, pause_ms))
		return false;
	if (sender->said)
		log_info("grpc: collector %s: connected", sender->settings.target.text);
	uint64_t begin_ns = clock_monotonic_ns();
	bool again = false;
	sender->sent = 0;
	sender->stalled = false;
	sender->streams++;
	atomic_store(&sender->connected, true);
	bool all_sent = stream_send(sender);
	bool complete = all_sent && stream_finish(sender);
	atomic_store(&sender->connected, false);
	if (complete)
		sender->confirmed += sender->sent;
	else
		again = stream_broke(sender, all_sent, begin_ns, pause_ms);
	stream_connection_close(&sender->connection);
	return again;
}

static void *sender_run(void *argument)
{
	struct stream_sender *sender = argument;
	unsigned pause_ms = BACKOFF_MS;

	while (stream_run(sender, &pause_ms))
		;
	atomic_store(&sender->failed, true); /* whatever the end: nobody takes blocks any more */
	return NULL;
}

/* --- control --------------------------------------------------------------------------------------------------------- */

/* gRPC's own messages are for people who debug gRPC; ours say what a user can do. */
static void say_nothing(gpr_log_func_args *args)
{
	(void)args;
}

int stream_sender_start(struct stream_sender *sender)
{
	gpr_set_log_function(say_nothing);
	grpc_init();
	int error = pthread_create(&sender->thread, NULL, sender_run, sender);

	if (error) {
		log_error("grpc: starting the sender's thread: %s", strerror(error));
		grpc_shutdown();
		return -error;
	}
	sender->started = true;
	return 0;
}

void stream_sender_stop(struct stream_sender *sender)
{
	if (!sender->started)
		return;
	atomic_store(&sender->closing, true);
	pthread_join(sender->thread, NULL);
	do {
		if (sender->block) {
			sender->unsent += sender->left;
			block_done(sender);
		}
	} while (block_next(sender));
	grpc_shutdown_blocking(); /* after it no block is referred to any more */
	sender->started = false;
	if (sender->unconfirmed && !sender->error)
		sender->error = -ECONNRESET;
}
