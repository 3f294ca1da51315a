/*
 * Where frames come from. One source per lane; all calls from that lane's thread, stats() from any.
 */
#ifndef FLOWLANE_SOURCE_H
#define FLOWLANE_SOURCE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "flowlane/packet.h"

/* rx_batch's word for "this input is at its end": not an error. */
#define SOURCE_END (-ENODATA)

struct source_stats {
	uint64_t frames;      /* handed out */
	uint64_t bytes_done;  /* of the input: for progress */
	uint64_t bytes_total; /* 0: unknown (a pipe, an interface) */
	bool truncated;       /* the input ended inside a record; what came before was handed out */
};

struct source_info {
	int link;         /* enum link_type; -1: inputs with different ones */
	uint32_t snaplen; /* of the input, bytes */
	bool nanoseconds; /* time stamps have nanosecond resolution */
	bool live;
	bool places;           /* one file whose frames have places in it: source_ops.place */
	uint32_t ifindex;      /* of the interface; 0: a file */
	const char *ts_source; /* "file", "hardware", "xdp", "batch": where time stamps come from; may change while live */
};

/* Where the frames of a batch lie in the file: one at `data` + d begins at `position` + d. */
struct batch_place {
	const uint8_t *data;
	uint64_t position;
	uint64_t number; /* of the batch's first frame in the file, from 1 */
	unsigned count;  /* of its frames, before the filter */
};

/* Of a batch of one lane's own frames: about the frames of other lanes that it leaves out. */
struct batch_others {
	unsigned all;       /* frames that the batch stands for, own and others; 0: it leaves out none */
	bool sure;          /* no frame in it may turn out to be another lane's */
	uint64_t latest_ns; /* of them all */
};

struct source;

struct source_ops {
	const char *name;
	/* Up to n (<= FLOWLANE_BATCH) frames: their number; 0: none now (live: none for 100 ms at most), call again; SOURCE_END; or a negative errno, said in the
	 * log already, after all readable frames were handed out. Frames stay valid until release(). */
	int (*rx_batch)(struct source *source, struct frame *frames, unsigned n);
	/*
	 * Of a source that lanes share; NULL: there is no such. As rx_batch(), but only frames of this lane, or that may be (their
	 * `number` is that among all), as long as those among which they stand are older than until_ns. From there on all frames:
	 * others->all is 0 then.
	 */
	int (*rx_mine)(struct source *source, struct frame *frames, unsigned n, uint64_t until_ns, struct batch_others *others);
	/* Gives frames back, in any order. All must be back before the next rx_batch(). */
	void (*release)(struct source *source, const struct frame *frames, unsigned n);
	void (*stats)(const struct source *source, struct source_stats *stats);
	/* Of the n > 0 frames that rx_batch() gave last, before release(). Only if info.places. */
	void (*place)(const struct source *source, const struct frame *frames, unsigned n, struct batch_place *place);
	/* Live: UNIX time now, for a lane without frames; no frame handed out later is older by more than a batch. NULL: a file. */
	uint64_t (*now_ns)(struct source *source);
	void (*close)(struct source *source); /* accepts half-opened */
};

struct source {
	const struct source_ops *ops;
	struct source_info info;
};

#endif
