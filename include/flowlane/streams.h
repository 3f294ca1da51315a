/* What `flowlane receive` reports of the streams it took: which sensor, how much, and how the stream ended. */
#ifndef FLOWLANE_STREAMS_H
#define FLOWLANE_STREAMS_H

#include <stdint.h>

enum stream_end {
	STREAM_OPEN,      /* it was still there when the run ended */
	STREAM_COMPLETE,  /* the sensor ended it, and was answered */
	STREAM_BROKEN,    /* the connection broke, or the sensor gave up */
	STREAM_MALFORMED, /* ended by us: a message that is no packet, a link type that cannot be read */
	STREAM_END_COUNT,
};

struct stream_report {
	char peer[72]; /* "192.0.2.7:50212", "[2001:db8::7]:50212" */
	int link;      /* enum link_type */
	unsigned lane;
	uint8_t end; /* enum stream_end */
	uint64_t packets;
	uint64_t bytes;     /* on the wire */
	uint64_t malformed; /* messages: 0 or 1, for the first one ends the stream */
};

#define STREAMS_REPORTED_MAX 256

struct streams_report {
	uint64_t streams; /* taken */
	uint64_t ends[STREAM_END_COUNT];
	uint64_t packets;
	uint64_t malformed;
	uint64_t refused;  /* calls that were no packet streams: another method */
	unsigned reported; /* the first ones, one by one; all are in the sums */
	struct stream_report stream[STREAMS_REPORTED_MAX];
};

#endif
