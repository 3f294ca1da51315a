/*
 * The source of a live lane, on rings that the test itself fills: no kernel. What the kernel's end does: puts descriptors into the
 * RX ring, takes buffers from the fill ring.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "afxdp_source.h"
#include "clock.h"

#define S           ((uint64_t)1000000000)
#define FRAME_BYTES 2048
#define HEADROOM    (XSK_KERNEL_HEADROOM + XSK_COPY_HEADROOM)
#define FRAMES      1024 /* buffers, and the size of each ring */

struct rig {
	struct xsk_queue queue;
	struct xsk xsk;
	uint32_t rx_producer, rx_consumer, rx_flags, fill_producer, fill_consumer, fill_flags;
	struct xdp_desc *rx;
	uint64_t *fill;
	struct live_clock clock;
	struct afxdp_port port;
	struct afxdp_source source;
	uint64_t now_ns; /* CLOCK_MONOTONIC */
};

static struct rig *rig_create(bool shared, uint32_t joined_bytes)
{
	struct rig *rig = aligned_alloc(64, (sizeof(*rig) + 63) & ~(size_t)63);

	assert_non_null(rig);
	memset(rig, 0, sizeof(*rig));
	rig->rx = calloc(FRAMES, sizeof(*rig->rx));
	rig->fill = calloc(FRAMES, sizeof(*rig->fill));
	rig->xsk.rx = (struct xsk_ring_cons){ .mask = FRAMES - 1,
		.size = FRAMES,
		.producer = &rig->rx_producer,
		.consumer = &rig->rx_consumer,
		.ring = rig->rx,
		.flags = &rig->rx_flags };
	rig->queue.fill = (struct xsk_ring_prod){ .mask = FRAMES - 1,
		.size = FRAMES,
		.cached_cons = FRAMES,
		.producer = &rig->fill_producer,
		.consumer = &rig->fill_consumer,
		.ring = rig->fill,
		.flags = &rig->fill_flags };
	rig->queue.shared = shared;
	rig->queue.shares = 1;
	rig->queue.share = &rig->xsk;
	rig->queue.umem = (struct xsk_umem *)rig; /* only asked whether there is one */
	rig->queue.memory = (struct umem){
		.bytes = FRAMES * FRAME_BYTES, .frames = FRAMES, .frame_bytes = FRAME_BYTES, .area = malloc(FRAMES * FRAME_BYTES)
	};
	memset(rig->queue.memory.area, 0, FRAMES * FRAME_BYTES);
	rig->port = (struct afxdp_port){
		.clock = &rig->clock, .phase = AFXDP_RUNNING, .wake = eventfd(0, EFD_NONBLOCK), .busy_poll = true
	};
	live_clock_start(&rig->clock);
	rig->now_ns = clock_monotonic_ns();
	/* With busy polling an empty ring is never slept on: the test has no socket. */
	rig->xsk.fd = -1;
	assert_int_equal(afxdp_source_open(&rig->source, &rig->queue, 0, &rig->port, joined_bytes), 0);
	return rig;
}

static void rig_destroy(struct rig *rig)
{
	afxdp_source_close(&rig->source);
	close(rig->port.wake);
	free(rig->queue.memory.area);
	free(rig->rx);
	free(rig->fill);
	free(rig);
}

static struct frame_meta *rig_meta(struct rig *rig, unsigned buffer)
{
	return (struct frame_meta *)(void *)(rig->queue.memory.area + (size_t)buffer * FRAME_BYTES + HEADROOM -
					     sizeof(struct frame_meta));
}

/* A buffer's worth of a frame arrives; its bytes are the buffer's number. */
static void rig_part(struct rig *rig, unsigned buffer, uint32_t length, bool more)
{
	uint64_t address = (uint64_t)buffer * FRAME_BYTES + HEADROOM;

	memset(rig->queue.memory.area + address, (int)buffer, length);
	rig->rx[rig->rx_producer++ & (FRAMES - 1)] =
		(struct xdp_desc){ .addr = address, .len = length, .options = more ? XDP_PKT_CONTD : 0 };
}

static void rig_frame(struct rig *rig, unsigned buffer, uint32_t length, uint64_t ts_ns)
{
	*rig_meta(rig, buffer) = (struct frame_meta){ .ts_ns = ts_ns, .ts_kind = FRAME_TS_KTIME };
	rig_part(rig, buffer, length, false);
}

