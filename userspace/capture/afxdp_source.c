/*
 * Packet path. What sets up is in afxdp_setup.c.
 */
#include "afxdp_source.h"

#include <poll.h>
#include <sched.h>
#include <time.h>

#include "clock.h"
#include "counters.h"

#include "poison.h"

#define AHEAD      16     /* frames prefetched ahead: about as many misses as a core follows at a time */
#define WAIT_MS    100    /* the lane has other work that often */
#define SPINS      64     /* looks at an empty ring before asking the kernel to wake us: a few microseconds */
#define SPINS_HOT  1024   /* the same while packets come in numbers: waking us costs their sender 65 to 100 ns each */
#define BURST_HOT  16     /* that many in the last batch */
#define NAPS_NS    100000 /* frames that wake us after less than this: better to nap than to be woken */
#define NAP_MAX_NS 250000
#define NAP_SHARE  8                      /* of the ring: more than that is no longer few */
#define KICKS      16                     /* polls of the driver, with busy polling, before the lane may do something else */
#define NIC_SLACK  ((uint64_t)1000000000) /* a NIC's time stamp farther from now than this is none */

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* --- time stamps ------------------------------------------------------------------------------------------------------- */

/* What turns stamps into UNIX time, for one batch. Stays in registers: no function that is not inlined gets its address. */
struct stamps {
	uint64_t offset_ns; /* UNIX - MONOTONIC */
	uint64_t last_ns;   /* of the frame before: a lane's time does not run backwards */
	unsigned usual;     /* frames that the XDP program stamped */
	bool clear;         /* see struct afxdp_port */
};

static struct stamps stamps_begin(struct afxdp_source *source)
{
	source->batch_ns = 0;
	return (struct stamps){
		.offset_ns = live_clock_offset(source->port->clock),
		.last_ns = source->last_ns,
		.clear = __atomic_load_n(&source->port->meta_missing, __ATOMIC_RELAXED),
	};
}

static void source_add_kind(struct afxdp_source *source, enum frame_ts kind)
{
	unsigned bit = 1u << kind;

	if (unlikely(!(source->kinds & bit)))
		__atomic_store_n(&source->kinds, source->kinds | bit, __ATOMIC_RELAXED);
}

static void stamps_end(struct stamps stamps, struct afxdp_source *source)
{
	source->last_ns = stamps.last_ns;
	if (stamps.usual)
		source_add_kind(source, FRAME_TS_KTIME);
}

/* All but the usual kind: no stamp, or the NIC's, which is worth what its clock is worth. */
static __attribute__((noinline)) uint64_t stamp_other(
	struct afxdp_source *source, const struct frame_meta *meta, uint64_t offset_ns)
{
	if (!source->batch_ns)
		source->batch_ns = clock_monotonic_ns() + offset_ns;
	if (meta->ts_kind == FRAME_TS_HARDWARE) {
		uint64_t ts_ns = meta->ts_ns + (uint64_t)__atomic_load_n(&source->port->nic_offset_ns, __ATOMIC_RELAXED);
		if (ts_ns - (source->batch_ns - NIC_SLACK) < 2 * NIC_SLACK) {
			source_add_kind(source, FRAME_TS_HARDWARE);
			return ts_ns;
		}
	}
	source_add_kind(source, FRAME_TS_NONE);
	return source->batch_ns;
}

/* --- frames ------------------------------------------------------------------------------------------------------------ */

/* always_inline: see flow_prefetch(). */
static inline __attribute__((always_inline)) void frame_prefetch(const uint8_t *data)
{
	/* When the kernel copies these are one line, the first of a pair (XSK_COPY_HEADROOM), and CPUs fetch pairs by themselves.
	 * Asking for the second line, too, takes as long as all the rest of a frame of 64 bytes. */
	__builtin_prefetch(data - sizeof(struct frame_meta));
	__builtin_prefetch(data);
}

static inline __attribute__((always_inline)) void frame_fill(
	struct frame *frame, uint8_t *data, uint32_t length, struct stamps *stamps, struct afxdp_source *source)
{
	struct frame_meta *meta = (struct frame_meta *)(void *)(data - sizeof(*meta));
	uint32_t wire_len = length;
	uint64_t ts_ns;

