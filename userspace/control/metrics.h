/*
 * --metrics ADDR:PORT: the ledger of a run that is going on, over HTTP, in the text format that Prometheus reads. The control thread
 * does all of it between its other duties: no thread, no lock, and lanes only have their counters read.
 */
#ifndef FLOWLANE_METRICS_H
#define FLOWLANE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lanes.h"

#define METRICS_PAUSE_MS 20 /* how often metrics_serve() wants to be called: what a reader waits at most */

struct metrics;

/* "127.0.0.1:9100", "[::1]:9100", or a port alone (of 127.0.0.1); an empty address or * is all of them. */
struct metrics_place {
	char address[64]; /* as getaddrinfo(3) takes it; "": all */
	uint16_t port;    /* host order */
};
bool metrics_parse(const char *text, struct metrics_place *place);

/* Listens. 0, or a negative errno that was logged as a sentence. */
int metrics_open(const char *place, struct metrics **metrics);
/* Answers whoever has asked, without waiting. Accepts NULL. */
void metrics_serve(struct metrics *metrics, const struct lanes *lanes);
void metrics_close(struct metrics *metrics); /* accepts NULL */

/* The text itself. `report` as lanes_report_so_far() gives it. */
void metrics_print(const struct lanes_report *report, FILE *out);

#endif