static int rig_take(struct rig *rig, struct frame *frames, unsigned n)
{
	return rig->source.base.ops->rx_batch(&rig->source.base, frames, n);
}

static void rig_give(struct rig *rig, const struct frame *frames, unsigned n)
{
	rig->source.base.ops->release(&rig->source.base, frames, n);
}

static uint64_t rig_unix(const struct rig *rig, uint64_t monotonic_ns)
{
	return monotonic_ns + live_clock_offset(&rig->clock);
}

static void frames__when_in_the_ring__then_in_order_and_their_buffers_go_back(void **context)
{
	(void)context;
	struct rig *rig = rig_create(false, 0);
	struct frame frames[FLOWLANE_BATCH];
	unsigned sent = 0, came = 0;

	/* Thrice around the ring. */
	for (unsigned round = 0; round < 3 * FRAMES / 32; round++) {
		for (unsigned i = 0; i < 32; i++, sent++)
			rig_frame(rig, sent % FRAMES, 60 + sent % 200, rig->now_ns + sent);
		int n = rig_take(rig, frames, FLOWLANE_BATCH);
		assert_int_equal(n, 32);
		assert_int_equal(rig->rx_consumer, rig->rx_producer);
		for (int i = 0; i < n; i++, came++) {
			assert_ptr_equal(frames[i].data, rig->queue.memory.area + (size_t)(came % FRAMES) * FRAME_BYTES + HEADROOM);
			assert_int_equal(frames[i].cap_len, 60 + came % 200);
			assert_int_equal(frames[i].wire_len, frames[i].cap_len);
			assert_int_equal(frames[i].link, LINK_ETHERNET);
			assert_int_equal(frames[i].vlan_tpid, 0);
			assert_int_equal(frames[i].ts_ns, rig_unix(rig, rig->now_ns + came));
		}
		rig_give(rig, frames, (unsigned)n);
		assert_int_equal(rig->fill_producer, came);
		for (unsigned i = came - 32; i < came; i++)
			assert_int_equal(rig->fill[i % FRAMES] / FRAME_BYTES, i % FRAMES);
		rig->fill_consumer = rig->fill_producer;
	}
	struct source_stats stats;
	rig->source.base.ops->stats(&rig->source.base, &stats);
	assert_int_equal(stats.frames, sent);
	assert_int_equal(rig->source.kinds, 1u << FRAME_TS_KTIME);
	rig_destroy(rig);
}

static void frames__when_more_than_asked_for__then_the_rest_next_time(void **context)
{
	(void)context;
	struct rig *rig = rig_create(false, 0);
	struct frame frames[FLOWLANE_BATCH];

	for (unsigned i = 0; i < 100; i++)
		rig_frame(rig, i, 60, rig->now_ns);
	assert_int_equal(rig_take(rig, frames, 1), 1);
	rig_give(rig, frames, 1);
	assert_int_equal(rig_take(rig, frames, FLOWLANE_BATCH), FLOWLANE_BATCH);
	rig_give(rig, frames, FLOWLANE_BATCH);
	assert_int_equal(rig_take(rig, frames, FLOWLANE_BATCH), 100 - 1 - FLOWLANE_BATCH);
	rig_give(rig, frames, 100 - 1 - FLOWLANE_BATCH);
	assert_int_equal(rig_take(rig, frames, FLOWLANE_BATCH), 0);
	assert_int_equal(rig->fill_producer, 100);
	rig_destroy(rig);
}

static void meta__when_a_tag_was_taken_out_or_the_frame_cut__then_it_is_said(void **context)
{
	(void)context;
	struct rig *rig = rig_create(false, 0);
	struct frame frames[4];

	for (unsigned i = 0; i < 4; i++)
		rig_frame(rig, i, 60, rig->now_ns);
	rig_meta(rig, 1)->vlan_tpid = 1;
	rig_meta(rig, 1)->vlan_tci = 0x6064;
	rig_meta(rig, 2)->vlan_tpid = 2;
	rig_meta(rig, 2)->vlan_tci = 7;
	rig_meta(rig, 3)->wire_len = 1514;
	assert_int_equal(rig_take(rig, frames, 4), 4);
	assert_int_equal(frames[0].vlan_tpid, 0);
	assert_int_equal(frames[1].vlan_tpid, 0x8100);
	assert_int_equal(frames[1].vlan_tci, 0x6064);
	assert_int_equal(frames[2].vlan_tpid, 0x88a8);
	assert_int_equal(frames[2].vlan_tci, 7);
	assert_int_equal(frames[3].cap_len, 60);
	assert_int_equal(frames[3].wire_len, 1514);
	rig_destroy(rig);
}