	frame->link = LINK_ETHERNET; /* these four are one store */
	frame->vlan_tci = 0;
	frame->vlan_tpid = 0;
	frame->number = 0;
	if (likely(meta->ts_kind == FRAME_TS_KTIME)) {
		ts_ns = meta->ts_ns + stamps->offset_ns;
		stamps->usual++;
	} else {
		ts_ns = stamp_other(source, meta, stamps->offset_ns);
	}
	if (likely(meta->ts_kind != FRAME_TS_NONE)) {
		wire_len = meta->wire_len ? meta->wire_len : length;
		if (unlikely(meta->vlan_tpid)) {
			frame->vlan_tci = meta->vlan_tci;
			frame->vlan_tpid = meta->vlan_tpid == 2 ? 0x88a8 : 0x8100;
		}
		if (unlikely(stamps->clear))
			meta->ts_kind = FRAME_TS_NONE; /* it may come back without metadata */
	}
	stamps->last_ns = ts_ns > stamps->last_ns ? ts_ns : stamps->last_ns;
	frame->data = data;
	frame->ts_ns = stamps->last_ns;
	frame->cap_len = length;
	frame->wire_len = wire_len;
}

/* --- buffers on their way back ----------------------------------------------------------------------------------------- */

static bool fill_lock(struct xsk_queue *queue, bool wait)
{
	while (atomic_exchange_explicit(&queue->locked, true, memory_order_acquire)) {
		if (!wait)
			return false;
		sched_yield(); /* the holder may sit on this very CPU */
	}
	return true;
}

static void fill_unlock(struct xsk_queue *queue)
{
	atomic_store_explicit(&queue->locked, false, memory_order_release);
}

static void stash_put(struct afxdp_source *source, uint64_t address)
{
	source->stash[source->stashed++] = address;
}

/* Gives the stash to the kernel. If another lane is at the fill ring just now it waits until next time, unless `wait`. */
static void stash_flush(struct afxdp_source *source, bool wait)
{
	struct xsk_queue *queue = source->queue;
	unsigned n = source->stashed;
	uint32_t at;

	if (!n || (queue->shared && !fill_lock(queue, wait)))
		return;
	if (likely(xsk_ring_prod__reserve(&queue->fill, n, &at) == n)) { /* always: it has room for all buffers */
		for (unsigned i = 0; i < n; i++)
			*xsk_ring_prod__fill_addr(&queue->fill, at + i) = source->stash[i];
		xsk_ring_prod__submit(&queue->fill, n);
		source->stashed = 0;
	}
	if (queue->shared)
		fill_unlock(queue);
}

/* The usual case: one lane, one buffer a frame. */
static void release_direct(struct xsk_queue *queue, const struct frame *frames, unsigned n)
{
	const uint8_t *area = queue->memory.area;
	uint64_t *ring = queue->fill.ring;
	const uint32_t mask = queue->fill.mask;
	uint32_t at;

	if (unlikely(xsk_ring_prod__reserve(&queue->fill, n, &at) != n))
		return; /* never: it has room for all buffers */
	for (unsigned i = 0; i < n; i++)
		ring[(at + i) & mask] = (uint64_t)(frames[i].data - area); /* the kernel finds the buffer's start by itself */
	xsk_ring_prod__submit(&queue->fill, n);
}

static void release_stashed(struct afxdp_source *source, const struct frame *frames, unsigned n)
{
	const uint8_t *area = source->queue->memory.area;
	const size_t bytes = source->queue->memory.bytes;

	for (unsigned i = 0; i < n; i++) {
		size_t address = (size_t)(frames[i].data - area);
		if (likely(address < bytes)) /* not a joined one, whose buffers went back at once */
			stash_put(source, address);
	}
	stash_flush(source, source->stashed > AFXDP_STASH - AFXDP_WINDOW - FLOWLANE_BATCH);
}

void afxdp_release(struct source *base, const struct frame *frames, unsigned n)
{
	struct afxdp_source *source = (struct afxdp_source *)base;
	struct xsk_queue *queue = source->queue;

	if (likely(!queue->shared && !source->joined))
		release_direct(queue, frames, n);
	else
		release_stashed(source, frames, n);
	if (unlikely(xsk_ring_prod__needs_wakeup(&queue->fill)))
		xsk_kick(source->xsk);
}

/* --- frames of one buffer ---------------------------------------------------------------------------------------------- */

