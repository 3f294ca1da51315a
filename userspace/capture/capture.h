/*
 * Live capture: interfaces, XDP programs, UMEMs and AF_XDP sockets of a run; a source for each lane. All calls from the control
 * thread, but for the sources, which belong to the lanes' threads.
 *
 *   capture_open ─▶ capture_source × lanes ─▶ capture_attach ─▶ (capture_tick, capture_report)* ─▶ capture_detach ─▶ capture_close
 *
 * Order inside, and why: docs/design.md. Lanes go interface by interface, queue by queue, fan-out last:
 * lane = (queue index) * fanout + k.
 */
#ifndef FLOWLANE_CAPTURE_H
#define FLOWLANE_CAPTURE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "flowlane/classic.h"
#include "flowlane/abi.h"
#include "flowlane/config.h"
#include "flowlane/cutoff.h"
#include "flowlane/source.h"

#define CAPTURE_INTERFACES_MAX 16
#define CAPTURE_QUEUES_MAX     64 /* with a socket, over all interfaces */
#define CAPTURE_LANES_MAX      64 /* queues with a socket, times fan-out */
#define CAPTURE_REPORTS_MAX    256

struct capture;
struct rules_set;

/* Where a lane's frames come from, and where it should run. */
struct capture_place {
	char interface[IF_NAMESIZE];
	unsigned ifindex;
	unsigned queue;
	unsigned share; /* 0 .. fanout - 1 */
	int cpu;        /* to pin to; -1: do not */
};

/*
 * One queue's ledger. Each frame that the XDP program saw is in exactly one of these:
 *
 *   seen = filtered + cut_off + no_socket + received + pending + rx_ring_full + fill_ring_empty + refused
 *
 * While traffic runs the counters are not read at one instant. After capture_detach() and with all lanes at their end it is exact,
 * and pending is 0.
 */
struct capture_queue_report {
	unsigned interface; /* index of capture_report.interface */
	unsigned queue;
	unsigned lanes;     /* 0: a queue without a socket, which nevertheless received (no_socket) */
	uint64_t seen;      /* by the XDP program */
	uint64_t filtered;  /* not wanted ... */
	uint64_t denied;    /* ... of these: by the rules */
	uint64_t unsampled; /* ... of these: because its flow is not in the sample */
	uint64_t cut_off;   /* its flow has had its bytes; counted, and in the flow's record */
	uint64_t cut_off_bytes;
	uint64_t no_socket;    /* the queue has no socket */
	uint64_t received;     /* handed to the lanes */
	uint64_t pending;      /* on its way: in an RX ring that its lane has not emptied yet */
	uint64_t rx_ring_full; /* the lane was too slow (XDP_STATISTICS) */
	uint64_t
		fill_ring_empty; /* no buffer was free: the lane was too slow, or --frames too few. Zero-copy: 0, the NIC has nowhere
				     to put such a frame, and counts it as missed */
	uint64_t refused;        /* redirected, but neither received nor lost as above: too long for a buffer, or the kernel did not
				     find the socket fit to take it */
	uint64_t too_long;       /* of refused: too long */
	uint64_t invalid;        /* no frames: buffers that the kernel found in the fill ring and would not have; always 0 */
	uint64_t bytes;          /* of seen */
};

struct capture_interface_report {
	char name[IF_NAMESIZE];
	char driver[32];
	char mode[16];        /* "zero-copy", "copy", "generic" */
	char ts_source[16];   /* "hardware", "xdp", "batch", "mixed" */
	char changed[256];    /* what was changed on the NIC, for people: "promiscuous mode on; rxvlan off"; "" nothing */
	uint64_t nic_packets; /* what the NIC's own counters moved by, since attach */
	uint64_t nic_dropped; /* rx_dropped of the interface, without what the queues have */
	uint64_t nic_missed;  /* rx_missed_errors: the NIC had no descriptor */
	uint64_t nic_errors;  /* rx_errors: CRC and the like */
	bool gone;            /* it went away while the capture ran */
	bool symmetric_rss;   /* both directions of a flow come to one lane: one lane, one queue, or set up so */
};

struct capture_report {
	unsigned interfaces;
	struct capture_interface_report interface[CAPTURE_INTERFACES_MAX];
	unsigned queues;
	struct capture_queue_report queue[CAPTURE_REPORTS_MAX]; /* with lanes first; a last one without may stand for several */
};

/* What is captured at all. Borrowed while the capture is there. */
struct capture_selection {
	const struct classic_insn *filter; /* for Ethernet; NULL: no filter expression */
	unsigned filter_count;
	const struct rules_set *rules; /* NULL: none, and none later */
};

/* All that comes before attaching. 0, or a negative errno that was logged as a sentence with the fix; nothing is left behind then.
 * -EINVAL: the command line is wrong (exit code 1), whatever this machine is like. */
int capture_open(const struct config *config, const struct capture_selection *selection, struct capture **capture);
unsigned capture_lanes(const struct capture *capture);
/* The lane's frames have passed the filter expression in XDP; else, after capture_attach(), the lane is to run it. */
bool capture_filters(const struct capture *capture, unsigned lane);
/* How the lane's flow table asks for what was cut off (--flow-cutoff). False: there is no cutoff. */
bool capture_cutoff(struct capture *capture, unsigned lane, struct cutoff *cutoff);
/* Other rules come into force, on all interfaces, each frame sees the old ones or the new ones. 0, or a negative errno: the old ones
 * stay. Only if there were rules at the start. */
int capture_set_rules(struct capture *capture, const struct rules_set *rules);
/* Only with --sample. */
void capture_set_sample(struct capture *capture, uint32_t sample);
/* The source of a lane, never NULL; the caller closes it by its ops, before capture_close(). */
struct source *capture_source(struct capture *capture, unsigned lane);
void capture_place(const struct capture *capture, unsigned lane, struct capture_place *place);
/* Frames begin to arrive. Lanes may run already (then nothing is lost at the start): until now their sources give 0 frames. 0, or a
 * negative errno, logged. */
int capture_attach(struct capture *capture);
/* About once a second: clock offset, watchdogs (a queue that receives without a socket, an interface that went down or away: said
 * once). False: an interface is gone for good, and nothing will come from any of them any more: the run ends. */
bool capture_tick(struct capture *capture);
/* True: closing needs CAP_NET_ADMIN, to put the NIC's settings back. */
bool capture_needs_admin(const struct capture *capture);
/* True: counters can be read with CAP_BPF only (before Linux 5.19). */
bool capture_needs_bpf(const struct capture *capture);
/* No more frames arrive; each source hands out what its ring still holds, then says SOURCE_END. Accepts NULL, and a
 * capture that is not attached. */
void capture_detach(struct capture *capture);
void capture_report(const struct capture *capture, struct capture_report *report);
/* Sockets, then UMEM, then the NIC's settings as they were. Accepts NULL and half-opened. */
void capture_close(struct capture *capture);

#endif