static void meta__when_a_buffer_comes_back_without__then_the_old_one_is_not_believed(void **context)
{
	(void)context;
	struct rig *rig = rig_create(false, 0);
	struct frame frame;

	rig->port.meta_missing = true;
	rig_frame(rig, 0, 60, rig->now_ns - 3600 * S);
	rig_meta(rig, 0)->vlan_tpid = 1;
	rig_meta(rig, 0)->wire_len = 1514;
	assert_int_equal(rig_take(rig, &frame, 1), 1);
	rig_give(rig, &frame, 1);
	rig_part(rig, 0, 60, false);
	assert_int_equal(rig_take(rig, &frame, 1), 1);
	assert_in_range(frame.ts_ns, rig_unix(rig, rig->now_ns), rig_unix(rig, clock_monotonic_ns()));
	assert_int_equal(frame.vlan_tpid, 0);
	assert_int_equal(frame.wire_len, 60);
	assert_int_equal(rig->source.kinds, 1u << FRAME_TS_KTIME | 1u << FRAME_TS_NONE);
	rig_destroy(rig);
}

static void meta__when_it_always_comes__then_its_line_is_not_written(void **context)
{
	(void)context;
	struct rig *rig = rig_create(false, 0);
	struct frame frame;
	struct frame_meta before;

	rig_frame(rig, 0, 60, rig->now_ns);
	before = *rig_meta(rig, 0);
	assert_int_equal(rig_take(rig, &frame, 1), 1);
	rig_give(rig, &frame, 1);
	assert_memory_equal(rig_meta(rig, 0), &before, sizeof(before));
	rig_destroy(rig);
}

static void stamps__when_they_run_back__then_time_stands_still(void **context)
{
	(void)context;
	struct rig *rig = rig_create(false, 0);
	struct frame frames[3];

	rig_frame(rig, 0, 60, rig->now_ns + 10);
	rig_frame(rig, 1, 60, rig->now_ns + 5);
	rig_frame(rig, 2, 60, rig->now_ns + 11);
	assert_int_equal(rig_take(rig, frames, 3), 3);
	rig_give(rig, frames, 3);
	assert_int_equal(frames[1].ts_ns, frames[0].ts_ns);
	assert_int_equal(frames[2].ts_ns, frames[0].ts_ns + 1);
	/* The offset to UNIX time shrinks between two batches. */
	uint64_t before_ns = frames[2].ts_ns;
	rig->clock.offset_ns -= LIVE_CLOCK_BACK_NS;
	rig_frame(rig, 3, 60, rig->now_ns + 12);
	rig_frame(rig, 4, 60, rig->now_ns + 12 + LIVE_CLOCK_BACK_NS);
	assert_int_equal(rig_take(rig, frames, 3), 2);
	assert_int_equal(frames[0].ts_ns, before_ns);
	assert_int_equal(frames[1].ts_ns, before_ns + 1);
	rig_destroy(rig);
}

static void stamps__when_of_the_nic__then_by_its_clock_if_that_can_be(void **context)
{
	(void)context;
	struct rig *rig = rig_create(false, 0);
	struct frame frame;
	uint64_t nic_ns = 5 * S; /* it counts from its start */

	rig->port.nic_offset_ns = (int64_t)(rig_unix(rig, rig->now_ns) - nic_ns);
	rig_frame(rig, 0, 60, nic_ns + 3);
	rig_meta(rig, 0)->ts_kind = FRAME_TS_HARDWARE;
	assert_int_equal(rig_take(rig, &frame, 1), 1);
	assert_int_equal(frame.ts_ns, rig_unix(rig, rig->now_ns) + 3);
	assert_int_equal(rig->source.kinds, 1u << FRAME_TS_HARDWARE);
	/* An hour ahead: nothing later could get past it. */
	rig_frame(rig, 1, 60, nic_ns + 3600 * S);
	rig_meta(rig, 1)->ts_kind = FRAME_TS_HARDWARE;
	assert_int_equal(rig_take(rig, &frame, 1), 1);
	assert_in_range(frame.ts_ns, rig_unix(rig, rig->now_ns), rig_unix(rig, clock_monotonic_ns()));
	rig_destroy(rig);
}

