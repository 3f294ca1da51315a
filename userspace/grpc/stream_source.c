/* A lane's source of a receiver: batches of frames from its completion queue. Lane's thread, packet path. */
#include <grpc/byte_buffer.h>

#include "clock.h"
#include "counters.h"
#include "stream_receiver_internal.h"

static int stream_rx_batch(struct source *source, struct frame *frames, unsigned n);
static void stream_release(struct source *source, const struct frame *frames, unsigned n);
static void stream_stats(const struct source *source, struct source_stats *stats);
static uint64_t stream_now_ns(struct source *source);

static void stream_source_close(struct source *source)
{
	(void)source; /* the receiver closes all lanes together */
}

const struct source_ops stream_source_ops = {
	.name = "gRPC streams",
	.rx_batch = stream_rx_batch,
	.release = stream_release,
	.stats = stream_stats,
	.now_ns = stream_now_ns,
	.close = stream_source_close,
};

#include "poison.h"

#define WAIT_MS     100                   /* the lane has other work that often */
#define STOP_MAX_NS ((uint64_t)500000000) /* a sensor that sends without end does not hold up the end of the run */

static struct stream_lane *lane_of(const struct source *source)
{
	return (struct stream_lane *)source; /* its first member */
}

/* When to stop waiting for the first event. False: it is time to end. */
static bool lane_deadline(struct stream_lane *lane, gpr_timespec *deadline)
{
	if (!atomic_load_explicit(&lane->receiver->stopping, memory_order_relaxed)) {
		*deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(WAIT_MS, GPR_TIMESPAN));
		return true;
	}
	uint64_t now_ns = clock_monotonic_ns();
	lane->stop_ns = lane->stop_ns ? lane->stop_ns : now_ns;
	*deadline = gpr_inf_past(GPR_CLOCK_MONOTONIC); /* what has arrived is taken, nothing is waited for */
	return now_ns - lane->stop_ns < STOP_MAX_NS;
}

static int stream_rx_batch(struct source *source, struct frame *frames, unsigned n)
{
	struct stream_lane *lane = lane_of(source);
	gpr_timespec deadline;
	unsigned count = 0;
	uint64_t bytes = 0;

	if (!lane_deadline(lane, &deadline))
		return SOURCE_END;
	stream_ask(lane);
	while (count < n && STREAM_SCRATCH_BYTES - lane->scratch_used >= STREAM_MESSAGE_MAX) {
		grpc_event event = grpc_completion_queue_next(lane->queue, deadline, NULL);
		if (event.type != GRPC_OP_COMPLETE)
			break;
		if (!stream_take_event(lane, &event, &frames[count]))
			continue;
		bytes += frames[count].wire_len;
		count++;
		deadline = gpr_inf_past(GPR_CLOCK_MONOTONIC);
	}
	counter_add(&lane->frames, count);
	counter_add(&lane->bytes, bytes);
	return count == 0 && lane->stop_ns ? SOURCE_END : (int)count;
}

static void stream_release(struct source *source, const struct frame *frames, unsigned n)
{
	struct stream_lane *lane = lane_of(source);

	(void)frames, (void)n;
	for (unsigned i = 0; i < lane->held_count; i++)
		grpc_byte_buffer_destroy(lane->held[i]);
	lane->held_count = 0;
	lane->scratch_used = 0;
}

static void stream_stats(const struct source *source, struct source_stats *stats)
{
	const struct stream_lane *lane = lane_of(source);

	*stats = (struct source_stats){ .frames = counter_read(&lane->frames), .bytes_done = counter_read(&lane->bytes) };
}

/* Packet time goes on from the latest packet: sensors may send what is years old. */
static uint64_t stream_now_ns(struct source *source)
{
	struct stream_lane *lane = lane_of(source);
	uint64_t now_ns = clock_monotonic_ns();

	if (!lane->latest_ns)
		return 0;
	if (lane->latest_is_new)
		lane->latest_at_ns = now_ns;
	lane->latest_is_new = false;
	return lane->latest_ns + (now_ns - lane->latest_at_ns);
}