static unsigned take_single(struct afxdp_source *source, struct frame *frames, unsigned n)
{
	struct xsk_ring_cons *rx = &source->xsk->rx;
	const struct xdp_desc *ring = rx->ring;
	const uint32_t mask = rx->mask;
	uint8_t *area = source->queue->memory.area;
	uint32_t at;
	unsigned got = xsk_ring_cons__peek(rx, n, &at);

	if (!got)
		return 0;
	for (unsigned i = 0; i < got && i < AHEAD; i++)
		frame_prefetch(area + ring[(at + i) & mask].addr);
	struct stamps stamps = stamps_begin(source);
	for (unsigned i = 0; i < got; i++) {
		const struct xdp_desc *desc = &ring[(at + i) & mask];
		if (i + AHEAD < got)
			frame_prefetch(area + ring[(at + i + AHEAD) & mask].addr);
		frame_fill(&frames[i], area + desc->addr, desc->len, &stamps, source);
	}
	xsk_ring_cons__release(rx, got);
	stamps_end(stamps, source);
	counter_add(&source->frames, got);
	return got;
}

/* --- frames of several buffers ----------------------------------------------------------------------------------------- */

/* How many descriptors the frame at `at` takes; 0: more than there are. */
static unsigned joined_parts(const struct xsk_ring_cons *rx, uint32_t at, unsigned there)
{
	for (unsigned i = 0; i < there; i++) {
		if (!(xsk_ring_cons__rx_desc(rx, at + i)->options & XDP_PKT_CONTD))
			return i + 1;
	}
	return 0;
}

static void joined_discard(struct afxdp_source *source, uint32_t at, unsigned parts)
{
	for (unsigned i = 0; i < parts; i++)
		stash_put(source, xsk_ring_cons__rx_desc(&source->xsk->rx, at + i)->addr);
}

/* Copies a frame's buffers into one place. False: it is longer than that. */
static bool joined_copy(struct afxdp_source *source, uint32_t at, unsigned parts, struct frame *frame, struct stamps *stamps)
{
	const struct xsk_ring_cons *rx = &source->xsk->rx;
	uint8_t *area = source->queue->memory.area;
	uint8_t *place = source->joined + (size_t)source->joined_used * source->joined_bytes;
	uint32_t length = 0;

	for (unsigned i = 0; i < parts; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(rx, at + i);
		if (desc->len > source->joined_bytes - length)
			return false;
		memcpy(place + length, area + desc->addr, desc->len);
		length += desc->len;
	}
	/* The metadata is in front of the first buffer. */
	frame_fill(frame, area + xsk_ring_cons__rx_desc(rx, at)->addr, length, stamps, source);
	frame->data = place;
	source->joined_used++;
	return true;
}

/* The frame at `at`, of `parts` descriptors. False: none came of it. */
static inline __attribute__((always_inline)) bool take_one(
	struct afxdp_source *source, uint32_t at, unsigned parts, struct frame *frame, struct stamps *stamps)
{
	const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&source->xsk->rx, at);

	if (likely(parts == 1 && !source->skipping)) {
		frame_fill(frame, source->queue->memory.area + desc->addr, desc->len, stamps, source);
		return true;
	}
	bool whole = !source->skipping && joined_copy(source, at, parts, frame, stamps);
	if (!whole && !source->skipping)
		counter_add(&source->too_long, 1);
	source->skipping = false;
	joined_discard(source, at, parts);
	return whole;
}

static __attribute__((noinline)) unsigned take_joined(struct afxdp_source *source, struct frame *frames, unsigned n)
{
	struct xsk_ring_cons *rx = &source->xsk->rx;
	uint32_t at;
	unsigned there = xsk_ring_cons__peek(rx, AFXDP_WINDOW, &at), used = 0, got = 0;

	if (!there)
		return 0;
	source->joined_used = 0;
	struct stamps stamps = stamps_begin(source);
	while (used < there && got < n) {
		unsigned parts = joined_parts(rx, at + used, there - used);
		if (!parts)
			break;
		got += take_one(source, at + used, parts, &frames[got], &stamps);
		used += parts;
	}
	if (unlikely(!used && there == AFXDP_WINDOW)) { /* no end in sight: it can be no frame of this interface */
		joined_discard(source, at, there);
		counter_add(&source->too_long, !source->skipping);
		source->skipping = true;
		used = there;
	}
	xsk_ring_cons__cancel(rx, there - used);
	xsk_ring_cons__release(rx, used);
	stamps_end(stamps, source);
	counter_add(&source->frames, got);
	return got;
}

/* --- the source -------------------------------------------------------------------------------------------------------- */

static unsigned afxdp_take(struct afxdp_source *source, struct frame *frames, unsigned n)
{
	return source->joined ? take_joined(source, frames, n) : take_single(source, frames, n);
}

static uint32_t ring_waiting(const struct xsk_ring_cons *rx)
{
	return __atomic_load_n(rx->producer, __ATOMIC_RELAXED) - rx->cached_cons;
}

