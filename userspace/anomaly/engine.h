/*
 * The detectors. Events go in, in the order of the capture; alerts come out. What it does depends on nothing but the events and the
 * options: so the same events give the same alerts, whoever brought them together. One thread at a time.
 */
#ifndef FLOWLANE_ENGINE_H
#define FLOWLANE_ENGINE_H

#include "attempts.h"
#include "beacons.h"
#include "flowlane/alert.h"
#include "flowlane/config.h"
#include "hash.h"
#include "networks.h"
#include "tally.h"

typedef void alerts_fn(void *context, const struct alert *alerts, unsigned n);

/* New flows of the whole link against their own past. */
struct surge {
	uint64_t pane;      /* 0: nothing seen yet */
	bool whole;         /* the pane is not the first one seen */
	uint64_t start_ns;  /* of the pane */
	uint64_t window_ns; /* its length; UINT64_MAX: nobody asks */
	uint64_t flows;     /* in it */
	uint64_t until_ns;
	uint64_t few; /* with fewer flows than that in the pane there is no alert: no more needs to be asked */
	double usual; /* EWMA of the panes before */
	uint32_t panes;
};

struct engine {
	const struct config *config;
	struct hash_seed seed;
	alerts_fn *on_alerts;
	void *context;
	uint64_t now_ns;
	struct tally *tally[ALERT_KIND_COUNT]; /* NULL: the kind has none, or is not looked for */
	struct attempts *attempts;             /* NULL: nobody asks for failed ones */
	uint64_t attempts_due_ns;              /* attempts_advance() has work then */
	struct networks *networks;             /* NULL: the same */
	struct beacons *beacons;
	struct surge surge;
	uint64_t alerts[ALERT_KIND_COUNT];
};

/* config stays borrowed. 0 or a negative errno. */
int engine_create(const struct config *config, struct hash_seed seed, alerts_fn *on_alerts, void *context, struct engine **engine);
void engine_destroy(struct engine *engine); /* accepts NULL */
uint64_t engine_bytes(const struct config *config);
/* Adds what the engine knows: alerts, and what was lost. */
void engine_report(const struct engine *engine, struct alert_report *report);

/* An attempts_failed_fn: context is the engine. */
void engine_attempts_failed(void *context, const struct attempt *failed, unsigned n);

#define ENGINE_BATCH 64

struct engine_batch {
	const struct anomaly_event *events[ENGINE_BATCH];
	unsigned n;

	/* engine_prefetch()'s */
	struct tally_item udps[ENGINE_BATCH]; /* of those events that are unanswered UDP packets */
	unsigned syns;                        /* how many are SYNs */
};

/* Asks for the memory that the batch's events will touch. before: the batch that comes first, as it is asked for earlier; NULL: none.
 * Packet path. */
void engine_prefetch(const struct engine *engine, struct engine_batch *batch, const struct engine_batch *before);
/* Works on what was asked for. Packet path. */
void engine_run(struct engine *engine, const struct engine_batch *batch);
/* Live: time has moved on without events. */
void engine_advance(struct engine *engine, uint64_t now_ns);
/* The input is at its end. */
void engine_finish(struct engine *engine);

/* alert_text.c: fills in the description. */
struct alert_values {
	uint64_t a, b; /* what the kind counts; see the texts */
	uint8_t proto; /* host_sweep */
};
void alert_describe(struct alert *alert, const struct alert_values *values);

#endif
