/*
 * What a run came to: as text, and as JSON whose names docs/summary.md promises to keep. Control thread, after lanes_finish().
 */
#ifndef FLOWLANE_SUMMARY_H
#define FLOWLANE_SUMMARY_H

#include <stdio.h>

#include "lanes.h"

struct summary {
	const struct config *config;
	const struct lanes_report *report;
	uint64_t wall_ns;
	uint64_t cpu_ns; /* of the process */
	int stop_signal; /* SIGINT, SIGTERM; 0: none */
};

/* The ledger's sums: packets_read == decoded + drops, decoded == in_flows + no_flow. */
uint64_t summary_packets_decoded(const struct ledger *ledger);

/* "file"; live "hardware", "xdp", "batch", or "mixed". */
const char *summary_ts_source(const struct lanes_report *report);
/* The part of the finished TCP and UDP flows that only one side sent, of those with two packets or more. */
double summary_oneway_ratio(const struct lanes_report *report);
/* Live: packets that were lost before a lane got them; 0 for files. */
uint64_t summary_lost(const struct lanes_report *report);
/* Packets of flows that were cut off, and are in no record: live, no lane had the flow when it ended. */
uint64_t summary_unclaimed(const struct lanes_report *report);
/* The stages in front of the lanes. */
void summary_print_capture(const struct lanes_report *report, FILE *out);
/* The sensors whose streams were taken. */
void summary_print_streams(const struct lanes_report *report, FILE *out);

void summary_print(const struct summary *summary, FILE *out);
void summary_print_json(const struct summary *summary, FILE *out);
/* summary_print_json() into config->summary_json. 0, or a negative errno that was logged. */
int summary_write_json(const struct summary *summary);
/* The table of --top-flows. */
void summary_print_top(const struct flow_record *records, unsigned count, FILE *out);
/* 0, or EXIT_RUNTIME if an input or output failed, was cut short, or lost records. */
int summary_exit_code(const struct lanes_report *report);

#endif
