/* The XDP program of one interface: loaded, attached, its counters read. Control thread. */
#ifndef FLOWLANE_XDP_H
#define FLOWLANE_XDP_H

#include <stdbool.h>
#include <stdint.h>

#include "flowlane/classic.h"
#include "flowlane/abi.h"

struct xdp;
struct rules_set;

struct xdp_load_options {
	const char *interface;
	unsigned ifindex;
	unsigned queues; /* RX queues of the interface, with a socket or not */
	unsigned fanout;
	uint64_t hash_seed;
	bool exclusive;
	bool unstamped;                    /* no time stamps by the program */
	bool shared_clock;                 /* its clock is read less often under load */
	bool frags;                        /* frames longer than a page */
	bool hw_timestamp, hw_vlan;        /* ask the driver: native mode only, and not every driver can */
	const struct classic_insn *filter; /* what it does not match is not captured; NULL: all is */
	unsigned filter_count;
	const struct rules_set *rules; /* the first ones; NULL: none, and none later */
	uint32_t sample;               /* one flow in so many; 0: all, and no other number later */
	uint64_t cutoff_bytes;         /* 0: no cutoff */
	bool key_vlan;                 /* for the cutoff: what a flow is */
	uint32_t max_flows;
	uint32_t snaplen; /* frames are cut to so many bytes; 0: not */
};

/* 0, or a negative errno; `why` (of why_bytes) gets the loader's own words then, or what in the filter is not for the kernel. Nothing
 * is logged. */
int xdp_load(const struct xdp_load_options *options, struct xdp **xdp, char *why, unsigned why_bytes);
void xdp_unload(struct xdp *xdp); /* detaches; accepts NULL */

/* Frames of this queue and share go to the socket `fd`. */
int xdp_set_socket(struct xdp *xdp, unsigned queue, unsigned share, int fd);
/* By a link: when this process ends, however it ends, the program is gone. 0 or a negative errno: -EBUSY and -EEXIST: another
 * program is there; -EOPNOTSUPP: the driver has no native XDP; -ERANGE, -EINVAL: often the MTU. */
int xdp_attach(struct xdp *xdp, bool generic);
/* When this returns no CPU is in the program any more, and all it redirected is in the rings. */
void xdp_detach(struct xdp *xdp);

/*
 * Puts another set of rules beside the one in force, and in its place: no frame sees a part of each, or none. 0, or a negative errno: the
 * old ones stay in force.
 */
int xdp_rules_prepare(struct xdp *xdp, const struct rules_set *set);
void xdp_rules_commit(struct xdp *xdp);

void xdp_set_sample(struct xdp *xdp, uint32_t sample);

/* What was not captured of a flow. Any thread; per_cpu: room for xdp_cpus(). Times are CLOCK_MONOTONIC. */
unsigned xdp_cpus(const struct xdp *xdp);
bool xdp_cutoff_get(const struct xdp *xdp, const struct cutoff_key *key, bool take, struct cutoff_counts *per_cpu,
	struct cutoff_counts *counts);

/* Sum over the CPUs. 0 or a negative errno; -ENOENT: xdp is NULL, for nothing was loaded. */
int xdp_read_counters(const struct xdp *xdp, unsigned queue, struct xdp_counters *counters);

/* Takes away the program with this id, which is attached to the interface (--replace). 0 or a negative errno; -EPERM: it is held by a
 * link, and finding that takes CAP_SYS_ADMIN. */
int xdp_remove_other(unsigned ifindex, uint32_t program);

#endif
