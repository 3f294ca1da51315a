/*
 * The source of a live lane: its RX ring. Frames are lent straight out of the UMEM, their buffers go back to the fill ring when the
 * batch is released; only a frame of several buffers is copied together. One lane's thread; made and ended by capture.c.
 */
#ifndef FLOWLANE_AFXDP_SOURCE_H
#define FLOWLANE_AFXDP_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/abi.h"
#include "flowlane/source.h"
#include "live_clock.h"
#include "xsk.h"

enum afxdp_phase {
	AFXDP_WAITING, /* the rings may still be made anew: hands off */
	AFXDP_RUNNING,
	AFXDP_ENDING, /* nothing more is put into the rings: hand out what is there, then SOURCE_END */
};

/* What the sources of one interface look at. Written by control. */
struct afxdp_port {
	const struct live_clock *clock; /* of the capture */
	int64_t nic_offset_ns;          /* UNIX - the NIC's clock; relaxed atomic */
	bool busy_poll;                 /* cleared if it does not work; relaxed atomic */
	/*
	 * Frames came without metadata: what a buffer's last frame had must be wiped. Set when the program's counters show it, which
	 * no driver is known to do now and then (those without are always without). Wiping each frame's all the time would cost a
	 * tenth of what a frame costs: the line would be written here, and taken back by the CPU that fills it. Relaxed atomic.
	 */
	bool meta_missing;
	int phase; /* enum afxdp_phase; written: release, read: acquire */
	int wake;  /* eventfd, readable as soon as the phase is not AFXDP_WAITING any more */
};

#define AFXDP_WINDOW 256 /* descriptors looked at in a batch, where frames take several */
#define AFXDP_STASH  512 /* a window, a batch, and what waits for the fill ring's lock */

struct afxdp_source {
	struct source base; /* first: what the lane holds */

	/* read by the lane in each batch, constant while it runs */
	struct xsk *xsk;
	struct xsk_queue *queue;
	const struct afxdp_port *port;

	/* written by the lane */
	uint64_t batch_ns; /* UNIX time at which a batch was taken, if anybody asked; else 0 */
	unsigned burst;    /* frames of the last batch */
	bool naps;         /* frames come so often that waking the lane for them is too much */
	uint64_t last_ns;  /* newest time stamp handed out */
	unsigned kinds;    /* bit (1 << enum frame_ts) for each kind seen; read by control, relaxed */
	unsigned stashed;  /* buffers on their way back, a queue with several lanes */
	uint64_t frames;   /* handed out; read by control (base/counters.h) */
	uint64_t too_long; /* frames of more buffers than could be joined; read by control */
	bool skipping;     /* inside one of them */
	uint8_t *joined;   /* FLOWLANE_BATCH places of joined_bytes, for frames of several buffers; NULL: there are none */
	uint32_t joined_bytes;
	unsigned joined_used;
	uint64_t stash[AFXDP_STASH];
};

/* joined_bytes: the longest frame, if it may take several buffers; else 0. 0 or -ENOMEM. */
int afxdp_source_open(
	struct afxdp_source *source, struct xsk_queue *queue, unsigned share, const struct afxdp_port *port, uint32_t joined_bytes);
void afxdp_source_close(struct afxdp_source *source); /* accepts one not opened */

/* The packet path; as in struct source_ops. */
int afxdp_rx_batch(struct source *source, struct frame *frames, unsigned n);
void afxdp_release(struct source *source, const struct frame *frames, unsigned n);
void afxdp_stats(const struct source *source, struct source_stats *stats);
uint64_t afxdp_now_ns(struct source *source);

#endif