static void queue__when_shared_and_its_lock_taken__then_buffers_wait(void **context)
{
	(void)context;
	struct rig *rig = rig_create(true, 0);
	struct frame frames[FLOWLANE_BATCH];

	atomic_store(&rig->queue.locked, true);
	for (unsigned i = 0; i < 40; i++)
		rig_frame(rig, i, 60, rig->now_ns);
	assert_int_equal(rig_take(rig, frames, FLOWLANE_BATCH), 40);
	rig_give(rig, frames, 40);
	assert_int_equal(rig->fill_producer, 0);
	atomic_store(&rig->queue.locked, false);
	rig_frame(rig, 40, 60, rig->now_ns);
	assert_int_equal(rig_take(rig, frames, FLOWLANE_BATCH), 1);
	rig_give(rig, frames, 1);
	assert_int_equal(rig->fill_producer, 41);
	for (unsigned i = 0; i < 41; i++)
		assert_int_equal(rig->fill[i] / FRAME_BYTES, i);
	assert_false(atomic_load(&rig->queue.locked));
	rig_destroy(rig);
}

static void frame__when_in_several_buffers__then_joined_and_they_go_back(void **context)
{
	(void)context;
	struct rig *rig = rig_create(false, 4096);
	struct frame frames[FLOWLANE_BATCH];

	rig_frame(rig, 0, 100, rig->now_ns);
	*rig_meta(rig, 1) = (struct frame_meta){ .ts_ns = rig->now_ns + 1, .ts_kind = FRAME_TS_KTIME };
	rig_part(rig, 1, 1700, true);
	rig_part(rig, 2, 1700, true);
	rig_part(rig, 3, 600, false);
	rig_frame(rig, 4, 101, rig->now_ns + 2);
	assert_int_equal(rig_take(rig, frames, FLOWLANE_BATCH), 3);
	assert_int_equal(frames[0].cap_len, 100);
	assert_int_equal(frames[1].cap_len, 4000);
	assert_int_equal(frames[1].wire_len, 4000);
	assert_int_equal(frames[1].ts_ns, frames[0].ts_ns + 1);
	for (unsigned i = 0; i < 4000; i++)
		assert_int_equal(frames[1].data[i], 1 + i / 1700);
	assert_int_equal(frames[2].cap_len, 101);
	assert_int_equal(frames[2].data[0], 4);
	rig_give(rig, frames, 3);
	unsigned came[5] = { 0 };
	assert_int_equal(rig->fill_producer, 5);
	for (unsigned i = 0; i < 5; i++)
		came[rig->fill[i] / FRAME_BYTES]++;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(came[i], 1);
	rig_destroy(rig);
}

static void frame__when_longer_than_its_place__then_counted_and_left_out(void **context)
{
	(void)context;
	struct rig *rig = rig_create(false, 2048);
	struct frame frames[FLOWLANE_BATCH];

	rig_frame(rig, 0, 60, rig->now_ns);
	rig_part(rig, 1, 1700, true);
	rig_part(rig, 2, 349, false); /* one byte too many */
	rig_frame(rig, 3, 60, rig->now_ns);
	assert_int_equal(rig_take(rig, frames, FLOWLANE_BATCH), 2);
	rig_give(rig, frames, 2);
	assert_int_equal(rig->source.too_long, 1);
	assert_int_equal(rig->fill_producer, 4);
	rig->fill_consumer = rig->fill_producer;
	/* One that has no end among all that is looked at; then a good one. */
	for (unsigned i = 0; i < AFXDP_WINDOW + 10; i++)
		rig_part(rig, 4 + i, 100, true);
	rig_part(rig, 4 + AFXDP_WINDOW + 10, 100, false);
	rig_frame(rig, 5 + AFXDP_WINDOW + 10, 61, rig->now_ns);
	int n = 0;
	for (unsigned tries = 0; tries < 4 && !n; tries++)
		n = rig_take(rig, frames, FLOWLANE_BATCH);
	assert_int_equal(n, 1);
	assert_int_equal(frames[0].cap_len, 61);
	rig_give(rig, frames, 1);
	assert_int_equal(rig->source.too_long, 2);
	assert_int_equal(rig->fill_producer, 4 + AFXDP_WINDOW + 12);
	rig_destroy(rig);
}

