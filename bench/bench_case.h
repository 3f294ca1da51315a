/* One case of bench_core: the frames of N flows through the core, the floor and the decoder alone, alternating, some rounds. */
#ifndef BENCH_CASE_H
#define BENCH_CASE_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_ROUNDS_MAX 31

struct bench_options {
	uint64_t flows;
	uint64_t packets; /* 0: as many as the number of flows deserves, 20 M, or four per flow */
	unsigned rounds;  /* 0: by the number of flows */
	uint64_t gap_ns;  /* packet time between two frames */
	bool floor;
	bool anomalies; /* also with all detectors */
	bool json_only; /* nothing for people on standard error */
};

/* Measures and prints one JSON line for the core, one for the decoder alone. 0, or 2 if the core lost count. */
int bench_case(const struct bench_options *options);

#endif