static bool ring_is_empty(const struct xsk_ring_cons *rx)
{
	return ring_waiting(rx) == 0;
}

/* Until something comes, a tenth of a second at most. */
static void afxdp_sleep(int fd)
{
	struct pollfd events = { .fd = fd, .events = POLLIN };

	/* An interface that is gone reports an error at once, for ever: then only the time counts. */
	if (poll(&events, 1, WAIT_MS) > 0 && !(events.revents & POLLIN))
		poll(NULL, 0, WAIT_MS);
}

/* Half the time for which the ring lasts at 10 Mpps (0.2 ms, 4,096 descriptors), and the kernel adds 0.05 ms: at 14.88 Mpps it lasts. */
static void afxdp_nap(const struct afxdp_source *source)
{
	uint32_t ns = source->xsk->rx.size * 50;
	const struct timespec nap = { .tv_nsec = ns < NAP_MAX_NS ? ns : NAP_MAX_NS };

	ppoll(NULL, 0, &nap, NULL);
}

/*
 * Nothing is there. To wake a thread for each frame costs a microsecond or more of the CPU that receives them, and of the lane's: with
 * frames that come every few microseconds, too rarely to be there always and too often to sleep, that would be most of what a
 * selection saves. So where waiting for them was short, the lane sleeps for a fixed time, during which nobody needs to wake it; until a
 * nap was in vain, or brought so much that being there at once is better.
 */
static void afxdp_rest(struct afxdp_source *source)
{
	const struct xsk_ring_cons *rx = &source->xsk->rx;

	if (source->naps) {
		afxdp_nap(source);
		source->naps = ring_waiting(rx) - 1 < rx->size / NAP_SHARE;
		return;
	}
	uint64_t before_ns = clock_monotonic_ns();
	afxdp_sleep(source->xsk->fd);
	source->naps = clock_monotonic_ns() - before_ns < NAPS_NS;
}

/* Drives the driver by hand. True: frames are there. */
static bool afxdp_busy_poll(const struct afxdp_source *source)
{
	for (unsigned i = 0; i < KICKS; i++) {
		xsk_kick(source->xsk);
		if (!ring_is_empty(&source->xsk->rx))
			return true;
	}
	return false;
}

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static bool afxdp_spin(const struct afxdp_source *source)
{
	unsigned spins = source->burst >= BURST_HOT ? SPINS_HOT : SPINS;

	for (unsigned i = 0; i < spins; i++) {
		if (!ring_is_empty(&source->xsk->rx))
			return true;
		relax();
	}
	return false;
}

static int afxdp_wait(struct afxdp_source *source, struct frame *frames, unsigned n)
{
	int phase = __atomic_load_n(&source->port->phase, __ATOMIC_ACQUIRE);

	if (phase == AFXDP_WAITING) {
		afxdp_sleep(source->port->wake);
		return 0;
	}
	stash_flush(source, true);
	if (phase == AFXDP_ENDING) {
		int got = source->queue->umem ? (int)afxdp_take(source, frames, n) : 0;
		return got ? got : SOURCE_END;
	}
	if (__atomic_load_n(&source->port->busy_poll, __ATOMIC_RELAXED))
		return afxdp_busy_poll(source) ? (int)afxdp_take(source, frames, n) : 0;
	if (source->naps || !afxdp_spin(source))
		afxdp_rest(source);
	source->burst = afxdp_take(source, frames, n);
	return (int)source->burst;
}

int afxdp_rx_batch(struct source *base, struct frame *frames, unsigned n)
{
	struct afxdp_source *source = (struct afxdp_source *)base;

	if (likely(__atomic_load_n(&source->port->phase, __ATOMIC_ACQUIRE) == AFXDP_RUNNING)) {
		unsigned got = afxdp_take(source, frames, n);
		if (likely(got)) {
			source->burst = got;
			return (int)got;
		}
	}
	return afxdp_wait(source, frames, n);
}

void afxdp_stats(const struct source *base, struct source_stats *stats)
{
	const struct afxdp_source *source = (const struct afxdp_source *)base;

	*stats = (struct source_stats){ .frames = counter_read(&source->frames) };
}

uint64_t afxdp_now_ns(struct source *base)
{
	struct afxdp_source *source = (struct afxdp_source *)base;
	uint64_t now_ns = clock_monotonic_ns() + live_clock_offset(source->port->clock);

	return now_ns > source->last_ns ? now_ns : source->last_ns;
}