static void frames__when_joined_ones_come_without_end__then_each_once_and_all_buffers_return(void **context)
{
	(void)context;
	struct rig *rig = rig_create(true, 9216);
	struct frame frames[FLOWLANE_BATCH];
	unsigned buffer = 0, sent = 0, came = 0;

	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 60; i++, sent++) {
			unsigned parts = 1 + (sent * 7 + round) % 6;
			*rig_meta(rig, buffer % FRAMES) = (struct frame_meta){ .ts_ns = rig->now_ns, .ts_kind = FRAME_TS_KTIME };
			for (unsigned part = 0; part < parts; part++)
				rig_part(rig, buffer++ % FRAMES, 1500, part + 1 < parts);
		}
		while (rig->rx_consumer != rig->rx_producer) {
			int n = rig_take(rig, frames, 1 + round % FLOWLANE_BATCH);
			assert_in_range(n, 1, FLOWLANE_BATCH);
			for (int i = 0; i < n; i++, came++) {
				unsigned parts = 1 + (came * 7 + round) % 6;
				assert_int_equal(frames[i].cap_len, 1500 * parts);
				assert_int_equal((uint8_t)(frames[i].data[0] + parts - 1), frames[i].data[1500 * parts - 1]);
			}
			rig_give(rig, frames, (unsigned)n);
		}
		assert_int_equal(came, sent);
		assert_int_equal(rig->fill_producer, buffer);
		rig->fill_consumer = rig->fill_producer;
	}
	assert_int_equal(rig->source.frames, sent);
	rig_destroy(rig);
}

static void source__when_the_capture_ends__then_what_is_there_and_then_the_end(void **context)
{
	(void)context;
	struct rig *rig = rig_create(false, 0);
	struct frame frames[FLOWLANE_BATCH];

	for (unsigned i = 0; i < 70; i++)
		rig_frame(rig, i, 60, rig->now_ns);
	rig->port.phase = AFXDP_ENDING;
	assert_int_equal(rig_take(rig, frames, FLOWLANE_BATCH), FLOWLANE_BATCH);
	rig_give(rig, frames, FLOWLANE_BATCH);
	assert_int_equal(rig_take(rig, frames, FLOWLANE_BATCH), 70 - FLOWLANE_BATCH);
	rig_give(rig, frames, 70 - FLOWLANE_BATCH);
	assert_int_equal(rig_take(rig, frames, FLOWLANE_BATCH), SOURCE_END);
	assert_int_equal(rig->fill_producer, 70);
	rig_destroy(rig);
}

static void source__when_not_attached_yet__then_its_ring_is_not_touched(void **context)
{
	(void)context;
	struct rig *rig = rig_create(false, 0);
	struct frame frame;

	rig_frame(rig, 0, 60, rig->now_ns);
	rig->port.phase = AFXDP_WAITING;
	eventfd_write(rig->port.wake, 1); /* no sleep */
	assert_int_equal(rig_take(rig, &frame, 1), 0);
	assert_int_equal(rig->rx_consumer, 0);
	/* Ended before it began, its sockets gone. */
	rig->queue.umem = NULL;
	rig->port.phase = AFXDP_ENDING;
	assert_int_equal(rig_take(rig, &frame, 1), SOURCE_END);
	rig_destroy(rig);
}

static void time__when_asked_without_frames__then_not_before_the_last_one(void **context)
{
	(void)context;
	struct rig *rig = rig_create(false, 0);
	struct frame frame;

	uint64_t ns = rig->source.base.ops->now_ns(&rig->source.base);
	assert_in_range(ns, rig_unix(rig, rig->now_ns), rig_unix(rig, clock_monotonic_ns()));
	rig_frame(rig, 0, 60, clock_monotonic_ns() + S);
	assert_int_equal(rig_take(rig, &frame, 1), 1);
	assert_int_equal(rig->source.base.ops->now_ns(&rig->source.base), frame.ts_ns);
	rig_destroy(rig);
}

/* Nothing comes: how long the source waits for it. */
static uint64_t empty_wait_ns(struct rig *rig)
{
	struct frame frames[FLOWLANE_BATCH];
	uint64_t before_ns = clock_monotonic_ns();

	assert_int_equal(rig_take(rig, frames, FLOWLANE_BATCH), 0);
	return clock_monotonic_ns() - before_ns;
}

/* The socket is an eventfd here: readable, or not before a tenth of a second is over. */
static void wait__when_frames_woke_it_soon__then_a_nap_that_nobody_ends_and_after_a_vain_one_the_socket_again(void **context)
{
	(void)context;
	struct rig *rig = rig_create(false, 0);
	int fd = eventfd(1, EFD_NONBLOCK);
	uint64_t nap_ns = UINT64_MAX, value;

	rig->port.busy_poll = false;
	rig->xsk.fd = fd;
	for (unsigned i = 0; i < 5; i++) { /* the shortest counts: the machine may be busy */
		do
			empty_wait_ns(rig);
		while (!rig->source.naps);
		assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
		uint64_t ns = empty_wait_ns(rig);
		nap_ns = ns < nap_ns ? ns : nap_ns;
		assert_false(rig->source.naps);
		assert_int_equal(write(fd, &value, sizeof(value)), sizeof(value));
	}
	assert_in_range(nap_ns, 50 * FRAMES, S / 20);
	assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
	assert_true(empty_wait_ns(rig) > S / 20);
	assert_false(rig->source.naps);
	close(fd);
	rig->xsk.fd = -1;
	rig_destroy(rig);
}

/* What is there when it wakes: the kernel's end puts frames into the ring while it naps. */
static void wait__when_a_nap_brought_much_or_nothing__then_no_more_naps(void **context)
{
	(void)context;
	static const struct {
		unsigned frames;
		bool naps;
	} rows[] = { { 0, false }, { 1, true }, { FRAMES / 8, true }, { FRAMES / 8 + 1, false } };

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig *rig = rig_create(false, 0);
		struct frame frames[FLOWLANE_BATCH];
		rig->port.busy_poll = false;
		rig->source.naps = true;
		for (unsigned k = 0; k < rows[i].frames; k++)
			rig_frame(rig, k, 64, rig->now_ns);
		/* Taking nothing first: as if they had come during the nap. */
		assert_int_equal(rig_take(rig, frames, 0), 0);
		assert_int_equal(rig->source.naps, rows[i].naps);
		rig_destroy(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames__when_in_the_ring__then_in_order_and_their_buffers_go_back),
		cmocka_unit_test(frames__when_more_than_asked_for__then_the_rest_next_time),
		cmocka_unit_test(meta__when_a_tag_was_taken_out_or_the_frame_cut__then_it_is_said),
		cmocka_unit_test(meta__when_a_buffer_comes_back_without__then_the_old_one_is_not_believed),
		cmocka_unit_test(meta__when_it_always_comes__then_its_line_is_not_written),
		cmocka_unit_test(stamps__when_they_run_back__then_time_stands_still),
		cmocka_unit_test(stamps__when_of_the_nic__then_by_its_clock_if_that_can_be),
		cmocka_unit_test(queue__when_shared_and_its_lock_taken__then_buffers_wait),
		cmocka_unit_test(frame__when_in_several_buffers__then_joined_and_they_go_back),
		cmocka_unit_test(frame__when_longer_than_its_place__then_counted_and_left_out),
		cmocka_unit_test(frames__when_joined_ones_come_without_end__then_each_once_and_all_buffers_return),
		cmocka_unit_test(source__when_the_capture_ends__then_what_is_there_and_then_the_end),
		cmocka_unit_test(source__when_not_attached_yet__then_its_ring_is_not_touched),
		cmocka_unit_test(wait__when_frames_woke_it_soon__then_a_nap_that_nobody_ends_and_after_a_vain_one_the_socket_again),
		cmocka_unit_test(wait__when_a_nap_brought_much_or_nothing__then_no_more_naps),
		cmocka_unit_test(time__when_asked_without_frames__then_not_before_the_last_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
